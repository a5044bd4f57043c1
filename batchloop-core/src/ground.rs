//! Words, and sets of slots as bits of words.
//!
//! The one place that knows the atomics of a target, and what of them a `Local` machine can do without. A set is a tree of
//! words, in which what is empty costs one look.
//!
//! What a bit stands for is for the layers above: there is no state here.

pub(crate) mod active_set;
pub(crate) mod bitmap;
pub(crate) mod free_set;
pub(crate) mod index;
pub(crate) mod sync;
pub(crate) mod witness;
pub(crate) mod word;
