//! Nested contexts, loops, sub-machines, and traversals that differ from the recorded one.

use batchloop_core::{
    Access, Batch, Capacity, Context, Machine, Step, Turn, field, machine::Admits, point,
    program::ProgramPoint, storage,
};

use crate::{Failure, Report, say};

/// A job with two calls that one sub-machine serves.
struct Job {
    name: char,
    first: Call,
    second: Call,
}

#[derive(Default)]
struct Call {
    rounds: u32,
    answered: bool,
}

const CONTEXTS: Capacity = Capacity::slots(4).points(8).scopes(8);
storage!(static LOCAL: Job = CONTEXTS);
storage!(static SHARED: Job = CONTEXTS);

const SMALL: Capacity = Capacity::slots(4).points(2).scopes(1);
storage!(static WAYS_LOCAL: char = SMALL);
storage!(static WAYS_SHARED: char = SMALL);

pub(crate) fn run(report: &mut Report<'_>) -> Result<(), Failure> {
    report.section("contexts", "local");
    calls(report, LOCAL.local()?)?;
    ways(report, WAYS_LOCAL.local()?)?;
    report.section("contexts", "shared");
    calls(report, SHARED.shared()?)?;
    ways(report, WAYS_SHARED.shared()?)
}

/// Waits to be answered, in each of two rounds.
fn call<'t, A: Access>(
    cx: &mut Context<'t, A>,
    mut calls: Batch<'t, Call, A>,
) -> Batch<'t, Call, A> {
    for round in 0..2 {
        calls = cx.scope(point!("round"), round, |cx| {
            cx.stage(point!("answer"), calls).advance(|call, _| {
                if !core::mem::take(&mut call.answered) {
                    return Step::Wait;
                }
                call.rounds += 1;
                Step::Next
            })
        });
    }
    calls
}

fn entry<A: Admits<Job>>(cx: &mut Turn<'_, Job, A>, report: &mut Report<'_>) {
    let new = cx.arrivals();
    let once = cx.scope(point!("first call"), 0, |cx| {
        call(cx, new.project(field!(Job, first))).unproject(field!(Job, first))
    });
    let twice = cx.scope(point!("second call"), 0, |cx| {
        call(cx, once.project(field!(Job, second))).unproject(field!(Job, second))
    });
    twice.advance(|job, _| {
        let (first, second) = (job.first.rounds, job.second.rounds);
        say!(
            report,
            "job {} ends after {first} + {second} rounds",
            job.name
        );
        Step::Release
    });
}

fn calls<A: Admits<Job>>(report: &mut Report<'_>, machine: Machine<Job, A>) -> Result<(), Failure> {
    let mut driver = machine.driver()?;
    let mut jobs = [None; 3];
    for (name, job) in ('a'..).zip(&mut jobs) {
        *job = Some(machine.allocate(Job {
            name,
            first: Call::default(),
            second: Call::default(),
        })?);
    }
    let _ = driver.turn(|cx| entry(cx, report))?;
    // In each round one job more is answered, so that in the end each waits somewhere else.
    for round in 0..4 {
        for job in jobs.iter().skip(round).flatten() {
            answer(machine, *job)?;
        }
        let _ = driver.turn(|cx| entry(cx, report))?;
    }
    report.line(format_args!("{}", machine.dump()));
    for _ in 0..4 {
        for job in jobs.iter().flatten().filter(|job| machine.is_live(**job)) {
            answer(machine, *job)?;
        }
        let _ = driver.turn(|cx| entry(cx, report))?;
    }
    say!(report, "{} live", machine.live());
    Ok(())
}

/// Completes whatever call the job waits for.
fn answer<A: Admits<Job>>(
    machine: Machine<Job, A>,
    job: batchloop_core::Handle<Job>,
) -> Result<(), Failure> {
    let signalled = machine.signal(job, |job| {
        let call = match job.first.rounds {
            2 => &mut job.second,
            _ => &mut job.first,
        };
        call.answered = true;
        batchloop_core::Reaction::Wake
    });
    signalled.map_err(|_| Failure::Stale(batchloop_core::Stale))
}

fn left() -> &'static ProgramPoint {
    point!("left")
}

fn right() -> &'static ProgramPoint {
    point!("right")
}

fn third() -> &'static ProgramPoint {
    point!("third")
}

/// Visits the points in this order. A state waits at the point whose name begins with it; where the order has none,
/// it goes back to the entrance.
fn walk<A: Admits<char>>(
    cx: &mut Turn<'_, char, A>,
    order: &[&'static ProgramPoint],
    report: &mut Report<'_>,
) {
    let mut new = cx.arrivals();
    for point in order {
        let name = point.name().unwrap_or("");
        let (here, others) = new.partition(|state, _| name.starts_with(*state));
        cx.stage(point, here).advance(|state, _| {
            say!(report, "{state} is looked at in {name}");
            Step::Wait
        });
        new = others;
    }
}

fn ways<A: Admits<char>>(
    report: &mut Report<'_>,
    machine: Machine<char, A>,
) -> Result<(), Failure> {
    let mut driver = machine.driver()?;
    let states = [machine.allocate('l')?, machine.allocate('r')?];
    let orders: [(&str, &[&'static ProgramPoint]); 6] = [
        ("first", &[left(), right()]),
        ("the same", &[left(), right()]),
        ("reversed", &[right(), left()]),
        ("shorter", &[right()]),
        ("longer", &[left(), right(), third()]),
        ("first again", &[left(), right()]),
    ];
    for (name, order) in orders {
        for state in states {
            machine.wake(state)?;
        }
        match driver.turn(|cx| walk(cx, order, report)) {
            Ok(progress) => say!(report, "{name}: {progress:?}"),
            Err(fault) => say!(report, "{name}: {fault}"),
        }
    }
    let third_state = machine.allocate('t')?;
    match driver.turn(|cx| walk(cx, &[left(), right(), third()], report)) {
        Ok(progress) => say!(report, "one point too many: {progress:?}"),
        Err(fault) => say!(report, "one point too many: {fault}"),
    }
    say!(report, "its state lives: {}", machine.is_live(third_state));
    say!(report, "{}", machine.dump());
    Ok(())
}
