//! The states of one point that may have been woken.
//!
//! Setting goes up from the leaf and stops at the first word that was not empty; taking goes down from the top, swaps
//! each word for zero, and sets again what it leaves. A setter that finds a word not empty relies on one of two
//! others: the setter that found it empty and is on its way up, or a taker that has cleared the bit above and is
//! about to swap the word. Both will see the new bit, because read-modify-writes of one word have one order.

use core::marker::PhantomData;

use crate::{
    access::{Access, Word},
    bitmap::{BITS, Geometry, ancestor, first_bits},
    frame::Inside,
    sync::Ordering,
};

/// A view of the words of one active set.
pub(crate) struct ActiveSet<'a, A> {
    geometry: &'a Geometry,
    words: Inside<'a, Word>,
    access: PhantomData<A>,
}

impl<A> Clone for ActiveSet<'_, A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for ActiveSet<'_, A> {}

/// What a take has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    /// What the last call of `accept` has answered.
    pub(crate) taken: usize,
    /// Whether bits remain in the set.
    pub(crate) remain: bool,
}

impl<'a, A: Access> ActiveSet<'a, A> {
    /// The set that has these words.
    #[inline(always)]
    pub(crate) fn new(geometry: &'a Geometry, words: Inside<'a, Word>) -> Self {
        ActiveSet {
            geometry,
            words,
            access: PhantomData,
        }
    }

    #[inline(always)]
    fn top(self) -> &'a Word {
        self.words.at(self.geometry.top())
    }

    #[inline(always)]
    fn resume(self) -> &'a Word {
        self.words.at(self.geometry.resume())
    }

    #[inline(always)]
    fn word(self, level: usize, index: usize) -> &'a Word {
        self.words.at(self.geometry.word(level, index))
    }

    #[inline(always)]
    fn leaf(self, index: usize) -> &'a Word {
        self.words.at(index)
    }

    /// Whether nothing is set, as far as this thread can tell. One load.
    #[inline(always)]
    pub(crate) fn is_empty(self) -> bool {
        A::load(self.top()) == 0
    }

    /// Sets the bit of `slot`. Answers whether the set was empty before, as far as the top says.
    #[inline(always)]
    pub(crate) fn insert(self, slot: usize) -> bool {
        let leaf = slot / BITS;
        if A::set(self.leaf(leaf), 1 << (slot % BITS)) != 0 {
            return false;
        }
        self.geometry.levels == 1 || climb::<A>(self.geometry, self.words, leaf)
    }

    /// Takes bits out in address order, from where the last take stopped, and gives them to `accept` a leaf at a time:
    /// how many it has taken so far, the leaf's first slot, and the bits. It answers how many it has taken now, and
    /// those bits that it has no room for, which are the highest; they stay set, and so does what lies before the
    /// starting point. It has room for one at least.
    ///
    /// A take that comes to the end starts the next one at slot 0, so a bit waits for at most as many takes as it
    /// takes to go round once.
    #[inline(always)]
    pub(crate) fn take(self, accept: impl FnMut(usize, usize, usize) -> (usize, usize)) -> Outcome {
        if self.is_empty() {
            return Outcome {
                taken: 0,
                remain: false,
            };
        }
        // ORDERING: Relaxed; the position is a hint about fairness and guards nothing.
        let start = self.resume().0.load(Ordering::Relaxed);
        let walk = Walk {
            set: self,
            start,
            next: 0,
            taken: 0,
            accept,
        };
        match self.geometry.levels {
            1 => walk.over_word(),
            _ => walk.over_tree(),
        }
    }

    /// Takes all bits out, in address order.
    #[inline(always)]
    pub(crate) fn drain(self, mut visit: impl FnMut(usize)) {
        self.drain_word(self.geometry.top_level(), 0, &mut visit);
    }

    /// It calls itself, at most as deep as the levels that a bitmap has.
    fn drain_word(self, level: usize, index: usize, visit: &mut impl FnMut(usize)) {
        let bits = A::swap(self.word(level, index), 0);
        for below in slots(index * BITS, bits) {
            match level {
                0 => visit(below),
                _ => self.drain_word(level - 1, below, visit),
            }
        }
    }
}

/// The way up from a leaf that was empty. Answers whether the top was empty, too.
#[inline(never)]
fn climb<A: Access>(geometry: &Geometry, words: Inside<'_, Word>, leaf: usize) -> bool {
    let set = ActiveSet::<A>::new(geometry, words);
    let mut index = leaf;
    for level in 1..geometry.levels {
        let bit = 1 << (index % BITS);
        index /= BITS;
        if A::set(set.word(level, index), bit) != 0 {
            return false;
        }
    }
    true
}

/// One take in progress.
struct Walk<'a, A, F> {
    set: ActiveSet<'a, A>,
    start: usize,
    /// Where the next take starts. Anything but 0 means that this one has stopped.
    next: usize,
    taken: usize,
    accept: F,
}

impl<A: Access, F: FnMut(usize, usize, usize) -> (usize, usize)> Walk<'_, A, F> {
    /// The take in a set of one word, which is what small machines have.
    #[inline(always)]
    fn over_word(mut self) -> Outcome {
        let remain = self.word(0, 0);
        self.finish(remain)
    }

    #[inline(never)]
    fn over_tree(mut self) -> Outcome {
        let remain = self.branch(self.set.geometry.top_level(), 0);
        self.finish(remain)
    }

    #[inline(always)]
    fn finish(self, remain: bool) -> Outcome {
        if self.next != self.start {
            self.set.resume().0.store(self.next, Ordering::Relaxed);
        }
        Outcome {
            taken: self.taken,
            remain,
        }
    }

    /// The bits of a word that stand for what lies before the start.
    #[inline(always)]
    fn before_start(&self, level: usize, index: usize) -> usize {
        match self.start {
            0 => 0,
            start => first_bits(ancestor(start, level).saturating_sub(index * BITS)),
        }
    }

    /// A word and what is below it. Answers whether anything is left in it.
    ///
    /// It calls itself, at most as deep as the levels that a bitmap has.
    fn branch(&mut self, level: usize, index: usize) -> bool {
        self.word(level, index)
    }

    #[inline(always)]
    fn word(&mut self, level: usize, index: usize) -> bool {
        let word = self.set.word(level, index);
        let bits = A::swap(word, 0);
        let mut left = bits & self.before_start(level, index);
        if bits != left {
            left |= match level {
                0 => self.slots(index, bits & !left),
                _ => self.words(level - 1, index, bits & !left),
            };
        }
        if left != 0 {
            A::set(word, left);
        }
        left != 0
    }

    /// The slots of a leaf. Answers the bits that stay.
    #[inline(always)]
    fn slots(&mut self, index: usize, bits: usize) -> usize {
        let base = index * BITS;
        let (taken, rest) = (self.accept)(self.taken, base, bits);
        self.taken = taken;
        if rest != 0 {
            self.next = base + rest.trailing_zeros() as usize;
        }
        rest
    }

    /// The words of a level that the bits of the word above stand for. Answers the bits that stay.
    #[inline(always)]
    fn words(&mut self, level: usize, index: usize, mut bits: usize) -> usize {
        let mut left = 0;
        while bits != 0 {
            let bit = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            if self.branch(level, index * BITS + bit) {
                left |= 1 << bit;
            }
            if self.next != 0 {
                left |= bits;
                break;
            }
        }
        left
    }
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
