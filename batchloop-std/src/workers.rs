//! Threads that run one entry point on one machine, each for its kinds of work.

use std::{
    any::Any,
    cell::Cell,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use batchloop_core::{
    BellTaken, Driver, Machine, Progress, Shared, SignalError, Turn, Workload, Workloads,
};
use rustix::{
    thread::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
};

use crate::{
    futex::{Ordering, Word},
    idle::Patience,
    lot::Lot,
    report::{PANICS, Panic, Report, RunError, WorkerReport},
};

/// What a worker is to be.
#[derive(Clone, Debug)]
pub struct Role {
    name: String,
    serves: Workloads,
    core: Option<usize>,
}

impl Role {
    /// A worker of this name that serves these workloads.
    pub fn new(name: impl Into<String>, serves: impl Into<Workloads>) -> Self {
        Role {
            name: name.into(),
            serves: serves.into(),
            core: None,
        }
    }

    /// Keeps the worker on one core.
    #[must_use]
    pub fn pinned(mut self, core: usize) -> Self {
        self.core = Some(core);
        self
    }
}

/// What happens when a closure of the entry point panics. The state that it worked on has ended either way, and the
/// others of its batch are at their points, active.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnPanic {
    /// The panic is noted in the [`Report`], and the worker goes on.
    #[default]
    GoOn,
    /// All workers leave, and [`Workers::run`] answers [`RunError::Panicked`].
    Stop,
}

/// How the workers end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// When no state lives any more, and a turn has passed without [`Worker::expect_more`]. The program should start
    /// nothing new: [`Worker::is_draining`] tells it.
    Drain,
    /// As `Drain`, but not later than this; what still lives then is released.
    DrainFor(Duration),
    /// At once, after the turns that run; what still lives is released.
    Cancel,
    /// At once, after the turns that run; what still lives stays in the machine.
    Leave,
}

/// Threads that run one entry point on one [`Shared`] machine.
///
/// A change wakes one parked worker that serves the workload of the change, and not all. For that the machine needs a
/// counter for each workload; see [`Capacity::workloads`](batchloop_core::Capacity::workloads). A worker that leaves
/// states behind at a point, because its batch was full, wakes another.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use batchloop_std::{
///     Capacity, Machine, Role, Shared, Step, Stop, Turn, Worker, Workers, Workload, point,
/// };
///
/// struct Picture { pixels: Vec<u8>, sum: usize }
///
/// fn entry(cx: &mut Turn<'_, Picture, Shared>, sums: &AtomicUsize) {
///     let new = cx.arrivals();
///     let added = cx.stage(point!("add", Workload::CPU), new).for_each(|picture, _| {
///         picture.sum = picture.pixels.iter().map(|pixel| usize::from(*pixel)).sum();
///     });
///     cx.stage(point!("store", Workload::IO), added).advance(|picture, _| {
///         sums.fetch_add(picture.sum, Ordering::Relaxed);
///         Step::Release
///     });
/// }
///
/// let sums = AtomicUsize::new(0);
/// let machine = Machine::heap(Capacity::slots(100).drivers(3).workloads(2));
/// let mut workers = Workers::new(machine)?;
/// workers.add(Role::new("io", Workload::IO));
/// workers.add(Role::new("cpu 0", Workload::CPU));
/// workers.add(Role::new("cpu 1", Workload::CPU));
/// let report = workers.run(
///     |cx, _| entry(cx, &sums),
///     || {
///         for _ in 0..100 {
///             machine.allocate(Picture { pixels: vec![1; 50], sum: 0 }).expect("there is room");
///         }
///         Stop::Drain
///     },
/// )?;
/// assert_eq!(sums.into_inner(), 5000);
/// assert_eq!(report.workers.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Workers<T: 'static> {
    machine: Machine<T, Shared>,
    lot: &'static Lot,
    roles: Vec<Role>,
    on_panic: OnPanic,
}

/// How many workers a machine can have: the bits of a word, as its drivers.
const PLACES: usize = usize::BITS as usize;

impl<T: Send> Workers<T> {
    /// No workers yet, for this machine. It gets its bells, which are for ever.
    ///
    /// # Errors
    ///
    /// [`BellTaken`] if it has bells already.
    pub fn new(machine: Machine<T, Shared>) -> Result<Self, BellTaken> {
        Ok(Workers {
            machine,
            lot: Lot::of(&machine, PLACES)?,
            roles: Vec::new(),
            on_panic: OnPanic::default(),
        })
    }

    /// One worker more.
    pub fn add(&mut self, role: Role) -> &mut Self {
        self.roles.push(role);
        self
    }

    /// What happens when a closure panics.
    pub fn on_panic(&mut self, policy: OnPanic) -> &mut Self {
        self.on_panic = policy;
        self
    }

    /// Starts the workers, runs `main` on this thread meanwhile, and then ends the workers as `main` says. All have
    /// ended when it returns.
    ///
    /// A worker whose entry point calls [`Context::stop`](batchloop_core::Context::stop) ends all, as [`Stop::Leave`]
    /// does, but `main` is waited for. If `main` panics, so do the workers leave, and the panic goes on.
    ///
    /// # Errors
    ///
    /// [`RunError`]. No thread is left behind.
    pub fn run<E, M>(&mut self, entry: E, main: M) -> Result<Report, RunError>
    where
        E: for<'t> Fn(&mut Turn<'t, T, Shared>, &Worker) + Sync,
        M: FnOnce() -> Stop,
    {
        let machine = self.machine;
        let mut drivers = Vec::new();
        for role in self.by_speciality()? {
            let driver = machine.driver_for(role.serves).map_err(RunError::Drivers)?;
            drivers.push((role, driver));
        }
        let pool = Pool {
            lot: self.lot,
            on_panic: self.on_panic,
            phase: Word::new(WORKING),
            present: Mutex::new(drivers.len()),
            gone: Condvar::new(),
            failure: Mutex::default(),
            panics: Mutex::default(),
        };
        for place in 0..self.lot.len() {
            let serves = drivers.get(place).map(|(_, driver)| driver.serves());
            self.lot.assign(place, serves.unwrap_or(Workloads::NONE));
        }
        let mut report = thread::scope(|scope| {
            let leaver = LeaveOnDrop(&pool);
            let mut threads = Vec::new();
            for (place, (role, driver)) in drivers.into_iter().enumerate() {
                let (pool, entry) = (&pool, &entry);
                let thread = thread::Builder::new().name(role.name.clone());
                let work = move || pool.work(place, role, driver, entry);
                threads.push(thread.spawn_scoped(scope, work).map_err(RunError::Thread)?);
            }
            let stop = main();
            pool.end(stop);
            drop(leaver);
            let workers = threads.into_iter().filter_map(|thread| thread.join().ok());
            let workers = workers.collect();
            Ok(Report {
                workers,
                panics: Vec::new(),
                panicked: 0,
                released: match stop {
                    Stop::Cancel | Stop::DrainFor(_) => release_all(machine),
                    Stop::Drain | Stop::Leave => 0,
                },
            })
        })?;
        let panics = std::mem::take(&mut *lock(&pool.panics));
        (report.panics, report.panicked) = (panics.first, panics.count);
        match lock(&pool.failure).take() {
            Some(failure) => Err(failure),
            None => Ok(report),
        }
    }

    /// The roles, those with the fewest workloads first, so that a ringer finds the most specialised worker.
    fn by_speciality(&self) -> Result<Vec<Role>, RunError> {
        let mut roles = self.roles.clone();
        if !roles.iter().any(|role| role.serves.contains(Workload::IO)) {
            return Err(RunError::NobodyServesIo);
        }
        roles.sort_by_key(|role| role.serves.iter().count());
        Ok(roles)
    }
}

/// Ends what still lives.
fn release_all<T>(machine: Machine<T, Shared>) -> usize {
    let mut released = 0;
    for handle in machine.handles() {
        // A hook on another thread may have the state for a moment.
        while let Err(SignalError::Busy(())) = machine.release(handle) {
            thread::yield_now();
        }
        released += 1;
    }
    released
}

/// The mutex's value; a panic while it was held has left nothing half-changed.
fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const WORKING: u32 = 0;
const DRAINING: u32 = 1;
const LEAVING: u32 = 2;

/// What the workers of one run share.
#[derive(Debug)]
struct Pool {
    lot: &'static Lot,
    on_panic: OnPanic,
    phase: Word,
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

/// Ends the workers also where `main` panics.
struct LeaveOnDrop<'a>(&'a Pool);

impl Drop for LeaveOnDrop<'_> {
    fn drop(&mut self) {
        self.0.enter(LEAVING);
    }
}

impl Pool {
    fn phase(&self) -> u32 {
        // ORDERING: Acquire; the partner is the Release in `enter`.
        self.phase.load(Ordering::Acquire)
    }

    /// Phases only go forward.
    fn enter(&self, phase: u32) {
        self.phase.fetch_max(phase, Ordering::Release);
        self.lot.call_all();
    }

    /// Ends the workers, and waits for those that drain.
    fn end(&self, stop: Stop) {
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

    /// One worker's life.
    fn work<T: Send>(
        &self,
        place: usize,
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
            Ok(()) => self.turns(place, driver, entry, &mut report),
            Err(error) => self.fail(RunError::Pin(error)),
        }
        self.lot.assign(place, Workloads::NONE);
        *lock(&self.present) -= 1;
        self.gone.notify_all();
        // Whoever was called in this worker's stead looks again.
        self.lot.call_all();
        report.lived = start.elapsed();
        report.worked = processor_time();
        report
    }

    fn turns<T: Send>(
        &self,
        place: usize,
        mut driver: Driver<T, Shared>,
        entry: &impl for<'t> Fn(&mut Turn<'t, T, Shared>, &Worker),
        report: &mut WorkerReport,
    ) {
        let mut patience = Patience::new();
        loop {
            let phase = self.phase();
            let worker = Worker {
                index: place,
                serves: driver.serves(),
                draining: phase != WORKING,
                more: Cell::new(false),
            };
            report.turns += 1;
            let turn = AssertUnwindSafe(|| driver.turn(|cx| entry(cx, &worker)));
            let progress = match catch_unwind(turn) {
                Ok(Ok(progress)) => progress,
                Ok(Err(fault)) => return self.fail(RunError::Fault(fault)),
                Err(panic) => {
                    self.note(&report.name, &*panic);
                    Progress::More
                }
            };
            if driver.is_stopped() {
                self.enter(LEAVING);
            }
            match self.phase() {
                LEAVING => return,
                DRAINING if driver.live() == 0 && !worker.more.get() => return self.enter(LEAVING),
                _ => {}
            }
            let watch = driver.watch();
            if patience.wait(&watch, progress) {
                // A drain that has begun, or has come to its end, since the phase was read is not slept through.
                let stay_awake = || {
                    if phase == DRAINING {
                        driver.ring_when_freed();
                    }
                    let drained = driver.live() == 0 && !worker.more.get();
                    self.phase() != phase || (phase == DRAINING && drained)
                };
                report.sleeps += u64::from(self.lot.park(place, &watch, stay_awake));
            }
        }
    }

    fn note(&self, worker: &str, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
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

/// The worker that runs a turn.
#[derive(Debug)]
pub struct Worker {
    index: usize,
    serves: Workloads,
    draining: bool,
    more: Cell<bool>,
}

impl Worker {
    /// Its number, from 0; the most specialised workers come first.
    pub fn index(&self) -> usize {
        self.index
    }

    /// What it serves.
    pub fn serves(&self) -> Workloads {
        self.serves
    }

    /// There is work that has no state yet, says the entry point: a drain does not end with this turn.
    pub fn expect_more(&self) {
        self.more.set(true);
    }

    /// Whether the workers are to end when nothing lives any more: the program should start nothing new.
    pub fn is_draining(&self) -> bool {
        self.draining
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
