//! A driver that is hosted by a task, beside whoever changes something.

use batchloop_core::{turn::TaskBell, *};
use loom::{future::block_on, thread};

/// A wake-up that is lost is a task that waits for ever, which loom reports as a deadlock.
#[test]
fn a_hosted_driver_does_not_sleep_through_a_change() {
    loom::model(|| {
        let bell: &'static TaskBell = Box::leak(Box::default());
        let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(1).points(1).scopes(0));
        machine.set_bell(bell).unwrap();
        let mut driver = machine.driver().unwrap();
        // Before its first turn a driver is due, and would not wait.
        driver.turn(|_| {}).unwrap();
        let other = thread::spawn(move || machine.counter().ring());
        block_on(bell.changed(driver.watch()));
        other.join().unwrap();
        // Bells are never freed, but the task that the last one knows is loom's.
        bell.ring();
    });
}

/// The task is woken for a reason of its own, and polls again, beside whoever changes something.
#[test]
fn a_hosted_driver_that_is_polled_for_nothing_does_not_sleep_through_a_change() {
    loom::model(|| {
        let bell: &'static TaskBell = Box::leak(Box::default());
        let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(1).points(1).scopes(0));
        machine.set_bell(bell).unwrap();
        let mut driver = machine.driver().unwrap();
        // Before its first turn a driver is due, and would not wait.
        driver.turn(|_| {}).unwrap();
        let others = [
            thread::spawn(|| bell.ring()),
            thread::spawn(move || machine.counter().ring()),
        ];
        block_on(bell.changed(driver.watch()));
        others.into_iter().for_each(|other| other.join().unwrap());
        bell.ring();
    });
}
