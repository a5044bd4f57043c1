//! Parents: which state started a state, and whether it still lives.

use core::fmt;

use crate::{
    program::type_name::TypeName,
    slab::{handle::Version, raw::Tenant},
};

/// A state of any machine, by slot and version: what a child knows of its parent.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias = "supervisor")]
pub struct Lineage(pub(crate) Tenant);

impl Lineage {
    /// Whether the state still lives.
    ///
    /// *Progress*: one load; callable from anywhere.
    pub fn is_live(self) -> bool {
        self.0.is_live()
    }

    /// The parent that the state was given, if it lives and has one. The parent itself may have ended.
    ///
    /// A way up need not end: two reservations can name each other. Take so many steps at most as the program has levels.
    ///
    /// *Progress*: bounded; callable from anywhere.
    pub fn parent(self) -> Option<Lineage> {
        let Tenant { raw, slot, version } = self.0;
        let parent = raw.kin(slot.number())?.get();
        let is_its_own = raw.is_still(slot, version);
        parent.filter(|_| is_its_own).map(Lineage)
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
        self.0.raw.trie.state_type()
    }

    /// The index of the slot, from 0.
    pub fn slot(self) -> usize {
        self.0.slot.number()
    }

    /// The version of the slot.
    pub fn version(self) -> Version {
        Version(self.0.version)
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
