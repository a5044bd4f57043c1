//! How long to stay awake with nothing to do.

use std::thread;

use batchloop_core::{Backoff, Idle, Progress, Watch};

/// How often a driver gives the rest of its time slice away before it parks: enough for a waker on the same core to
/// run, which spinning would only delay.
const YIELDS: u32 = 3;

/// Spins, then yields, then says that it is time to sleep.
#[derive(Debug)]
pub(crate) struct Patience {
    backoff: Backoff,
    yields: u32,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Patience {
            backoff: Backoff::new(),
            yields: 0,
        }
    }

    /// Called after each turn. Answers whether to sleep now.
    pub(crate) fn wait(&mut self, watch: &Watch, progress: Progress) -> bool {
        if progress == Progress::More || watch.has_moved() {
            self.backoff.reset();
            self.yields = 0;
        } else if !self.backoff.is_spent() {
            self.backoff.idle(watch, progress);
        } else if self.yields < YIELDS {
            self.yields += 1;
            thread::yield_now();
        } else {
            self.backoff.reset();
            self.yields = 0;
            return true;
        }
        false
    }
}
