//! How a driver knows that nothing has happened.

pub(crate) mod change;
pub(crate) mod counters;
pub(crate) mod idle;
pub(crate) mod watch;
