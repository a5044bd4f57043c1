//! Every live state, as data or printed.

pub(crate) mod census;
pub(crate) mod dump;
