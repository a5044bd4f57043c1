//! How a thread with nothing to do waits: it spins, yields, and at last sleeps in the kernel until a bell rings.
//!
//! What a change is, and in which order a driver announces its sleep and looks again, is the core's; see
//! [`Watch::sleep`](batchloop_core::Watch::sleep). Here is the sleep itself, and the model checker's in its place.

pub(crate) mod bell;
pub(crate) mod futex;
pub(crate) mod parking;
pub(crate) mod patience;

pub use batchloop_core::sleep::*;
