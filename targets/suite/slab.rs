//! Slots, versions, stale handles, a full slab.

use batchloop_core::{
    Capacity, Full, Handle, Machine, Progress, SignalError, Step, Turn, machine::Admits,
    slab::Wrap, storage,
};

use crate::{Failure, Report, say};

const SLAB: Capacity = Capacity::slots(3).points(1).scopes(0);
storage!(static LOCAL: u32 = SLAB);
storage!(static SHARED: u32 = SLAB);

/// Versions of two bits: the second tenant of a slot is its last.
const SHORT: Capacity = SLAB.version_bits(2).wrap(Wrap::Retire);
storage!(static SHORT_LOCAL: u32 = SHORT);
storage!(static SHORT_SHARED: u32 = SHORT);

pub(crate) fn run(report: &mut Report<'_>) -> Result<(), Failure> {
    report.section("slab", "local");
    slots(report, LOCAL.local()?)?;
    retirement(report, SHORT_LOCAL.local()?)?;
    report.section("slab", "shared");
    slots(report, SHARED.shared()?)?;
    retirement(report, SHORT_SHARED.shared()?)
}

fn slots<A: Admits<u32>>(report: &mut Report<'_>, machine: Machine<u32, A>) -> Result<(), Failure> {
    let first = machine.allocate(1)?;
    let second = machine.allocate(2)?;
    drop(machine.reserve()?);
    let third = machine.allocate(3)?;
    say!(report, "three states: {first:?} {second:?} {third:?}");
    let before = machine.counter().snapshot();
    match machine.allocate(4) {
        Ok(handle) => say!(report, "a fourth: {handle:?}"),
        Err(Full(value)) => say!(report, "no room for {value}"),
    }
    say!(report, "release the second: {:?}", machine.release(second));
    let moved = machine.counter().moved_since(before);
    say!(report, "the paused producer hears of it: {moved}");
    let fifth = machine.allocate(5)?;
    say!(report, "its slot has a new tenant: {fifth:?}");
    stale(report, machine, second);
    say!(
        report,
        "token of the new one: {:#x}",
        fifth.token().to_u64()
    );
    let mut driver = machine.driver()?;
    let progress = driver.turn(|cx: &mut Turn<'_, u32, A>| cx.arrivals().release())?;
    let quiet = progress == Progress::Quiet;
    say!(
        report,
        "all released, {} live, quiet: {quiet}",
        machine.live()
    );
    Ok(())
}

/// What a handle to a state that has ended is good for.
fn stale<A: Admits<u32>>(report: &mut Report<'_>, machine: Machine<u32, A>, ended: Handle<u32>) {
    say!(report, "live: {}", machine.is_live(ended));
    say!(report, "wake: {:?}", machine.wake(ended));
    say!(report, "waker: {:?}", machine.waker(ended).wake());
    let signal = machine.signal(ended, |_| unreachable!("the state has ended"));
    let refused = matches!(signal, Err(SignalError::Stale(_)));
    say!(report, "signal refused: {refused}");
    say!(report, "release: {:?}", machine.release(ended));
}

fn retirement<A: Admits<u32>>(
    report: &mut Report<'_>,
    machine: Machine<u32, A>,
) -> Result<(), Failure> {
    let mut driver = machine.driver()?;
    let mut tenants = 0;
    while let Ok(handle) = machine.allocate(tenants) {
        say!(report, "tenant {tenants} is {handle:?}");
        tenants += 1;
        let _ = driver.turn(|cx: &mut Turn<'_, u32, A>| {
            cx.arrivals().advance(|_, _| Step::Release);
        })?;
    }
    say!(report, "{}", machine.dump());
    Ok(())
}
