//! The inside of one run of the entry point: the scratch space that its batches lie in, and what it has found.
//!
//! **Fairness.** A stage takes at most [`Capacity::batch`](crate::Capacity::batch) waiting states, and at most half
//! of the room that is free beyond one index for each point that this turn has still to visit; but always one. So
//! each point that a turn visits moves in each turn, and a state that is active among `n` at its point is taken
//! within `n + 1` turns, or within `n / batch + 2` while no other batches fill the scratch space.

use core::{
    cell::{Cell, OnceCell},
    marker::PhantomData,
    num::NonZeroUsize,
};

use crate::{
    ground::{index::SetId, word::Access},
    program::{
        fault::Fault,
        node::Node,
        point::ProgramPoint,
        workload::{Workload, Workloads},
    },
    slab::{
        entry::{Entry, Index},
        raw::RawMachine,
    },
    turn::{
        rest::{Rest, Securing},
        scratch::{Room, Scratch, Segment},
    },
};

pub(super) struct Run<A> {
    pub(crate) raw: &'static RawMachine,
    serves: Workloads,
    pub(crate) scratch: Scratch,
    /// Points that this turn has come past, at least.
    pub(super) passed: Cell<usize>,
    pub(super) backlog: Cell<bool>,
    pub(super) stop: Cell<bool>,
    fault: OnceCell<Fault>,
    /// What tells this turn from all others of the machine. 0 until something asks.
    number: Cell<usize>,
    access: PhantomData<A>,
}

impl<A: Access> Run<A> {
    pub(crate) fn new(
        raw: &'static RawMachine,
        serves: Workloads,
        scratch: &'static [Index],
    ) -> Self {
        Run {
            raw,
            serves,
            scratch: Scratch::new(scratch),
            passed: Cell::new(0),
            backlog: Cell::new(false),
            stop: Cell::new(false),
            fault: OnceCell::new(),
            number: Cell::new(0),
            access: PhantomData,
        }
    }

    /// What tells this turn from all others of the machine.
    pub(crate) fn number(&self) -> usize {
        while self.number.get() == 0 {
            self.number.set(self.raw.number_turn());
        }
        self.number.get()
    }

    /// Whether this turn has this number.
    pub(super) fn has_number(&self, number: usize) -> bool {
        self.number.get() == number
    }

    /// Remembers the first fault of the turn.
    #[cold]
    pub(super) fn report(&self, fault: Fault) {
        // The first one stays.
        let _ = self.fault.set(fault);
    }

    /// States that have gone on from their point come to no other.
    #[cold]
    #[inline(never)]
    pub(super) fn report_no_stage(&self, segment: Segment) {
        let first = self.scratch.entries(segment).first();
        let set = first.map(|entry| self.raw.place(Entry::read(entry).slot()));
        let stage = set.and_then(|set| self.raw.trie.stage_of(set));
        let site = stage.and_then(|stage| self.raw.trie.node(stage).site());
        self.report(Fault::NoStage(site));
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }

    /// Points that this turn has still to come to, at most.
    fn still_to_come(&self) -> usize {
        (self.raw.capacity.points + 1).saturating_sub(self.passed.get())
    }

    /// How many waiting states a stage may take.
    fn room(&self) -> usize {
        if self.scratch.is_unused() {
            // There are two batches and an index for each point, so half of what is to spare is a batch at least.
            return self.raw.capacity.batch;
        }
        let free = self.scratch.free();
        let spare = free.saturating_sub(self.still_to_come());
        (spare / 2).max(1).min(self.raw.capacity.batch).min(free)
    }

    /// Makes one segment of two that are adjacent, or that fit together above the others. Where they fit nowhere,
    /// they come back as they are.
    pub(super) fn join(&self, one: Segment, other: Segment) -> Result<Segment, (Segment, Segment)> {
        // Claimed entries of two points cannot share a segment, so they are taken now.
        let one = self.secure(one);
        let other = self.secure(other);
        if one.is_empty() {
            return Ok(other);
        }
        if other.is_empty() {
            return Ok(one);
        }
        let (low, high) = if one.starts_before(other) {
            (one, other)
        } else {
            (other, one)
        };
        let goes_on = low.goes_on() | high.goes_on();
        if low.is_just_before(high) {
            return Ok(self.scratch.unite(low, high).going_on(goes_on));
        }
        let Some(joined) = self.extend(low.len() + high.len()) else {
            return Err((one, other));
        };
        self.scratch.move_into(joined, low, high);
        let joined = joined.going_on(goes_on);
        Ok(joined)
    }

    /// Takes what is only claimed, so that the whole segment is owned; what cannot be taken is left out.
    fn secure(&self, segment: Segment) -> Segment {
        let mut pass = Securing::<A>::of(self.raw, &self.scratch, segment);
        while let Some(entry) = pass.next() {
            let owned = match entry.is_claimed() {
                true => self.raw.take::<A>(entry.slot(), segment.from()),
                false => Some(entry),
            };
            if let Some(entry) = owned {
                pass.keep(entry);
            }
        }
        let kept = pass.end();
        self.scratch.shrink(segment, kept)
    }

    /// A segment above all others, if there is room for `len` indices beside what other points need.
    pub(super) fn extend(&self, len: usize) -> Option<Segment> {
        if self.scratch.free().saturating_sub(self.still_to_come()) < len {
            return None;
        }
        self.scratch.extend(len)
    }

    /// Whether no state is to be taken at this node: none that waits there may have been woken, or it is not served.
    pub(super) fn is_quiet(&self, node: &Node, point: &ProgramPoint) -> bool {
        node.is_quiet::<A>() || !self.serves.contains(point.workload())
    }

    /// The segment. An empty one keeps what it works on only until the limits of the program have been found: by then it has
    /// come to all projections.
    pub(super) fn as_far_as_needed(&self, segment: Segment) -> Segment {
        match segment.is_empty() && self.raw.trie.is_explored() {
            true => Segment::EMPTY,
            false => segment,
        }
    }

    /// Arrivals go to the point, and the states that wait there and may have been woken come with them. At least one
    /// of the two is non-empty; otherwise the point is quiet.
    #[inline]
    pub(super) fn gather(&self, set: SetId, point: &ProgramPoint, arrivals: Segment) -> Segment {
        if arrivals.is_empty() {
            return self.gather_waiting(set, point);
        }
        let limited = point.at_most().is_some() || !self.serves.contains(point.workload());
        if limited {
            self.gather_limited(set, point, arrivals)
        } else {
            self.gather_with(set, arrivals)
        }
    }

    /// As `gather`, where nothing arrives.
    #[inline(always)]
    pub(super) fn gather_waiting(&self, set: SetId, point: &ProgramPoint) -> Segment {
        if !self.serves.contains(point.workload()) {
            return Segment::EMPTY;
        }
        self.claim(set, point.at_most().map_or(usize::MAX, NonZeroUsize::get))
    }

    /// As `gather`, for a point with small batches, or one that is not served: the arrivals join those that wait, so
    /// that other drivers may have them, and so that they do not starve those that wait.
    #[inline(never)]
    fn gather_limited(&self, set: SetId, point: &ProgramPoint, arrivals: Segment) -> Segment {
        self.leave_at(set, arrivals);
        if self.serves.contains(point.workload()) {
            self.claim(set, point.at_most().map_or(usize::MAX, NonZeroUsize::get))
        } else {
            Segment::EMPTY
        }
    }

    /// The states of a segment go to the point of `set`, active.
    pub(super) fn leave_at(&self, set: SetId, arrivals: Segment) {
        let arrivals = self.secure(arrivals);
        self.place(set, arrivals);
        self.let_go(arrivals);
    }

    /// The states of a segment, which is secured, are at the point of `set` from now on.
    fn place(&self, set: SetId, arrivals: Segment) {
        for entry in self.scratch.entries(arrivals).iter().map(Entry::read) {
            self.raw.set_place(entry.slot(), set);
        }
        self.raw.publish::<A>();
    }

    /// Whether nothing is active at the entrance, and a batch from there need not know what it works on.
    #[inline(always)]
    pub(super) fn has_no_arrivals(&self) -> bool {
        A::load(self.raw.entrance_top) == 0 && self.raw.trie.is_explored()
    }

    /// Takes those at the entrance that may have been woken.
    pub(super) fn gather_entrance(&self) -> Segment {
        let quiet = self.raw.active_set::<A>(SetId::ENTRANCE).is_empty();
        if quiet || !self.serves.contains(Workload::IO) {
            Segment::EMPTY
        } else {
            self.claim(SetId::ENTRANCE, usize::MAX)
        }
    }

    fn gather_with(&self, set: SetId, arrivals: Segment) -> Segment {
        let mut arrivals = self.secure(arrivals);
        arrivals = arrivals.going_on(false);
        self.place(set, arrivals);
        if self.raw.active_set::<A>(set).is_empty() {
            return arrivals;
        }
        if !self.scratch.is_highest(arrivals) {
            // Nothing can be added in this place, so the arrivals join those that wait.
            self.let_go(arrivals);
            arrivals = Segment::EMPTY;
        }
        let claimed = self.claim(set, usize::MAX);
        if arrivals.is_empty() || claimed.is_empty() {
            return if arrivals.is_empty() {
                claimed
            } else {
                arrivals
            };
        }
        self.scratch.unite(arrivals, claimed)
    }

    /// Takes the bits of those that wait at a point and may have been woken, as many as there is room for.
    fn claim(&self, set: SetId, at_most: usize) -> Segment {
        let active = self.raw.active_set::<A>(set);
        let room = self.scratch.room(self.room().min(at_most));
        if room.is_empty() {
            // Other batches fill the scratch space.
            self.backlog.set(self.backlog.get() || !active.is_empty());
            return Segment::EMPTY;
        }
        let (room, remain) = active.take(room, Room::claim);
        let segment = self.scratch.fill(room, set);
        if remain {
            self.backlog.set(true);
            if A::SHARED && self.raw.capacity.drivers > 1 {
                // While the take went on, the point looked empty to other drivers, which may be about to sleep; and one
                // that sleeps can take the rest. A bell that panics loses nothing of what was taken.
                let taken = Rest::<A>::of(self.raw, &self.scratch, segment);
                self.raw.count_change::<A>(set);
                core::mem::forget(taken);
            }
        }
        segment
    }

    /// The states of a segment go back to where they came from, active, and its room is free.
    pub(super) fn let_go(&self, segment: Segment) {
        self.put_back(segment);
        self.scratch.discard(segment);
    }

    /// The states of a segment, or of a part of one, go back to where they came from, active.
    pub(crate) fn put_back(&self, segment: Segment) {
        drop(Rest::<A>::of(self.raw, &self.scratch, segment));
    }
}
