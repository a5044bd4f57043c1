//! The sleep of a driver on one core.

use core::marker::PhantomData;

use batchloop_core::{Idle, Progress, Watch};

use crate::Board;

/// Sleeps in the core's wait instruction until an interrupt is pending.
///
/// Between the last look at the counter and the wait, interrupts are held back. One that comes there stays pending, and
/// the wait ends at once, since it ends for a pending interrupt whether or not it may be taken. The handler runs, and
/// counts its change, when they are let through again. So no change falls between the look and the sleep, and none has a bell
/// to ring: the driver announces nothing, and interrupts are held back for one comparison.
#[derive(Debug)]
pub struct Sleep<B>(PhantomData<B>);

impl<B: Board> Sleep<B> {
    /// The sleep of this board.
    pub const fn new() -> Self {
        Sleep(PhantomData)
    }

    /// The sleep of several drivers that one loop runs: unless another turn of one of them is due.
    pub fn of_all<const N: usize>(watches: [Watch; N]) {
        critical_section::with(|_| {
            if !watches.iter().any(Watch::is_due) {
                B::wait();
            }
        });
    }
}

impl<B: Board> Default for Sleep<B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: Board> Idle for Sleep<B> {
    fn idle(&mut self, watch: &Watch, progress: Progress) {
        if progress == Progress::Quiet {
            critical_section::with(|_| {
                if !watch.is_due() {
                    B::wait();
                }
            });
        }
    }
}
