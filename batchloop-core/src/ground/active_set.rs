//! The states of one point that may have been woken.
//!
//! Setting goes up from the leaf and stops at the first word that was not empty; taking goes down from the top, swaps
//! each word for zero, and sets again what it leaves. A setter that finds a word not empty relies on one of two
//! others: the setter that found it empty and is on its way up, or a taker that has cleared the bit above and is
//! about to swap the word. Both will see the new bit, because read-modify-writes of one word have one order.

use core::marker::PhantomData;

use crate::ground::{
    bitmap::{BITS, Bitmap, Geometry, Leaf, Spot, ancestor, first_bits},
    index::SlotId,
    sync::Ordering,
    word::{Access, Word},
};

/// A view of the words of one active set.
///
/// Its bits are those of slots: only `insert` sets any that were not set before, for a slot and for the words above it.
pub(crate) struct ActiveSet<'a, A> {
    bitmap: Bitmap<'a>,
    access: PhantomData<A>,
}

impl<A> Clone for ActiveSet<'_, A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for ActiveSet<'_, A> {}

impl<'a, A: Access> ActiveSet<'a, A> {
    /// The set that has these words.
    #[inline(always)]
    pub(crate) fn new(bitmap: Bitmap<'a>) -> Self {
        ActiveSet {
            bitmap,
            access: PhantomData,
        }
    }

    /// Whether nothing is set, as far as this thread can tell. One load.
    #[inline(always)]
    pub(crate) fn is_empty(self) -> bool {
        A::load(self.bitmap.top()) == 0
    }

    /// Sets the bit of `slot`. Returns whether the set was empty before, as far as the top says.
    #[inline(always)]
    pub(crate) fn insert(self, slot: SlotId) -> bool {
        let leaf = Spot::leaf(slot);
        if A::set(self.bitmap.word(leaf), 1 << (slot.number() % BITS)) != 0 {
            return false;
        }
        self.bitmap.geometry().levels() == 1 || {
            let (geometry, words) = self.bitmap.parts();
            climb::<A>(geometry, words, leaf)
        }
    }

    /// Takes bits out in address order, from where the last take stopped, and gives them to `accept` a leaf at a time.
    /// It takes slots out of what it is given. Those that it leaves must be the highest, and it must take one at least;
    /// they stay set, and so does what lies before the starting point. Returns `taken`, which `accept` gets too and may
    /// collect them in, and whether any stay.
    ///
    /// A take that comes to the end starts the next one at slot 0, so a bit waits for at most as many takes as it
    /// takes to go round once.
    #[inline(always)]
    pub(crate) fn take<T>(self, taken: T, accept: impl FnMut(&mut T, &mut Leaf)) -> (T, bool) {
        if self.is_empty() {
            return (taken, false);
        }
        // ORDERING: Relaxed; the position is a hint about fairness and guards nothing.
        let start = self.bitmap.resume().0.load(Ordering::Relaxed);
        match self.bitmap.geometry().levels() {
            1 if !cfg!(batchloop_small) => Walk::new(self, start, taken, accept).over_word(),
            _ => Walk::new(self, start, taken, accept).over_tree(),
        }
    }

    /// Takes all bits out, in address order.
    #[inline(always)]
    pub(crate) fn drain(self, mut visit: impl FnMut(SlotId)) {
        self.drain_word(self.bitmap.root(), &mut visit);
    }

    /// It calls itself, at most as deep as the levels that a bitmap has.
    fn drain_word(self, spot: Spot, visit: &mut impl FnMut(SlotId)) {
        let bits = A::swap(self.bitmap.word(spot), 0);
        if spot.level() == 0 {
            // SAFETY: R5: the bits of an active set are those of slots.
            unsafe { Leaf::new_unchecked(spot, bits) }.for_each(visit);
            return;
        }
        for bit in each_bit(bits) {
            // SAFETY: R5: the bits above are those of the words below them.
            let below = unsafe { spot.below(bit) };
            self.drain_word(below, visit);
        }
    }
}

/// The way up from a leaf that was empty. Returns whether the top was empty, too.
#[inline(never)]
fn climb<A: Access>(geometry: &Geometry, words: &[Word], leaf: Spot) -> bool {
    // SAFETY: R5: the parts of a bitmap.
    let bitmap = unsafe { Bitmap::new_unchecked(geometry, words) };
    let mut spot = leaf;
    while let Some((above, bit)) = bitmap.above(spot) {
        if A::set(bitmap.word(above), bit) != 0 {
            return false;
        }
        spot = above;
    }
    true
}

/// One take in progress.
struct Walk<'a, A, T, F> {
    set: ActiveSet<'a, A>,
    start: usize,
    /// Where the next take starts. Anything but 0 means that this one has stopped.
    next: usize,
    taken: T,
    accept: F,
}

impl<A: Access, T, F: FnMut(&mut T, &mut Leaf)> Walk<'_, A, T, F> {
    #[inline(always)]
    fn new(set: ActiveSet<'_, A>, start: usize, taken: T, accept: F) -> Walk<'_, A, T, F> {
        Walk {
            set,
            start,
            next: 0,
            taken,
            accept,
        }
    }

    /// The take in a set of one word, which is what small machines have.
    #[inline(always)]
    fn over_word(mut self) -> (T, bool) {
        let remain = self.word(Spot::FIRST);
        self.finish(remain)
    }

    #[inline(never)]
    fn over_tree(mut self) -> (T, bool) {
        let remain = self.branch(self.set.bitmap.root());
        self.finish(remain)
    }

    #[inline(always)]
    fn finish(self, remain: bool) -> (T, bool) {
        if self.next != self.start {
            self.set
                .bitmap
                .resume()
                .0
                .store(self.next, Ordering::Relaxed);
        }
        (self.taken, remain)
    }

    /// The bits of a word that stand for what lies before the start.
    #[inline(always)]
    fn before_start(&self, spot: Spot) -> usize {
        match self.start {
            0 => 0,
            start => first_bits(ancestor(start, spot.level()).saturating_sub(spot.base())),
        }
    }

    /// A word and what is below it. Returns whether anything is left in it.
    ///
    /// It calls itself, at most as deep as the levels that a bitmap has.
    fn branch(&mut self, spot: Spot) -> bool {
        self.word(spot)
    }

    #[inline(always)]
    fn word(&mut self, spot: Spot) -> bool {
        let word = self.set.bitmap.word(spot);
        let bits = A::swap(word, 0);
        let mut left = bits & self.before_start(spot);
        if bits != left {
            left |= match spot.level() {
                // SAFETY: R5: the bits were in the word.
                0 => unsafe { self.slots(spot, bits & !left) },
                // SAFETY: R5: as above.
                _ => unsafe { self.words(spot, bits & !left) },
            };
        }
        if left != 0 {
            A::set(word, left);
        }
        left != 0
    }

    /// The slots of a leaf. Returns the bits that stay.
    ///
    /// # Safety
    ///
    /// R5: the bits were found in this word of the set.
    #[inline(always)]
    unsafe fn slots(&mut self, spot: Spot, bits: usize) -> usize {
        // SAFETY: R5: the bits of an active set are those of slots.
        let mut leaf = unsafe { Leaf::new_unchecked(spot, bits) };
        (self.accept)(&mut self.taken, &mut leaf);
        let rest = leaf.bits();
        if rest != 0 {
            self.next = spot.base() + rest.trailing_zeros() as usize;
        }
        rest
    }

    /// The words below that the bits of a word stand for. Returns the bits that stay.
    ///
    /// # Safety
    ///
    /// As [`slots`](Self::slots).
    #[inline(always)]
    unsafe fn words(&mut self, spot: Spot, mut bits: usize) -> usize {
        let mut left = 0;
        while bits != 0 {
            let bit = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            // SAFETY: R5: the bits above are those of the words below them.
            let below = unsafe { spot.below(bit) };
            if self.branch(below) {
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

/// The numbers of the bits that are set.
fn each_bit(mut bits: usize) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let bit = bits.trailing_zeros() as usize;
        (bits != 0).then(|| bits &= bits - 1).map(|()| bit)
    })
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod interleavings;
