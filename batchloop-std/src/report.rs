//! What workers did, and why they could not.

use std::{error, fmt, io, time::Duration};

use batchloop_core::{DriversTaken, Fault, Workloads};

/// How many panics a report has in words; the others are only counted.
pub(crate) const PANICS: usize = 64;

/// What the workers did.
#[derive(Clone, Debug)]
pub struct Report {
    /// Each worker; the most specialised come first.
    pub workers: Vec<WorkerReport>,
    /// The first 64 panics of closures, in order.
    pub panics: Vec<Panic>,
    /// How many there were in all.
    pub panicked: u64,
    /// How many states still lived at the end and were released.
    pub released: usize,
}

/// What one worker did.
#[derive(Clone, Debug)]
pub struct WorkerReport {
    /// The name from its [`Role`](crate::Role).
    pub name: String,
    /// What it served.
    pub serves: Workloads,
    /// How many turns it ran.
    pub turns: u64,
    /// How often it slept in the kernel.
    pub sleeps: u64,
    /// What it had of a processor, spinning included.
    pub worked: Duration,
    /// From its first turn to its last.
    pub lived: Duration,
}

impl WorkerReport {
    /// The part of its life, from 0 to 1, that it had a processor.
    pub fn busy(&self) -> f64 {
        let lived = self.lived.as_secs_f64();
        if lived > 0.0 {
            self.worked.as_secs_f64() / lived
        } else {
            0.0
        }
    }
}

/// A closure that panicked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Panic {
    /// The worker that ran it.
    pub worker: String,
    /// What it said.
    pub message: String,
}

/// Why [`Workers::run`](crate::Workers::run) came to no good end. The workers have ended, and the states are where they were.
#[derive(Debug)]
pub enum RunError {
    /// No worker serves [`Workload::IO`](crate::Workload::IO), so nobody would find new states.
    NobodyServesIo,
    /// The machine has room for fewer drivers than there are workers.
    Drivers(DriversTaken),
    /// The operating system gave no thread.
    Thread(io::Error),
    /// A worker cannot be kept on the core that its role names.
    Pin(io::Error),
    /// The entry point made a mistake.
    Fault(Fault),
    /// A closure panicked, and [`OnPanic::Stop`](crate::OnPanic::Stop) is set.
    Panicked(Panic),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::NobodyServesIo => {
                f.write_str("no worker serves the workload IO, so nobody would find new states")
            }
            RunError::Drivers(error) => write!(f, "{error}; Capacity::drivers makes room for more"),
            RunError::Thread(error) => write!(f, "a worker has no thread: {error}"),
            RunError::Pin(error) => write!(f, "a worker cannot be kept on its core: {error}"),
            RunError::Fault(fault) => write!(f, "{fault}"),
            RunError::Panicked(panic) => {
                write!(f, "worker {:?} panicked: {}", panic.worker, panic.message)
            }
        }
    }
}

impl error::Error for RunError {}
