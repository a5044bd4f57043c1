//! One run of the entry point: what it takes, where that lies, and what becomes of it.
//!
//! A stage takes the slots that are active at its point into the *scratch space* of its driver, `advance` runs a closure on
//! each, and what is left over when the turn ends goes back to its point.
//!
//! It decides when a driver is through, and not how it sleeps; and it never looks into a state by itself.

pub(crate) mod batch;
pub(crate) mod context;
pub(crate) mod driver;
#[cfg(feature = "task-bell")]
pub(crate) mod hosted;
pub(crate) mod position;
mod raw_batch;
pub(crate) mod rest;
pub(crate) mod run;
pub(crate) mod scratch;
pub(crate) mod step;
mod sweep;

pub use crate::machine::full::DriversTaken;
#[cfg(feature = "task-bell")]
pub use hosted::{Changed, TaskBell};
pub use position::Position;
