use batchloop_core::{Capacity, Shared, Workload};

use super::*;

/// A lot with these workers, all parked.
fn parked(counters: usize, workers: &[Workloads]) -> (Machine<u8, Shared>, &'static ParkingLot) {
    let machine = Machine::heap(Capacity::slots(1).workloads(counters));
    let lot = ParkingLot::of(&machine, Workloads::ALL, workers.len()).unwrap();
    for (index, serves) in workers.iter().enumerate() {
        lot.assign(index, *serves);
        lot.spaces[index].word.store(PARKED, Ordering::Relaxed);
    }
    (machine, lot)
}

fn called(lot: &ParkingLot) -> Vec<usize> {
    let is_called = |index: &usize| lot.spaces[*index].word.load(Ordering::Relaxed) == CALLED;
    (0..lot.len()).filter(is_called).collect()
}

fn bell(lot: &'static ParkingLot, workloads: Workloads) -> CounterBell {
    CounterBell { lot, workloads }
}

#[test]
fn a_change_calls_one_worker_that_serves_it() {
    let (io, cpu) = (
        Workloads::from(Workload::IO),
        Workloads::from(Workload::CPU),
    );
    let (_, lot) = parked(2, &[io, cpu, cpu, io | cpu]);
    bell(lot, cpu).ring();
    assert_eq!(called(lot), [1]);
    bell(lot, cpu).ring();
    assert_eq!(called(lot), [1, 2]);
    bell(lot, io).ring();
    assert_eq!(called(lot), [0, 1, 2]);
    bell(lot, cpu).ring();
    bell(lot, cpu).ring();
    assert_eq!(called(lot), [0, 1, 2, 3]);
}

#[test]
fn a_counter_that_is_shared_calls_one_worker_for_each_workload() {
    let (io, cpu) = (
        Workloads::from(Workload::IO),
        Workloads::from(Workload::CPU),
    );
    let (_, lot) = parked(1, &[io, io, cpu, cpu]);
    bell(lot, Workloads::ALL).ring();
    assert_eq!(called(lot), [0, 2]);
}

#[test]
fn all_are_called_to_leave() {
    let (_, lot) = parked(2, &[Workload::IO.into(), Workload::CPU.into()]);
    lot.call_all();
    assert_eq!(called(lot), [0, 1]);
}
