//! What a machine has no room for: small types that give things back.

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

error!(Full<T> {
    Full(_) => "Full(..)", "every slot of the machine is in use";
});

/// Why a state could not be given a parent. The value comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ChildError<T> {
    /// Every slot is in use.
    Full(T),
    /// The machine's storage has no room for parents; see [`Capacity::parents`](crate::Capacity::parents).
    NoParents(T),
}

error!(ChildError<T> {
    ChildError::Full(_) => "Full(..)", "every slot of the machine is in use";
    ChildError::NoParents(_) => "NoParents(..)",
        "the machine has no room for parents: `Capacity::parents` is false";
});

/// Static storage can be claimed by one machine only, and this one has been.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claimed;

error!(Claimed: "the storage already belongs to a machine");

/// All the drivers that the machine has room for exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DriversTaken {
    /// How many drivers the storage has room for.
    pub capacity: usize,
}

error!(DriversTaken: "all {capacity} drivers of the machine are in use", capacity);
