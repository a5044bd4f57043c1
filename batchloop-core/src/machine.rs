//! The typed face: memory, allocation, handles in and out.
//!
//! A [`Machine`](crate::Machine) puts a type on the slots of the layer below: only states of that type go in, and only its
//! handles name them. Its memory is computed from the [`Capacity`](crate::Capacity), before anything is allocated, and is
//! never given back.
//!
//! It runs no program, and decides nothing about a state's life.

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

pub use crate::ground::word::Admits;
pub use full::{ChildError, Claimed};
pub use layout::Footprint;
#[cfg(not(loom))]
pub use storage::Storage;
pub use typed::Reservation;
