//! The bell of a multiplexer, which costs one system call for each sleep that it ends.

use batchloop_core::Bell;

use crate::ground::sync::{AtomicBool, Ordering};

/// Rings another bell once between two calls of [`renew`](Self::renew), however often it is rung.
///
/// No ring is lost. A ringer counts its change, then comes a fence, then it exchanges the flag. The sleeper renews, then
/// comes a fence, then it compares the counters. One of the fences is first. If it is the ringer's, the comparison sees the
/// change. If it is the sleeper's, the exchange comes after the renewal: it finds the flag clear and rings, or another
/// ringer has done so since the renewal, and rings.
#[derive(Debug)]
pub(crate) struct OneRing<B> {
    rung: AtomicBool,
    bell: B,
}

impl<B> OneRing<B> {
    pub(crate) fn new(bell: B) -> Self {
        OneRing {
            rung: AtomicBool::new(false),
            bell,
        }
    }

    /// From now on the next ring counts. For the sleeper, before it compares the counters.
    pub(crate) fn renew(&self) {
        // ORDERING: Relaxed; the fence is in `Watch::announce`.
        self.rung.store(false, Ordering::Relaxed);
    }

    pub(crate) fn bell(&self) -> &B {
        &self.bell
    }
}

impl<B: Bell> Bell for OneRing<B> {
    fn ring(&self) {
        // ORDERING: Relaxed; the fence is in `ChangeCounter::ring`.
        if !self.rung.swap(true, Ordering::Relaxed) {
            self.bell.ring();
        }
    }
}

#[cfg(all(test, loom))]
mod interleavings;
