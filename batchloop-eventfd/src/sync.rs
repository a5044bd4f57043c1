//! Where the atomics come from: `core`, or the model checker.
#![allow(clippy::disallowed_types, reason = "this is where they are named")]

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicBool, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};
