//! A completion meets what can happen to its parent meanwhile.

use batchloop_core::*;
use loom::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

/// A result that knows where it is counted.
struct Receipt(Arc<Counts>);

#[derive(Default)]
struct Counts {
    delivered: AtomicU32,
    cleaned_up: AtomicU32,
    abandoned: AtomicU32,
    closed: AtomicU32,
    acted_upon: AtomicU32,
}

impl Counts {
    fn get(&self) -> [u32; 2] {
        [&self.delivered, &self.cleaned_up].map(|count| count.load(Ordering::Relaxed))
    }
}

fn add(count: &AtomicU32) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn clean_up(receipt: Receipt) {
    add(&receipt.0.cleaned_up);
}

struct Parent {
    counts: Arc<Counts>,
    done: Option<Completion<Receipt, Shared>>,
    outcome: Option<Result<(), Abandoned>>,
}

impl Parent {
    fn done(&mut self, outcome: Result<Receipt, Abandoned>) -> Reaction {
        match &outcome {
            Ok(receipt) => add(&receipt.0.delivered),
            Err(Abandoned) => add(&self.counts.abandoned),
        }
        self.outcome = Some(outcome.map(|_| ()));
        Reaction::Wake
    }
}

/// Makes the completion at the first point, and ends at the second one.
fn entry(cx: &mut Turn<'_, Parent, Shared>) {
    let new = cx.arrivals();
    let started = cx.stage(point!("start"), new).advance(|parent, me| {
        parent.done = Some(me.completion(Parent::done, clean_up));
        Step::Next
    });
    cx.stage(point!("wait"), started).advance(|parent, me| {
        // Longer than a completion waits for the lock.
        (0..3).for_each(|_| thread::yield_now());
        if me.events().contains(Events::CLOSED) {
            add(&parent.counts.closed);
        } else if parent.outcome.is_none() {
            return Step::Wait;
        }
        add(&parent.counts.acted_upon);
        Step::Release
    });
}

struct Model {
    machine: Machine<Parent, Shared>,
    parent: Handle<Parent>,
    done: Completion<Receipt, Shared>,
    counts: Arc<Counts>,
}

/// A parent that waits, and the completion that it waits for.
fn model() -> Model {
    let machine: Machine<Parent, Shared> = Machine::heap(Capacity::slots(1).points(2).scopes(0));
    let counts = Arc::new(Counts::default());
    let parent = Parent {
        counts: counts.clone(),
        done: None,
        outcome: None,
    };
    let parent = machine.allocate(parent).unwrap();
    turns(machine);
    let mut taken = None;
    let signalled = machine.signal(parent, |parent| {
        taken = parent.done.take();
        Reaction::Ignore
    });
    assert!(signalled.is_ok());
    Model {
        machine,
        parent,
        done: taken.unwrap(),
        counts,
    }
}

fn turns(machine: Machine<Parent, Shared>) {
    let mut driver = machine.driver().unwrap();
    while driver.turn(entry) == Ok(Progress::More) {}
}

fn complete(mut done: Completion<Receipt, Shared>, counts: Arc<Counts>) {
    let mut result = Receipt(counts);
    while let Err(Busy(receipt)) = done.complete(result) {
        result = receipt;
        thread::yield_now();
    }
}

#[test]
fn a_completion_meets_a_cancellation_and_a_turn() {
    loom::model(|| {
        let Model {
            machine,
            parent,
            done,
            counts,
        } = model();
        machine.wake(parent).unwrap();
        let receipt = counts.clone();
        let child = thread::spawn(move || complete(done, receipt));
        // If somebody works on the parent just then, it is not cancelled.
        let canceller = thread::spawn(move || machine.release(parent).is_ok());
        turns(machine);
        child.join().unwrap();
        let cancelled = canceller.join().unwrap();
        turns(machine);
        let [delivered, cleaned_up] = counts.get();
        assert_eq!(delivered + cleaned_up, 1);
        assert!(cancelled || delivered == 1);
        assert_eq!(machine.live(), 0);
    });
}

#[test]
fn a_completion_meets_a_turn_and_is_acted_upon() {
    loom::model(|| {
        let Model {
            machine,
            parent,
            done,
            counts,
        } = model();
        machine.wake(parent).unwrap();
        let receipt = counts.clone();
        let child = thread::spawn(move || complete(done, receipt));
        turns(machine);
        child.join().unwrap();
        turns(machine);
        assert_eq!(counts.get(), [1, 0]);
        assert_eq!(counts.acted_upon.load(Ordering::Relaxed), 1);
        assert_eq!(machine.live(), 0);
    });
}

#[test]
fn a_dropped_completion_meets_a_turn_and_is_noticed() {
    loom::model(|| {
        let Model {
            machine,
            parent,
            done,
            counts,
        } = model();
        machine.wake(parent).unwrap();
        let child = thread::spawn(move || drop(done));
        turns(machine);
        child.join().unwrap();
        turns(machine);
        let abandoned = counts.abandoned.load(Ordering::Relaxed);
        let closed = counts.closed.load(Ordering::Relaxed);
        assert_eq!(abandoned + closed, 1);
        assert_eq!(machine.live(), 0);
    });
}
