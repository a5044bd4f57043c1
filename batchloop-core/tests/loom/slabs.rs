//! Slots, from several threads.

use batchloop_core::*;
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
