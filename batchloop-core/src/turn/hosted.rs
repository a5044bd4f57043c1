//! Drivers that are hosted by a task: an executor runs them when something has changed.

use core::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    ground::{
        sync::{AtomicWaker, register},
        word::Access,
    },
    program::fault::Fault,
    sleep::{
        change::Bell,
        idle::Progress,
        watch::{Announced, Watch},
    },
    turn::driver::{Driver, Turn},
};

const DEAF: &str =
    "a workload of the driver does not have this bell: its changes would not wake the task";

/// A bell for one driver that is hosted by a task of an executor: tokio, embassy, or whatever polls futures.
///
/// ```
/// use batchloop_core::{turn::TaskBell, Capacity, Machine, Step, Turn, point};
/// # use std::{pin::pin, task::{Context, Poll, Waker}};
///
/// static BELL: TaskBell = TaskBell::new();
///
/// fn entry(cx: &mut Turn<'_, u8>) {
///     let new = cx.arrivals();
///     cx.stage(point!("end"), new).release();
///     if cx.machine().live() == 0 {
///         cx.stop();
///     }
/// }
///
/// async fn host(machine: Machine<u8>) -> Result<(), Box<dyn std::error::Error>> {
///     machine.set_bell(&BELL)?;
///     machine.driver()?.host(&BELL, entry).await?;
///     Ok(())
/// }
/// # let machine: Machine<u8> = Machine::heap(Capacity::slots(4));
/// # machine.allocate(7).unwrap();
/// # let hosted = pin!(host(machine)).poll(&mut Context::from_waker(Waker::noop()));
/// # assert!(matches!(hosted, Poll::Ready(Ok(()))));
/// ```
pub struct TaskBell {
    task: AtomicWaker,
}

impl TaskBell {
    /// A bell that no task listens to.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        TaskBell {
            task: AtomicWaker::new(),
        }
    }

    /// A bell that no task listens to.
    #[cfg(loom)]
    pub fn new() -> Self {
        TaskBell {
            task: AtomicWaker::new(),
        }
    }

    /// Ready when something has changed since the driver's last turn started. The bell must be the machine's, or nothing
    /// wakes the task; and one task at a time can listen to it.
    ///
    /// # Panics
    ///
    /// If one of the driver's workloads has another bell.
    pub fn changed(&self, watch: Watch) -> Changed<'_> {
        assert!(!watch.rings_another(self), "{DEAF}");
        Changed {
            bell: self,
            watch,
            announced: None,
        }
    }
}

impl Default for TaskBell {
    fn default() -> Self {
        Self::new()
    }
}

opaque_debug!(TaskBell);

impl Bell for TaskBell {
    fn ring(&self) {
        self.task.wake();
    }
}

/// What [`TaskBell::changed`] returns. Dropping it ends the wait.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Changed<'a> {
    bell: &'a TaskBell,
    watch: Watch,
    announced: Option<Announced>,
}

impl Future for Changed<'_> {
    type Output = ();

    /// The protocol is that of [`ChangeCounter::sleep`](crate::sleep::ChangeCounter::sleep), where the wait lasts from this poll
    /// to the next one. The task is registered first, so that a ringer that sees the announcement finds it.
    ///
    /// A later poll needs no fence. Each change that the first one has not seen is rung for. A ring that comes before this
    /// registration has left its mark in the task's cell, which the registration reads; so the change behind it is seen.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.watch.is_due() {
            return Poll::Ready(());
        }
        register(&self.bell.task, cx.waker());
        if self.announced.is_none() {
            self.announced = self.watch.announce();
        }
        match self.announced.is_none() || self.watch.has_moved() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl fmt::Debug for Changed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Changed({})", self.watch.has_moved())
    }
}

/// Pending once: lets the executor's other tasks run.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if core::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T, A: Access> Driver<T, A> {
    /// As [`run`](Self::run), as a future: each poll is at most one turn, and between two turns the task waits for its
    /// executor or, when there is nothing to do, for the bell.
    ///
    /// The bell must be that of the driver's workloads. The future of a [`Local`](crate::Local) machine stays on its thread.
    ///
    /// # Errors
    ///
    /// The first [`Fault`].
    ///
    /// # Panics
    ///
    /// If one of the driver's workloads has another bell or none, and if the entry point does.
    pub async fn host(
        &mut self,
        bell: &TaskBell,
        mut entry: impl for<'t> FnMut(&mut Turn<'t, T, A>),
    ) -> Result<(), Fault> {
        assert!(self.watch().is_rung_by(bell), "{DEAF}");
        loop {
            let progress = self.turn(&mut entry)?;
            if self.is_stopped() {
                return Ok(());
            }
            match progress {
                Progress::More => Yield(false).await,
                Progress::Quiet => bell.changed(self.watch()).await,
            }
        }
    }
}
