//! Alarms, one after the other, as a clock.

use core::cell::Cell;

use batchloop_core::sleep::ChangeCounter;
use critical_section::Mutex;

use crate::{ALARM, Board, on_interrupt};

/// What is told of each tick, while the clock runs.
static COUNTER: Mutex<Cell<Option<&'static ChangeCounter>>> = Mutex::new(Cell::new(None));
static TICKS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// Starts the clock. Each tick counts as a change, so that a driver that sleeps on `counter` looks at the time.
pub(crate) fn start<B: Board>(counter: &'static ChangeCounter) {
    critical_section::with(|cs| COUNTER.borrow(cs).set(Some(counter)));
    B::alarm();
}

/// Milliseconds since the start.
pub(crate) fn now() -> u64 {
    critical_section::with(|cs| TICKS.borrow(cs).get()) * u64::from(ALARM)
}

/// The handler of an alarm: a tick of the clock, or else as that of any interrupt.
pub fn on_alarm<B: Board>() {
    match critical_section::with(|cs| COUNTER.borrow(cs).get()) {
        Some(counter) => {
            let ticks = B::alarm_again();
            critical_section::with(|cs| TICKS.borrow(cs).set(TICKS.borrow(cs).get() + ticks));
            counter.ring();
        }
        None => {
            B::silence();
            on_interrupt();
        }
    }
}
