//! The bell of a multiplexer, which costs one system call for each sleep that it ends.

use batchloop_core::Bell;

use crate::sync::{AtomicBool, Ordering};

/// Rings another bell once between two calls of [`renew`](Self::renew), however often it is rung.
///
/// No ring is lost. A ringer counts its change first and exchanges the flag afterwards. If it finds the flag set, the
/// other bell is rung, or is about to be, by the one who set it; and if that was before the flag was renewed, `renew`
/// reads what this ringer or a later one wrote there, so the sleeper, who renews first and compares the counters
/// afterwards, finds the change.
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
        // ORDERING: Acquire; the partner is the Release in `ring`. An exchange, and not a store, because it must read
        // the last ring that it takes back.
        self.rung.swap(false, Ordering::AcqRel);
    }

    #[cfg(test)]
    pub(crate) fn bell(&self) -> &B {
        &self.bell
    }
}

impl<B: Bell> Bell for OneRing<B> {
    fn ring(&self) {
        // ORDERING: Release; the partner is the Acquire in `renew`.
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.bell.ring();
        }
    }
}

#[cfg(all(test, loom))]
mod interleavings;
