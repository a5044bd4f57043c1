//! Why a state was not reached: small types that give things back.

use core::{error::Error, fmt};

/// The state that the handle named has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stale;

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the state has ended")
    }
}

impl Error for Stale {}

/// Why a signal was not delivered. The arguments come back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SignalError<X> {
    /// The state has ended.
    Stale(X),
    /// The state is locked right now: a closure or a hook works on it.
    Busy(X),
}

impl<X> SignalError<X> {
    /// The arguments that were not delivered.
    pub fn into_inner(self) -> X {
        match self {
            SignalError::Stale(arguments) | SignalError::Busy(arguments) => arguments,
        }
    }
}

impl<X> fmt::Debug for SignalError<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SignalError::Stale(_) => "Stale(..)",
            SignalError::Busy(_) => "Busy(..)",
        })
    }
}

impl<X> fmt::Display for SignalError<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SignalError::Stale(_) => "the state has ended",
            SignalError::Busy(_) => "the state is locked",
        })
    }
}

impl<X> Error for SignalError<X> {}

/// The parent is locked right now: a closure or a hook works on it. The result that was not delivered is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Busy<R>(pub R);

impl<R> fmt::Debug for Busy<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Busy(..)")
    }
}

impl<R> fmt::Display for Busy<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the parent is locked")
    }
}

impl<R> Error for Busy<R> {}
