use batchloop_core::{Capacity, Driver, Workload, Workloads};

use super::*;

/// Two workers of the same workloads, and nothing lives.
struct Fixture {
    machine: Machine<u8, Shared>,
    drivers: [Driver<u8, Shared>; 2],
    drain: Drain,
}

impl Fixture {
    fn new() -> Self {
        let machine = Machine::heap(Capacity::slots(2).drivers(2).workloads(2));
        let lot = ParkingLot::of(&machine, Workloads::ALL, 2).unwrap();
        let drivers = [0, 1].map(|_| machine.driver_for(Workload::IO).unwrap());
        let mut fixture = Fixture {
            machine,
            drivers,
            drain: Drain::new(lot, 2),
        };
        fixture.turn(0);
        fixture.turn(1);
        fixture
    }

    fn turn(&mut self, worker: usize) {
        self.drain.take_back(worker);
        self.drivers[worker].turn(|_| ()).unwrap();
    }

    fn rest(&self, worker: usize, expects_more: bool) -> bool {
        let last = LastTurn {
            watch: self.drivers[worker].watch(),
            expects_more,
        };
        self.drain.put_down(worker, last, &self.machine)
    }
}

#[test]
fn it_is_over_when_all_rest() {
    let mut fixture = Fixture::new();
    assert!(!fixture.rest(0, false), "the other has had no turn");
    assert!(fixture.rest(1, false));
    fixture.turn(0);
    assert!(!fixture.rest(1, false), "one is awake");
    assert!(fixture.rest(0, false));
}

#[test]
fn one_that_expects_more_holds_it_for_all_until_a_later_turn() {
    let mut fixture = Fixture::new();
    assert!(!fixture.rest(0, true));
    for _ in 0..3 {
        assert!(!fixture.rest(1, false));
        fixture.turn(1);
    }
    assert!(!fixture.rest(1, false));
    fixture.turn(0);
    assert!(fixture.rest(0, false));
}

#[test]
fn a_change_since_the_turn_of_any_of_them_holds_it() {
    let mut fixture = Fixture::new();
    assert!(!fixture.rest(0, false));
    fixture.machine.counter().ring();
    fixture.turn(1);
    assert!(!fixture.rest(1, false), "the first has not looked since");
    // Where nothing lives, a slot that is given back is no news.
    drop(fixture.machine.reserve());
    assert!(!fixture.drivers[1].watch().is_due());
    fixture.turn(0);
    assert!(fixture.rest(0, false));
}

#[test]
fn a_change_of_workloads_that_no_worker_serves_does_not_hold_it() {
    let fixture = Fixture::new();
    assert!(!fixture.rest(0, false));
    fixture.machine.counter_of(Workload::CPU).ring();
    assert!(fixture.rest(1, false));
}

#[test]
fn what_lives_holds_it() {
    let mut fixture = Fixture::new();
    let state = fixture.machine.allocate(1).unwrap();
    fixture.turn(0);
    fixture.turn(1);
    assert!(!fixture.rest(0, false));
    assert!(!fixture.rest(1, false));
    fixture.machine.release(state).unwrap();
    fixture.turn(0);
    fixture.turn(1);
    assert!(!fixture.rest(0, false));
    assert!(fixture.rest(1, false));
}

#[test]
fn the_one_that_rests_last_is_told_of_the_end_of_a_state() {
    let mut fixture = Fixture::new();
    let state = fixture.machine.allocate(1).unwrap();
    fixture.turn(0);
    fixture.turn(1);
    for expects_more in [true, false] {
        assert!(!fixture.rest(0, expects_more));
        // A slot that is given back meanwhile is no news while a worker is awake or expects more.
        drop(fixture.machine.reserve());
        fixture.turn(1);
        assert!(!fixture.drivers[1].watch().is_due());
    }
    assert!(!fixture.rest(1, false));
    fixture.machine.release(state).unwrap();
    assert!(fixture.drivers[0].watch().is_due() && fixture.drivers[1].watch().is_due());
}
