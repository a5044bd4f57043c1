//! Parents that share out their work to children in another machine, and collect the results.
//!
//! ```text
//! cargo run --release --example children -- --parents 10000 --children 20 --cancel 5000
//! ```
//!
//! The main thread runs the parents, two threads the children. Some parents are cancelled when half of their results
//! are there. Their children find out when they next look, or when their result is late: then it is cleaned up. The
//! last lines account for all of them. Begin with the entry points, `parents` and `children`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::{error::Error, mem, process::ExitCode, thread};

use batchloop_examples::{SLOTS, finish, number, print};
use batchloop_std::{
    Abandoned, Busy, Capacity, Completion, Handle, Machine, Parking, Reaction, Shared, SignalError,
    Step, Turn, Waker, point,
};
use lexopt::prelude::{Long, Short};

/// How many children live at once; parents wait until one of them has ended.
const CHILD_SLOTS: usize = 1024;

static DELIVERED: AtomicU64 = AtomicU64::new(0);
static CLEANED_UP: AtomicU64 = AtomicU64::new(0);
static GIVEN_UP: AtomicU64 = AtomicU64::new(0);

struct Parent {
    is_doomed: bool,
    started: u64,
    ended: u64,
}

impl Parent {
    fn child_ended(&mut self, outcome: Result<Vec<u8>, Abandoned>) -> Reaction {
        self.ended += 1;
        if outcome.is_ok() {
            DELIVERED.fetch_add(1, Ordering::Relaxed);
        }
        Reaction::Wake
    }
}

struct Child {
    buffer: Vec<u8>,
    done: Completion<Vec<u8>, Shared>,
}

/// For results that come too late. Here one would close a descriptor, or give a buffer back to its pool.
fn clean_up(_buffer: Vec<u8>) {
    CLEANED_UP.fetch_add(1, Ordering::Relaxed);
}

/// What the parents' entry point works on beside the states.
struct Family {
    children: Machine<Child, Shared>,
    children_each: u64,
    /// Those that found no room for another child.
    waiting: Vec<Waker<Shared>>,
    /// Those that are to be cancelled now.
    doomed: Vec<Handle<Parent>>,
    cancelled: u64,
    finished: u64,
}

/// The entry point of the parents.
fn parents(cx: &mut Turn<'_, Parent, Shared>, family: &mut Family) {
    if family.children.live() < CHILD_SLOTS {
        for parent in family.waiting.drain(..) {
            let _ = parent.wake();
        }
    }
    let new = cx.arrivals();
    let started = cx.stage(point!("start"), new).advance(|parent, me| {
        while parent.started < family.children_each {
            let Ok(slot) = family.children.reserve() else {
                family.waiting.push(me.waker());
                return Step::Wait;
            };
            let child = Child {
                buffer: vec![0; 64],
                done: me.completion(Parent::child_ended, clean_up),
            };
            slot.commit_child(child, me.lineage())
                .expect("a machine without parents");
            parent.started += 1;
        }
        Step::Next
    });
    cx.stage(point!("collect"), started).advance(|parent, me| {
        if parent.is_doomed && parent.ended >= family.children_each / 2 {
            family.doomed.push(me.handle());
        } else if parent.ended == family.children_each {
            family.finished += 1;
            return Step::Release;
        }
        Step::Wait
    });

    let machine = cx.machine();
    family.doomed.retain(|&parent| {
        let cancelled = machine.release(parent);
        if cancelled.is_ok() {
            family.cancelled += 1;
        }
        matches!(cancelled, Err(SignalError::Busy(())))
    });
    if !family.doomed.is_empty() {
        machine.counter().ring();
    }
    if machine.live() == 0 {
        family.children.counter().ring();
        cx.stop();
    }
}

/// The entry point of the children.
fn children(cx: &mut Turn<'_, Child, Shared>, parents: Machine<Parent, Shared>) {
    let new = cx.arrivals();
    cx.stage(point!("work"), new).advance(|child, me| {
        if me.is_orphan(1) {
            GIVEN_UP.fetch_add(1, Ordering::Relaxed);
            return Step::Release;
        }
        let Err(Busy(buffer)) = child.done.complete(mem::take(&mut child.buffer)) else {
            return Step::Release;
        };
        child.buffer = buffer;
        Step::Again
    });
    parents.counter().ring();
    if parents.live() == 0 && cx.machine().live() == 0 {
        cx.machine().counter().ring();
        cx.stop();
    }
}

fn run([count, children_each, cancel]: [u64; 3]) -> Result<(), Box<dyn Error>> {
    let machine: Machine<Parent, Shared> = Machine::heap(Capacity::slots(count as usize));
    let capacity = Capacity::slots(CHILD_SLOTS).parents(true).drivers(2);
    let mut family = Family {
        children: Machine::heap(capacity),
        children_each,
        waiting: Vec::new(),
        doomed: Vec::new(),
        cancelled: 0,
        finished: 0,
    };
    for number in 0..count {
        machine.allocate(Parent {
            is_doomed: number < cancel,
            started: 0,
            ended: 0,
        })?;
    }
    let parking = Parking::new(&family.children)?;
    let workers = [(); 2].map(|()| {
        let idle = Parking::with_bell(parking.bell());
        let mut driver = family.children.driver().expect("no driver is left");
        thread::spawn(move || driver.run(idle, |cx| children(cx, machine)))
    });
    let idle = Parking::new(&machine)?;
    machine.driver()?.run(idle, |cx| parents(cx, &mut family))?;
    for worker in workers {
        worker.join().expect("a child has panicked")?;
    }
    let results = [&DELIVERED, &CLEANED_UP, &GIVEN_UP];
    let [delivered, late, never] = results.map(|count| count.load(Ordering::Relaxed));
    let (left, orphans) = (machine.live(), family.children.live());
    let (finished, cancelled) = (family.finished, family.cancelled);
    let ended = delivered + late + never;
    print(format_args!(
        "parents: {finished} finished, {cancelled} cancelled, {left} left"
    ))?;
    print(format_args!("children: {ended} ended, {orphans} left"))?;
    print(format_args!(
        "results: {delivered} to parents, {late} cleaned up, {never} given up"
    ))?;
    Ok(())
}

const USAGE: &str = "usage: children [--parents N] [--children N] [--cancel N]";

/// Returns `None` where help is asked for.
fn options() -> Result<Option<[u64; 3]>, Box<dyn Error>> {
    let [mut parents, mut children, mut cancel] = [1000, 8, 100];
    let most = SLOTS as u64;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("parents") => parents = number(&mut parser, "--parents", 1..=most)?,
            Long("children") => children = number(&mut parser, "--children", 0..=most)?,
            Long("cancel") => cancel = number(&mut parser, "--cancel", 0..=most)?,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    if cancel > parents {
        return Err(format!("--cancel: there are only {parents} parents").into());
    }
    Ok(Some([parents, children, cancel]))
}

fn main() -> ExitCode {
    let outcome = options().and_then(|options| match options {
        None => Ok(print(USAGE)?),
        Some(options) => run(options),
    });
    finish("children", outcome)
}
