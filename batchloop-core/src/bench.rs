//! The workbench of one turn: the scratch space that its batches lie in.
//!
//! A batch is a segment of indices, in address order. Segments are handed out from the bottom up; a batch that grows
//! or ends at the top gives its room back at once, others when all are gone or the turn ends.
//!
//! **Fairness.** A stage takes at most [`Capacity::batch`](crate::Capacity::batch) waiting states, and at most half
//! of the room that is free beyond one index for each point that this turn has still to visit; but always one. So
//! each point that a turn visits moves in each turn, and a state that is active among `n` at its point is taken
//! within `n + 1` turns, or within `n / batch + 2` while no other batches fill the scratch space.

use core::{cell::Cell, marker::PhantomData};

use crate::{
    access::Access, error::Fault, frame::Frame, slot::Taken, storage::Index, sync::Ordering,
};

/// Where a batch's indices lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    pub(crate) start: usize,
    pub(crate) len: usize,
}

impl Segment {
    pub(crate) const EMPTY: Segment = Segment { start: 0, len: 0 };

    pub(crate) fn end(self) -> usize {
        self.start + self.len
    }
}

pub(crate) struct Bench<A> {
    pub(crate) frame: &'static Frame,
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
    pub(crate) fn new(frame: &'static Frame, scratch: &'static [Index]) -> Self {
        Bench {
            frame,
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
    pub(crate) fn get(&self, index: usize) -> u32 {
        self.scratch[index].0.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn put(&self, index: usize, slot: u32) {
        self.scratch[index].0.store(slot, Ordering::Relaxed);
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
        if segment.len == 0 {
            return Segment::EMPTY;
        }
        if segment.end() == self.top.get() {
            self.top.set(segment.start + len);
        }
        if len > 0 {
            return Segment { len, ..segment };
        }
        self.segments.set(self.segments.get() - 1);
        if self.segments.get() == 0 {
            self.top.set(0);
        }
        Segment::EMPTY
    }

    /// Makes two segments of one.
    pub(crate) fn split(&self, segment: Segment, left: usize) -> (Segment, Segment) {
        let right = Segment {
            start: segment.start + left,
            len: segment.len - left,
        };
        if left == 0 {
            return (Segment::EMPTY, segment);
        }
        if right.len == 0 {
            return (segment, Segment::EMPTY);
        }
        self.segments.set(self.segments.get() + 1);
        (
            Segment {
                len: left,
                ..segment
            },
            right,
        )
    }

    /// Makes one segment of two that are adjacent, or that fit together above the others.
    pub(crate) fn join(&self, one: Segment, other: Segment) -> Option<Segment> {
        if one.len == 0 {
            return Some(other);
        }
        if other.len == 0 {
            return Some(one);
        }
        let (low, high) = if one.start < other.start {
            (one, other)
        } else {
            (other, one)
        };
        if low.end() == high.start {
            self.segments.set(self.segments.get() - 1);
            let joined = Segment {
                start: low.start,
                len: low.len + high.len,
            };
            self.order(joined, low.len);
            return Some(joined);
        }
        let len = low.len + high.len;
        let joined = self.extend(len)?;
        for (at, from) in (low.start..low.end())
            .chain(high.start..high.end())
            .enumerate()
        {
            self.put(joined.start + at, self.get(from));
        }
        self.shrink(low, 0);
        self.shrink(high, 0);
        self.order(joined, low.len);
        Some(joined)
    }

    /// Merges the two ascending runs of a segment, if there is room above to hold the second meanwhile. Where there
    /// is none they stay as they are: the order is for the cache, and nothing else depends on it.
    fn order(&self, segment: Segment, first: usize) {
        let middle = segment.start + first;
        let second = segment.len - first;
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
            let at = segment.start + left + right - 1;
            let high = self.get(buffer + right - 1);
            if left > 0 && self.get(segment.start + left - 1) > high {
                self.put(at, self.get(segment.start + left - 1));
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
        Some(Segment { start, len })
    }

    /// Arrivals go to the point, and the states that wait there and may have been woken are taken with them.
    pub(crate) fn gather(&self, set: u16, arrivals: Segment) -> Segment {
        self.unvisited.set(self.unvisited.get().saturating_sub(1));
        for at in arrivals.start..arrivals.end() {
            self.frame.set_place(self.get(at) as usize, set);
        }
        let active = self.frame.active_set::<A>(set);
        if active.is_empty() {
            return arrivals;
        }
        let mut arrivals = arrivals;
        if arrivals.len > 0 && arrivals.end() != self.top.get() {
            // Nothing can be added in this place, so the arrivals join those who wait.
            self.put_back(arrivals);
            arrivals = self.shrink(arrivals, 0);
        }
        let first = self.top.get();
        let mut end = first;
        let left = active.take(self.room(), |slot| match self.frame.take::<A>(slot, set) {
            Taken::Here => {
                self.put(end, slot as u32);
                end += 1;
                true
            }
            Taken::Nothing => false,
        });
        if left.remain {
            self.backlog.set(true);
        }
        if end == first {
            return arrivals;
        }
        self.top.set(end);
        if arrivals.len == 0 {
            self.segments.set(self.segments.get() + 1);
            return Segment {
                start: first,
                len: end - first,
            };
        }
        let segment = Segment {
            start: arrivals.start,
            len: end - arrivals.start,
        };
        self.order(segment, arrivals.len);
        segment
    }

    /// The states of a segment go back to where they came from, active.
    pub(crate) fn put_back(&self, segment: Segment) {
        for at in segment.start..segment.end() {
            self.frame.put_back::<A>(self.get(at) as usize);
        }
    }
}
