//! Words, and sets of slots as bits of words. Knows no state.

pub(crate) mod active_set;
pub(crate) mod bitmap;
pub(crate) mod free_set;
pub(crate) mod index;
pub(crate) mod sync;
pub(crate) mod witness;
pub(crate) mod word;
