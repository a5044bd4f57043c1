//! Threads that run one entry point on one machine, each for its kinds of work.

mod drain;
mod parking_lot;
mod policy;
mod pool;
mod release;
mod report;
mod role;
mod running;
mod worker;

use std::{io, panic, thread};

use batchloop_core::{Machine, Shared, Turn, Workload, Workloads, sleep::BellTaken};

use parking_lot::ParkingLot;
use pool::Pool;
use release::release_all;

pub use policy::{OnPanic, Stop};
pub use report::{Panic, Report, RunError, WorkerReport};
pub use role::Role;
pub use running::Running;
pub use worker::Worker;

/// Threads that run one entry point on one [`Shared`] machine.
///
/// A change wakes one parked worker that serves the workload of the change, and not all of them. For that the machine needs
/// a counter for each workload; see [`Capacity::workloads`](batchloop_core::Capacity::workloads). A worker that leaves
/// states behind at a point, because its batch was full, wakes another one.
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
    lot: &'static ParkingLot,
    roles: Vec<Role>,
    on_panic: OnPanic,
}

/// How many workers a machine can have: as many as a word has bits, as with its drivers.
const SPACES: usize = usize::BITS as usize;

impl<T: Send> Workers<T> {
    /// Makes a set of workers for this machine, still empty. They can serve each [`Workload`] whose change counter has no
    /// bell yet; the others are served elsewhere. The counters get their bells here, and keep them for ever.
    ///
    /// # Errors
    ///
    /// [`BellTaken`] if all counters have bells already.
    pub fn new(machine: Machine<T, Shared>) -> Result<Self, BellTaken> {
        let is_left = |workload: &Workload| !machine.counter_of(*workload).has_bell();
        let left: Workloads = Workloads::ALL.iter().filter(is_left).collect();
        match left {
            Workloads::NONE => Err(BellTaken),
            left => Self::new_for(machine, left),
        }
    }

    /// Makes a set of workers, still empty, for these workloads and those that [share](Machine::sharing) their counters. The
    /// others are left, for example for a multiplexer of `batchloop-eventfd`:
    ///
    /// ```
    /// use batchloop_std::{Capacity, Machine, Role, Shared, Workers, Workload};
    ///
    /// let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(100).drivers(3).workloads(2));
    /// let mut computing = Workers::new_for(machine, Workload::CPU)?;
    /// computing.add(Role::new("cpu 0", Workload::CPU)).add(Role::new("cpu 1", Workload::CPU));
    /// // A multiplexer that the machine is added to now serves `Workload::IO`.
    /// assert!(!machine.counter_of(Workload::IO).has_bell());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BellTaken`] if one of the counters has a bell; nothing has changed then.
    pub fn new_for(
        machine: Machine<T, Shared>,
        workloads: impl Into<Workloads>,
    ) -> Result<Self, BellTaken> {
        Ok(Workers {
            machine,
            lot: ParkingLot::of(&machine, workloads.into(), SPACES)?,
            roles: Vec::new(),
            on_panic: OnPanic::default(),
        })
    }

    /// Adds a worker.
    pub fn add(&mut self, role: Role) -> &mut Self {
        self.roles.push(role);
        self
    }

    /// Sets what happens when the entry point panics.
    pub fn on_panic(&mut self, policy: OnPanic) -> &mut Self {
        self.on_panic = policy;
        self
    }

    /// Starts the workers, runs `main` on this thread meanwhile, and then ends the workers as `main` says. All have
    /// ended when it returns.
    ///
    /// As [`run_with`](Self::run_with), for a `main` that waits for nothing that only workers bring about: it is waited for
    /// even if they have ended.
    ///
    /// # Errors
    ///
    /// As `run_with`.
    pub fn run<E, M>(&mut self, entry: E, main: M) -> Result<Report, RunError>
    where
        E: for<'t> Fn(&mut Turn<'t, T, Shared>, &Worker) + Sync,
        M: FnOnce() -> Stop,
    {
        self.run_with(entry, |_| main())
    }

    /// Starts the workers, runs `main` on this thread meanwhile, and then ends the workers as `main` says. All have
    /// ended when it returns.
    ///
    /// A worker whose entry point calls [`Context::stop`](batchloop_core::Context::stop) ends all, as [`Stop::Leave`]
    /// does, and so does a worker that fails. `main` is waited for even then; [`Running`] tells it that the workers have
    /// ended. If `main` panics, the workers leave, and the panic goes on.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the workers cannot be started, or if one of them fails. No thread is left behind.
    pub fn run_with<'env, E, M>(&mut self, entry: E, main: M) -> Result<Report, RunError>
    where
        E: for<'t> Fn(&mut Turn<'t, T, Shared>, &Worker) + Sync,
        M: FnOnce(&Running<'env>) -> Stop,
    {
        let machine = self.machine;
        let mut drivers = Vec::new();
        for role in self.by_speciality()? {
            let driver = machine.driver_for(role.serves).map_err(RunError::Drivers)?;
            drivers.push((role, driver));
        }
        let pool = Pool::new(self.lot, self.on_panic, drivers.len());
        for index in 0..self.lot.len() {
            let serves = drivers.get(index).map(|(_, driver)| driver.serves());
            self.lot.assign(index, serves.unwrap_or(Workloads::NONE));
        }
        let (stop, workers) = thread::scope(|scope| {
            let leaver = pool.leave_on_drop();
            let mut threads = Vec::new();
            for (index, (role, driver)) in drivers.into_iter().enumerate() {
                let (pool, entry) = (&pool, &entry);
                let thread = named(&role.name).map_err(RunError::Thread)?;
                let work = move || pool.work(index, role, driver, entry);
                threads.push(thread.spawn_scoped(scope, work).map_err(RunError::Thread)?);
            }
            let stop = main(pool.running());
            pool.end(stop);
            drop(leaver);
            let join = |thread: thread::ScopedJoinHandle<'_, WorkerReport>| {
                // A panic of the program is caught in the worker; any other is a fault of this library.
                thread
                    .join()
                    .unwrap_or_else(|panic| panic::resume_unwind(panic))
            };
            Ok((stop, threads.into_iter().map(join).collect()))
        })?;
        pool.failed()?;
        let released = match stop {
            Stop::Cancel | Stop::DrainFor(_) => release_all(machine, |panic| {
                pool.note(thread::current().name().unwrap_or_default(), panic);
            }),
            Stop::Drain | Stop::Leave => 0,
        };
        pool.failed()?;
        let (panics, panicked) = pool.panics();
        Ok(Report {
            workers,
            panics,
            panicked,
            released,
            left: machine.live(),
        })
    }

    /// The roles, those with the fewest workloads first, so that a ringer finds the most specialised worker.
    fn by_speciality(&self) -> Result<Vec<Role>, RunError> {
        let mut roles = self.roles.clone();
        let ours = self.lot.workloads();
        let elsewhere = |role: &Role| role.serves.without(ours);
        if let Some(role) = roles.iter().find(|role| elsewhere(role) != Workloads::NONE) {
            return Err(RunError::OtherBell {
                worker: role.name.clone(),
                workloads: elsewhere(role),
            });
        }
        let serves_io = |role: &Role| role.serves.contains(Workload::IO);
        if ours.contains(Workload::IO) && !roles.iter().any(serves_io) {
            return Err(RunError::NoIoWorker);
        }
        if roles.is_empty() {
            return Err(RunError::NoWorkers);
        }
        roles.sort_by_key(|role| role.serves.iter().count());
        Ok(roles)
    }
}

/// The builder of a thread of this name.
fn named(name: &str) -> io::Result<thread::Builder> {
    if name.contains('\0') {
        let why = "the name of a thread contains a NUL character";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(thread::Builder::new().name(name.to_string()))
}

#[cfg(all(test, not(loom)))]
mod tests;
