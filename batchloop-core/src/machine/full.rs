//! What a machine has no room for: small types that give things back.

use core::{error::Error, fmt};

/// Every slot is in use. The value that found no place is inside.
///
/// ```
/// # use batchloop_core::*;
/// let machine: Machine<String> = Machine::heap(Capacity::slots(1));
/// let mut waiting = Vec::new();
/// for name in ["ant", "bee"] {
///     if let Err(Full(name)) = machine.allocate(name.to_string()) {
///         waiting.push(name);
///     }
/// }
/// assert_eq!(waiting, ["bee"]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("every slot of the machine is in use")
    }
}

impl<T> Error for Full<T> {}

/// Why a state could not be given a parent. The value comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ChildError<T> {
    /// Every slot is in use.
    Full(T),
    /// The machine's storage has no room for parents; see [`Capacity::parents`](crate::Capacity::parents).
    NoParents(T),
}

impl<T> fmt::Debug for ChildError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChildError::Full(_) => "Full(..)",
            ChildError::NoParents(_) => "NoParents(..)",
        })
    }
}

impl<T> fmt::Display for ChildError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChildError::Full(_) => "every slot of the machine is in use",
            ChildError::NoParents(_) => "the machine's storage has no room for parents",
        })
    }
}

impl<T> Error for ChildError<T> {}

/// Static storage can be claimed by one machine only, and this one has been.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claimed;

impl fmt::Display for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the storage already belongs to a machine")
    }
}

impl Error for Claimed {}

/// All the drivers that the machine has room for exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DriversTaken {
    /// How many drivers the storage has room for.
    pub capacity: usize,
}

impl fmt::Display for DriversTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all {} drivers of the machine are in use", self.capacity)
    }
}

impl Error for DriversTaken {}
