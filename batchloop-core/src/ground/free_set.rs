//! The free slots: lowest first, so that live states stay dense.
//!
//! A set bit of the lowest level is a slot in use, so that all-zero storage is all free. A bit above says that the
//! word below is full. The marks may lag behind in one direction only: a word with room is never left marked full (what
//! marks it looks again, and takes the mark back), while a full word may be unmarked for a while and costs a look.

use core::marker::PhantomData;

use crate::ground::{
    bitmap::{BITS, Bitmap, Spot},
    index::SlotId,
    word::Access,
};

/// A view of the words of the free set.
pub(crate) struct FreeSet<'a, A> {
    bitmap: Bitmap<'a>,
    access: PhantomData<A>,
}

impl<'a, A: Access> FreeSet<'a, A> {
    pub(crate) fn new(bitmap: Bitmap<'a>) -> Self {
        FreeSet {
            bitmap,
            access: PhantomData,
        }
    }

    /// Takes the lowest free slot.
    ///
    /// *Progress*: lock-free; it starts again where another thread has taken the slot that it found, or has filled
    /// what was marked as having room.
    pub(crate) fn reserve(&self) -> Option<SlotId> {
        'top: loop {
            let mut spot = self.bitmap.root();
            loop {
                let Some(bit) = self.room_in(spot) else {
                    if spot == self.bitmap.root() {
                        return None;
                    }
                    self.mark(spot);
                    continue 'top;
                };
                if spot.level() == 0 {
                    let mask = 1 << bit;
                    if A::set(self.bitmap.word(spot), mask) & mask != 0 {
                        continue 'top;
                    }
                    self.mark(spot);
                    // SAFETY: R5: the bit stands for something, as `room_in` has seen.
                    return Some(unsafe { SlotId::new_unchecked(spot.base() + bit) });
                }
                // SAFETY: R5: as above, and this is not the lowest level.
                spot = unsafe { spot.below(bit) };
            }
        }
    }

    /// The lowest bit that is not set in a word and stands for something; `None` if the word is full.
    #[inline(never)]
    fn room_in(&self, spot: Spot) -> Option<usize> {
        let free = !self.bitmap.word(spot).get();
        let bit = free.trailing_zeros() as usize;
        (free != 0 && spot.base() + bit <= self.bitmap.last(spot.level())).then_some(bit)
    }

    fn is_full(&self, spot: Spot) -> bool {
        self.room_in(spot).is_none()
    }

    /// Marks a word as full in the one above, if it is, and so on upwards.
    fn mark(&self, mut spot: Spot) {
        while let Some((above, bit)) = self.bitmap.above(spot) {
            if !self.is_full(spot) {
                return;
            }
            let word = self.bitmap.word(above);
            A::set(word, bit);
            // ORDERING: the read-modify-write above reads what `give_back` wrote to this word, if that came first, so
            // the load below then sees the bit that it had cleared before.
            if !self.is_full(spot) {
                A::clear(word, bit);
                return;
            }
            spot = above;
        }
    }

    /// Gives a slot back.
    pub(crate) fn give_back(&self, slot: SlotId) {
        let mut spot = Spot::leaf(slot);
        A::clear(self.bitmap.word(spot), 1 << (slot.number() % BITS));
        while let Some((above, bit)) = self.bitmap.above(spot) {
            A::clear(self.bitmap.word(above), bit);
            spot = above;
        }
    }

    /// The lowest slot in use from this number on, as it is seen now.
    pub(crate) fn next_used(&self, from: usize) -> Option<SlotId> {
        let leaves = self.bitmap.leaves().iter().enumerate();
        let mut skip = !crate::ground::bitmap::first_bits(from % BITS);
        for (leaf, word) in leaves.skip(from / BITS) {
            let bits = word.get() & skip;
            if bits != 0 {
                let number = leaf * BITS + bits.trailing_zeros() as usize;
                return self.bitmap.geometry().slot(number);
            }
            skip = usize::MAX;
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod interleavings;
