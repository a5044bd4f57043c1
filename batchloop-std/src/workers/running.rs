//! How far a run of workers has come, and what is done when it ends early.

use std::{
    any::Any,
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::PoisonError,
};

use crate::sleep::futex::{Futex, Mutex, MutexGuard, Ordering};

pub(super) const WORKING: u32 = 0;
pub(super) const DRAINING: u32 = 1;
pub(super) const LEAVING: u32 = 2;

type Callback<'env> = Box<dyn FnOnce() + Send + 'env>;

/// Workers that run, as `main` of [`Workers::run_with`](crate::Workers::run_with) sees them.
///
/// They end before `main` does if one of them fails, or if an entry point [stops](crate::Context::stop) them. What is left
/// undone stays undone then, so `main` should come to its end: a loop asks [`has_ended`](Self::has_ended), a thread with
/// nothing to do but to wait for that calls [`wait`](Self::wait), and one that sleeps in its own way has itself woken by
/// [`at_end`](Self::at_end).
pub struct Running<'env> {
    phase: Futex,
    callbacks: Mutex<Vec<Callback<'env>>>,
}

impl<'env> Running<'env> {
    pub(super) fn new() -> Self {
        Running {
            phase: Futex::new(WORKING),
            callbacks: Mutex::new(Vec::new()),
        }
    }

    /// Returns whether the workers are leaving or have left.
    pub fn has_ended(&self) -> bool {
        self.phase() == LEAVING
    }

    /// Sleeps until the workers leave.
    pub fn wait(&self) {
        loop {
            match self.phase() {
                LEAVING => return,
                phase => self.phase.wait(phase),
            }
        }
    }

    /// Has `tell` called when the workers leave before `main` returns: on a thread of theirs, or here and at once if they
    /// leave already. A panic of `tell` is treated as one of the entry point.
    ///
    /// It is for what ends a sleep of `main`, and should do no more than that. If `main` pushes into a queue,
    /// [`Queue::close`](crate::Queue::close) makes it hear of the end; if it polls a multiplexer of `batchloop-eventfd`
    /// that the machine was added to, ringing the machine's [counter](crate::Machine::counter) does.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use batchloop_std::{Capacity, Machine, Role, RunError, Shared, Stop, Workers, Workload, point};
    ///
    /// let machine: Machine<u32, Shared> = Machine::heap(Capacity::slots(4).points(0));
    /// let mut workers = Workers::new(machine)?;
    /// workers.add(Role::new("io", Workload::IO));
    /// let (tell, told) = mpsc::channel();
    /// let run = workers.run_with(
    ///     |cx, _| {
    ///         let new = cx.arrivals();
    ///         cx.stage(point!("one too many"), new).release();
    ///     },
    ///     |running| {
    ///         running.at_end(move || drop(tell));
    ///         // Nothing is ever sent: without the line above, this would wait for ever.
    ///         let () = told.recv().unwrap_or_default();
    ///         Stop::Drain
    ///     },
    /// );
    /// assert!(matches!(run, Err(RunError::Fault(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at_end(&self, tell: impl FnOnce() + Send + 'env) {
        let mut callbacks = self.callbacks();
        // Asked under the lock: `enter` takes the callbacks after it has set the phase.
        if self.has_ended() {
            drop(callbacks);
            tell();
        } else {
            callbacks.push(Box::new(tell));
        }
    }

    pub(super) fn phase(&self) -> u32 {
        // ORDERING: Acquire; the partner is the Release in `enter`.
        self.phase.load(Ordering::Acquire)
    }

    /// Goes to a later phase, and tells that to all that wait for it here. Returns the panics of those that were told.
    pub(super) fn enter(&self, phase: u32) -> Vec<Box<dyn Any + Send>> {
        self.phase.fetch_max(phase, Ordering::Release);
        self.phase.wake_all();
        let callbacks = match phase {
            LEAVING => mem::take(&mut *self.callbacks()),
            _ => Vec::new(),
        };
        let call = |tell: Callback<'env>| catch_unwind(AssertUnwindSafe(tell)).err();
        callbacks.into_iter().filter_map(call).collect()
    }

    /// `main` has come to its end: nothing has to be told any more.
    pub(super) fn forget(&self) {
        drop(mem::take(&mut *self.callbacks()));
    }

    fn callbacks(&self) -> MutexGuard<'_, Vec<Callback<'env>>> {
        // Nothing that can panic leaves the list half-changed.
        self.callbacks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Running<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.phase() {
            WORKING => "Running(working)",
            DRAINING => "Running(draining)",
            _ => "Running(leaving)",
        })
    }
}

#[cfg(all(test, loom))]
mod interleavings;
