//! A bell for threads that sleep in the kernel.

use batchloop_core::{
    Bell, Watch,
    sleep::{ChangeCounter, Snapshot},
};

use super::futex::{Futex, Ordering};

/// A bell for threads that block in the kernel: a ring ends every wait that has begun.
///
/// The word counts the rings, and a waiter sleeps only while it has the value that it had before the waiter last
/// looked for work. So a ring that comes before the wait makes the wait return at once.
#[derive(Debug)]
pub struct BlockingBell {
    rings: Futex,
}

impl BlockingBell {
    /// Makes a bell that has not been rung.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        BlockingBell {
            rings: Futex::new(0),
        }
    }

    /// Makes a bell that has not been rung.
    #[cfg(loom)]
    pub fn new() -> Self {
        BlockingBell {
            rings: Futex::new(0),
        }
    }

    /// Sleeps until something has changed since the driver's last turn started. May return early.
    ///
    /// # Panics
    ///
    /// If one of the driver's workloads has another bell, or none: its changes would not end the sleep.
    pub fn sleep(&self, watch: &Watch) {
        assert!(
            watch.is_rung_by(self),
            "a workload of the driver does not have this bell: its changes would not end the sleep"
        );
        // ORDERING: Acquire; the partner is the Release in `ring`: if this reads a ring, the comparison in
        // `Watch::sleep` sees the change that was rung for.
        let rings = self.rings.load(Ordering::Acquire);
        watch.sleep(|| self.rings.wait(rings));
    }

    /// Sleeps until the counter has moved since the snapshot. May return early.
    ///
    /// The bell must be the counter's, or nothing ends the sleep.
    pub(crate) fn sleep_on(&self, counter: &ChangeCounter, since: Snapshot) {
        // ORDERING: Acquire; as in `sleep`.
        let rings = self.rings.load(Ordering::Acquire);
        counter.sleep(since, || self.rings.wait(rings));
    }
}

impl Default for BlockingBell {
    fn default() -> Self {
        Self::new()
    }
}

impl Bell for BlockingBell {
    fn ring(&self) {
        // ORDERING: Release; the partner is the Acquire in `sleep`.
        self.rings.fetch_add(1, Ordering::Release);
        self.rings.wake_all();
    }
}

#[cfg(all(test, loom))]
mod interleavings;
