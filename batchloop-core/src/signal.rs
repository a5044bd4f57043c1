//! How a state is reached from outside its closure.
//!
//! A waker makes it active; a hook calls a function with it, under its lock; a completion is a hook that is called once,
//! and says when it will not be. What polls a future in a state is a waker too.
//!
//! All of them name a state by slot and version, so they can be kept for ever; none keeps the state alive, and none runs its
//! closure.

pub(crate) mod completion;
pub(crate) mod hook;
pub(crate) mod me;
pub(crate) mod task;

pub use task::NoTasks;
