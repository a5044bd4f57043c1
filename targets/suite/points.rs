//! Points, batches and what becomes of their states.

use batchloop_core::{
    Capacity, Driver, Machine, Progress, Step, Turn, machine::Admits, point, storage,
};

use crate::{Failure, Report, say};

/// More slots than a word has bits on any target, and batches that do not hold all of them.
const POINTS: Capacity = Capacity::slots(70).points(4).scopes(0).batch(32);
storage!(static LOCAL: u32 = POINTS);
storage!(static SHARED: u32 = POINTS);

pub(crate) fn run(report: &mut Report<'_>) -> Result<(), Failure> {
    report.section("points", "local");
    points(report, LOCAL.local()?)?;
    report.section("points", "shared");
    points(report, SHARED.shared()?)
}

/// What one run of the entry point saw.
#[derive(Default)]
struct Seen {
    arrived: usize,
    waiting: usize,
    first: Option<u32>,
    last: Option<u32>,
}

/// States wait at one point until they are woken, and end at the next.
fn entry<A: Admits<u32>>(cx: &mut Turn<'_, u32, A>, seen: &mut Seen) {
    let new = cx.arrivals();
    seen.arrived = new.len();
    let woken = cx.stage(point!("wait"), new).advance(|number, _| {
        seen.waiting += 1;
        seen.first = seen.first.or(Some(*number));
        seen.last = Some(*number);
        *number += 100;
        if *number < 200 {
            Step::Wait
        } else {
            Step::Next
        }
    });
    let (odd, even) = woken.partition(|number, _| *number % 2 == 1);
    let both = odd.merge(even).for_each(|number, _| *number += 1000);
    cx.stage(point!("end"), both).release();
}

fn turn<A: Admits<u32>>(
    report: &mut Report<'_>,
    driver: &mut Driver<u32, A>,
) -> Result<Progress, Failure> {
    let mut seen = Seen::default();
    let progress = driver.turn(|cx| entry(cx, &mut seen))?;
    let Seen {
        arrived,
        waiting,
        first,
        last,
    } = seen;
    say!(
        report,
        "{arrived} arrive, {waiting} looked at, from {first:?} to {last:?}: {progress:?}, {} live",
        driver.live()
    );
    Ok(progress)
}

fn points<A: Admits<u32>>(
    report: &mut Report<'_>,
    machine: Machine<u32, A>,
) -> Result<(), Failure> {
    let mut driver = machine.driver()?;
    let mut handles = [None; 70];
    for (number, handle) in (0..).zip(&mut handles) {
        *handle = Some(machine.allocate(number)?);
    }
    while turn(report, &mut driver)? == Progress::More {}
    say!(report, "a turn in which nothing was woken:");
    let _ = turn(report, &mut driver)?;
    say!(report, "each seventh is woken, some twice:");
    for handle in handles.iter().step_by(7).chain(&handles[63..]).flatten() {
        machine.wake(*handle)?;
    }
    while turn(report, &mut driver)? == Progress::More {}
    say!(report, "all are woken:");
    for handle in handles.iter().flatten() {
        // Those that were woken before have ended.
        let _ = machine.wake(*handle);
    }
    while turn(report, &mut driver)? == Progress::More {}
    Ok(())
}
