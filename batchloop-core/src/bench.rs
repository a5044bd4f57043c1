//! The workbench of one turn: the scratch space that its batches lie in.
//!
//! A batch is a segment of indices, in address order. Segments are handed out from the bottom up; a batch that grows
//! or ends at the top gives its room back at once, others when all are gone or the turn ends.
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
    access::Access,
    active_set::slots,
    bitmap::without_first,
    error::Fault,
    frame::{Frame, Inside},
    point::ProgramPoint,
    rest::{Rest, Securing},
    slot::Taken,
    storage::Index,
    sync::Ordering,
    trie::ENTRANCE,
    workload::{Workload, Workloads},
};

/// One state of a batch: a slot, and whether the batch owns it yet.
///
/// States that a stage takes from its active set are *claimed*: their bits are in hand, and they become owned when
/// their closure starts, in the exchange that locks them. Slots have 31 bits; the highest marks those that are owned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry(u32);

const OWNED: u32 = 1 << 31;

impl Entry {
    #[inline(always)]
    pub(crate) fn owned(slot: usize) -> Self {
        Entry(slot as u32 | OWNED)
    }

    // ORDERING: Relaxed; scratch space belongs to one driver, and a driver to one thread at a time.
    #[inline(always)]
    pub(crate) fn read(index: &Index) -> Self {
        Entry(index.0.load(Ordering::Relaxed))
    }

    #[inline(always)]
    fn write(self, index: &Index) {
        index.0.store(self.0, Ordering::Relaxed);
    }

    #[inline(always)]
    fn claimed(slot: usize) -> Self {
        Entry(slot as u32)
    }

    #[inline(always)]
    pub(crate) fn slot(self) -> usize {
        (self.0 & !OWNED) as usize
    }

    #[inline(always)]
    pub(crate) fn is_claimed(self) -> bool {
        self.0 & OWNED == 0
    }
}

/// Where a batch's entries lie, in few bytes: batches are passed by value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    start: u32,
    len: u32,
    /// The set that claimed entries come from, if there are any.
    pub(crate) from: u16,
}

impl Segment {
    pub(crate) const EMPTY: Segment = Segment {
        start: 0,
        len: 0,
        from: 0,
    };

    /// [`Capacity`](crate::Capacity) keeps positions in the scratch space below 2³².
    #[inline(always)]
    fn new(start: usize, len: usize, from: u16) -> Self {
        Segment {
            start: start as u32,
            len: len as u32,
            from,
        }
    }

    /// Some of its entries, counted from its start; or as many entries elsewhere.
    #[inline(always)]
    pub(crate) fn part(self, start: usize, len: usize) -> Self {
        Segment::new(start, len, self.from)
    }

    #[inline(always)]
    pub(crate) fn is_empty(self) -> bool {
        self.len == 0
    }

    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        self.len as usize
    }

    #[inline(always)]
    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    #[inline(always)]
    pub(crate) fn end(self) -> usize {
        self.start() + self.len()
    }
}

/// Claims the slots of a leaf's bits, behind those that have been `taken` so far. Answers how many are taken now, and the
/// bits that there is no room for.
fn write_down(entries: &[Index], mut taken: usize, base: usize, bits: usize) -> (usize, usize) {
    let rest = without_first(entries.len() - taken, bits);
    for slot in slots(base, bits & !rest) {
        Entry::claimed(slot).write(Inside(entries).at(taken));
        taken += 1;
    }
    (taken, rest)
}

pub(crate) struct Bench<A> {
    pub(crate) frame: &'static Frame,
    serves: Workloads,
    scratch: &'static [Index],
    top: Cell<usize>,
    /// Segments that are not empty.
    segments: Cell<usize>,
    /// Points that this turn has visited.
    visited: Cell<usize>,
    pub(crate) backlog: Cell<bool>,
    pub(crate) stop: Cell<bool>,
    fault: OnceCell<Fault>,
    access: PhantomData<A>,
}

impl<A: Access> Bench<A> {
    pub(crate) fn new(frame: &'static Frame, serves: Workloads, scratch: &'static [Index]) -> Self {
        Bench {
            frame,
            serves,
            scratch,
            top: Cell::new(0),
            segments: Cell::new(0),
            visited: Cell::new(0),
            backlog: Cell::new(false),
            stop: Cell::new(false),
            fault: OnceCell::new(),
            access: PhantomData,
        }
    }

    /// Remembers the first fault of the turn.
    #[cold]
    pub(crate) fn report(&self, fault: Fault) {
        // The first one stays.
        let _ = self.fault.set(fault);
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }

    // ORDERING: Relaxed; scratch space belongs to one driver, and a driver to one thread at a time.
    #[inline(always)]
    pub(crate) fn get(&self, index: usize) -> Entry {
        Entry::read(Inside(self.scratch).at(index))
    }

    #[inline(always)]
    pub(crate) fn entries(&self, segment: Segment) -> &'static [Index] {
        Inside(self.scratch).part(segment.start()..segment.end()).0
    }

    #[inline(always)]
    pub(crate) fn put(&self, index: usize, entry: Entry) {
        entry.write(Inside(self.scratch).at(index));
    }

    fn free(&self) -> usize {
        self.scratch.len() - self.top.get()
    }

    #[inline(always)]
    fn count_visit(&self) {
        self.visited.set(self.visited.get() + 1);
    }

    /// Points that this turn has still to visit, at most.
    fn unvisited(&self) -> usize {
        (self.frame.capacity.points + 1).saturating_sub(self.visited.get())
    }

    fn room(&self) -> usize {
        let spare = self.free().saturating_sub(self.unvisited());
        (spare / 2)
            .max(1)
            .min(self.frame.capacity.batch)
            .min(self.free())
    }

    /// Gives back all of a segment but its first `len` indices.
    pub(crate) fn shrink(&self, segment: Segment, len: usize) -> Segment {
        if segment.is_empty() {
            return Segment::EMPTY;
        }
        if segment.end() == self.top.get() {
            self.top.set(segment.start() + len);
        }
        if len > 0 {
            return segment.part(segment.start(), len);
        }
        self.segments.set(self.segments.get() - 1);
        if self.segments.get() == 0 {
            self.top.set(0);
        }
        Segment::EMPTY
    }

    /// Gives back all of a segment.
    #[inline(never)]
    pub(crate) fn discard(&self, segment: Segment) {
        self.shrink(segment, 0);
    }

    /// Makes two segments of one.
    pub(crate) fn split(&self, segment: Segment, left: usize) -> (Segment, Segment) {
        let right = segment.part(segment.start() + left, segment.len() - left);
        if left == 0 {
            return (Segment::EMPTY, segment);
        }
        if right.is_empty() {
            return (segment, Segment::EMPTY);
        }
        self.segments.set(self.segments.get() + 1);
        (segment.part(segment.start(), left), right)
    }

    /// Makes one segment of two that are adjacent, or that fit together above the others. Where they fit nowhere,
    /// they come back as they are.
    pub(crate) fn join(&self, one: Segment, other: Segment) -> Result<Segment, (Segment, Segment)> {
        // Claimed entries of two points cannot share a segment, so they are taken now.
        let one = self.secure(one);
        let other = self.secure(other);
        if one.is_empty() {
            return Ok(other);
        }
        if other.is_empty() {
            return Ok(one);
        }
        let (low, high) = if one.start() < other.start() {
            (one, other)
        } else {
            (other, one)
        };
        if low.end() == high.start() {
            self.segments.set(self.segments.get() - 1);
            let joined = low.part(low.start(), low.len() + high.len());
            self.order(joined, low.len());
            return Ok(joined);
        }
        let len = low.len() + high.len();
        let Some(joined) = self.extend(len) else {
            return Err((one, other));
        };
        for (at, from) in (low.start()..low.end())
            .chain(high.start()..high.end())
            .enumerate()
        {
            self.put(joined.start() + at, self.get(from));
        }
        self.discard(low);
        self.discard(high);
        self.order(joined, low.len());
        Ok(joined)
    }

    /// Takes what is only claimed, so that the whole segment is owned; what cannot be taken is left out.
    fn secure(&self, segment: Segment) -> Segment {
        let mut pass = Securing::of(self, segment);
        while let Some(entry) = pass.next() {
            let ours = !entry.is_claimed()
                || self.frame.take::<A>(entry.slot(), segment.from) == Taken::Here;
            if ours {
                self.put(segment.start() + pass.kept, Entry::owned(entry.slot()));
                pass.kept += 1;
            }
        }
        let kept = pass.end();
        self.shrink(segment, kept)
    }

    /// Merges the two ascending runs of a segment, if there is room above to hold the second meanwhile. Where there
    /// is none they stay as they are: the order is for the cache, and nothing else depends on it.
    fn order(&self, segment: Segment, first: usize) {
        let middle = segment.start() + first;
        let second = segment.len() - first;
        if first == 0 || second == 0 || self.get(middle - 1).slot() < self.get(middle).slot() {
            return;
        }
        let buffer = self.top.get().max(segment.end());
        if self.scratch.len() - buffer < second {
            return;
        }
        for at in 0..second {
            self.put(buffer + at, self.get(middle + at));
        }
        let (mut left, mut right) = (first, second);
        while right > 0 {
            let at = segment.start() + left + right - 1;
            let high = self.get(buffer + right - 1);
            if left > 0 && self.get(segment.start() + left - 1).slot() > high.slot() {
                self.put(at, self.get(segment.start() + left - 1));
                left -= 1;
            } else {
                self.put(at, high);
                right -= 1;
            }
        }
    }

    /// A segment above all others, if there is room for `len` indices.
    pub(crate) fn extend(&self, len: usize) -> Option<Segment> {
        if len == 0 || self.free().saturating_sub(self.unvisited()) < len {
            return None;
        }
        let start = self.top.get();
        self.top.set(start + len);
        self.segments.set(self.segments.get() + 1);
        Some(Segment::new(start, len, 0))
    }

    /// Whether nobody waits at this node who may have been woken. Counts as the visit of its point if so.
    #[inline(always)]
    pub(crate) fn is_quiet(&self, node: u16, point: &ProgramPoint) -> bool {
        let set = self.frame.node(node).set();
        let quiet = set == ENTRANCE
            || self.frame.active_set::<A>(set).is_empty()
            || !self.serves.contains(point.workload());
        if quiet {
            self.count_visit();
        }
        quiet
    }

    /// Arrivals go to the point, and the states that wait there and may have been woken come with them. One of both
    /// there is: else the point is quiet.
    #[inline]
    pub(crate) fn gather(&self, set: u16, point: &ProgramPoint, arrivals: Segment) -> Segment {
        self.count_visit();
        if arrivals.is_empty() {
            // A point that is not served is quiet.
            return self.claim(set, point.at_most().map_or(usize::MAX, NonZeroUsize::get));
        }
        let limited = point.at_most().is_some() || !self.serves.contains(point.workload());
        if limited {
            self.gather_limited(set, point, arrivals)
        } else {
            self.gather_with(set, arrivals)
        }
    }

    /// As `gather`, for a point with small batches, or one that is not served: the arrivals join those who wait, so
    /// that other drivers may have them, and so that they do not starve those who wait.
    #[inline(never)]
    fn gather_limited(&self, set: u16, point: &ProgramPoint, arrivals: Segment) -> Segment {
        self.leave_at(set, arrivals);
        if self.serves.contains(point.workload()) {
            self.claim(set, point.at_most().map_or(usize::MAX, NonZeroUsize::get))
        } else {
            Segment::EMPTY
        }
    }

    /// The states of a segment go to the point of `set`, active.
    pub(crate) fn leave_at(&self, set: u16, arrivals: Segment) {
        let arrivals = self.secure(arrivals);
        for entry in self.entries(arrivals).iter().map(Entry::read) {
            self.frame.set_place(entry.slot(), set);
        }
        self.let_go(arrivals);
    }

    /// Takes those at the entrance that may have been woken.
    #[inline(always)]
    pub(crate) fn gather_entrance(&self) -> Segment {
        self.count_visit();
        let quiet = self.frame.active_set::<A>(ENTRANCE).is_empty();
        if quiet || !self.serves.contains(Workload::IO) {
            Segment::EMPTY
        } else {
            self.claim(ENTRANCE, usize::MAX)
        }
    }

    fn gather_with(&self, set: u16, arrivals: Segment) -> Segment {
        let mut arrivals = self.secure(arrivals);
        for entry in self.entries(arrivals).iter().map(Entry::read) {
            self.frame.set_place(entry.slot(), set);
        }
        if self.frame.active_set::<A>(set).is_empty() {
            return arrivals;
        }
        if arrivals.end() != self.top.get() {
            // Nothing can be added in this place, so the arrivals join those who wait.
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
        self.segments.set(self.segments.get() - 1);
        let segment = Segment::new(arrivals.start(), arrivals.len() + claimed.len(), set);
        self.order(segment, arrivals.len());
        segment
    }

    /// Takes the bits of those who wait at a point and may have been woken, as many as there is room for.
    fn claim(&self, set: u16, at_most: usize) -> Segment {
        let active = self.frame.active_set::<A>(set);
        let first = self.top.get();
        let room = self.room().min(at_most);
        if room == 0 {
            // Other batches fill the scratch space.
            self.backlog.set(self.backlog.get() || !active.is_empty());
            return Segment::EMPTY;
        }
        let entries = Inside(self.scratch).part(first..first + room).0;
        let outcome = active.take(move |taken, base, bits| write_down(entries, taken, base, bits));
        let mut segment = Segment::EMPTY;
        if outcome.taken > 0 {
            self.top.set(first + outcome.taken);
            self.segments.set(self.segments.get() + 1);
            segment = Segment::new(first, outcome.taken, set);
        }
        if outcome.remain {
            self.backlog.set(true);
            if A::SHARED && self.frame.capacity.drivers > 1 {
                // While the take went on, the point looked empty to other drivers, who may be about to sleep; and one
                // that sleeps can take the rest. A bell that panics loses nothing of what was taken.
                let taken = Rest::of(self, segment);
                self.frame.count_change::<A>(set);
                core::mem::forget(taken);
            }
        }
        segment
    }

    /// The states of a segment go back to where they came from, active, and its room is free.
    pub(crate) fn let_go(&self, segment: Segment) {
        self.put_back(segment);
        self.discard(segment);
    }

    /// The states of a segment, or of a part of one, go back to where they came from, active.
    pub(crate) fn put_back(&self, segment: Segment) {
        drop(Rest::of(self, segment));
    }
}
