//! What the workers of one run do and share.

use std::{
    any::Any,
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use batchloop_core::{Driver, Progress, Shared, Turn, Workloads};
use rustix::{
    thread::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
};

use super::{
    drain::{Drain, LastTurn},
    parking_lot::ParkingLot,
    policy::{OnPanic, Stop},
    report::{PANICS, Panic, RunError, WorkerReport},
    role::Role,
    running::{DRAINING, LEAVING, Running, WORKING},
    worker::Worker,
};
use crate::sleep::patience::Patience;

/// What the workers of one run share.
#[derive(Debug)]
pub(super) struct Pool<'env> {
    lot: &'static ParkingLot,
    on_panic: OnPanic,
    running: Running<'env>,
    drain: Drain,
    present: Mutex<usize>,
    gone: Condvar,
    failure: Mutex<Option<RunError>>,
    panics: Mutex<Panics>,
}

#[derive(Debug, Default)]
struct Panics {
    count: u64,
    first: Vec<Panic>,
}

/// Ends the workers even if `main` panics.
pub(super) struct LeaveOnDrop<'a, 'env>(&'a Pool<'env>);

impl Drop for LeaveOnDrop<'_, '_> {
    fn drop(&mut self) {
        self.0.running.forget();
        self.0.enter(LEAVING);
    }
}

/// The mutex's value; a panic while it was held has left nothing half-changed.
fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'env> Pool<'env> {
    pub(super) fn new(lot: &'static ParkingLot, on_panic: OnPanic, workers: usize) -> Self {
        Pool {
            lot,
            on_panic,
            running: Running::new(),
            drain: Drain::new(lot, workers),
            present: Mutex::new(workers),
            gone: Condvar::new(),
            failure: Mutex::default(),
            panics: Mutex::default(),
        }
    }

    pub(super) fn leave_on_drop(&self) -> LeaveOnDrop<'_, 'env> {
        LeaveOnDrop(self)
    }

    pub(super) fn running(&self) -> &Running<'env> {
        &self.running
    }

    /// Phases only go forward.
    fn enter(&self, phase: u32) {
        let panics = self.running.enter(phase);
        self.lot.call_all();
        for panic in panics {
            self.note(thread::current().name().unwrap_or_default(), panic);
        }
    }

    /// Ends the workers as `main` has said, and waits for those that drain.
    pub(super) fn end(&self, stop: Stop) {
        self.running.forget();
        let patience = match stop {
            Stop::Cancel | Stop::Leave => return,
            Stop::Drain => None,
            Stop::DrainFor(patience) => Some(patience),
        };
        self.enter(DRAINING);
        let some_left = |present: &mut usize| *present > 0;
        let present = lock(&self.present);
        match patience {
            None => drop(self.gone.wait_while(present, some_left)),
            Some(patience) => drop(self.gone.wait_timeout_while(present, patience, some_left)),
        }
    }

    fn fail(&self, failure: RunError) {
        lock(&self.failure).get_or_insert(failure);
        self.enter(LEAVING);
    }

    /// The first failure, if there was one.
    pub(super) fn failed(&self) -> Result<(), RunError> {
        lock(&self.failure).take().map_or(Ok(()), Err)
    }

    /// The first panics, and how many there were in all.
    pub(super) fn panics(&self) -> (Vec<Panic>, u64) {
        let panics = mem::take(&mut *lock(&self.panics));
        (panics.first, panics.count)
    }

    /// One worker's life.
    pub(super) fn work<T: Send>(
        &self,
        index: usize,
        role: Role,
        driver: Driver<T, Shared>,
        entry: &impl for<'t> Fn(&mut Turn<'t, T, Shared>, &Worker),
    ) -> WorkerReport {
        let start = Instant::now();
        let mut report = WorkerReport {
            name: role.name,
            serves: role.serves,
            turns: 0,
            sleeps: 0,
            worked: Duration::ZERO,
            lived: Duration::ZERO,
        };
        match role.core.map_or(Ok(()), pin) {
            Ok(()) => self.turns(index, driver, entry, &mut report),
            Err(error) => self.fail(RunError::Pin(error)),
        }
        self.lot.assign(index, Workloads::NONE);
        *lock(&self.present) -= 1;
        self.gone.notify_all();
        // A worker that was not called, because this one was, looks again.
        self.lot.call_all();
        report.lived = start.elapsed();
        report.worked = processor_time();
        report
    }

    fn turns<T: Send>(
        &self,
        index: usize,
        mut driver: Driver<T, Shared>,
        entry: &impl for<'t> Fn(&mut Turn<'t, T, Shared>, &Worker),
        report: &mut WorkerReport,
    ) {
        let mut patience = Patience::new();
        loop {
            let phase = self.running.phase();
            let worker = Worker::new(index, driver.serves(), phase != WORKING);
            report.turns += 1;
            let turn = AssertUnwindSafe(|| driver.turn(|cx| entry(cx, &worker)));
            let progress = match catch_unwind(turn) {
                Ok(Ok(progress)) => progress,
                Ok(Err(fault)) => return self.fail(RunError::Fault(fault)),
                Err(panic) => {
                    self.note(&report.name, panic);
                    Progress::More
                }
            };
            if driver.is_stopped() {
                self.enter(LEAVING);
            }
            if self.running.has_ended() {
                return;
            }
            let watch = driver.watch();
            if patience.wait(&watch, progress) {
                let last = LastTurn {
                    watch,
                    expects_more: worker.expects_more(),
                };
                let slept = self.lot.park(index, &watch, || {
                    self.stays_awake(index, phase, last, &driver)
                });
                self.drain.take_back(index);
                if slept {
                    report.sleeps += 1;
                }
            }
        }
    }

    /// Whether a worker, whose space in the lot is marked, has to look at the phase again before it sleeps. A change of the phase after
    /// this ends the sleep.
    fn stays_awake<T: Send>(
        &self,
        index: usize,
        phase: u32,
        last: LastTurn,
        driver: &Driver<T, Shared>,
    ) -> bool {
        // A drain that has begun since the turn did has not had a turn of this worker.
        if self.running.phase() != phase {
            return true;
        }
        if phase != DRAINING {
            return false;
        }
        let is_over = self.drain.put_down(index, last, driver);
        if is_over {
            self.enter(LEAVING);
        }
        is_over
    }

    /// Notes a panic, and what it said.
    pub(super) fn note(&self, worker: &str, panic: Box<dyn Any + Send>) {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        discard(panic);
        let panic = Panic {
            worker: worker.to_string(),
            message: text.unwrap_or_else(|| "a panic without a message".to_string()),
        };
        match self.on_panic {
            OnPanic::GoOn => {
                let mut panics = lock(&self.panics);
                panics.count += 1;
                if panics.first.len() < PANICS {
                    panics.first.push(panic);
                }
            }
            OnPanic::Stop => self.fail(RunError::Panicked(panic)),
        }
    }
}

/// Drops what a panic carries, which may panic itself.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // There is no end to what dropping this one may do, so it is leaked.
        mem::forget(another);
    }
}

fn pin(core: usize) -> io::Result<()> {
    if core >= CpuSet::MAX_CPU {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

/// What this thread has had of a processor; workers are threads of their own.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
