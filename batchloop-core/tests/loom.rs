//! Every interleaving of small programs on whole machines, by loom.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 \
//!     cargo test --release -p batchloop-core --features alloc --lib --test loom
//! ```
//!
//! Loom explores orderings as the C11 model allows them, within the bound on preemptions. A lost wake-up shows as a
//! count that is never reached; two holders of one state show as a race on the payload's witness.
#![cfg(loom)]

use batchloop_core::*;
use loom::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

/// A state that ends when it has seen the value it waits for.
struct Waits {
    value: Arc<AtomicU32>,
    until: u32,
    ended: Arc<AtomicU32>,
}

fn wait_for_value<A: Access>(cx: &mut Turn<'_, Waits, A>) {
    let new = cx.arrivals();
    cx.stage(point!("value"), new).advance(|state, _| {
        // The order is the wake's to give, not this load's.
        if state.value.load(Ordering::Relaxed) == state.until {
            state.ended.fetch_add(1, Ordering::Relaxed);
            Step::Release
        } else {
            Step::Wait
        }
    });
}

fn quiet<T, A: Access>(driver: &mut Driver<T, A>, entry: impl for<'t> Fn(&mut Turn<'t, T, A>)) {
    while driver.turn(&entry) == Ok(Progress::More) {}
}

/// A machine with one state, at its point, that waits for the value 1.
fn parked<A: Admits<Waits>>(
    drivers: usize,
) -> (
    Machine<Waits, A>,
    Handle<Waits>,
    Arc<AtomicU32>,
    Arc<AtomicU32>,
) {
    let capacity = Capacity::slots(1).points(1).scopes(0).drivers(drivers);
    let machine: Machine<Waits, A> = Machine::heap(capacity);
    let (value, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let state = Waits {
        value: value.clone(),
        until: 1,
        ended: ended.clone(),
    };
    let handle = machine.allocate(state).unwrap();
    let mut driver = machine.driver().unwrap();
    quiet(&mut driver, wait_for_value);
    (machine, handle, value, ended)
}

#[test]
fn a_wake_during_a_turn_is_not_lost() {
    loom::model(|| {
        let (machine, handle, value, ended) = parked::<Shared>(1);
        machine.wake(handle).unwrap();
        let waker = machine.waker(handle);
        let other = thread::spawn(move || {
            value.store(1, Ordering::Relaxed);
            let _ = waker.wake();
        });
        let mut driver = machine.driver().unwrap();
        quiet(&mut driver, wait_for_value);
        other.join().unwrap();
        quiet(&mut driver, wait_for_value);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_remote_wake_of_a_local_machine_is_not_lost() {
    loom::model(|| {
        let (machine, handle, value, ended) = parked::<Local>(1);
        let waker = machine.waker(handle);
        let other = thread::spawn(move || {
            value.store(1, Ordering::Relaxed);
            let _ = waker.wake();
        });
        let mut driver = machine.driver().unwrap();
        quiet(&mut driver, wait_for_value);
        other.join().unwrap();
        quiet(&mut driver, wait_for_value);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn two_drivers_share_one_state() {
    loom::model(|| {
        let (machine, handle, value, ended) = parked::<Shared>(2);
        value.store(1, Ordering::Relaxed);
        machine.wake(handle).unwrap();
        let other = thread::spawn(move || {
            let mut driver = machine.driver().unwrap();
            quiet(&mut driver, wait_for_value);
        });
        let mut driver = machine.driver().unwrap();
        quiet(&mut driver, wait_for_value);
        other.join().unwrap();
        quiet(&mut driver, wait_for_value);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
        assert_eq!(machine.live(), 0);
    });
}

/// A state that hooks count up.
struct Counts(u32, Arc<AtomicU32>);

fn count_to_two<A: Access>(cx: &mut Turn<'_, Counts, A>) {
    let new = cx.arrivals();
    cx.stage(point!("two"), new)
        .advance(|state, _| match state.0 {
            2 => {
                state.1.fetch_add(1, Ordering::Relaxed);
                Step::Release
            }
            _ => Step::Wait,
        });
}

fn add_one(machine: Machine<Counts, Shared>, handle: Handle<Counts>) {
    loop {
        let added = machine.signal(handle, |state| {
            state.0 += 1;
            Reaction::Wake
        });
        match added {
            Ok(()) => return,
            Err(SignalError::Busy(_)) => thread::yield_now(),
            Err(SignalError::Stale(_)) => panic!("it lives until both have come"),
        }
    }
}

#[test]
fn signals_from_two_threads_both_count() {
    loom::model(|| {
        let machine: Machine<Counts, Shared> =
            Machine::heap(Capacity::slots(1).points(1).scopes(0));
        let ended = Arc::new(AtomicU32::new(0));
        let handle = machine.allocate(Counts(0, ended.clone())).unwrap();
        let mut driver = machine.driver().unwrap();
        quiet(&mut driver, count_to_two);
        let other = thread::spawn(move || add_one(machine, handle));
        add_one(machine, handle);
        quiet(&mut driver, count_to_two);
        other.join().unwrap();
        quiet(&mut driver, count_to_two);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_signal_meets_a_worker() {
    loom::model(|| {
        let machine: Machine<Counts, Shared> =
            Machine::heap(Capacity::slots(1).points(1).scopes(0));
        let ended = Arc::new(AtomicU32::new(0));
        let handle = machine.allocate(Counts(1, ended.clone())).unwrap();
        let other = thread::spawn(move || add_one(machine, handle));
        let mut driver = machine.driver().unwrap();
        quiet(&mut driver, count_to_two);
        other.join().unwrap();
        quiet(&mut driver, count_to_two);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn release_from_outside_meets_a_worker_and_the_next_tenant() {
    loom::model(|| {
        let (machine, handle, _value, ended) = parked::<Shared>(1);
        machine.wake(handle).unwrap();
        let other = thread::spawn(move || {
            let released = loop {
                match machine.release(handle) {
                    Err(SignalError::Busy(())) => thread::yield_now(),
                    answer => break answer,
                }
            };
            assert_eq!(released, Ok(()));
            assert_eq!(machine.wake(handle), Err(Stale));
        });
        let mut driver = machine.driver().unwrap();
        quiet(&mut driver, wait_for_value);
        other.join().unwrap();
        quiet(&mut driver, wait_for_value);
        assert_eq!(machine.live(), 0);
        assert_eq!(ended.load(Ordering::Relaxed), 0);
        let next = Waits {
            value: Arc::new(AtomicU32::new(1)),
            until: 1,
            ended: ended.clone(),
        };
        machine.allocate(next).unwrap();
        quiet(&mut driver, wait_for_value);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn two_allocations_get_two_slots() {
    loom::model(|| {
        let machine: Machine<u32, Shared> = Machine::heap(Capacity::slots(2).points(1).scopes(0));
        let other = thread::spawn(move || machine.allocate(1).unwrap());
        let one = machine.allocate(2).unwrap();
        let another = other.join().unwrap();
        assert_ne!(one, another);
        assert_eq!(machine.allocate(3), Err(Full(3)));
    });
}

#[test]
fn whoever_saw_a_full_slab_is_rung_for() {
    loom::model(|| {
        let machine: Machine<u32, Shared> = Machine::heap(Capacity::slots(1).points(1).scopes(0));
        let first = machine.allocate(1).unwrap();
        let other = thread::spawn(move || machine.release(first).unwrap());
        let before = machine.counter().snapshot();
        let full = machine.allocate(2).is_err();
        other.join().unwrap();
        assert!(!full || machine.counter().moved_since(before));
    });
}

/// A bell that a thread can sleep on.
struct Gong {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell for Gong {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

impl Gong {
    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// A lost wake-up is a sleep that never ends, which loom reports as a deadlock.
#[test]
fn nobody_sleeps_through_a_change() {
    loom::model(|| {
        let counter: &'static ChangeCounter = Box::leak(Box::new(ChangeCounter::new()));
        let gong: &'static Gong = Box::leak(Box::new(Gong {
            rung: Mutex::new(false),
            changed: Condvar::new(),
        }));
        counter.set_bell(gong).unwrap();
        let work = Arc::new(AtomicU32::new(0));
        let done = work.clone();
        let other = thread::spawn(move || {
            work.store(1, Ordering::Relaxed);
            counter.ring();
        });
        loop {
            let before = counter.snapshot();
            if done.load(Ordering::Relaxed) == 1 {
                break;
            }
            counter.sleep(before, || gong.wait());
        }
        other.join().unwrap();
    });
}
