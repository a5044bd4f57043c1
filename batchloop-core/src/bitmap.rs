//! The shape of a bitmap over the slots: leaves, a summary of the leaves, and one root word.
//!
//! A leaf bit is a slot, a summary bit is a leaf, and a root bit is a group of summary words: one for machines of up
//! to `BITS³` slots, more for larger ones. So "is anything set?" is one load, whatever the number of slots.

/// Bits in a word of this target.
pub(crate) const BITS: usize = usize::BITS as usize;

/// Where the words of a bitmap stand, for a number of slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Geometry {
    pub(crate) slots: usize,
    pub(crate) leaves: usize,
    pub(crate) summaries: usize,
    /// Summary words under one root bit.
    pub(crate) group: usize,
    /// Words of one bitmap: root, resume position, summaries, leaves.
    pub(crate) words: usize,
}

impl Geometry {
    pub(crate) const fn of(slots: usize) -> Self {
        let leaves = slots.div_ceil(BITS);
        let summaries = leaves.div_ceil(BITS);
        let group = summaries.div_ceil(BITS);
        Geometry {
            slots,
            leaves,
            summaries,
            group: if group == 0 { 1 } else { group },
            words: 2 + summaries + leaves,
        }
    }

    /// The valid bits of leaf `leaf`.
    pub(crate) fn leaf_mask(&self, leaf: usize) -> usize {
        first_bits(self.slots - leaf * BITS)
    }

    /// The valid bits of summary `summary`.
    pub(crate) fn summary_mask(&self, summary: usize) -> usize {
        first_bits(self.leaves - summary * BITS)
    }

    /// The valid bits of the root.
    pub(crate) fn root_mask(&self) -> usize {
        first_bits(self.summaries.div_ceil(self.group))
    }
}

/// The lowest `count` bits, all of them from `BITS` up.
pub(crate) const fn first_bits(count: usize) -> usize {
    if count >= BITS {
        usize::MAX
    } else {
        (1 << count) - 1
    }
}
