//! A thread that sleeps on the bell and others that ring, under loom. A ring that is missed is a sleep that never ends,
//! which loom reports.

use batchloop_core::{Capacity, Machine, Shared, Workload};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering as LoomOrdering},
    },
    thread,
};

use super::*;

fn bell() -> &'static BlockingBell {
    Box::leak(Box::new(BlockingBell::new()))
}

/// Two threads make a change each, for different workloads of the driver, which ends when it has seen both.
#[test]
fn no_change_of_any_workload_is_slept_through() {
    let mut builder = loom::model::Builder::new();
    // With one preemption more it takes minutes.
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let capacity = Capacity::slots(1).points(0).scopes(0).workloads(2);
        let machine: Machine<u8, Shared> = Machine::heap(capacity);
        let bell = bell();
        machine.set_bell(bell).unwrap();
        let work = Arc::new(AtomicU32::new(0));
        let ringers = [Workload::IO, Workload::CPU].map(|workload| {
            let work = work.clone();
            thread::spawn(move || {
                work.fetch_add(1, LoomOrdering::Relaxed);
                machine.counter_of(workload).ring();
            })
        });
        let mut driver = machine.driver().unwrap();
        loop {
            let mut seen = 0;
            driver
                .turn(|_| seen = work.load(LoomOrdering::Relaxed))
                .unwrap();
            if seen == 2 {
                break;
            }
            bell.sleep(&driver.watch());
        }
        for ringer in ringers {
            ringer.join().unwrap();
        }
    });
}

/// A bell for several sleepers: one ring is for all.
#[test]
fn all_that_sleep_on_a_counter_hear_the_ring() {
    loom::model(|| {
        let counter: &'static ChangeCounter = Box::leak(Box::new(ChangeCounter::new()));
        let bell = bell();
        counter.set_bell(bell).unwrap();
        let work = Arc::new(AtomicU32::new(0));
        let wait = move |work: &AtomicU32| {
            loop {
                let before = counter.snapshot();
                if work.load(LoomOrdering::Relaxed) == 1 {
                    break;
                }
                bell.sleep_on(counter, before);
            }
        };
        let other = {
            let work = work.clone();
            thread::spawn(move || wait(&work))
        };
        let ringer = {
            let work = work.clone();
            thread::spawn(move || {
                work.store(1, LoomOrdering::Relaxed);
                counter.ring();
            })
        };
        wait(&work);
        other.join().unwrap();
        ringer.join().unwrap();
    });
}
