//! How a run deals with panics, and how it ends.

use std::time::Duration;

/// What happens when the entry point panics. If it was in a closure, the state that it worked on has ended either way, and
/// the others of its batch are at their points, active.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnPanic {
    /// The panic is noted in the [`Report`](crate::Report), and the worker goes on with another turn. An entry point that
    /// panics in each turn, outside of its closures, is tried again and again until [`Stop`] ends it.
    #[default]
    GoOn,
    /// All workers leave, and [`Workers::run`](crate::Workers::run) returns [`RunError::Panicked`](crate::RunError::Panicked).
    Stop,
}

/// How the workers end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// When there is nothing left to do: no state lives, and each worker has had a whole turn without
    /// [`Worker::expect_more`](crate::Worker::expect_more) since the drain began and since anything last changed for it. A
    /// turn that panics is not a whole one. The program should start nothing new:
    /// [`Worker::is_draining`](crate::Worker::is_draining) tells it.
    Drain,
    /// As `Drain`, but not later than this, apart from the turns that run then; what still lives is released.
    DrainFor(Duration),
    /// At once, after the turns that run; what still lives is released.
    ///
    /// A state that a hook works on cannot be released. It is tried again for a second, and then lives on:
    /// [`Report::left`](crate::Report::left) counts it.
    Cancel,
    /// At once, after the turns that run; what still lives stays in the machine.
    Leave,
}
