//! When a drain is over.
//!
//! Each worker that has nothing to do puts down, before it sleeps, how its last turn went: what its counters were when
//! that turn began, and whether the entry point expected more. When it wakes up it takes that back. So while nobody is
//! awake the whole is known, and the drain is over if
//!
//! * each worker has put down a turn that began during the drain and came to its end (one that panicked does not lead to
//!   a sleep),
//! * none of the counters has moved since the turn that looked at it,
//! * nobody expects more, and
//! * no state lives.
//!
//! The worker that goes to sleep last sees whether it is so. A change later than that ends somebody's sleep: a state that
//! starts and one that ends (its slot [rings](batchloop_core::Machine::ring_when_freed)) count a change, and so does
//! whatever ends an expectation.
//!
//! A change calls one of the workers that serve its workload. What others put down is then out of date, and a turn of
//! theirs is missing. They are called if nothing but that stands in the way, or if it may end what they expect.

use std::sync::PoisonError;

use batchloop_core::{Machine, Shared, Watch};

use crate::{
    futex::{Mutex, MutexGuard},
    lot::Lot,
};

/// How the last turn of a worker went that goes to sleep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    /// Of the turn.
    pub(crate) watch: Watch,
    /// What the entry point said in that turn.
    pub(crate) expects_more: bool,
}

/// What all workers have put down, by place.
#[derive(Debug)]
pub(crate) struct Drain {
    lot: &'static Lot,
    rests: Mutex<Vec<Option<Rest>>>,
}

impl Drain {
    /// For so many workers, all awake.
    pub(crate) fn new(lot: &'static Lot, workers: usize) -> Self {
        Drain {
            lot,
            rests: Mutex::new(vec![None; workers]),
        }
    }

    /// The worker at this place is about to sleep, after a whole turn of the drain. Returns whether the drain is over.
    ///
    /// Its place must be marked, so that it can be called from now on; the lock here publishes the mark.
    pub(crate) fn rest<T>(&self, place: usize, rest: Rest, machine: &Machine<T, Shared>) -> bool {
        let mut rests = self.rests();
        rests[place] = Some(rest);
        let expects = |rest: &Option<Rest>| rest.is_none_or(|rest| rest.expects_more);
        let nothing_lives = !rests.iter().any(expects) && is_empty(machine);
        let mut is_over = nothing_lives;
        for (place, rest) in rests.iter().enumerate() {
            let Some(rest) = rest else { continue };
            if (nothing_lives || rest.expects_more) && rest.watch.is_due() {
                is_over = false;
                self.lot.call(place);
            }
        }
        is_over
    }

    /// The worker at this place has woken up.
    pub(crate) fn rise(&self, place: usize) {
        self.rests()[place] = None;
    }

    fn rests(&self) -> MutexGuard<'_, Vec<Option<Rest>>> {
        // Nothing that can panic leaves it half-changed.
        self.rests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nothing lives. If something does, the next slot that is given back counts a change.
///
/// Only the worker that rests last asks for that: one that reserves a slot in each turn and gives it back would else wake
/// the others for nothing, and they it.
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
