//! Why a state was not reached: small types that give things back.

/// The state that the handle named has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stale;

error!(Stale: "the state has ended");

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

error!(SignalError<X> {
    SignalError::Stale(_) => "Stale(..)", "the state has ended";
    SignalError::Busy(_) => "Busy(..)", "the state is locked";
});

/// The parent is locked right now: a closure or a hook works on it. The result that was not delivered is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Busy<R>(pub R);

error!(Busy<R> {
    Busy(_) => "Busy(..)", "the parent is locked";
});
