//! What the program leaves for the interrupt handler to do.

use core::cell::Cell;

use batchloop_core::{Local, Stale, Waker};
use critical_section::Mutex;

use crate::Board;

/// A wake to do, or one that was done.
#[derive(Clone, Copy)]
enum Mail {
    Nothing,
    Wake(Waker<Local>),
    Done(Result<(), Stale>),
}

static MAIL: Mutex<Cell<Mail>> = Mutex::new(Cell::new(Mail::Nothing));
static LATE: Mutex<Cell<u32>> = Mutex::new(Cell::new(0));

fn leave_mail(mail: Mail) {
    critical_section::with(|cs| MAIL.borrow(cs).set(mail));
}

/// The handler of the board's interrupt: wakes the state that the program has named.
pub fn on_interrupt() {
    match critical_section::with(|cs| MAIL.borrow(cs).get()) {
        Mail::Wake(waker) => leave_mail(Mail::Done(waker.wake())),
        _ => critical_section::with(|cs| LATE.borrow(cs).set(LATE.borrow(cs).get() + 1)),
    }
}

/// How many interrupts found that the wake had been done by another one.
pub(crate) fn late_interrupts() -> u32 {
    critical_section::with(|cs| LATE.borrow(cs).get())
}

/// Leaves a wake for the handler; the caller makes the interrupt pending.
pub(crate) fn leave(waker: Waker<Local>) {
    leave_mail(Mail::Wake(waker));
}

/// Waits until the handler has done its wake.
pub(crate) fn wait_for_handler() -> Result<(), Stale> {
    loop {
        match critical_section::with(|cs| MAIL.borrow(cs).get()) {
            Mail::Done(outcome) => return outcome,
            Mail::Wake(_) | Mail::Nothing => core::hint::spin_loop(),
        }
    }
}

/// Wakes in the interrupt handler, now.
pub(crate) fn wake_by_interrupt<B: Board>(waker: Waker<Local>) -> Result<(), Stale> {
    leave(waker);
    B::pend();
    wait_for_handler()
}
