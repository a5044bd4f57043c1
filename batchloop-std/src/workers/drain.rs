//! When a drain is over.
//!
//! Each worker that has nothing to do puts down, before it sleeps, how its last turn went: what its counters were when
//! that turn began, and whether the entry point expected more. When it wakes up it takes that back. So while every worker
//! sleeps the whole is known, and the drain is over if
//!
//! * each worker has put down a turn that began during the drain and came to its end (one that panicked does not lead to
//!   a sleep),
//! * none of the counters has moved since the turn that looked at it,
//! * no worker expects more, and
//! * no state lives.
//!
//! The worker that goes to sleep last sees whether these hold. A later change ends the sleep of a worker: a state that
//! starts and one that ends (its slot [rings](batchloop_core::Machine::ring_when_freed)) count a change, and so does
//! whatever ends an expectation.
//!
//! A change calls one of the workers that serve its workload. What others put down is then out of date, and a turn of
//! theirs is missing. They are called if nothing but that stands in the way, or if it may end what they expect.

use std::sync::PoisonError;

use batchloop_core::{Machine, Shared, Watch};

use super::parking_lot::ParkingLot;
use crate::sleep::futex::{Mutex, MutexGuard};

/// How the last turn went of a worker that goes to sleep.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastTurn {
    /// Of the turn.
    pub(super) watch: Watch,
    /// What the entry point said in that turn.
    pub(super) expects_more: bool,
}

/// What the workers have put down, by index.
#[derive(Debug)]
pub(super) struct Drain {
    lot: &'static ParkingLot,
    last_turns: Mutex<Vec<Option<LastTurn>>>,
}

impl Drain {
    /// For so many workers, all awake.
    pub(super) fn new(lot: &'static ParkingLot, workers: usize) -> Self {
        Drain {
            lot,
            last_turns: Mutex::new(vec![None; workers]),
        }
    }

    /// A worker is about to sleep, after a whole turn of the drain. Returns whether the drain is over.
    ///
    /// Its space in the lot must be marked, so that it can be called from now on; the lock here publishes the mark.
    pub(super) fn put_down<T>(
        &self,
        index: usize,
        last: LastTurn,
        machine: &Machine<T, Shared>,
    ) -> bool {
        let mut last_turns = self.last_turns();
        last_turns[index] = Some(last);
        let expects = |last: &Option<LastTurn>| last.is_none_or(|last| last.expects_more);
        let nothing_lives = !last_turns.iter().any(expects) && is_empty(machine);
        let mut is_over = nothing_lives;
        for (index, last) in last_turns.iter().enumerate() {
            let Some(last) = last else { continue };
            if (nothing_lives || last.expects_more) && last.watch.is_due() {
                is_over = false;
                self.lot.call(index);
            }
        }
        is_over
    }

    /// A worker has woken up.
    pub(super) fn take_back(&self, index: usize) {
        self.last_turns()[index] = None;
    }

    fn last_turns(&self) -> MutexGuard<'_, Vec<Option<LastTurn>>> {
        // Nothing that can panic leaves it half-changed.
        self.last_turns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nothing lives. If something does, the next slot that is given back counts a change.
///
/// Only the worker that goes to sleep last asks for that: otherwise one that reserves a slot in each turn and gives it
/// back would wake the others for nothing, and they would wake it.
fn is_empty<T>(machine: &Machine<T, Shared>) -> bool {
    if machine.live() > 0 {
        machine.ring_when_freed();
    }
    machine.live() == 0
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod interleavings;
