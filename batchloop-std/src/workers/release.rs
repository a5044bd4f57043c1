//! The end of what still lives when the workers have left.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use batchloop_core::{Machine, Shared, SignalError};

/// How long states are tried again: those that hooks of other threads work on, and those that others start when they are
/// dropped.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long such a hook is given before the next try.
const PAUSE: Duration = Duration::from_millis(1);

/// Ends what still lives, and returns how many states it ended. `note` gets the panics of those that panic when they are
/// dropped.
pub(super) fn release_all<T>(
    machine: Machine<T, Shared>,
    mut note: impl FnMut(Box<dyn Any + Send>),
) -> usize {
    let start = Instant::now();
    let mut released = 0;
    loop {
        let mut some_are_busy = false;
        for handle in machine.handles() {
            match catch_unwind(AssertUnwindSafe(|| machine.release(handle))) {
                Ok(Ok(())) => released += 1,
                Ok(Err(SignalError::Stale(()))) => {}
                Ok(Err(SignalError::Busy(()))) => some_are_busy = true,
                Err(panic) => {
                    released += 1;
                    note(panic);
                }
            }
        }
        let is_done = machine.handles().next().is_none();
        if is_done || start.elapsed() >= PATIENCE {
            return released;
        }
        if some_are_busy {
            thread::sleep(PAUSE);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
