//! The scratch space of one turn, where the indices of its batches lie.
//!
//! A batch is a segment of indices, in address order. Segments are handed out from the bottom up; a batch that grows
//! or ends at the top gives its room back at once, others when all are gone or the turn ends.

use core::cell::Cell;

use crate::{
    ground::{bitmap::Leaf, index::SetId},
    program::shape::Shape,
    slab::entry::{Entry, Index},
};

/// Where a batch's entries lie and what it works on, in few bytes: batches are passed by value.
///
/// It is a part of the scratch space that it was cut out of, and is used with no other: R5.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    start: u32,
    /// How many entries there are: each is of another slot, so fewer than 2³¹. The highest bit is set if their states have
    /// said that they go on from the point where they are.
    entries: u32,
    /// The set that claimed entries come from, if there are any.
    from: SetId,
    shape: Option<Shape>,
}

const GOES_ON: u32 = 1 << 31;

impl Segment {
    pub(crate) const EMPTY: Segment = Segment {
        start: 0,
        entries: 0,
        from: SetId::ENTRANCE,
        shape: None,
    };

    #[inline(always)]
    pub(crate) fn is_empty(self) -> bool {
        self.entries == 0
    }

    #[inline(always)]
    pub(super) fn len(self) -> usize {
        (self.entries & !GOES_ON) as usize
    }

    /// What it works on, where that is known. It is if there are entries that a batch is made of.
    #[inline(always)]
    pub(super) fn shape(self) -> Option<Shape> {
        self.shape
    }

    /// The same entries, to work on that.
    #[inline(always)]
    pub(super) fn shaped(self, shape: Option<Shape>) -> Self {
        Segment { shape, ..self }
    }

    #[inline(always)]
    pub(super) fn from(self) -> SetId {
        self.from
    }

    pub(super) fn goes_on(self) -> bool {
        self.entries & GOES_ON != 0
    }

    /// The same entries, whose states have said so or not.
    #[inline(always)]
    pub(super) fn going_on(self, goes_on: bool) -> Self {
        let mark = if goes_on && !self.is_empty() {
            GOES_ON
        } else {
            0
        };
        Segment {
            entries: self.entries & !GOES_ON | mark,
            ..self
        }
    }

    #[inline(always)]
    fn start(self) -> usize {
        self.start as usize
    }

    #[inline(always)]
    fn end(self) -> usize {
        self.start() + self.len()
    }

    pub(super) fn starts_before(self, other: Segment) -> bool {
        self.start < other.start
    }

    pub(super) fn is_just_before(self, other: Segment) -> bool {
        self.end() == other.start()
    }

    /// Its first entries, at most so many.
    #[inline(always)]
    pub(crate) fn first(self, len: usize) -> Self {
        let entries = self.len().min(len) as u32;
        Segment { entries, ..self }.going_on(self.goes_on())
    }

    /// What comes behind its first entries.
    pub(super) fn behind(self, len: usize) -> Self {
        let first = self.len().min(len) as u32;
        let entries = self.len() as u32 - first;
        let start = self.start + first;
        let rest = Segment {
            start,
            entries,
            ..self
        };
        rest.going_on(self.goes_on())
    }
}

/// Room above all segments for what a take finds, and how much of it is filled.
pub(super) struct Room {
    start: usize,
    cells: &'static [Index],
    filled: usize,
}

impl Room {
    pub(crate) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Claims the slots of a leaf, as many as there is room for, and leaves the others in it.
    #[inline(always)]
    pub(super) fn claim(&mut self, leaf: &mut Leaf) {
        let mut filled = self.filled;
        for slot in leaf.take_first(self.cells.len() - filled) {
            // SAFETY: R5: no more slots were taken than there is room for.
            let cell = unsafe { self.cells.get_unchecked(filled) };
            Entry::claimed(slot).write(cell);
            filled += 1;
        }
        self.filled = filled;
    }
}

/// The scratch space of one turn.
pub(super) struct Scratch {
    cells: &'static [Index],
    /// Where the room above all segments begins: among the cells, or at their end.
    top: Cell<usize>,
    /// Segments that are not empty.
    segments: Cell<usize>,
}

impl Scratch {
    /// [`Capacity`](crate::Capacity) keeps the number of cells below 2³².
    pub(crate) fn new(cells: &'static [Index]) -> Self {
        Scratch {
            cells,
            top: Cell::new(0),
            segments: Cell::new(0),
        }
    }

    /// Whether there are no segments.
    #[inline(always)]
    pub(super) fn is_unused(&self) -> bool {
        self.top.get() == 0
    }

    pub(super) fn free(&self) -> usize {
        self.cells.len() - self.top.get()
    }

    /// The indices of a segment.
    #[inline(always)]
    pub(super) fn entries(&self, segment: Segment) -> &'static [Index] {
        debug_assert!(segment.end() <= self.cells.len());
        // SAFETY: R5: the segment was cut out of these cells.
        unsafe { self.cells.get_unchecked(segment.start()..segment.end()) }
    }

    /// Whether nothing lies above the segment.
    pub(super) fn is_highest(&self, segment: Segment) -> bool {
        segment.end() == self.top.get()
    }

    /// The room above all segments, or as much of it as is asked for.
    #[inline(always)]
    pub(super) fn room(&self, at_most: usize) -> Room {
        let start = self.top.get();
        let len = at_most.min(self.free());
        Room {
            start,
            // SAFETY: R5: the top is not above the end of the cells, and so many of them are free.
            cells: unsafe { self.cells.get_unchecked(start..start + len) },
            filled: 0,
        }
    }

    /// What was filled of the room, as a segment above all others; the entries are claimed from that set.
    #[inline(always)]
    pub(super) fn fill(&self, room: Room, from: SetId) -> Segment {
        if room.filled == 0 {
            return Segment::EMPTY;
        }
        // SAFETY: R5: it is the beginning of the room.
        unsafe { self.push(room.start, room.filled, from) }
    }

    /// A segment above all others, if there is room for so many indices.
    pub(super) fn extend(&self, len: usize) -> Option<Segment> {
        if len == 0 || len > self.free() {
            return None;
        }
        // SAFETY: R5: so many are free.
        Some(unsafe { self.push(self.top.get(), len, SetId::ENTRANCE) })
    }

    /// # Safety
    ///
    /// R5: there are so many cells from `start` on.
    #[inline(always)]
    unsafe fn push(&self, start: usize, len: usize, from: SetId) -> Segment {
        self.top.set(start + len);
        self.segments.set(self.segments.get() + 1);
        Segment {
            start: start as u32,
            entries: len as u32,
            from,
            shape: None,
        }
    }

    /// Gives back all of a segment but its first `len` indices.
    pub(super) fn shrink(&self, segment: Segment, len: usize) -> Segment {
        if segment.is_empty() {
            return Segment::EMPTY;
        }
        let kept = segment.first(len);
        if self.is_highest(segment) {
            self.top.set(kept.end());
        }
        if !kept.is_empty() {
            return kept;
        }
        self.segments.set(self.segments.get() - 1);
        if self.segments.get() == 0 {
            self.top.set(0);
        }
        Segment::EMPTY
    }

    /// Gives back all of a segment.
    #[inline(never)]
    pub(super) fn discard(&self, segment: Segment) {
        self.shrink(segment, 0);
    }

    /// Makes two segments of one.
    pub(super) fn split(&self, segment: Segment, left: usize) -> (Segment, Segment) {
        let right = segment.behind(left);
        if left == 0 {
            return (Segment::EMPTY, segment);
        }
        if right.is_empty() {
            return (segment, Segment::EMPTY);
        }
        self.segments.set(self.segments.get() + 1);
        (segment.first(left), right)
    }

    /// Makes one segment of two, neither of them empty, of which the first lies just before the second. Entries that are
    /// claimed are from the second's set.
    pub(super) fn unite(&self, low: Segment, high: Segment) -> Segment {
        debug_assert!(low.is_just_before(high));
        self.segments.set(self.segments.get() - 1);
        let united = Segment {
            start: low.start,
            entries: high.end().saturating_sub(low.start()) as u32,
            from: high.from,
            shape: low.shape,
        };
        self.order(united, low.len());
        united
    }

    /// Moves two segments, neither of them empty, into one that is as long as both.
    pub(super) fn move_into(&self, joined: Segment, low: Segment, high: Segment) {
        let both = self.entries(low).iter().chain(self.entries(high));
        for (from, to) in both.zip(self.entries(joined)) {
            Entry::read(from).write(to);
        }
        self.discard(low);
        self.discard(high);
        self.order(joined, low.len());
    }

    /// Merges the two ascending runs of a segment, if there is room above to hold the second meanwhile. Where there
    /// is none they stay as they are: the order is for the cache, and nothing else depends on it.
    #[inline(never)]
    fn order(&self, segment: Segment, first: usize) {
        let cells = self.entries(segment);
        let Some((low, high)) = cells.split_at_checked(first) else {
            return;
        };
        let (Some(last), Some(next)) = (low.last(), high.first()) else {
            return;
        };
        if Entry::read(last).slot() < Entry::read(next).slot() {
            return;
        }
        let above = self.cells.iter().skip(self.top.get().max(segment.end()));
        if above.len() < high.len() {
            return;
        }
        for (from, to) in high.iter().zip(above.clone()) {
            Entry::read(from).write(to);
        }
        let (mut lows, mut highs) = (low.iter(), above.take(high.len()));
        let before = |index: Option<&Index>| index.map(Entry::read);
        let (mut one, mut other) = (before(lows.next_back()), before(highs.next_back()));
        for cell in cells.iter().rev() {
            // What is left of the lower run when the other one is over is in its place.
            let Some(high) = other else { return };
            match one {
                Some(low) if low.slot() > high.slot() => {
                    low.write(cell);
                    one = before(lows.next_back());
                }
                _ => {
                    high.write(cell);
                    other = before(highs.next_back());
                }
            }
        }
    }
}
