//! Nested contexts, loops, sub-machines, and traversals that differ from the recorded one.

use batchloop_core::{
    Access, Admits, Batch, Capacity, Context, Driver, Machine, Step, Turn, field, point, storage,
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
    driver.turn(|cx| entry(cx, report))?;
    // In each round one job more is answered, so that in the end each waits somewhere else.
    for round in 0..4 {
        for job in jobs.iter().skip(round).flatten() {
            answer(machine, *job)?;
        }
        driver.turn(|cx| entry(cx, report))?;
    }
    report.line(format_args!("{}", machine.dump()));
    for _ in 0..4 {
        for job in jobs.iter().flatten().filter(|job| machine.is_live(**job)) {
            answer(machine, *job)?;
        }
        driver.turn(|cx| entry(cx, report))?;
    }
    say!(report, "{} live", machine.live());
    Ok(())
}

/// Answers whatever call the job waits for.
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

#[derive(Clone, Copy)]
enum Way {
    Recorded,
    Reversed,
    Shorter,
    Longer,
    Deeper,
}

/// Two stages and a scope, in an order that the program should not choose.
fn walk<A: Admits<char>>(cx: &mut Turn<'_, char, A>, way: Way, report: &mut Report<'_>) {
    let mut stay = |name: &str, batch: Batch<'_, char, A>| {
        batch.advance(|state, _| {
            say!(report, "{state} is looked at in {name}");
            Step::Wait
        });
    };
    let new = cx.arrivals();
    let left = point!("left");
    let right = point!("right");
    match way {
        Way::Recorded => {
            let new = new.for_each(|_, _| ());
            let (to_left, to_right) = new.partition(|state, _| *state == 'l');
            stay("left", cx.stage(left, to_left));
            stay("right", cx.stage(right, to_right));
        }
        Way::Reversed => {
            stay("right", cx.stage(right, new));
            stay("left", cx.stage(left, cx.none()));
        }
        Way::Shorter => stay("right", cx.stage(right, new)),
        Way::Longer => {
            stay("left", cx.stage(left, cx.none()));
            stay("right", cx.stage(right, cx.none()));
            stay("a third", cx.stage(point!("third"), new));
        }
        Way::Deeper => {
            stay("left", cx.stage(left, cx.none()));
            stay("right", cx.stage(right, cx.none()));
            cx.scope(point!("deep"), 0, |cx| {
                cx.scope(point!("deeper"), 1, |cx| {
                    stay("the deep", cx.stage(point!("deepest"), new));
                });
            });
        }
    }
}

fn ways<A: Admits<char>>(
    report: &mut Report<'_>,
    machine: Machine<char, A>,
) -> Result<(), Failure> {
    let mut driver: Driver<char, A> = machine.driver()?;
    let left = machine.allocate('l')?;
    let right = machine.allocate('r')?;
    driver.turn(|cx| walk(cx, Way::Recorded, report))?;
    for (name, way) in [
        ("recorded", Way::Recorded),
        ("reversed", Way::Reversed),
        ("shorter", Way::Shorter),
        ("longer", Way::Longer),
        ("deeper", Way::Deeper),
        ("recorded", Way::Recorded),
    ] {
        machine.wake(left)?;
        machine.wake(right)?;
        match driver.turn(|cx| walk(cx, way, report)) {
            Ok(progress) => say!(report, "{name}: {progress:?}"),
            Err(fault) => say!(report, "{name}: {fault}"),
        }
    }
    let more = machine.allocate('m')?;
    match driver.turn(|cx| walk(cx, Way::Longer, report)) {
        Ok(progress) => say!(report, "longer, with a new state: {progress:?}"),
        Err(fault) => say!(report, "longer, with a new state: {fault}"),
    }
    say!(report, "it is lost: {}", !machine.is_live(more));
    say!(report, "{}", machine.dump());
    Ok(())
}
