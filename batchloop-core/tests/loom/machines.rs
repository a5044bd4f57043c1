//! Wake, take, signal and release, in pairs and triples.

use batchloop_core::{machine::Admits, *};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use super::quiet;

/// A state that ends when it has seen the value it waits for.
#[derive(Debug)]
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

/// As above, for a state that is taken and entered in one step.
#[test]
fn a_signal_meets_a_worker_at_the_state_s_point() {
    loom::model(|| {
        let machine: Machine<Counts, Shared> =
            Machine::heap(Capacity::slots(1).points(1).scopes(0));
        let ended = Arc::new(AtomicU32::new(0));
        let handle = machine.allocate(Counts(1, ended.clone())).unwrap();
        let mut driver = machine.driver().unwrap();
        quiet(&mut driver, count_to_two);
        machine.wake(handle).unwrap();
        let other = thread::spawn(move || add_one(machine, handle));
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

/// A hook that does not wake, on a state that is in a batch, or about to be.
#[test]
fn a_hook_that_ignores_takes_no_activation_away() {
    loom::model(|| {
        let machine: Machine<Counts, Shared> =
            Machine::heap(Capacity::slots(1).points(1).scopes(0));
        let ended = Arc::new(AtomicU32::new(0));
        let handle = machine.allocate(Counts(2, ended.clone())).unwrap();
        let other = thread::spawn(move || {
            // Whether it comes too late, or finds the state busy, makes no difference.
            let _ = machine.signal(handle, |_| Reaction::Ignore);
        });
        let mut driver = machine.driver().unwrap();
        quiet(&mut driver, count_to_two);
        other.join().unwrap();
        quiet(&mut driver, count_to_two);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn two_wakes_and_a_worker() {
    loom::model(|| {
        let (machine, handle, value, ended) = parked::<Shared>(1);
        let early = machine.waker(handle);
        let first = thread::spawn(move || {
            let _ = early.wake();
        });
        let late = machine.waker(handle);
        let second = thread::spawn(move || {
            value.store(1, Ordering::Relaxed);
            let _ = late.wake();
        });
        let mut driver = machine.driver().unwrap();
        quiet(&mut driver, wait_for_value);
        first.join().unwrap();
        second.join().unwrap();
        quiet(&mut driver, wait_for_value);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

/// Of all who end a state, one does.
#[test]
fn two_releases_and_a_worker_end_a_state_once() {
    loom::model(|| {
        let (machine, handle, value, ended) = parked::<Shared>(1);
        value.store(1, Ordering::Relaxed);
        machine.wake(handle).unwrap();
        let release = move || loop {
            match machine.release(handle) {
                Err(SignalError::Busy(())) => thread::yield_now(),
                answer => break u32::from(answer.is_ok()),
            }
        };
        let other = thread::spawn(release);
        let mut driver = machine.driver().unwrap();
        quiet(&mut driver, wait_for_value);
        let ends = ended.load(Ordering::Relaxed) + release();
        let ends = ends + other.join().unwrap();
        assert_eq!(ends, 1);
        quiet(&mut driver, wait_for_value);
        assert_eq!(machine.live(), 0);
    });
}

#[test]
fn a_stale_event_does_not_reach_the_next_tenant() {
    loom::model(|| {
        let (machine, first, _, ended) = parked::<Shared>(1);
        let other = thread::spawn(move || {
            let posted = machine.post(first, Events::READABLE);
            let by_token = machine.post_token(first.token(), Events::WRITABLE);
            assert!(posted.is_ok() || by_token.is_err(), "stale is for ever");
        });
        machine.release(first).unwrap();
        let next = Waits {
            value: Arc::new(AtomicU32::new(0)),
            until: 1,
            ended: ended.clone(),
        };
        machine.allocate(next).unwrap();
        let mut driver = machine.driver().unwrap();
        let mut see = || {
            let turn = driver.turn(|cx| {
                cx.arrivals().advance(|_, me| {
                    assert_eq!(me.events(), Events::NONE);
                    Step::Wait
                });
            });
            turn == Ok(Progress::More)
        };
        while see() {}
        other.join().unwrap();
        while see() {}
        machine
            .handles()
            .for_each(|state| machine.release(state).unwrap());
    });
}

#[test]
fn a_signal_meets_a_release() {
    loom::model(|| {
        let (machine, handle, value, _) = parked::<Shared>(1);
        let other = thread::spawn(move || {
            let change = |state: &mut Waits| {
                state.until += 1;
                Reaction::Wake
            };
            while matches!(machine.signal(handle, change), Err(SignalError::Busy(_))) {
                thread::yield_now();
            }
        });
        while machine.release(handle) == Err(SignalError::Busy(())) {
            thread::yield_now();
        }
        other.join().unwrap();
        assert_eq!(machine.live(), 0);
        assert_eq!(Arc::strong_count(&value), 1, "it has been dropped, once");
        let mut driver = machine.driver().unwrap();
        quiet(&mut driver, wait_for_value);
    });
}

/// Printing locks each state for a moment.
#[test]
fn a_dump_meets_a_worker() {
    loom::model(|| {
        let (machine, handle, value, ended) = parked::<Shared>(1);
        value.store(1, Ordering::Relaxed);
        machine.wake(handle).unwrap();
        let other = thread::spawn(move || {
            let text = machine.dump().states().to_string();
            assert!(text.lines().count() <= 2, "{text}");
        });
        let mut driver = machine.driver().unwrap();
        quiet(&mut driver, wait_for_value);
        other.join().unwrap();
        quiet(&mut driver, wait_for_value);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

/// The state goes from one point to another while it is woken: the wake finds it at either.
#[test]
fn a_wake_meets_a_state_that_moves_on() {
    fn two_points(cx: &mut Turn<'_, Waits, Shared>) {
        let new = cx.arrivals();
        let first = cx.stage(point!("first"), new).advance(|_, _| Step::Next);
        cx.stage(point!("second"), first).advance(|state, _| {
            if state.value.load(Ordering::Relaxed) == state.until {
                state.ended.fetch_add(1, Ordering::Relaxed);
                return Step::Release;
            }
            Step::Wait
        });
    }
    loom::model(|| {
        let machine: Machine<Waits, Shared> = Machine::heap(Capacity::slots(1).points(2).scopes(0));
        let (value, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let state = Waits {
            value: value.clone(),
            until: 1,
            ended: ended.clone(),
        };
        let waker = machine.waker(machine.allocate(state).unwrap());
        let other = thread::spawn(move || {
            value.store(1, Ordering::Relaxed);
            let _ = waker.wake();
        });
        let mut driver = machine.driver().unwrap();
        quiet(&mut driver, two_points);
        other.join().unwrap();
        quiet(&mut driver, two_points);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}
