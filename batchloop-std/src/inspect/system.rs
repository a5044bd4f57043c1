//! The machines of the program, by name.

use std::{
    error::Error,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use batchloop_core::inspect::LiveStates;

use super::system_dump::SystemDump;

/// Another machine is registered under this name, which is inside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameTaken(pub String);

impl fmt::Display for NameTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "another machine is registered as {:?}", self.0)
    }
}

impl Error for NameTaken {}

/// Machines by name, so that the whole system can be dumped.
///
/// Most programs use the one behind [`register`] and [`dump_all`]; another one is for a part of a program, or for a test.
///
/// *Progress*: a system has a lock, held while a machine is added or removed and while the list is copied for a dump.
/// Drivers, hooks and wakers never take it. Not for interrupt and signal handlers.
#[derive(Debug, Default)]
pub struct System {
    machines: Mutex<Vec<(String, LiveStates)>>,
}

static SYSTEM: System = System::new();

impl System {
    /// Makes a system without machines.
    pub const fn new() -> Self {
        System {
            machines: Mutex::new(Vec::new()),
        }
    }

    fn machines(&self) -> MutexGuard<'_, Vec<(String, LiveStates)>> {
        // Nothing that can panic leaves the list half-changed.
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists the machine in this system; see the function [`register`].
    ///
    /// # Errors
    ///
    /// [`NameTaken`] if another machine has the name.
    pub fn register(
        &self,
        name: impl Into<String>,
        machine: impl Into<LiveStates>,
    ) -> Result<Registration<'_>, NameTaken> {
        let name = name.into();
        let mut machines = self.machines();
        if machines.iter().any(|(taken, _)| *taken == name) {
            return Err(NameTaken(name));
        }
        machines.push((name.clone(), machine.into()));
        Ok(Registration { system: self, name })
    }

    /// Returns the live states of the machines of this system; see the function [`dump_all`].
    pub fn dump(&self) -> SystemDump {
        let machines = self.machines().clone();
        SystemDump::of(&machines)
    }
}

/// A machine's entry in a [`System`]. Dropping it removes the entry; the machine itself goes on.
#[must_use = "dropping it removes the machine from the system"]
#[derive(Debug)]
pub struct Registration<'a> {
    system: &'a System,
    name: String,
}

impl Registration<'_> {
    /// Returns the name of the machine.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        let mut machines = self.system.machines();
        machines.retain(|(name, _)| *name != self.name);
    }
}

/// Lists the machine in [`dump_all`] under this name, until the [`Registration`] is dropped.
///
/// `machine` is a [`Machine`](crate::Machine); the dump then has the places, events and parents of its states. For a
/// [`Shared`](crate::Shared) machine, `machine.dump().states()` prints the states themselves too. The states of a
/// [`Local`](crate::Local) machine may be seen by its own thread only; there, print its
/// [`dump`](crate::Machine::dump).
///
/// # Errors
///
/// [`NameTaken`] if another machine has the name.
///
/// ```
/// use batchloop_std::{Capacity, Machine, Shared, dump_all, register};
///
/// let orders: Machine<&str, Shared> = Machine::heap(Capacity::slots(4));
/// let items: Machine<&str, Shared> = Machine::heap(Capacity::slots(8).parents(true));
/// let _registered = (register("orders", orders.dump().states())?, register("items", items)?);
///
/// let order = orders.allocate("for Ann")?;
/// items.allocate_child("a hat", orders.lineage(order))?;
/// let expected = "\
/// orders: &str, 1 of 4 slots
/// items: &str, 1 of 8 slots
/// orders#0v1 active at the entrance: \"for Ann\"
///   items#0v1 active at the entrance
/// ";
/// assert_eq!(dump_all().to_string(), expected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn register(
    name: impl Into<String>,
    machine: impl Into<LiveStates>,
) -> Result<Registration<'static>, NameTaken> {
    SYSTEM.register(name, machine)
}

/// Returns every live state of every registered machine, as a tree by parent. Print it, or with feature `serde` serialise
/// it.
///
/// The system runs meanwhile: no worker is stopped, and each state is shown as it was when the dump came to it. A state
/// is locked while it is itself printed, as by a hook.
pub fn dump_all() -> SystemDump {
    SYSTEM.dump()
}

#[cfg(all(test, not(loom)))]
mod tests;
