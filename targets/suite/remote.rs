//! Wakes from another thread or an interrupt handler, through the inbox of a `Local` machine.

use batchloop_core::{Capacity, Local, Stale, Step, Turn, Waker, point, storage};

use crate::{Failure, Report, say};

const REMOTE: Capacity = Capacity::slots(70).points(1).scopes(0);
storage!(static LOCAL: u32 = REMOTE);

fn entry(cx: &mut Turn<'_, u32>, report: &mut Report<'_>) {
    let new = cx.arrivals();
    cx.stage(point!("wait"), new).advance(|number, _| {
        if *number % 23 == 0 {
            say!(report, "state {number} runs");
        }
        Step::Wait
    });
}

pub(crate) fn run(
    report: &mut Report<'_>,
    elsewhere: &mut dyn FnMut(Waker<Local>) -> Result<(), Stale>,
) -> Result<(), Failure> {
    report.section("remote wakes", "local");
    let machine = LOCAL.local()?;
    let mut driver = machine.driver()?;
    let mut handles = [None; 70];
    for (number, handle) in (0..).zip(&mut handles) {
        *handle = Some(machine.allocate(number)?);
    }
    let _ = driver.turn(|cx| entry(cx, report))?;
    let before = machine.counter().snapshot();
    // From the last to the first; the turn routes them in address order.
    for handle in handles.iter().rev().step_by(23).flatten() {
        elsewhere(machine.waker(*handle))?;
    }
    say!(
        report,
        "the driver hears: {}",
        machine.counter().moved_since(before)
    );
    let _ = driver.turn(|cx| entry(cx, report))?;
    say!(report, "the same, each twice:");
    for handle in handles.iter().step_by(23).flatten() {
        elsewhere(machine.waker(*handle))?;
        elsewhere(machine.waker(*handle))?;
    }
    let _ = driver.turn(|cx| entry(cx, report))?;
    let Some(last) = handles[69] else {
        return Err(Failure::Full);
    };
    let waker = machine.waker(last);
    say!(report, "release: {:?}", machine.release(last));
    say!(report, "a late wake: {:?}", elsewhere(waker));
    let progress = driver.turn(|cx| entry(cx, report))?;
    say!(report, "then: {progress:?}");
    Ok(())
}
