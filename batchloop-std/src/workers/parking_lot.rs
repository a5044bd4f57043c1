//! Where idle workers park, and the bells that end the sleep of one worker instead of all.
//!
//! A worker marks its space `PARKED` before it announces itself to its counters ([`Watch::sleep`]). A ringer that sees
//! the announcement therefore finds the mark. It exchanges the mark for `CALLED` at the first space whose worker serves
//! the workload, and wakes that worker alone: it runs a whole turn, which begins after the ring, so it sees what was rung
//! for. If there is no mark, all workers that had announced themselves have been called already or are leaving, and
//! their turns begin later too.

use core::ops::BitOr;

use batchloop_core::{Access, Bell, Machine, Watch, Workloads, sleep::BellTaken};

use crate::sleep::futex::{Futex, Ordering, fence};

const AWAKE: u32 = 0;
const PARKED: u32 = 1;
const CALLED: u32 = 2;

/// The space of one worker.
#[derive(Debug)]
struct Space {
    word: Futex,
    /// The workloads of the worker, as bits; none while there is no worker.
    serves: Futex,
}

impl Space {
    fn serves(&self) -> Workloads {
        // ORDERING: Relaxed; set before the worker starts.
        Workloads::from_bits(self.serves.load(Ordering::Relaxed) as u8)
    }

    /// Wakes the worker if it is parked.
    fn call(&self) -> bool {
        // ORDERING: AcqRel; the partner is the swap in `ParkingLot::park`, so that the worker's next turn sees what the
        // caller did.
        let called = self
            .word
            .compare_exchange(PARKED, CALLED, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if called {
            self.word.wake_one();
        }
        called
    }
}

/// The spaces of all workers of a machine. It lives as long as the machine, because ringers may use it at any time.
#[derive(Debug)]
pub(super) struct ParkingLot {
    spaces: Box<[Space]>,
    /// The workloads whose changes are rung for here.
    workloads: Workloads,
}

/// The bell of one counter.
#[derive(Debug)]
struct CounterBell {
    lot: &'static ParkingLot,
    /// The workloads that share the counter.
    workloads: Workloads,
}

impl Bell for CounterBell {
    fn ring(&self) {
        let mut wanted = self.workloads;
        for space in &self.lot.spaces {
            // One worker for each workload that the change may be for.
            if space.serves().intersects(wanted) && space.call() {
                wanted = wanted.without(space.serves());
            }
        }
    }
}

impl ParkingLot {
    /// Spaces for so many workers, and bells for the counters of these workloads.
    ///
    /// # Errors
    ///
    /// [`BellTaken`] if one of them has a bell: nothing has changed then.
    pub(super) fn of<T, A: Access>(
        machine: &Machine<T, A>,
        workloads: Workloads,
        workers: usize,
    ) -> Result<&'static ParkingLot, BellTaken> {
        // What has a bell now will always have it. So nothing is leaked for a machine that is taken.
        let is_taken = |workload| machine.counter_of(workload).has_bell();
        if workloads.iter().any(is_taken) {
            return Err(BellTaken);
        }
        let space = || Space {
            word: Futex::new(AWAKE),
            serves: Futex::new(0),
        };
        let sharing = workloads.iter().map(|workload| machine.sharing(workload));
        let lot: &'static ParkingLot = Box::leak(Box::new(ParkingLot {
            spaces: (0..workers).map(|_| space()).collect(),
            workloads: sharing.fold(Workloads::NONE, BitOr::bitor),
        }));
        machine.set_bells(workloads, |first| {
            let workloads = machine.sharing(first);
            Box::leak(Box::new(CounterBell { lot, workloads }))
        })?;
        Ok(lot)
    }

    /// The workloads whose changes end a sleep here. Those of others have other bells.
    pub(super) fn workloads(&self) -> Workloads {
        self.workloads
    }

    pub(super) fn len(&self) -> usize {
        self.spaces.len()
    }

    /// Says what the worker of a space serves.
    pub(super) fn assign(&self, index: usize, serves: Workloads) {
        self.spaces[index]
            .serves
            .store(serves.bits().into(), Ordering::Relaxed);
    }

    /// Sleeps until something changes for the watch, or until the worker is called. May return early. Returns whether
    /// it slept.
    ///
    /// `stay_awake` is asked after the space is marked: if what it looks at changes later, [`call_all`](Self::call_all)
    /// ends the sleep.
    pub(super) fn park(&self, index: usize, watch: &Watch, stay_awake: impl Fn() -> bool) -> bool {
        let word = &self.spaces[index].word;
        // ORDERING: Release; the partner is the exchange in `call`. `Watch::sleep` orders it before the comparison.
        word.store(PARKED, Ordering::Release);
        let slept = watch.sleep(|| {
            if !stay_awake() {
                word.wait(PARKED);
            }
        });
        // ORDERING: AcqRel; the partner is the exchange in `call`.
        word.swap(AWAKE, Ordering::AcqRel);
        slept.is_some()
    }

    /// Ends one worker's sleep, or the one that it is about to begin. The caller must have seen the mark of its space, or
    /// something that the worker did after setting it: there is no fence here that would order the two.
    pub(super) fn call(&self, index: usize) {
        self.spaces[index].call();
    }

    /// Ends the sleep of every worker, or the one that it is about to begin.
    pub(super) fn call_all(&self) {
        // ORDERING: the partner is the fence in `Watch::sleep`: either this sees the mark, or `stay_awake` sees what the
        // caller has changed.
        fence(Ordering::SeqCst);
        for space in &self.spaces {
            space.call();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod interleavings;
