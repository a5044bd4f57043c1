//! The shape of a bitmap over the slots: a tree of words with a bit a slot at the bottom and one word at the top.
//!
//! A bit of the lowest level is a slot, and a bit of each level above stands for a word of the level below. So "is
//! anything set?" is one load, whatever the number of slots, and a machine of no more slots than a word has bits
//! needs one word for each set.
//!
//! The lowest level comes first in memory: setting a bit is the most frequent access, and finds its word by one
//! addition.

/// Bits in a word of this target.
pub(crate) const BITS: usize = usize::BITS as usize;

/// Where the words of a bitmap stand, for a number of slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Geometry {
    pub(crate) slots: usize,
    pub(crate) levels: usize,
    /// Words of one bitmap: the levels from the lowest up, and the resume position.
    pub(crate) words: usize,
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

    /// The level that has one word.
    #[inline(always)]
    pub(crate) fn top_level(&self) -> usize {
        self.levels - 1
    }

    /// Where the word at the top stands.
    #[inline(always)]
    pub(crate) fn top(&self) -> usize {
        self.words - 2
    }

    /// Where the resume position stands.
    #[inline(always)]
    pub(crate) fn resume(&self) -> usize {
        self.words - 1
    }

    /// Where a word of a level stands.
    #[inline(always)]
    pub(crate) fn word(&self, level: usize, index: usize) -> usize {
        match level {
            0 => index,
            level => self.below(level) + index,
        }
    }

    /// How many words the levels below this one have.
    #[inline(never)]
    fn below(&self, level: usize) -> usize {
        (0..level).fold(0, |words, level| words + self.last(level) / BITS + 1)
    }

    /// The last bit of a level that stands for something, counted through all words of the level.
    #[inline]
    pub(crate) fn last(&self, level: usize) -> usize {
        ancestor(self.slots - 1, level)
    }

    /// How many words the lowest level has.
    pub(crate) fn leaves(&self) -> usize {
        self.slots.div_ceil(BITS)
    }
}

/// The bit of a level that stands for the slot, counted through all words of the level.
#[inline(always)]
pub(crate) fn ancestor(slot: usize, level: usize) -> usize {
    slot >> (level as u32 * BITS.trailing_zeros())
}

/// The bits without the lowest `count` of those that are set.
#[inline(always)]
pub(crate) fn without_first(count: usize, bits: usize) -> usize {
    if count >= BITS {
        return 0;
    }
    (0..count).fold(bits, |bits, _| bits & bits.wrapping_sub(1))
}

/// The lowest `count` bits, all of them from `BITS` up.
#[inline(always)]
pub(crate) const fn first_bits(count: usize) -> usize {
    if count >= BITS {
        usize::MAX
    } else {
        (1 << count) - 1
    }
}
