//! What the program leaves for the interrupt handler to do.

use core::cell::Cell;

use batchloop_core::{Local, Stale, Waker};
use critical_section::Mutex;

use crate::Board;

/// A wake to do.
static MAIL: Mutex<Cell<Option<Waker<Local>>>> = Mutex::new(Cell::new(None));
/// One that was done.
static DONE: Mutex<Cell<Option<Result<(), Stale>>>> = Mutex::new(Cell::new(None));
static LATE: Mutex<Cell<u32>> = Mutex::new(Cell::new(0));

/// The handler of the board's interrupt: wakes the state that the program has named.
pub fn on_interrupt() {
    critical_section::with(|cs| match MAIL.borrow(cs).take() {
        Some(waker) => DONE.borrow(cs).set(Some(waker.wake())),
        None => LATE.borrow(cs).set(LATE.borrow(cs).get() + 1),
    });
}

/// How many interrupts found that the wake had been done by another one.
pub(crate) fn late_interrupts() -> u32 {
    critical_section::with(|cs| LATE.borrow(cs).get())
}

/// Leaves a wake for the handler; the caller makes the interrupt pending.
pub(crate) fn leave(waker: Waker<Local>) {
    critical_section::with(|cs| {
        DONE.borrow(cs).set(None);
        MAIL.borrow(cs).set(Some(waker));
    });
}

/// Waits until the handler has done its wake.
pub(crate) fn wait_for_handler() -> Result<(), Stale> {
    loop {
        match critical_section::with(|cs| DONE.borrow(cs).get()) {
            Some(outcome) => return outcome,
            None => core::hint::spin_loop(),
        }
    }
}

/// Wakes in the interrupt handler, now.
pub(crate) fn wake_by_interrupt<B: Board>(waker: Waker<Local>) -> Result<(), Stale> {
    leave(waker);
    B::pend();
    wait_for_handler()
}
