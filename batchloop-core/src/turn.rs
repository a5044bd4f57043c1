//! One run of the entry point: what it takes, where that lies, and what becomes of it.

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
