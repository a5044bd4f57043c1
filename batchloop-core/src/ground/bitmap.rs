//! The shape of a bitmap over the slots: a tree of words with a bit a slot at the bottom and one word at the top.
//!
//! [The internals](crate::internals#bitmaps) say what it is good for.
//!
//! The lowest level comes first in memory: setting a bit is the most frequent access, and finds its word by one
//! addition.

use crate::ground::{
    index::{SetId, SlotId},
    word::Word,
};

/// Bits in a word of this target.
pub(crate) const BITS: usize = usize::BITS as usize;

/// Where the words of a bitmap stand, for a number of slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Geometry {
    slots: usize,
    levels: usize,
    /// Words of one bitmap: the levels from the lowest up, and the resume position.
    words: usize,
}

impl Geometry {
    pub(crate) const fn of(slots: usize) -> Self {
        let mut levels = 0;
        let mut words = 0;
        let mut width = slots;
        loop {
            width = width.div_ceil(BITS);
            levels += 1;
            words += width;
            if width <= 1 {
                break;
            }
        }
        Geometry {
            slots,
            levels,
            words: words + 1,
        }
    }

    pub(crate) const fn words(&self) -> usize {
        self.words
    }

    #[inline(always)]
    pub(super) fn levels(&self) -> usize {
        self.levels
    }

    /// The slot of this number, if there is one.
    #[inline(always)]
    pub(crate) fn slot(&self, number: usize) -> Option<SlotId> {
        if number >= self.slots {
            return None;
        }
        // SAFETY: R5: it has just been compared.
        Some(unsafe { SlotId::new_unchecked(number) })
    }

    /// Where a word of a level stands.
    #[inline(always)]
    fn word(&self, spot: Spot) -> usize {
        match spot.level {
            0 => spot.index,
            level => self.below(level) + spot.index,
        }
    }

    /// How many words the levels below this one have.
    #[inline(never)]
    fn below(&self, level: usize) -> usize {
        (0..level).fold(0, |words, level| words + self.last(level) / BITS + 1)
    }

    /// The last bit of a level that stands for something, counted through all words of the level.
    #[inline]
    fn last(&self, level: usize) -> usize {
        ancestor(self.slots - 1, level)
    }

    /// How many words the lowest level has.
    fn leaves(&self) -> usize {
        self.slots.div_ceil(BITS)
    }
}

/// The top words of a machine's active sets, whose bitmaps lie one behind the other.
pub(crate) struct Tops {
    sets: &'static [Word],
    /// Words of one bitmap.
    words: usize,
}

impl Tops {
    /// # Safety
    ///
    /// R5: there are words for a bitmap of this geometry for each set of the machine.
    pub(crate) unsafe fn new(geometry: &Geometry, sets: &'static [Word]) -> Self {
        let words = geometry.words;
        Tops { sets, words }
    }

    pub(crate) fn of(&self, set: SetId) -> &'static Word {
        // SAFETY: R5: the set is one of the machine's.
        unsafe { self.of_bitmap(set.number()) }
    }

    /// The top word of the bitmap that comes behind those of so many points and the entrance.
    ///
    /// # Safety
    ///
    /// R5: the machine has so many points, and the words are those of all its bitmaps.
    pub(crate) unsafe fn behind(&self, points: usize) -> &'static Word {
        // SAFETY: R5: the caller's promise.
        unsafe { self.of_bitmap(points + 1) }
    }

    /// # Safety
    ///
    /// R5: there is a bitmap of this number.
    unsafe fn of_bitmap(&self, number: usize) -> &'static Word {
        // The last word but one of every bitmap.
        let at = (number + 1) * self.words - 2;
        debug_assert!(at < self.sets.len());
        // SAFETY: R5: the caller's promise.
        unsafe { self.sets.get_unchecked(at) }
    }
}

/// One of the words of a bitmap, by its level and its number there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spot {
    level: usize,
    index: usize,
}

impl Spot {
    /// The first word of the lowest level, which every bitmap has.
    pub(crate) const FIRST: Spot = Spot { level: 0, index: 0 };

    /// The word with a slot's own bit.
    #[inline(always)]
    pub(crate) fn leaf(slot: SlotId) -> Self {
        Spot {
            level: 0,
            index: slot.number() / BITS,
        }
    }

    #[inline(always)]
    pub(super) fn level(self) -> usize {
        self.level
    }

    /// What the lowest bit of the word stands for, counted through all words of the level.
    #[inline(always)]
    pub(crate) fn base(self) -> usize {
        self.index * BITS
    }

    /// The word that one of this word's bits stands for.
    ///
    /// # Safety
    ///
    /// R5: the word is not of the lowest level, and the bit stands for a word that exists.
    #[inline(always)]
    pub(super) unsafe fn below(self, bit: usize) -> Self {
        Spot {
            level: self.level - 1,
            index: self.base() + bit,
        }
    }
}

/// The words of one bitmap.
#[derive(Clone, Copy)]
pub(crate) struct Bitmap<'a> {
    geometry: &'a Geometry,
    words: &'a [Word],
}

impl<'a> Bitmap<'a> {
    /// # Safety
    ///
    /// R5: there are as many words as the geometry says.
    #[inline(always)]
    pub(crate) unsafe fn new_unchecked(geometry: &'a Geometry, words: &'a [Word]) -> Self {
        debug_assert!(words.len() == geometry.words);
        Bitmap { geometry, words }
    }

    #[cfg(test)]
    pub(crate) fn new(geometry: &'a Geometry, words: &'a [Word]) -> Self {
        assert_eq!(words.len(), geometry.words);
        Bitmap { geometry, words }
    }

    #[inline(always)]
    pub(crate) fn geometry(self) -> &'a Geometry {
        self.geometry
    }

    /// What it is made of, to be passed on in registers.
    #[inline(always)]
    pub(super) fn parts(self) -> (&'a Geometry, &'a [Word]) {
        (self.geometry, self.words)
    }

    /// The word at the top, by its level and number.
    #[inline(always)]
    pub(super) fn root(self) -> Spot {
        Spot {
            level: self.geometry.levels - 1,
            index: 0,
        }
    }

    /// The word above, and the bit that stands for this word there; `None` for the word at the top.
    #[inline(always)]
    pub(super) fn above(self, spot: Spot) -> Option<(Spot, usize)> {
        let level = spot.level + 1;
        let above = Spot {
            level,
            index: spot.index / BITS,
        };
        (level < self.geometry.levels).then_some((above, 1 << (spot.index % BITS)))
    }

    /// The last bit of a level that stands for something, counted through all words of the level.
    #[inline]
    pub(super) fn last(self, level: usize) -> usize {
        self.geometry.last(level)
    }

    #[inline(always)]
    pub(crate) fn word(self, spot: Spot) -> &'a Word {
        let at = self.geometry.word(spot);
        debug_assert!(at < self.geometry.words - 1);
        // SAFETY: R5: the levels have as many words as they have spots.
        unsafe { self.words.get_unchecked(at) }
    }

    /// The word at the top.
    #[inline(always)]
    pub(super) fn top(self) -> &'a Word {
        // SAFETY: R5: the last word but one of every bitmap.
        unsafe { self.words.get_unchecked(self.geometry.words - 2) }
    }

    /// The resume position.
    #[inline(always)]
    pub(super) fn resume(self) -> &'a Word {
        // SAFETY: R5: the last word of every bitmap.
        unsafe { self.words.get_unchecked(self.geometry.words - 1) }
    }

    /// The words of the lowest level.
    pub(super) fn leaves(self) -> &'a [Word] {
        &self.words[..self.geometry.leaves()]
    }
}

/// The slots of some bits of a leaf, in address order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Leaf {
    base: usize,
    bits: usize,
}

impl Leaf {
    /// # Safety
    ///
    /// R5: the word is of the lowest level, and each of the bits stands for a slot.
    #[inline(always)]
    pub(crate) unsafe fn new_unchecked(spot: Spot, bits: usize) -> Self {
        let base = spot.base();
        Leaf { base, bits }
    }

    /// The bits of those that are left.
    #[inline(always)]
    pub(crate) fn bits(self) -> usize {
        self.bits
    }

    /// Takes the lowest slots out, at most so many.
    #[inline(always)]
    pub(crate) fn take_first(&mut self, count: usize) -> Leaf {
        let rest = without_first(count, self.bits);
        let first = self.bits & !rest;
        self.bits = rest;
        Leaf {
            base: self.base,
            bits: first,
        }
    }
}

impl Iterator for Leaf {
    type Item = SlotId;

    #[inline(always)]
    fn next(&mut self) -> Option<SlotId> {
        if self.bits == 0 {
            return None;
        }
        let number = self.base + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        // SAFETY: R5: each of the bits stands for a slot.
        Some(unsafe { SlotId::new_unchecked(number) })
    }
}

/// The bit of a level that stands for the slot, counted through all words of the level.
#[inline(always)]
pub(super) fn ancestor(slot: usize, level: usize) -> usize {
    slot >> (level as u32 * BITS.trailing_zeros())
}

/// The bits without the lowest `count` of those that are set.
#[inline(always)]
fn without_first(count: usize, bits: usize) -> usize {
    if count >= BITS {
        return 0;
    }
    let (mut bits, mut left) = (bits, count);
    while bits != 0 && left != 0 {
        bits &= bits - 1;
        left -= 1;
    }
    bits
}

/// The lowest `count` bits, all of them from `BITS` up.
#[inline(always)]
pub(super) const fn first_bits(count: usize) -> usize {
    if count >= BITS {
        usize::MAX
    } else {
        (1 << count) - 1
    }
}
