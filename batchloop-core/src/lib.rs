//! Batched event loops, in direct style.
#![no_std]

#[cfg(any(test, loom))]
extern crate std;

/// `Debug` for types whose contents are nobody's business.
macro_rules! opaque_debug {
    ($($name:ident $(<$($parameter:ident),*>)?),*) => {$(
        impl $(<$($parameter),*>)? core::fmt::Debug for $name $(<$($parameter),*>)? {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

mod access;
mod active_set;
mod batch;
mod bench;
mod bitmap;
mod capacity;
mod change;
mod context;
mod dump;
mod error;
mod events;
mod frame;
mod free_set;
mod handle;
#[cfg(feature = "alloc")]
mod heap;
mod hook;
mod idle;
mod lifecycle;
mod lineage;
mod machine;
mod me;
mod point;
mod project;
mod shape;
mod slot;
mod storage;
mod sync;
mod trie;
mod turn;

pub use access::{Access, Admits, Local, Shared, Word};
pub use batch::{Batch, Step};
pub use capacity::{Capacity, Footprint, Wrap};
pub use change::{Bell, BellTaken, ChangeCounter, Snapshot};
pub use context::Context;
pub use dump::Dump;
pub use error::{
    ChildError, Claimed, Diverged, DriversTaken, Fault, Full, Mismatch, SignalError, Site, Stale,
    TooShort,
};
pub use events::Events;
pub use frame::FrameCell;
pub use handle::{Handle, Token, Version};
pub use hook::{Hook, Reaction, Waker};
pub use idle::{Backoff, Idle, Progress};
pub use lineage::{Kin, Lineage};
pub use machine::{Machine, Reservation};
pub use me::Me;
pub use point::ProgramPoint;
pub use project::Field;
#[doc(hidden)]
pub use project::{FieldInfo, FieldName};
#[cfg(not(loom))]
pub use storage::{Home, Storage};
pub use storage::{Index, Parts, Payload, Place};
pub use trie::Node;
pub use turn::{Driver, Turn};
