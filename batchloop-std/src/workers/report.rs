//! What workers did, and why they failed.

use std::{error, fmt, io, time::Duration};

use batchloop_core::{Fault, Workloads, turn::DriversTaken};

/// How many panics a report has in words; the others are only counted.
pub(super) const PANICS: usize = 64;

/// What the workers did.
#[derive(Clone, Debug)]
pub struct Report {
    /// Each worker; the most specialised come first.
    pub workers: Vec<WorkerReport>,
    /// The first 64 panics of the entry point, of [callbacks](crate::Running::at_end) and of states that were dropped at the
    /// end, in order.
    pub panics: Vec<Panic>,
    /// How many panics there were in all.
    pub panicked: u64,
    /// How many states still lived at the end and were released.
    pub released: usize,
    /// How many slots still have a state or are reserved for one: after [`Stop::Leave`](crate::Stop::Leave) all that are
    /// left, otherwise those that a hook worked on when they were to be released.
    pub left: usize,
}

/// What one worker did.
#[derive(Clone, Debug)]
pub struct WorkerReport {
    /// The name from its [`Role`](crate::Role).
    pub name: String,
    /// The workloads that it served.
    pub serves: Workloads,
    /// How many turns it ran.
    pub turns: u64,
    /// How often it slept in the kernel.
    pub sleeps: u64,
    /// The processor time that it used, spinning included.
    pub worked: Duration,
    /// The time from its first turn to its last.
    pub lived: Duration,
}

impl WorkerReport {
    /// Returns the part of its life, from 0 to 1, during which it had a processor.
    pub fn busy(&self) -> f64 {
        let lived = self.lived.as_secs_f64();
        if lived > 0.0 {
            self.worked.as_secs_f64() / lived
        } else {
            0.0
        }
    }
}

/// A panic of the entry point (most often in a closure), of a callback, or of a state that was dropped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Panic {
    /// The name of the worker; for a state that was released at the end, that of the thread that called
    /// [`Workers::run`](crate::Workers::run).
    pub worker: String,
    /// Its message.
    pub message: String,
}

/// Why [`Workers::run`](crate::Workers::run) failed. The workers have ended, and no state has been released.
#[derive(Debug)]
pub enum RunError {
    /// No worker serves [`Workload::IO`](crate::Workload::IO), so nothing would find new states.
    NoIoWorker,
    /// There are no workers.
    NoWorkers,
    /// A worker is to serve workloads whose change counters have other bells: it would sleep through their changes.
    OtherBell {
        /// The name from its [`Role`](crate::Role).
        worker: String,
        /// The workloads.
        workloads: Workloads,
    },
    /// The machine has room for fewer drivers than there are workers.
    Drivers(DriversTaken),
    /// A thread cannot be spawned: the operating system refuses, or its name contains a NUL character.
    Thread(io::Error),
    /// A worker cannot be pinned to the core that its role names.
    Pin(io::Error),
    /// A turn returned a fault.
    Fault(Fault),
    /// The entry point or a state that was dropped panicked, and [`OnPanic::Stop`](crate::OnPanic::Stop) is set.
    Panicked(Panic),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::NoIoWorker => {
                f.write_str("no worker serves the workload IO: nothing would find new states")
            }
            RunError::NoWorkers => f.write_str("there are no workers"),
            RunError::OtherBell { worker, workloads } => write!(
                f,
                "worker {worker:?} would sleep through the changes of {workloads:?}, whose counters have other bells"
            ),
            RunError::Drivers(error) => write!(f, "{error}; Capacity::drivers makes room for more"),
            RunError::Thread(error) => write!(f, "cannot spawn a worker thread: {error}"),
            RunError::Pin(error) => write!(f, "cannot pin a worker to its core: {error}"),
            RunError::Fault(fault) => write!(f, "{fault}"),
            RunError::Panicked(panic) => {
                write!(f, "worker {:?} panicked: {}", panic.worker, panic.message)
            }
        }
    }
}

impl error::Error for RunError {}

#[cfg(all(test, not(loom)))]
mod tests {
    use batchloop_core::Workload;

    use super::*;

    fn worker(worked: u64, lived: u64) -> WorkerReport {
        WorkerReport {
            name: "io".to_string(),
            serves: Workload::IO.into(),
            turns: 1,
            sleeps: 0,
            worked: Duration::from_millis(worked),
            lived: Duration::from_millis(lived),
        }
    }

    #[test]
    fn a_worker_is_busy_for_a_part_of_its_life() {
        assert_eq!(worker(1, 4).busy(), 0.25);
        assert_eq!(worker(4, 4).busy(), 1.0);
        assert_eq!(worker(0, 4).busy(), 0.0);
        assert_eq!(worker(0, 0).busy(), 0.0, "it had no time");
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let error = || io::Error::other("it is late");
        let panic = Panic {
            worker: "io".to_string(),
            message: "seven".to_string(),
        };
        let other_bell = RunError::OtherBell {
            worker: "io".to_string(),
            workloads: Workload::CPU.into(),
        };
        let texts = [
            (
                RunError::NoIoWorker,
                "no worker serves the workload IO: nothing would find new states",
            ),
            (RunError::NoWorkers, "there are no workers"),
            (
                other_bell,
                "worker \"io\" would sleep through the changes of {CPU}, whose counters have other bells",
            ),
            (
                RunError::Thread(error()),
                "cannot spawn a worker thread: it is late",
            ),
            (
                RunError::Pin(error()),
                "cannot pin a worker to its core: it is late",
            ),
            (RunError::Panicked(panic), "worker \"io\" panicked: seven"),
        ];
        for (error, text) in texts {
            assert_eq!(error.to_string(), text);
        }
        let drivers = DriversTaken { capacity: 2 };
        let text = RunError::Drivers(drivers).to_string();
        assert_eq!(
            text,
            format!("{drivers}; Capacity::drivers makes room for more")
        );
        let text = RunError::Fault(Fault::Elsewhere).to_string();
        assert_eq!(text, Fault::Elsewhere.to_string());
    }
}
