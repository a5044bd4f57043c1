//! The live states of a machine, from any thread.

use core::fmt;

use crate::{
    ground::{
        index::SlotId,
        sync::Ordering,
        word::{Access, Shared},
    },
    inspect::state_info::{Describe, StateInfo, describe},
    machine::typed::Machine,
    program::type_name::TypeName,
    slab::{lineage::Lineage, raw::RawMachine},
};

/// How often a slot is looked at whose tenant ends meanwhile.
const LOOKS: usize = 3;

/// What is known of the live states of one machine, without the type of the states. Printed, it lists them all.
///
/// Made from a [`Machine`] or, for what its states print as, from the [`Dump`](crate::inspect::Dump) of a
/// [`Shared`](crate::Shared) one. It may go to any thread, even that of a [`Local`](crate::Local) machine: it reads
/// where the states are, and not the states.
///
/// ```
/// use batchloop_core::{Capacity, Machine, inspect::{LiveStates, Status}};
///
/// let machine: Machine<u8> = Machine::heap(Capacity::slots(4));
/// machine.allocate(7).unwrap();
/// let live = LiveStates::from(machine);
/// let other = std::thread::spawn(move || {
///     let first = live.iter().next().unwrap();
///     assert_eq!(first.status(), Status::Active);
///     assert_eq!(first.to_string(), "#0v1 active at the entrance");
/// });
/// other.join().unwrap();
/// ```
#[derive(Clone, Copy)]
pub struct LiveStates {
    raw: &'static RawMachine,
    describe: Option<Describe>,
}

impl<T, A: Access> From<Machine<T, A>> for LiveStates {
    fn from(machine: Machine<T, A>) -> Self {
        LiveStates {
            raw: machine.raw,
            describe: None,
        }
    }
}

impl LiveStates {
    /// The same, with what the states print as. One of a [`Local`](crate::Local) machine must not leave
    /// its thread.
    pub(super) fn describing<T: fmt::Debug, A: Access>(machine: Machine<T, A>) -> Self {
        LiveStates {
            raw: machine.raw,
            describe: Some(describe::<T, A>),
        }
    }

    /// The states that live now, in address order, one after the other as the iterator comes to them: each is as it was at
    /// its own moment.
    ///
    /// *Progress*: bounded by the slots; waits for nothing, and nothing waits for it.
    pub fn iter(self) -> impl Iterator<Item = StateInfo> {
        // Only read here, and any thread may read the free set of any machine.
        let used = self.raw.used_slots::<Shared>();
        // Where tenants follow each other so fast, some other moment would show none, too.
        used.filter_map(move |slot| (0..LOOKS).find_map(|_| self.look(slot)))
    }

    fn look(self, slot: SlotId) -> Option<StateInfo> {
        StateInfo::look(self.raw, slot, self.describe)
    }

    /// The name of the states' type, without its path. Those of the types that it is made of may have theirs; see
    /// [`state_type`](Self::state_type).
    pub fn state_name(self) -> &'static str {
        self.state_type().without_path()
    }

    /// The states' type, by name.
    pub fn state_type(self) -> TypeName {
        self.raw.trie.state_type()
    }

    /// How many slots have a state or are reserved for one.
    ///
    /// *Progress*: one load, however many slots there are.
    pub fn live(self) -> usize {
        self.raw.live()
    }

    /// How many slots there are.
    pub fn slots(self) -> usize {
        self.raw.capacity.slots
    }

    /// Whether this is the machine of that state.
    pub fn is_of(self, state: Lineage) -> bool {
        core::ptr::eq(self.raw, state.0.raw)
    }
}

impl fmt::Display for LiveStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (live, slots) = (self.live(), self.slots());
        writeln!(f, "{}: {live} of {slots} slots", self.state_type())?;
        for state in self.iter() {
            writeln!(f, "  {state}")?;
        }
        counts(self.raw, f)
    }
}

/// What is out of the ordinary.
fn counts(raw: &RawMachine, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let irregular = raw.trie.irregularities();
    let counts = [
        (irregular.skipped, "skipped"),
        (irregular.late, "appended late"),
    ];
    for (count, name) in counts {
        if count > 0 {
            writeln!(f, "  {count} nodes of the traversal {name}")?;
        }
    }
    let retired = raw.retired.load(Ordering::Relaxed);
    if retired > 0 {
        writeln!(f, "  {retired} slots retired")?;
    }
    Ok(())
}

impl fmt::Debug for LiveStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (live, slots) = (self.live(), self.slots());
        write!(f, "LiveStates<{}>({live} of {slots})", self.state_type())
    }
}
