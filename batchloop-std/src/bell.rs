//! A bell for threads that sleep in the kernel.
#![allow(
    clippy::disallowed_types,
    reason = "a futex is a word of exactly this type"
)]

use core::sync::atomic::{AtomicU32, Ordering};

use batchloop_core::{Bell, ChangeCounter, Snapshot, Watch};
use rustix::thread::futex;

/// A bell for threads that block in the kernel: each ring ends every wait that has begun.
///
/// The word counts the rings, and a waiter sleeps only while it has the value that it had before the waiter last
/// looked for work. So a ring that comes before the wait makes the wait return at once.
#[derive(Debug, Default)]
pub struct BlockingBell {
    rings: AtomicU32,
}

impl BlockingBell {
    /// A bell that has not been rung.
    pub const fn new() -> Self {
        BlockingBell {
            rings: AtomicU32::new(0),
        }
    }

    /// Sleeps until something has changed since the driver's last turn started. May return early.
    ///
    /// The bell must be the machine's, or nothing ends the sleep.
    pub fn sleep(&self, watch: &Watch) {
        // ORDERING: Acquire; the partner is the Release in `ring`: if this reads a ring, the comparison in
        // `Watch::sleep` sees the change that was rung for.
        let rings = self.rings.load(Ordering::Acquire);
        watch.sleep(|| {
            // A signal, or a ring in between, ends the wait with an error. The driver looks again either way.
            let _ = futex::wait(&self.rings, futex::Flags::PRIVATE, rings, None);
        });
    }

    /// Sleeps until the counter has moved since the snapshot. May return early.
    ///
    /// The bell must be the counter's, or nothing ends the sleep.
    pub(crate) fn sleep_on(&self, counter: &ChangeCounter, since: Snapshot) {
        // ORDERING: Acquire; as in `sleep`.
        let rings = self.rings.load(Ordering::Acquire);
        counter.sleep(since, || {
            // A signal, or a ring in between, ends the wait with an error. The caller looks again either way.
            let _ = futex::wait(&self.rings, futex::Flags::PRIVATE, rings, None);
        });
    }
}

impl Bell for BlockingBell {
    fn ring(&self) {
        // ORDERING: Release; the partner is the Acquire in `sleep`.
        self.rings.fetch_add(1, Ordering::Release);
        // It fails only for an address that is no futex.
        let _ = futex::wake(&self.rings, futex::Flags::PRIVATE, i32::MAX as u32);
    }
}
