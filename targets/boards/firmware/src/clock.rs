//! Alarms, one after the other, as a clock.

use core::cell::Cell;

use batchloop_core::ChangeCounter;
use critical_section::Mutex;

use crate::{ALARM, Board};

/// What the handler does at each alarm.
#[derive(Clone, Copy)]
struct Tick {
    counter: &'static ChangeCounter,
    again: fn(),
}

static TICK: Mutex<Cell<Option<Tick>>> = Mutex::new(Cell::new(None));
static TICKS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// Starts the clock. Each tick counts as a change, so that whoever sleeps on `counter` looks at the time.
pub(crate) fn start<B: Board>(counter: &'static ChangeCounter) {
    let tick = Tick {
        counter,
        again: B::alarm,
    };
    critical_section::with(|cs| TICK.borrow(cs).set(Some(tick)));
    B::alarm();
}

/// Milliseconds since the start.
pub(crate) fn now() -> u64 {
    critical_section::with(|cs| TICKS.borrow(cs).get()) * u64::from(ALARM)
}

/// Part of the alarm's handler. Answers whether the alarm was the clock's.
pub(crate) fn tick() -> bool {
    let tick = critical_section::with(|cs| {
        let tick = TICK.borrow(cs).get()?;
        TICKS.borrow(cs).set(TICKS.borrow(cs).get() + 1);
        Some(tick)
    });
    if let Some(Tick { counter, again }) = tick {
        again();
        counter.ring();
    }
    tick.is_some()
}
