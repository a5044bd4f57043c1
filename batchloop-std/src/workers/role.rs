//! What each worker is asked to be.

use batchloop_core::Workloads;

/// What a worker is called, what it serves, and where it runs.
#[derive(Clone, Debug)]
pub struct Role {
    pub(super) name: String,
    pub(super) serves: Workloads,
    pub(super) core: Option<usize>,
}

impl Role {
    /// Makes the role of a worker of this name that serves these workloads.
    pub fn new(name: impl Into<String>, serves: impl Into<Workloads>) -> Self {
        Role {
            name: name.into(),
            serves: serves.into(),
            core: None,
        }
    }

    /// Keeps the worker on one core.
    #[must_use]
    pub fn pinned(mut self, core: usize) -> Self {
        self.core = Some(core);
        self
    }
}
