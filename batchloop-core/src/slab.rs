//! A slot's life: its tenant, its owner, its lock.
//!
//! Each slot has one word, and everything that happens to it is one exchange of that word: `lifecycle.rs` has them all.
//! Here slots are taken and given back, states are woken, and drivers hear of it.
//!
//! It does not know the type of the states: a payload is an address, and what is there is for the holder of the lock.

mod activity;
pub(crate) mod capacity;
pub(crate) mod entry;
pub(crate) mod events;
pub(crate) mod handle;
mod inbox;
pub(crate) mod lifecycle;
pub(crate) mod lineage;
pub(crate) mod raw;
mod room;
pub(crate) mod slot;
pub(crate) mod stale;

pub use capacity::Wrap;
pub use handle::{Token, Version};
pub use lineage::Lineage;
