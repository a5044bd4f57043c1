//! Which of several comes first.

use crate::{
    ground::sync::{AtomicUsize, Ordering},
    machine::full::Claimed,
};

/// Whether something that there is one of has been taken, once and for all.
#[doc(hidden)]
pub struct Claim(AtomicUsize);

opaque_debug!(Claim);

impl Claim {
    #[cfg(not(loom))]
    #[doc(hidden)]
    #[allow(clippy::new_without_default, reason = "it is for the macro")]
    pub const fn new() -> Self {
        Claim(AtomicUsize::new(0))
    }

    #[cfg(all(loom, test))]
    pub(crate) fn new() -> Self {
        Claim(AtomicUsize::new(0))
    }

    /// # Errors
    ///
    /// [`Claimed`] for all but the first.
    pub(crate) fn take(&self) -> Result<(), Claimed> {
        // ORDERING: Relaxed; the winner is the first to touch what is claimed, so there is nothing to acquire.
        let won = self
            .0
            .compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
        won.map(|_| ()).map_err(|_| Claimed)
    }
}

#[cfg(all(test, loom))]
mod interleavings;
