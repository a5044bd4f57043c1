//! Which machines the program has, by name.

use std::{
    error::Error,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use batchloop_core::Census;

use super::system_dump::SystemDump;

/// Another machine is registered under this name. The name is inside.
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
/// Most programs use the one behind [`register`] and [`dump_all`]; one of its own is for a part of a program, or a test.
///
/// *Progress*: a registry has a lock, held while a machine is added or taken out and while the list is copied for a
/// dump. Drivers, hooks and wakers never take it. Not for interrupt and signal handlers.
#[derive(Debug, Default)]
pub struct Registry {
    machines: Mutex<Vec<(String, Census)>>,
}

static REGISTRY: Registry = Registry::new();

impl Registry {
    /// No machines.
    pub const fn new() -> Self {
        Registry {
            machines: Mutex::new(Vec::new()),
        }
    }

    fn machines(&self) -> MutexGuard<'_, Vec<(String, Census)>> {
        // Nothing that can panic leaves the list half-changed.
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As the function [`register`], in this registry.
    ///
    /// # Errors
    ///
    /// [`NameTaken`].
    pub fn register(
        &self,
        name: impl Into<String>,
        machine: impl Into<Census>,
    ) -> Result<Registration<'_>, NameTaken> {
        let name = name.into();
        let mut machines = self.machines();
        if machines.iter().any(|(taken, _)| *taken == name) {
            return Err(NameTaken(name));
        }
        machines.push((name.clone(), machine.into()));
        Ok(Registration {
            registry: self,
            name,
        })
    }

    /// As the function [`dump_all`], of this registry.
    pub fn dump(&self) -> SystemDump {
        let machines = self.machines().clone();
        SystemDump::of(&machines)
    }
}

/// A machine's entry in a registry. Dropping it takes the entry out; the machine itself goes on.
#[must_use = "dropping it takes the machine out of the registry"]
#[derive(Debug)]
pub struct Registration<'a> {
    registry: &'a Registry,
    name: String,
}

impl Registration<'_> {
    /// The name of the machine.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        let mut machines = self.registry.machines();
        machines.retain(|(name, _)| *name != self.name);
    }
}

/// Lists the machine in [`dump_all`] under this name, until what it answers is dropped.
///
/// `machine` is a [`Machine`](crate::Machine), of which places, events and parents are dumped. For a
/// [`Shared`](crate::Shared) one `machine.dump().states()` prints what the states look like, too. The states of a
/// [`Local`](crate::Local) machine may be seen by its own thread only; there, print its
/// [`dump`](crate::Machine::dump).
///
/// # Errors
///
/// [`NameTaken`].
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
    machine: impl Into<Census>,
) -> Result<Registration<'static>, NameTaken> {
    REGISTRY.register(name, machine)
}

/// Every live state of every registered machine, as a tree by parent. Print it, or with feature `serde` serialise it.
///
/// The system runs meanwhile: no worker is stopped, and each state is shown as it was when the dump came to it. A state
/// that is printed itself is locked for that time, as by a hook.
pub fn dump_all() -> SystemDump {
    REGISTRY.dump()
}

#[cfg(all(test, not(loom)))]
mod tests;
