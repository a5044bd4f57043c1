//! The states of one point that may have been woken.
//!
//! Setting goes from the leaf up and stops at the first word that was not empty; taking goes from the root down.
//! A setter that finds a leaf not empty relies on one of two others: the setter that found it empty and is on its
//! way up, or a taker that has cleared the summary and is about to swap the leaf. Both will see the new bit, because
//! read-modify-writes of one word have one order.

use core::marker::PhantomData;

use crate::{
    access::{Access, Word},
    bitmap::{BITS, Geometry, first_bits},
    sync::Ordering,
};

/// A view of the words of one active set.
pub(crate) struct ActiveSet<'a, A> {
    geometry: &'a Geometry,
    words: &'a [Word],
    base: usize,
    access: PhantomData<A>,
}

/// What a take left behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Left {
    /// Whether bits remain in the set.
    pub(crate) remain: bool,
}

impl<'a, A: Access> ActiveSet<'a, A> {
    /// The set whose words begin at `base`.
    #[inline(always)]
    pub(crate) fn new(geometry: &'a Geometry, words: &'a [Word], base: usize) -> Self {
        ActiveSet {
            geometry,
            words,
            base,
            access: PhantomData,
        }
    }

    #[inline(always)]
    fn root(&self) -> &'a Word {
        &self.words[self.base]
    }

    fn resume(&self) -> &'a Word {
        &self.words[self.base + 1]
    }

    #[inline(always)]
    fn summary(&self, index: usize) -> &'a Word {
        &self.words[self.base + 2 + index]
    }

    #[inline(always)]
    fn leaf(&self, index: usize) -> &'a Word {
        &self.words[self.base + 2 + self.geometry.summaries + index]
    }

    /// Whether nothing is set, as far as this thread can tell. One load.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.root().get() == 0
    }

    /// Sets the bit of `slot`. Answers whether the set was empty before, as far as the root says.
    #[inline(always)]
    pub(crate) fn insert(&self, slot: usize) -> bool {
        let leaf = slot / BITS;
        if A::set(self.leaf(leaf), 1 << (slot % BITS)) != 0 {
            return false;
        }
        self.insert_summary(leaf)
    }

    #[inline(never)]
    fn insert_summary(&self, leaf: usize) -> bool {
        let summary = leaf / BITS;
        if A::set(self.summary(summary), 1 << (leaf % BITS)) != 0 {
            return false;
        }
        A::set(self.root(), 1 << (summary / self.geometry.group)) == 0
    }

    /// Takes bits out in address order, from where the last take stopped, and gives them to `accept` a leaf at a time
    /// (the leaf's first slot, and the bits), until there have been `room` of them. What lies before the starting
    /// point, or does not fit, stays set.
    ///
    /// A take that comes to the end starts the next one at slot 0, so a bit waits for at most as many takes as it
    /// takes to go round once.
    pub(crate) fn take(&self, room: usize, accept: impl FnMut(usize, usize)) -> Left {
        if self.is_empty() || room == 0 {
            return Left {
                remain: !self.is_empty(),
            };
        }
        // ORDERING: Relaxed; the position is a hint about fairness and guards nothing.
        let start = self.resume().0.load(Ordering::Relaxed);
        let mut walk = Walk {
            set: self,
            start,
            room,
            stopped: None,
            accept,
        };
        let root = A::swap(self.root(), 0);
        let left = walk.root(root);
        let next = walk.stopped.unwrap_or(0);
        if next != start {
            self.resume().0.store(next, Ordering::Relaxed);
        }
        if left != 0 {
            A::set(self.root(), left);
        }
        Left { remain: left != 0 }
    }
}

/// One take in progress.
struct Walk<'a, 's, A, F> {
    set: &'s ActiveSet<'a, A>,
    start: usize,
    room: usize,
    stopped: Option<usize>,
    accept: F,
}

impl<A: Access, F: FnMut(usize, usize)> Walk<'_, '_, A, F> {
    /// Each level answers the bits that must be set again in its own word.
    fn root(&mut self, mut root: usize) -> usize {
        let group = self.set.geometry.group;
        let first = self.start / (BITS * BITS * group);
        let mut left = root & first_bits(first);
        root &= !left;
        while root != 0 {
            let index = root.trailing_zeros() as usize;
            let bit = 1 << index;
            let end = ((index + 1) * group).min(self.set.geometry.summaries);
            for summary in index * group..end {
                if self.summary(summary) {
                    left |= bit;
                }
            }
            if self.stopped.is_some() {
                return left | root;
            }
            root &= !bit;
        }
        left
    }

    /// Answers whether anything is left in the summary.
    fn summary(&mut self, index: usize) -> bool {
        let word = self.set.summary(index);
        let first = self.start / BITS;
        if self.stopped.is_some() || (index + 1) * BITS <= first {
            return word.get() != 0;
        }
        if word.get() == 0 {
            return false;
        }
        let mut bits = A::swap(word, 0);
        let mut left = bits & first_bits(first.saturating_sub(index * BITS));
        bits &= !left;
        while bits != 0 {
            let bit = bits.trailing_zeros() as usize;
            if self.leaf(index * BITS + bit) {
                left |= 1 << bit;
            }
            bits &= bits - 1;
            if self.stopped.is_some() {
                left |= bits;
                break;
            }
        }
        if left != 0 {
            A::set(word, left);
        }
        left != 0
    }

    /// Answers whether anything is left in the leaf.
    fn leaf(&mut self, index: usize) -> bool {
        let word = self.set.leaf(index);
        let base = index * BITS;
        if self.room == 0 {
            self.stopped = Some(base);
            return true;
        }
        let mut bits = A::swap(word, 0);
        let mut left = bits & first_bits(self.start.saturating_sub(base));
        bits &= !left;
        let count = bits.count_ones() as usize;
        if count > self.room {
            let fitting = lowest(bits, self.room);
            let rest = bits & !fitting;
            self.stopped = Some(base + rest.trailing_zeros() as usize);
            left |= rest;
            bits = fitting;
            self.room = 0;
        } else {
            self.room -= count;
        }
        (self.accept)(base, bits);
        if left != 0 {
            A::set(word, left);
        }
        left != 0
    }
}

/// The lowest `count` bits that are set.
fn lowest(bits: usize, count: usize) -> usize {
    let mut rest = bits;
    for _ in 0..count {
        rest &= rest.wrapping_sub(1);
    }
    bits & !rest
}

/// The slots of a leaf's bits, in address order.
#[inline(always)]
pub(crate) fn slots(base: usize, mut bits: usize) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        if bits == 0 {
            return None;
        }
        let slot = base + bits.trailing_zeros() as usize;
        bits &= bits - 1;
        Some(slot)
    })
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod interleavings;
