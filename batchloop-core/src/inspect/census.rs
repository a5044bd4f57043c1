//! The live states of a machine as records, from any thread.

use core::fmt;

use crate::{
    ground::{
        index::{NodeId, SetId, SlotId},
        word::{Access, Shared},
    },
    machine::typed::Machine,
    program::{point::Site, type_name::TypeName},
    slab::{
        events::Events,
        handle::Version,
        lineage::Lineage,
        raw::{ParentCell, RawMachine, Tenant},
    },
};

/// How often a census looks at a slot whose tenant ends meanwhile.
const LOOKS: usize = 3;

/// Prints the state in a slot if it still has this version.
///
/// # Safety
///
/// R6, R8: the machine is of the type and the access that the function was made for, and if that is `Local`, this is its
/// thread.
type Describe =
    unsafe fn(&'static RawMachine, SlotId, usize, &mut fmt::Formatter<'_>) -> fmt::Result;

/// What is known of the live states of one machine, without the type of the states.
///
/// Made from a [`Machine`] or, for what its states print as, from the [`Dump`](crate::Dump) of a
/// [`Shared`](crate::Shared) one. It may go to any thread, also that of a [`Local`](crate::Local) machine: it reads
/// where the states are, and not the states.
///
/// ```
/// # use batchloop_core::*;
/// let machine: Machine<u8> = Machine::heap(Capacity::slots(4));
/// machine.allocate(7).unwrap();
/// let census = Census::from(machine);
/// let other = std::thread::spawn(move || {
///     let mut records = census.records();
///     let record = records.next().unwrap();
///     assert_eq!(record.standing(), Standing::Active);
///     assert_eq!(record.to_string(), "#0v1 active at the entrance");
/// });
/// other.join().unwrap();
/// ```
#[derive(Clone, Copy)]
pub struct Census {
    raw: &'static RawMachine,
    describe: Option<Describe>,
}

impl<T, A: Access> From<Machine<T, A>> for Census {
    fn from(machine: Machine<T, A>) -> Self {
        Census {
            raw: machine.raw,
            describe: None,
        }
    }
}

impl Census {
    pub(crate) fn raw(self) -> &'static RawMachine {
        self.raw
    }

    /// The same, for records that know what the states print as. One of a [`Local`](crate::Local) machine must not leave
    /// its thread.
    pub(super) fn describing<T: fmt::Debug, A: Access>(machine: Machine<T, A>) -> Self {
        Census {
            raw: machine.raw,
            describe: Some(describe::<T, A>),
        }
    }

    /// The states that live now, in address order, one after the other as the iterator comes to them: each record is
    /// true at its own moment.
    ///
    /// *Progress*: bounded by the slots; waits for nobody, and nobody waits for it.
    pub fn records(self) -> impl Iterator<Item = Record> {
        let mut from = 0;
        core::iter::from_fn(move || {
            loop {
                // Only read here, and any thread may read the free set of any machine.
                let slot = self.raw.free_set::<Shared>().next_used(from)?;
                from = slot.number() + 1;
                if let Some(record) = self.record(slot) {
                    return Some(record);
                }
            }
        })
    }

    fn record(self, slot: SlotId) -> Option<Record> {
        // Where tenants follow each other so fast, some other moment would show none, too.
        (0..LOOKS).find_map(|_| self.look(slot))
    }

    /// The record of the slot's tenant, if there is one and it stays while this looks.
    fn look(self, slot: SlotId) -> Option<Record> {
        let Census { raw, describe } = self;
        let life = raw.life(slot);
        if !life.is_live() {
            return None;
        }
        let record = Record {
            state: Tenant {
                raw,
                slot,
                version: life.version(),
            },
            standing: match (life.is_parked(), life.is_notified()) {
                (true, true) => Standing::Active,
                (true, false) => Standing::Waiting,
                (false, _) => Standing::InBatch,
            },
            set: raw.place(slot),
            events: raw.events_of(slot, life),
            parent: raw
                .kin(slot.number())
                .and_then(ParentCell::get)
                .map(Lineage),
            describe,
        };
        raw.is_still(slot, life.version()).then_some(record)
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

impl fmt::Debug for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (live, slots) = (self.live(), self.slots());
        write!(f, "Census<{}>({live} of {slots})", self.state_type())
    }
}

/// What a state is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It waits at its point to be woken.
    Waiting,
    /// It has been woken, or has just arrived, and waits for a turn to come by.
    Active,
    /// A turn has it, from this point.
    InBatch,
}

/// One live state, as it was when [`Census::records`] came to it. Printed, it is a line of a [`Dump`](crate::Dump).
#[derive(Clone, Copy)]
pub struct Record {
    state: Tenant,
    standing: Standing,
    set: SetId,
    events: Events,
    parent: Option<Lineage>,
    describe: Option<Describe>,
}

impl Record {
    /// The state, as a parent of others.
    pub fn lineage(&self) -> Lineage {
        Lineage(self.state)
    }

    /// The index of its slot, from 0.
    pub fn slot(&self) -> usize {
        self.state.slot.number()
    }

    /// The version of its slot.
    pub fn version(&self) -> Version {
        Version(self.state.version)
    }

    /// What it is doing.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// What was posted and not looked at yet.
    pub fn events(&self) -> Events {
        self.events
    }

    /// The parent that it was given, live or not.
    pub fn parent(&self) -> Option<Lineage> {
        self.parent
    }

    /// The point where it is, and the scopes around it from the inside out. Nothing, if it is at the entrance.
    pub fn path(&self) -> impl Iterator<Item = Site> {
        let raw = self.state.raw;
        let mut node = raw.trie.stage_of(self.set).unwrap_or(NodeId::ROOT);
        core::iter::from_fn(move || {
            if node == NodeId::ROOT {
                return None;
            }
            let site = raw.trie.node(node).site();
            node = raw.trie.node(node).parent();
            site
        })
    }

    /// What the state itself prints as: nothing where the census does not know, `busy` while somebody works on it or
    /// when it has ended. It is locked while it prints into the output: where
    /// that may block, print into memory first. A `Debug` that panics releases its state.
    pub fn state(&self) -> impl fmt::Display {
        State(*self)
    }

    /// Whether [`state`](Self::state) prints something.
    pub fn has_state(&self) -> bool {
        self.describe.is_some()
    }

    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}v{} ", self.slot(), self.state.version)?;
        f.write_str(match self.standing {
            Standing::Active => "active at ",
            Standing::Waiting => "waits at ",
            Standing::InBatch => "in a batch from ",
        })?;
        let mut separator = "";
        for site in self.path() {
            write!(f, "{separator}{site}")?;
            separator = " in ";
        }
        if separator.is_empty() {
            f.write_str("the entrance")?;
        }
        if !self.events.is_empty() {
            write!(f, ", {:?}", self.events)?;
        }
        Ok(())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        if let Some(parent) = self.parent {
            let ended = if parent.is_live() { "" } else { " (ended)" };
            write!(f, ", child of {parent:?}{ended}")?;
        }
        if self.has_state() {
            write!(f, ": {}", self.state())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Record(")?;
        self.head(f)?;
        f.write_str(")")
    }
}

struct State(Record);

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tenant { raw, slot, version } = self.0.state;
        match self.0.describe {
            // SAFETY: R6, R8: the function came with the machine; see `Census::describing`.
            Some(describe) => unsafe { describe(raw, slot, version, f) },
            None => Ok(()),
        }
    }
}

/// # Safety
///
/// As [`Describe`].
unsafe fn describe<T: fmt::Debug, A: Access>(
    raw: &'static RawMachine,
    slot: SlotId,
    version: usize,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let Ok(lock) = raw.lock::<A>(slot, version) else {
        return f.write_str("busy");
    };
    let payload = lock.payload().cast::<T>();
    // SAFETY: R2, R6: the lock is held, and the machine's states are `T`s.
    let state = unsafe { &*payload };
    let answer = state.fmt(f);
    lock.unlock(false);
    answer
}
