//! One live state, as data.

use core::fmt;

use crate::{
    ground::{
        index::{NodeId, SetId, SlotId},
        word::Access,
    },
    program::{point::Site, type_name::TypeName},
    slab::{
        events::Events,
        handle::Version,
        lineage::Lineage,
        raw::{ParentCell, RawMachine, Tenant},
    },
};

/// Prints the state in a slot if it still has this version.
///
/// # Safety
///
/// R6, R8: the machine is of the type and the access that the function was made for, and if that is `Local`, this is its
/// thread.
pub(super) type Describe =
    unsafe fn(&'static RawMachine, SlotId, usize, &mut fmt::Formatter<'_>) -> fmt::Result;

/// What a state is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It waits at its point to be woken.
    Waiting,
    /// It has been woken, or has just arrived, and waits for a turn to come by.
    Active,
    /// A turn has it, from this point.
    InBatch,
}

/// One live state, as it was when it was looked at. Printed, it is a line of a [`Dump`](crate::inspect::Dump).
#[derive(Clone, Copy)]
pub struct StateInfo {
    state: Tenant,
    status: Status,
    set: SetId,
    events: Events,
    parent: Option<Lineage>,
    is_orphan: bool,
    describe: Option<Describe>,
}

impl StateInfo {
    /// The slot's tenant, if there is one and it stays while this looks.
    pub(super) fn look(
        raw: &'static RawMachine,
        slot: SlotId,
        describe: Option<Describe>,
    ) -> Option<Self> {
        let life = raw.life(slot);
        if !life.is_live() {
            return None;
        }
        let version = life.version();
        let parent = raw.kin(slot.number()).and_then(ParentCell::get);
        let info = StateInfo {
            state: Tenant { raw, slot, version },
            status: match (life.is_parked(), life.is_notified()) {
                (true, true) => Status::Active,
                (true, false) => Status::Waiting,
                (false, _) => Status::InBatch,
            },
            set: raw.place(slot),
            events: raw.events_of(slot, life),
            parent: parent.map(Lineage),
            is_orphan: parent.is_some_and(|parent| !parent.is_live()),
            describe,
        };
        raw.is_still(slot, version).then_some(info)
    }

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

    /// The states' type, by name.
    pub fn state_type(&self) -> TypeName {
        self.state.raw.trie.state_type()
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        self.status
    }

    /// What was posted and not taken yet.
    pub fn events(&self) -> Events {
        self.events
    }

    /// The parent that it was given, live or not.
    pub fn parent(&self) -> Option<Lineage> {
        self.parent
    }

    /// Whether its parent has ended.
    pub fn is_orphan(&self) -> bool {
        self.is_orphan
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

    /// What the state itself prints as, where that was asked for; `busy` if it is locked or has ended. It is locked while it
    /// prints into the output: where that may block, print into memory first. A `Debug` that panics releases its state.
    pub fn state(&self) -> Option<impl fmt::Display> {
        let Tenant { raw, slot, version } = self.state;
        self.describe.map(|describe| {
            // SAFETY: R6, R8: the function came with the machine; see `LiveStates::describing`.
            fmt::from_fn(move |f| unsafe { describe(raw, slot, version, f) })
        })
    }

    /// The line that the state prints as, with other words for its parent and for the state itself.
    ///
    /// ```
    /// # use batchloop_core::*;
    /// # let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(4).parents(true));
    /// let parent = machine.allocate(7)?;
    /// machine.allocate_child(8, machine.lineage(parent))?;
    /// let live = inspect::LiveStates::from(machine.dump().states());
    /// let child = live.iter().nth(1).unwrap();
    /// assert_eq!(child.to_string(), "#1v1 active at the entrance, child of u8#0v1: 8");
    /// let line = child.line(Some("seven"), None::<&str>);
    /// assert_eq!(line.to_string(), "#1v1 active at the entrance, child of seven");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn line(
        &self,
        parent: Option<impl fmt::Display>,
        state: Option<impl fmt::Display>,
    ) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            self.head(f)?;
            if let Some(parent) = &parent {
                let ended = if self.is_orphan { " (ended)" } else { "" };
                write!(f, ", child of {parent}{ended}")?;
            }
            match &state {
                Some(state) => write!(f, ": {state}"),
                None => Ok(()),
            }
        })
    }

    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.state.number())?;
        f.write_str(match self.status {
            Status::Active => "active at ",
            Status::Waiting => "waits at ",
            Status::InBatch => "in a batch from ",
        })?;
        let mut separator = "";
        for site in self.path() {
            write!(f, "{separator}{site}")?;
            separator = " in ";
        }
        if separator.is_empty() {
            f.write_str("the entrance")?;
        }
        match self.events {
            Events::NONE => Ok(()),
            events => write!(f, ", {events:?}"),
        }
    }
}

impl fmt::Display for StateInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line(self.parent, self.state()).fmt(f)
    }
}

impl fmt::Debug for StateInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "StateInfo({})",
            self.line(None::<Lineage>, None::<Lineage>)
        )
    }
}

/// # Safety
///
/// As [`Describe`].
pub(super) unsafe fn describe<T: fmt::Debug, A: Access>(
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
    let printed = state.fmt(f);
    lock.unlock(false);
    printed
}
