//! The free slots: lowest first, so that live states stay dense.
//!
//! A set bit is a slot in use, so that all-zero storage is all free. A summary bit says that its leaf is full, a
//! root bit that its summaries are. The marks may lag behind in one direction only: a leaf with a free slot is never
//! left marked full (who marks looks again, and takes the mark back), while a full leaf may be unmarked for a while
//! and costs a look.

use core::marker::PhantomData;

use crate::{
    access::{Access, Word},
    bitmap::{BITS, Geometry},
};

/// A view of the words of the free set.
pub(crate) struct FreeSet<'a, A> {
    geometry: &'a Geometry,
    words: &'a [Word],
    access: PhantomData<A>,
}

impl<'a, A: Access> FreeSet<'a, A> {
    pub(crate) fn new(geometry: &'a Geometry, words: &'a [Word]) -> Self {
        FreeSet {
            geometry,
            words,
            access: PhantomData,
        }
    }

    fn root(&self) -> &'a Word {
        &self.words[0]
    }

    fn summary(&self, index: usize) -> &'a Word {
        &self.words[2 + index]
    }

    fn leaf(&self, index: usize) -> &'a Word {
        &self.words[2 + self.geometry.summaries + index]
    }

    /// Takes the lowest free slot.
    pub(crate) fn reserve(&self) -> Option<usize> {
        let mut groups = !self.root().get() & self.geometry.root_mask();
        while groups != 0 {
            let index = groups.trailing_zeros() as usize;
            if let Some(slot) = self.reserve_in_group(index) {
                return Some(slot);
            }
            self.mark_group(index);
            groups &= groups - 1;
        }
        None
    }

    fn summaries_of(&self, group: usize) -> core::ops::Range<usize> {
        let first = group * self.geometry.group;
        first..(first + self.geometry.group).min(self.geometry.summaries)
    }

    fn reserve_in_group(&self, group: usize) -> Option<usize> {
        for summary in self.summaries_of(group) {
            let mask = self.geometry.summary_mask(summary);
            let mut leaves = !self.summary(summary).get() & mask;
            while leaves != 0 {
                let leaf = summary * BITS + leaves.trailing_zeros() as usize;
                if let Some(slot) = self.reserve_in_leaf(leaf) {
                    return Some(slot);
                }
                leaves &= leaves - 1;
            }
        }
        None
    }

    fn reserve_in_leaf(&self, leaf: usize) -> Option<usize> {
        let mask = self.geometry.leaf_mask(leaf);
        loop {
            let free = !self.leaf(leaf).get() & mask;
            if free == 0 {
                self.mark_leaf(leaf);
                return None;
            }
            let bit = free & free.wrapping_neg();
            let before = A::set(self.leaf(leaf), bit);
            if before & bit == 0 {
                if (before | bit) & mask == mask {
                    self.mark_leaf(leaf);
                }
                return Some(leaf * BITS + bit.trailing_zeros() as usize);
            }
        }
    }

    fn mark_leaf(&self, leaf: usize) {
        let summary = self.summary(leaf / BITS);
        A::set(summary, 1 << (leaf % BITS));
        // ORDERING: the read-modify-write above reads what `give_back` wrote to the summary, if that came first, so
        // the load below then sees the leaf bit that it had cleared before.
        let mask = self.geometry.leaf_mask(leaf);
        if self.leaf(leaf).get() & mask != mask {
            A::clear(summary, 1 << (leaf % BITS));
        }
    }

    fn group_is_full(&self, group: usize) -> bool {
        self.summaries_of(group).all(|summary| {
            let mask = self.geometry.summary_mask(summary);
            self.summary(summary).get() & mask == mask
        })
    }

    fn mark_group(&self, group: usize) {
        if !self.group_is_full(group) {
            return;
        }
        A::set(self.root(), 1 << group);
        if !self.group_is_full(group) {
            A::clear(self.root(), 1 << group);
        }
    }

    /// Gives a slot back.
    pub(crate) fn give_back(&self, slot: usize) {
        let leaf = slot / BITS;
        let summary = leaf / BITS;
        A::clear(self.leaf(leaf), 1 << (slot % BITS));
        A::clear(self.summary(summary), 1 << (leaf % BITS));
        A::clear(self.root(), 1 << (summary / self.geometry.group));
    }

    /// The slots in use from `from` on, in address order, as they are seen now.
    pub(crate) fn next_used(&self, from: usize) -> Option<usize> {
        let mut leaf = from / BITS;
        let mut skip = !crate::bitmap::first_bits(from % BITS);
        while leaf < self.geometry.leaves {
            let bits = self.leaf(leaf).get() & skip;
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
        (0..self.geometry.leaves)
            .map(|leaf| self.leaf(leaf).get().count_ones() as usize)
            .sum()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod interleavings;
