//! What a connection is called where it is not at hand.

/// What a completion is of: a connection in its row, for the kernel to carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Name {
    pub(super) row: u32,
    pub(super) generation: u32,
}

impl Name {
    pub(super) fn new(row: u32, generation: u32) -> Self {
        Name { row, generation }
    }

    /// In the low 56 bits.
    pub(super) fn to_bits(self) -> u64 {
        u64::from(self.row) << 32 | u64::from(self.generation)
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        Name {
            row: (bits >> 32) as u32 & 0xff_ffff,
            generation: bits as u32,
        }
    }
}
