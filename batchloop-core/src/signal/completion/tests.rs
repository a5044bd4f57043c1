use std::{cell::Cell, rc::Rc, string::ToString, vec::Vec};

use crate::*;

/// A result that counts where it went: what the cleanup function does with it cannot be seen otherwise.
struct Receipt(Rc<Counts>);

#[derive(Default)]
struct Counts {
    parent: Cell<u32>,
    cleanup: Cell<u32>,
    abandoned: Cell<u32>,
}

impl Counts {
    fn all(&self) -> [u32; 3] {
        [self.parent.get(), self.cleanup.get(), self.abandoned.get()]
    }
}

fn add(count: &Cell<u32>) {
    count.set(count.get() + 1);
}

fn clean_up(receipt: Receipt) {
    add(&receipt.0.cleanup);
}

struct Parent {
    counts: Rc<Counts>,
    children: Vec<Completion<Receipt>>,
    closed: bool,
}

impl Parent {
    fn done(&mut self, outcome: Result<Receipt, Abandoned>) -> Reaction {
        match outcome {
            Ok(receipt) => add(&receipt.0.parent),
            Err(Abandoned) => add(&self.counts.abandoned),
        }
        Reaction::Wake
    }
}

/// Gives out a completion at each turn.
fn entry(cx: &mut Turn<'_, Parent>) {
    let new = cx.arrivals();
    cx.stage(point!("parent"), new).advance(|parent, me| {
        parent.closed |= me.events().contains(Events::CLOSED);
        parent.children.push(me.completion(Parent::done, clean_up));
        Step::Wait
    });
}

fn parent() -> (Machine<Parent>, Handle<Parent>, Rc<Counts>) {
    let machine = Machine::heap(Capacity::slots(2).points(1));
    let counts = Rc::new(Counts::default());
    let parent = Parent {
        counts: counts.clone(),
        children: Vec::new(),
        closed: false,
    };
    let handle = machine.allocate(parent).unwrap();
    machine.driver().unwrap().turn(entry).unwrap();
    (machine, handle, counts)
}

fn take(machine: Machine<Parent>, handle: Handle<Parent>) -> Completion<Receipt> {
    let mut taken = None;
    let signalled = machine.signal(handle, |parent| {
        taken = parent.children.pop();
        Reaction::Ignore
    });
    assert!(signalled.is_ok());
    taken.unwrap()
}

#[test]
fn the_parent_gets_one_result_and_cleanup_the_others() {
    let (machine, handle, counts) = parent();
    let mut done = take(machine, handle);
    assert!(done.is_wanted());
    assert_eq!(done.parent(), machine.lineage(handle));
    let delivered = done.complete(Receipt(counts.clone()));
    assert_eq!(delivered.ok(), Some(()));
    assert!(!done.is_wanted());
    let delivered = done.complete(Receipt(counts.clone()));
    assert_eq!(delivered.ok(), Some(()));
    drop(done);
    assert_eq!(counts.all(), [1, 1, 0]);
}

#[test]
fn a_result_for_an_ended_parent_is_cleaned_up_also_if_its_slot_has_a_new_tenant() {
    let (machine, handle, counts) = parent();
    let mut done = take(machine, handle);
    machine.release(handle).unwrap();
    let next = Parent {
        counts: Rc::default(),
        children: Vec::new(),
        closed: false,
    };
    let next = machine.allocate(next).unwrap();
    assert_eq!(next.slot(), handle.slot());
    assert!(!done.is_wanted());
    let delivered = done.try_complete(Receipt(counts.clone()));
    assert_eq!(delivered.ok(), Some(()));
    drop(done);
    assert_eq!(counts.all(), [0, 1, 0]);
}

#[test]
fn a_dropped_completion_says_so_once() {
    let (machine, handle, counts) = parent();
    drop(take(machine, handle));
    assert_eq!(counts.all(), [0, 0, 1]);
    machine.driver().unwrap().turn(entry).unwrap();
    let text = std::format!("{:?}", take(machine, handle));
    assert_eq!(text, "Completion(due for Parent#0v1)");
    assert_eq!(counts.all(), [0, 0, 2]);
    machine.wake(handle).unwrap();
    machine.driver().unwrap().turn(entry).unwrap();
    take(machine, handle).dismiss();
    assert_eq!(counts.all(), [0, 0, 2]);
    assert_eq!(Abandoned.to_string(), "the work was abandoned");
}

#[test]
fn a_busy_parent_loses_nothing() {
    let (machine, handle, counts) = parent();
    let mut done = take(machine, handle);
    let mut kept = None;
    let signalled = machine.signal(handle, |_| {
        let Err(Busy(receipt)) = done.complete(Receipt(counts.clone())) else {
            panic!("the parent is locked");
        };
        kept = Some(receipt);
        Reaction::Ignore
    });
    assert!(signalled.is_ok());
    assert!(done.is_wanted());
    assert_eq!(counts.all(), [0, 0, 0]);
    let delivered = done.complete(kept.unwrap());
    assert_eq!(delivered.ok(), Some(()));
    assert_eq!(counts.all(), [1, 0, 0]);
}

#[test]
fn a_completion_dropped_under_the_parents_lock_closes_it() {
    let (machine, handle, counts) = parent();
    let mut driver = machine.driver().unwrap();
    assert_eq!(driver.turn(entry), Ok(Progress::Quiet));
    let signalled = machine.signal(handle, |parent| {
        parent.children.clear();
        Reaction::Ignore
    });
    assert!(signalled.is_ok());
    assert_eq!(driver.turn(entry), Ok(Progress::Quiet));
    let mut closed = false;
    let signalled = machine.signal(handle, |parent| {
        closed = parent.closed;
        Reaction::Ignore
    });
    assert!(signalled.is_ok());
    assert!(closed);
    assert_eq!(counts.all(), [0, 0, 0]);
}

#[test]
fn a_hook_that_panics_ends_the_parent_and_has_had_its_result() {
    let machine: Machine<Option<Completion<u8>>> = Machine::heap(Capacity::slots(1).points(1));
    let handle = machine.allocate(None).unwrap();
    let mut driver = machine.driver().unwrap();
    let entry = |cx: &mut Turn<'_, Option<Completion<u8>>>| {
        let new = cx.arrivals();
        cx.stage(point!(), new).advance(|parent, me| {
            *parent = Some(me.completion(|_, _| panic!("on purpose"), drop));
            Step::Wait
        });
    };
    driver.turn(entry).unwrap();
    let mut done = None;
    let signalled = machine.signal(handle, |parent| {
        done = parent.take();
        Reaction::Ignore
    });
    assert!(signalled.is_ok());
    let mut done = done.unwrap();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| done.complete(1)));
    assert!(caught.is_err());
    assert!(!machine.is_live(handle));
    assert_eq!(done.complete(2), Ok(()));
}
