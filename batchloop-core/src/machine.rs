//! The typed face: memory, allocation, handles in and out.

#[cfg(any(not(loom), test))]
pub(crate) mod claim;
pub(crate) mod full;
#[cfg(feature = "alloc")]
pub(crate) mod heap;
#[cfg(not(loom))]
pub(crate) mod home;
pub(crate) mod layout;
pub(crate) mod storage;
pub(crate) mod typed;
