//! Slots, from several threads.

use batchloop_core::{slab::Wrap, *};
use loom::thread;

use super::quiet;

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

#[test]
fn a_slot_that_is_given_back_goes_to_one_of_two() {
    loom::model(|| {
        let machine: Machine<u32, Shared> = Machine::heap(Capacity::slots(1).points(1).scopes(0));
        let first = machine.allocate(1).unwrap();
        let other = thread::spawn(move || machine.allocate(2).is_ok());
        machine.release(first).unwrap();
        let ours = machine.allocate(3).is_ok();
        assert!(
            ours != other.join().unwrap(),
            "there is one slot, and it is free"
        );
        assert_eq!(machine.live(), 1);
    });
}

/// A new state is seen by the turn that runs, or the turn says that there is more.
#[test]
fn a_new_state_is_not_overlooked() {
    fn release_all(cx: &mut Turn<'_, u32, Shared>) {
        cx.arrivals().release();
    }
    loom::model(|| {
        let machine: Machine<u32, Shared> = Machine::heap(Capacity::slots(2).points(1).scopes(0));
        let mut driver = machine.driver().unwrap();
        let other = thread::spawn(move || {
            machine.allocate(1).unwrap();
        });
        quiet(&mut driver, release_all);
        let watch = driver.watch();
        other.join().unwrap();
        assert!(machine.live() == 0 || watch.has_moved());
        quiet(&mut driver, release_all);
        assert_eq!(machine.live(), 0);
    });
}

/// What waits until nothing lives sees that it is so, or is rung for.
fn the_end_of_the_last_state_is_not_slept_through(wrap: Wrap) {
    loom::model(move || {
        let capacity = Capacity::slots(2).points(0).scopes(0);
        let machine: Machine<u32, Shared> = Machine::heap(capacity.version_bits(1).wrap(wrap));
        let last = machine.allocate(1).unwrap();
        let other = thread::spawn(move || machine.release(last).unwrap());
        let before = machine.counter().snapshot();
        machine.ring_when_freed();
        let is_over = machine.live() == 0;
        other.join().unwrap();
        assert!(is_over || machine.counter().moved_since(before));
        assert_eq!(machine.live(), 0);
    });
}

#[test]
fn the_end_of_the_last_state_is_not_slept_through_where_its_slot_is_used_again() {
    the_end_of_the_last_state_is_not_slept_through(Wrap::Reuse);
}

#[test]
fn the_end_of_the_last_state_is_not_slept_through_where_its_slot_is_retired() {
    the_end_of_the_last_state_is_not_slept_through(Wrap::Retire);
}

#[test]
fn no_more_live_than_there_are_slots_and_no_fewer_than_none() {
    loom::model(|| {
        let machine: Machine<u32, Shared> = Machine::heap(Capacity::slots(1).points(0).scopes(0));
        let first = machine.allocate(1).unwrap();
        let other = thread::spawn(move || {
            machine.release(first).unwrap();
            machine.allocate(2).is_ok()
        });
        let ours = machine.allocate(3).is_ok();
        assert!(machine.live() <= 1);
        let theirs = other.join().unwrap();
        assert!(ours != theirs, "there is one slot");
        assert_eq!(machine.live(), 1);
    });
}

#[test]
fn one_of_two_threads_gets_the_only_driver() {
    loom::model(|| {
        let machine: Machine<u32, Shared> = Machine::heap(Capacity::slots(1).points(0).scopes(0));
        let other = thread::spawn(move || machine.driver());
        let ours = machine.driver();
        let theirs = other.join().unwrap();
        assert!(ours.is_ok() != theirs.is_ok(), "there is one");
        drop((ours, theirs));
        assert!(machine.driver().is_ok());
    });
}
