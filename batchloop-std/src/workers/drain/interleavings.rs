//! Workers that drain, under loom. A drain that is not seen to be over is a sleep that never ends, which loom reports.

use batchloop_core::{Capacity, Progress, Workload, Workloads};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::*;

/// What the workers share.
struct Fixture {
    machine: Machine<bool, Shared>,
    lot: &'static ParkingLot,
    drain: Drain,
    over: AtomicBool,
}

impl Fixture {
    fn new(workers: &[Workloads]) -> Arc<Self> {
        let capacity = Capacity::slots(1)
            .points(0)
            .scopes(0)
            .workloads(2)
            .drivers(workers.len());
        let machine = Machine::heap(capacity);
        let lot = ParkingLot::of(&machine, Workloads::ALL, workers.len()).unwrap();
        for (index, serves) in workers.iter().enumerate() {
            lot.assign(index, *serves);
        }
        Arc::new(Fixture {
            machine,
            lot,
            drain: Drain::new(lot, workers.len()),
            over: AtomicBool::new(false),
        })
    }

    /// A worker's part of a drain. `expects_more` is asked in each turn.
    fn work(&self, index: usize, serves: Workloads, expects_more: impl Fn() -> bool) {
        let mut driver = self.machine.driver_for(serves).unwrap();
        while !self.over.load(Ordering::Acquire) {
            let mut more = false;
            let progress = driver.turn(|cx| {
                cx.arrivals().release();
                more = expects_more();
            });
            if progress != Ok(Progress::Quiet) {
                continue;
            }
            let last = LastTurn {
                watch: driver.watch(),
                expects_more: more,
            };
            self.lot.park(index, &last.watch, || {
                if self.over.load(Ordering::Acquire) {
                    return true;
                }
                let is_over = self.drain.put_down(index, last, &self.machine);
                if is_over {
                    self.over.store(true, Ordering::Release);
                    self.lot.call_all();
                }
                is_over
            });
            self.drain.take_back(index);
        }
    }
}

/// One of two workers on the same counter expects an item, and the other one may be called when it comes.
#[test]
fn what_ends_an_expectation_ends_the_drain_and_nothing_is_left() {
    let mut builder = loom::model::Builder::new();
    // Three threads with whole turns; with one preemption more it takes minutes.
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let workers = [Workload::IO.into(); 2];
        let fixture = Fixture::new(&workers);
        let item = Arc::new(AtomicBool::new(false));
        let other = {
            let fixture = fixture.clone();
            thread::spawn(move || fixture.work(0, Workload::IO.into(), || false))
        };
        let sender = {
            let (fixture, item) = (fixture.clone(), item.clone());
            thread::spawn(move || {
                item.store(true, Ordering::Relaxed);
                fixture.machine.counter().ring();
            })
        };
        fixture.work(1, Workload::IO.into(), || !item.load(Ordering::Relaxed));
        assert!(item.load(Ordering::Relaxed), "it was over too early");
        other.join().unwrap();
        sender.join().unwrap();
    });
}

/// The last state ends outside of the workers, two of which must have looked since.
#[test]
fn the_end_of_the_last_state_ends_the_drain() {
    loom::model(|| {
        let workers = [Workload::IO.into(), Workload::CPU.into()];
        let fixture = Fixture::new(&workers);
        let held = fixture.machine.reserve().unwrap();
        let other = {
            let fixture = fixture.clone();
            thread::spawn(move || fixture.work(1, Workload::CPU.into(), || false))
        };
        let holder = thread::spawn(move || drop(held));
        fixture.work(0, Workload::IO.into(), || false);
        assert_eq!(fixture.machine.live(), 0);
        other.join().unwrap();
        holder.join().unwrap();
    });
}
