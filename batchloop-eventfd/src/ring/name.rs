//! What a connection is called where it is not at hand.

/// What a completion is of: a connection in its place, for the kernel to carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    pub(super) place: u32,
    pub(super) generation: u32,
}

impl Name {
    pub(super) fn new(place: u32, generation: u32) -> Self {
        Name { place, generation }
    }

    /// In the low 56 bits.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.place) << 32 | u64::from(self.generation)
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Name {
            place: (bits >> 32) as u32 & 0xff_ffff,
            generation: bits as u32,
        }
    }
}
