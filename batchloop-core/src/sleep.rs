//! How a driver knows that nothing has happened.
//!
//! Every change counts, in a [`ChangeCounter`]. A driver sleeps only while nothing was counted since its last turn began, and
//! says so first: what counts then rings its [`Bell`](crate::Bell). The [internals](crate::internals#sleeping) have the
//! protocol.
//!
//! How a thread sleeps is not known here: that is the bell's, and an [`Idle`](crate::Idle)'s.

pub(crate) mod change;
pub(crate) mod counters;
pub(crate) mod idle;
pub(crate) mod watch;

pub use change::{BellTaken, ChangeCounter, Snapshot};
pub use watch::Announced;
