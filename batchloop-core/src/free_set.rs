//! The free slots: lowest first, so that live states stay dense.
//!
//! A set bit of the lowest level is a slot in use, so that all-zero storage is all free. A bit above says that the
//! word below is full. The marks may lag behind in one direction only: a word with room is never left marked full (who
//! marks looks again, and takes the mark back), while a full word may be unmarked for a while and costs a look.

use core::marker::PhantomData;

use crate::{
    access::{Access, Word},
    bitmap::{BITS, Geometry},
    frame::Inside,
};

/// A view of the words of the free set.
pub(crate) struct FreeSet<'a, A> {
    geometry: &'a Geometry,
    words: Inside<'a, Word>,
    access: PhantomData<A>,
}

impl<'a, A: Access> FreeSet<'a, A> {
    pub(crate) fn new(geometry: &'a Geometry, words: Inside<'a, Word>) -> Self {
        FreeSet {
            geometry,
            words,
            access: PhantomData,
        }
    }

    #[inline(always)]
    fn word(&self, level: usize, index: usize) -> &'a Word {
        self.words.at(self.geometry.word(level, index))
    }

    /// Takes the lowest free slot.
    ///
    /// *Progress*: lock-free; it starts again where another thread has taken the slot that it found, or has filled
    /// what was marked as having room.
    pub(crate) fn reserve(&self) -> Option<usize> {
        'top: loop {
            let mut index = 0;
            for level in (0..self.geometry.levels).rev() {
                let Some(below) = self.room_in(level, index) else {
                    if level == self.geometry.top_level() {
                        return None;
                    }
                    self.mark(level, index);
                    continue 'top;
                };
                index = below;
            }
            let (leaf, bit) = (index / BITS, 1 << (index % BITS));
            if A::set(self.word(0, leaf), bit) & bit == 0 {
                self.mark(0, leaf);
                return Some(index);
            }
        }
    }

    /// What the lowest bit stands for that is not set in a word; `None` if the word is full.
    #[inline(never)]
    fn room_in(&self, level: usize, index: usize) -> Option<usize> {
        let free = !self.word(level, index).get();
        let lowest = index * BITS + free.trailing_zeros() as usize;
        (free != 0 && lowest <= self.geometry.last(level)).then_some(lowest)
    }

    fn is_full(&self, level: usize, index: usize) -> bool {
        self.room_in(level, index).is_none()
    }

    /// Marks a word as full in the one above, if it is, and so on upwards.
    fn mark(&self, level: usize, mut index: usize) {
        for level in level..self.geometry.top_level() {
            if !self.is_full(level, index) {
                return;
            }
            let bit = 1 << (index % BITS);
            let above = self.word(level + 1, index / BITS);
            A::set(above, bit);
            // ORDERING: the read-modify-write above reads what `give_back` wrote to this word, if that came first, so
            // the load below then sees the bit that it had cleared before.
            if !self.is_full(level, index) {
                A::clear(above, bit);
                return;
            }
            index /= BITS;
        }
    }

    /// Gives a slot back.
    pub(crate) fn give_back(&self, slot: usize) {
        let mut index = slot;
        for level in 0..self.geometry.levels {
            let bit = 1 << (index % BITS);
            index /= BITS;
            A::clear(self.word(level, index), bit);
        }
    }

    /// The slots in use from `from` on, in address order, as they are seen now.
    pub(crate) fn next_used(&self, from: usize) -> Option<usize> {
        let mut leaf = from / BITS;
        let mut skip = !crate::bitmap::first_bits(from % BITS);
        while leaf < self.geometry.leaves() {
            let bits = self.word(0, leaf).get() & skip;
            if bits != 0 {
                return Some(leaf * BITS + bits.trailing_zeros() as usize);
            }
            skip = usize::MAX;
            leaf += 1;
        }
        None
    }

    /// How many slots are in use. Looks at every leaf.
    pub(crate) fn used(&self) -> usize {
        (0..self.geometry.leaves())
            .map(|leaf| self.word(0, leaf).get().count_ones() as usize)
            .sum()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod interleavings;
