//! Where idle workers park, and the bells that end one worker's sleep and not everybody's.
//!
//! A worker marks its place `PARKED` before it announces itself to its counters ([`Watch::sleep`]). A ringer that sees
//! the announcement therefore finds the mark. It exchanges the mark for `CALLED` at the first place that serves the
//! workload, and wakes that worker alone: it runs a whole turn, which begins after the ring, so it sees what was rung
//! for. If there is no mark, all who had announced themselves have been called already or are leaving, and their turns
//! begin later too.

use core::ops::BitOr;

use batchloop_core::{Access, Bell, BellTaken, Machine, Watch, Workloads};

use crate::futex::{Ordering, Word, fence};

const AWAKE: u32 = 0;
const PARKED: u32 = 1;
const CALLED: u32 = 2;

/// One worker's place.
#[derive(Debug)]
struct Place {
    word: Word,
    /// The workloads of the worker, as bits; none while there is no worker.
    serves: Word,
}

impl Place {
    fn serves(&self) -> Workloads {
        // ORDERING: Relaxed; set before the worker starts.
        Workloads::from_bits(self.serves.load(Ordering::Relaxed) as u8)
    }

    /// Wakes the worker if it is parked.
    fn call(&self) -> bool {
        // ORDERING: AcqRel; the partner is the swap in `Lot::park`, so that the worker's next turn sees what the
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

/// The places of all workers of a machine. It lives as long as the machine, for ringers may use it at any time.
#[derive(Debug)]
pub(crate) struct Lot {
    places: Box<[Place]>,
    /// The workloads whose changes are rung for here.
    workloads: Workloads,
}

/// The bell of one counter.
#[derive(Debug)]
struct LotBell {
    lot: &'static Lot,
    /// The workloads that share the counter.
    workloads: Workloads,
}

impl Bell for LotBell {
    fn ring(&self) {
        let mut wanted = self.workloads;
        for place in &self.lot.places {
            // One worker for each workload that the change may be for.
            if place.serves().intersects(wanted) && place.call() {
                wanted = wanted.without(place.serves());
            }
        }
    }
}

impl Lot {
    /// Places for so many workers, and bells for the counters of these workloads.
    ///
    /// # Errors
    ///
    /// [`BellTaken`] if one of them has a bell: nothing has changed then.
    pub(crate) fn of<T, A: Access>(
        machine: &Machine<T, A>,
        workloads: Workloads,
        places: usize,
    ) -> Result<&'static Lot, BellTaken> {
        // What has a bell now will always have it. So nothing is leaked for a machine that is taken.
        let is_taken = |workload| machine.counter_of(workload).has_bell();
        if workloads.iter().any(is_taken) {
            return Err(BellTaken);
        }
        let place = || Place {
            word: Word::new(AWAKE),
            serves: Word::new(0),
        };
        let sharing = workloads.iter().map(|workload| machine.sharing(workload));
        let lot: &'static Lot = Box::leak(Box::new(Lot {
            places: (0..places).map(|_| place()).collect(),
            workloads: sharing.fold(Workloads::NONE, BitOr::bitor),
        }));
        machine.set_bells(workloads, |first| {
            let workloads = machine.sharing(first);
            Box::leak(Box::new(LotBell { lot, workloads }))
        })?;
        Ok(lot)
    }

    /// The workloads whose changes end a sleep here. Those of others have other bells.
    pub(crate) fn workloads(&self) -> Workloads {
        self.workloads
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Says what the worker at a place serves.
    pub(crate) fn assign(&self, place: usize, serves: Workloads) {
        self.places[place]
            .serves
            .store(serves.bits().into(), Ordering::Relaxed);
    }

    /// Sleeps until something changes for the watch, or until the worker is called. May return early. Answers whether
    /// it slept.
    ///
    /// `stay_awake` is asked after the place is marked: if what it looks at changes later, [`call_all`](Self::call_all)
    /// ends the sleep.
    pub(crate) fn park(&self, place: usize, watch: &Watch, stay_awake: impl Fn() -> bool) -> bool {
        let word = &self.places[place].word;
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

    /// Ends one worker's sleep, or the one that it is about to begin. Its place must have been seen marked, or what was done
    /// behind the mark: there is no fence here that would order the two.
    pub(crate) fn call(&self, place: usize) {
        self.places[place].call();
    }

    /// Ends everybody's sleep, or the next one if it is about to begin.
    pub(crate) fn call_all(&self) {
        // ORDERING: the partner is the fence in `Watch::sleep`: either this sees the mark, or `stay_awake` sees what the
        // caller has changed.
        fence(Ordering::SeqCst);
        for place in &self.places {
            place.call();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod interleavings;
