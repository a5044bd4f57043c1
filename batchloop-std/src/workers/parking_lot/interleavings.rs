//! Workers that park while others ring, under loom. A lost wake-up is a sleep that never ends, which loom reports.

use batchloop_core::{Capacity, Driver, Progress, Shared, Turn, Workload, point};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering as LoomOrdering},
    },
    thread,
};

use super::*;

fn pass_on(cx: &mut Turn<'_, bool, Shared>) {
    let new = cx.arrivals();
    cx.stage(point!("compute", Workload::CPU), new).release();
}

/// A worker that leaves when nothing lives.
fn work(lot: &ParkingLot, index: usize, mut driver: Driver<bool, Shared>) {
    while driver.live() > 0 {
        if driver.turn(pass_on) == Ok(Progress::Quiet) {
            lot.park(index, &driver.watch(), || driver.live() == 0);
        }
    }
    lot.call_all();
}

fn machine(slots: usize, workers: &[Workloads]) -> (Machine<bool, Shared>, &'static ParkingLot) {
    let capacity = Capacity::slots(slots)
        .points(1)
        .scopes(0)
        .workloads(2)
        .drivers(workers.len());
    let machine = Machine::heap(capacity);
    let lot = ParkingLot::of(&machine, Workloads::ALL, workers.len()).unwrap();
    for (index, serves) in workers.iter().enumerate() {
        lot.assign(index, *serves);
    }
    (machine, lot)
}

#[test]
fn two_specialised_workers_finish_what_is_started() {
    let workers = [Workload::IO.into(), Workload::CPU.into()];
    loom::model(move || {
        let (machine, lot) = machine(1, &workers);
        machine.allocate(true).unwrap();
        let moving = machine.driver_for(workers[0]).unwrap();
        let computing = machine.driver_for(workers[1]).unwrap();
        let other = thread::spawn(move || work(lot, 1, computing));
        work(lot, 0, moving);
        other.join().unwrap();
    });
}

#[test]
fn a_change_that_comes_while_a_worker_parks_is_not_slept_through() {
    let workers = [Workload::IO | Workload::CPU];
    loom::model(move || {
        let (machine, lot) = machine(1, &workers);
        let mut driver = machine.driver_for(workers[0]).unwrap();
        let other = thread::spawn(move || {
            machine.allocate(true).unwrap();
        });
        loop {
            let mut found = false;
            let progress = driver.turn(|cx| {
                let new = cx.arrivals();
                found = !new.is_empty();
                new.release();
            });
            if found {
                break;
            }
            if progress == Ok(Progress::Quiet) {
                lot.park(0, &driver.watch(), || false);
            }
        }
        other.join().unwrap();
    });
}

#[test]
fn a_worker_that_is_called_to_leave_does_not_sleep() {
    let workers = [Workload::IO.into()];
    loom::model(move || {
        let (machine, lot) = machine(1, &workers);
        let mut driver = machine.driver_for(workers[0]).unwrap();
        assert_eq!(driver.turn(pass_on), Ok(Progress::Quiet));
        let leave = Arc::new(AtomicBool::new(false));
        let other = {
            let leave = leave.clone();
            thread::spawn(move || {
                leave.store(true, LoomOrdering::Release);
                lot.call_all();
            })
        };
        let leaving = || leave.load(LoomOrdering::Acquire);
        while !leaving() {
            lot.park(0, &driver.watch(), leaving);
        }
        other.join().unwrap();
    });
}
