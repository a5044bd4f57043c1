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

    /// Called after each turn. Returns whether to sleep now.
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

#[cfg(all(test, not(loom)))]
mod tests {
    use batchloop_core::{Capacity, Machine};

    use super::*;

    /// How often it waits until it says that it is time to sleep.
    fn rounds(patience: &mut Patience, watch: &Watch) -> u32 {
        let mut rounds = 1;
        while !patience.wait(watch, Progress::Quiet) {
            rounds += 1;
            assert!(rounds < 1000, "it never sleeps");
        }
        rounds
    }

    #[test]
    fn it_spins_then_yields_then_sleeps_and_starts_again() {
        let machine: Machine<u8> = Machine::heap(Capacity::slots(1));
        let mut driver = machine.driver().unwrap();
        driver.turn(|_| ()).unwrap();
        let watch = driver.watch();
        let mut patience = Patience::new();
        let whole = Backoff::LIMIT + YIELDS + 1;
        for _ in 0..3 {
            assert_eq!(rounds(&mut patience, &watch), whole);
        }
        // What there was to do makes it patient again, wherever it was.
        for before in 0..whole - 1 {
            for _ in 0..before {
                assert!(!patience.wait(&watch, Progress::Quiet));
            }
            assert!(!patience.wait(&watch, Progress::More));
            assert_eq!(rounds(&mut patience, &watch), whole);
        }
        for _ in 0..whole - 1 {
            assert!(!patience.wait(&watch, Progress::Quiet));
        }
        machine.counter().ring();
        for _ in 0..2 * whole {
            assert!(
                !patience.wait(&watch, Progress::Quiet),
                "something has changed"
            );
        }
        driver.turn(|_| ()).unwrap();
        assert_eq!(rounds(&mut patience, &driver.watch()), whole);
    }
}
