//! The typed face: memory, allocation, handles in and out.

#[cfg(any(not(loom), test))]
pub(crate) mod claim;
pub(crate) mod full;
#[cfg(feature = "alloc")]
pub(crate) mod heap;
pub(crate) mod layout;
mod parts;
#[cfg(not(loom))]
pub(crate) mod storage;
pub(crate) mod typed;
