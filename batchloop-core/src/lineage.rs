//! Parents: who started a state, and whether they still live.

use core::{fmt, hash};

use crate::{
    frame::Frame,
    handle::Version,
    sync::{AtomicPtr, AtomicU32, AtomicUsize, Ordering},
    type_name::TypeName,
};

/// A state of any machine, by slot and version: what a child knows of its parent.
#[derive(Clone, Copy)]
#[doc(alias = "supervisor")]
pub struct Lineage {
    pub(crate) frame: &'static Frame,
    pub(crate) slot: u32,
    pub(crate) version: usize,
}

impl Lineage {
    /// Whether the state still lives.
    ///
    /// *Progress*: one load; callable from anywhere.
    pub fn is_live(self) -> bool {
        let tenant = self.frame.tenant(self.slot as usize, self.version);
        tenant.is_some()
    }

    /// The parent that the state was given, if it lives and has one. The parent itself may have ended.
    ///
    /// A way up need not end: two reservations can name each other. Take so many steps at most as the program has levels.
    ///
    /// *Progress*: bounded; callable from anywhere.
    pub fn parent(self) -> Option<Lineage> {
        let slot = self.frame.slot(self.slot as usize)?;
        let parent = self.frame.kin(slot.number())?.get();
        let is_its_own = self.frame.is_still(slot, self.version);
        parent.filter(|_| is_its_own)
    }

    /// Whether this state, or one of its next `depth` ancestors, has ended: the sign of a cancellation further up.
    ///
    /// Reports what it sees while it walks; an ancestor that ends behind it is seen by the next call.
    ///
    /// *Progress*: at most `depth` steps; callable from anywhere.
    pub fn is_orphan(self, depth: usize) -> bool {
        let mut state = self;
        for _ in 0..depth {
            if !state.is_live() {
                return true;
            }
            match state.parent() {
                Some(parent) => state = parent,
                None => return !state.is_live(),
            }
        }
        !state.is_live()
    }

    /// The name of the state's type, without its path. Those of the types that it is made of may have theirs; see
    /// [`state_type`](Self::state_type).
    pub fn state_name(self) -> &'static str {
        self.state_type().without_path()
    }

    /// The state's type, by name.
    pub fn state_type(self) -> TypeName {
        self.frame.state_type()
    }

    /// The index of the slot, from 0.
    pub fn slot(self) -> usize {
        self.slot as usize
    }

    /// The version of the slot.
    pub fn version(self) -> Version {
        Version(self.version)
    }
}

impl PartialEq for Lineage {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.frame, other.frame)
            && self.slot == other.slot
            && self.version == other.version
    }
}

impl Eq for Lineage {}

impl hash::Hash for Lineage {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        core::ptr::hash(self.frame, state);
        self.slot.hash(state);
        self.version.hash(state);
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}v{}", self.state_type(), self.slot, self.version)
    }
}

/// Room for the parent of one state, in storage that the caller supplies.
pub struct Kin {
    frame: AtomicPtr<Frame>,
    slot: AtomicU32,
    version: AtomicUsize,
}

opaque_debug!(Kin);

impl Kin {
    /// Unused room: all zero.
    #[cfg(not(loom))]
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "fresh room for each array element is what is wanted"
    )]
    pub const EMPTY: Kin = Kin {
        frame: AtomicPtr::new(core::ptr::null_mut()),
        slot: AtomicU32::new(0),
        version: AtomicUsize::new(0),
    };

    #[cfg(loom)]
    pub(crate) fn empty() -> Kin {
        Kin {
            frame: AtomicPtr::new(core::ptr::null_mut()),
            slot: AtomicU32::new(0),
            version: AtomicUsize::new(0),
        }
    }

    /// Called by whoever is allocating the slot, before it is live.
    pub(crate) fn set(&self, parent: Option<Lineage>) {
        let (frame, slot, version) = match parent {
            Some(parent) => (
                core::ptr::from_ref(parent.frame).cast_mut(),
                parent.slot,
                parent.version,
            ),
            None => (core::ptr::null_mut(), 0, 0),
        };
        // ORDERING: Release; the partner is the Acquire load in `get`, so that the parent's machine is seen.
        self.frame.store(frame, Ordering::Release);
        self.slot.store(slot, Ordering::Relaxed);
        self.version.store(version, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Option<Lineage> {
        // ORDERING: Acquire; the partner is the Release store in `set`.
        let frame = self.frame.load(Ordering::Acquire);
        let slot = self.slot.load(Ordering::Relaxed);
        let version = self.version.load(Ordering::Relaxed);
        // SAFETY: R1: the pointer is null or was made from a `&'static Frame` in `set`.
        let frame = unsafe { frame.as_ref() }?;
        // A mixture of two tenants' parents may name a slot that the machine does not have.
        ((slot as usize) < frame.capacity().slots).then_some(Lineage {
            frame,
            slot,
            version,
        })
    }
}
