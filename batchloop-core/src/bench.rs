//! The workbench of one turn: the scratch space that its batches lie in.
//!
//! A batch is a segment of indices, in address order. Segments are handed out from the bottom up; a batch that grows
//! or ends at the top gives its room back at once, others when all are gone or the turn ends.
//!
//! **Fairness.** A stage takes at most [`Capacity::batch`](crate::Capacity::batch) waiting states, and at most half
//! of the room that is free beyond one index for each point that this turn has still to visit; but always one. So
//! each point that a turn visits moves in each turn, and a state that is active among `n` at its point is taken
//! within `n + 1` turns, or within `n / batch + 2` while no other batches fill the scratch space.

use core::{cell::Cell, marker::PhantomData, num::NonZeroUsize};

use crate::{
    access::Access,
    error::Fault,
    frame::Frame,
    point::ProgramPoint,
    slot::Taken,
    storage::Index,
    sync::Ordering,
    trie::ENTRANCE,
    workload::{Workload, Workloads},
};

/// One state of a batch: a slot, and whether the batch owns it yet.
///
/// States that a stage takes from its active set are *claimed*: their bits are in hand, and they become owned when
/// their closure starts, in the exchange that locks them. The mark is the lowest bit, so that entries sort by slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub(crate) struct Entry(u32);

impl Entry {
    #[inline(always)]
    pub(crate) fn owned(slot: usize) -> Self {
        Entry((slot as u32) << 1)
    }

    // ORDERING: Relaxed; scratch space belongs to one driver, and a driver to one thread at a time.
    #[inline(always)]
    pub(crate) fn read(index: &Index) -> Self {
        Entry(index.0.load(Ordering::Relaxed))
    }

    #[inline(always)]
    fn claimed(slot: usize) -> Self {
        Entry((slot as u32) << 1 | 1)
    }

    #[inline(always)]
    pub(crate) fn slot(self) -> usize {
        (self.0 >> 1) as usize
    }

    #[inline(always)]
    pub(crate) fn is_claimed(self) -> bool {
        self.0 & 1 != 0
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

pub(crate) struct Bench<A> {
    pub(crate) frame: &'static Frame,
    serves: Workloads,
    scratch: &'static [Index],
    top: Cell<usize>,
    /// Segments that are not empty.
    segments: Cell<usize>,
    /// Points that this turn has still to visit, at most.
    unvisited: Cell<usize>,
    pub(crate) backlog: Cell<bool>,
    pub(crate) stop: Cell<bool>,
    fault: Cell<Option<Fault>>,
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
            unvisited: Cell::new(frame.capacity.points + 1),
            backlog: Cell::new(false),
            stop: Cell::new(false),
            fault: Cell::new(None),
            access: PhantomData,
        }
    }

    /// Remembers the first fault of the turn.
    #[cold]
    pub(crate) fn report(&self, fault: Fault) {
        if self.fault.get().is_none() {
            self.fault.set(Some(fault));
        }
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.get()
    }

    // ORDERING: Relaxed; scratch space belongs to one driver, and a driver to one thread at a time.
    #[inline(always)]
    pub(crate) fn get(&self, index: usize) -> Entry {
        Entry::read(&self.scratch[index])
    }

    #[inline(always)]
    pub(crate) fn entries(&self, segment: Segment) -> &'static [Index] {
        &self.scratch[segment.start()..segment.end()]
    }

    #[inline(always)]
    pub(crate) fn put(&self, index: usize, entry: Entry) {
        self.scratch[index].0.store(entry.0, Ordering::Relaxed);
    }

    fn free(&self) -> usize {
        self.scratch.len() - self.top.get()
    }

    fn room(&self) -> usize {
        let spare = self.free().saturating_sub(self.unvisited.get());
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
        self.shrink(low, 0);
        self.shrink(high, 0);
        self.order(joined, low.len());
        Ok(joined)
    }

    /// Takes what is only claimed, so that the whole segment is owned; what cannot be taken is left out.
    fn secure(&self, segment: Segment) -> Segment {
        let mut kept = 0;
        for at in segment.start()..segment.end() {
            let entry = self.get(at);
            let ours = !entry.is_claimed()
                || self.frame.take::<A>(entry.slot(), segment.from) == Taken::Here;
            if ours {
                self.put(segment.start() + kept, Entry::owned(entry.slot()));
                kept += 1;
            }
        }
        self.shrink(segment, kept)
    }

    /// Merges the two ascending runs of a segment, if there is room above to hold the second meanwhile. Where there
    /// is none they stay as they are: the order is for the cache, and nothing else depends on it.
    fn order(&self, segment: Segment, first: usize) {
        let middle = segment.start() + first;
        let second = segment.len() - first;
        if first == 0 || second == 0 || self.get(middle - 1) < self.get(middle) {
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
            if left > 0 && self.get(segment.start() + left - 1) > high {
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
        if len == 0 || self.free().saturating_sub(self.unvisited.get()) < len {
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
            self.unvisited.set(self.unvisited.get().saturating_sub(1));
        }
        quiet
    }

    /// Arrivals go to the point, and the states that wait there and may have been woken come with them.
    #[inline]
    pub(crate) fn gather(&self, set: u16, point: &ProgramPoint, arrivals: Segment) -> Segment {
        self.unvisited.set(self.unvisited.get().saturating_sub(1));
        let limited = point.at_most().is_some() || !self.serves.contains(point.workload());
        if limited {
            self.gather_limited(set, point, arrivals)
        } else if arrivals.is_empty() {
            self.claim(set, usize::MAX)
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
        for at in arrivals.start()..arrivals.end() {
            self.frame.set_place(self.get(at).slot(), set);
        }
        self.put_back(arrivals);
        self.shrink(arrivals, 0);
    }

    /// Takes those at the entrance that may have been woken.
    pub(crate) fn gather_entrance(&self) -> Segment {
        self.unvisited.set(self.unvisited.get().saturating_sub(1));
        if self.serves.contains(Workload::IO) {
            self.claim(ENTRANCE, usize::MAX)
        } else {
            Segment::EMPTY
        }
    }

    fn gather_with(&self, set: u16, arrivals: Segment) -> Segment {
        let mut arrivals = self.secure(arrivals);
        for at in arrivals.start()..arrivals.end() {
            self.frame.set_place(self.get(at).slot(), set);
        }
        if self.frame.active_set::<A>(set).is_empty() {
            return arrivals;
        }
        if arrivals.end() != self.top.get() {
            // Nothing can be added in this place, so the arrivals join those who wait.
            self.put_back(arrivals);
            arrivals = self.shrink(arrivals, 0);
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
        let first = self.top.get();
        let room = self.room().min(at_most);
        if room == 0 {
            // Other batches fill the scratch space.
            let waiting = !self.frame.active_set::<A>(set).is_empty();
            self.backlog.set(self.backlog.get() || waiting);
            return Segment::EMPTY;
        }
        let mut entries = self.scratch[first..first + room].iter();
        let left = self.frame.active_set::<A>(set).take(|base, mut bits| {
            let mut free = entries.clone();
            while bits != 0
                && let Some(entry) = free.next()
            {
                let slot = base + bits.trailing_zeros() as usize;
                entry.0.store(Entry::claimed(slot).0, Ordering::Relaxed);
                bits &= bits - 1;
            }
            entries = free;
            bits
        });
        let end = first + room - entries.len();
        if left.remain {
            self.backlog.set(true);
            if A::SHARED && self.frame.capacity.drivers > 1 {
                // While the take went on, the point looked empty to other drivers, who may be about to sleep; and one
                // that sleeps can take the rest.
                self.frame.count_change::<A>(set);
            }
        }
        if end == first {
            return Segment::EMPTY;
        }
        self.top.set(end);
        self.segments.set(self.segments.get() + 1);
        Segment::new(first, end - first, set)
    }

    /// The states of a segment go back to where they came from, active.
    pub(crate) fn put_back(&self, segment: Segment) {
        for at in segment.start()..segment.end() {
            let entry = self.get(at);
            if entry.is_claimed() {
                self.frame.activate_at::<A>(entry.slot(), segment.from);
            } else {
                self.frame.put_back::<A>(entry.slot());
            }
        }
    }
}
