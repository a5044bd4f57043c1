//! How a state is reached from outside its closure.

pub(crate) mod completion;
pub(crate) mod hook;
pub(crate) mod me;
pub(crate) mod task;
