//! A slot's life: its tenant, its owner, its lock.

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
