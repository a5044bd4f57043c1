//! Batches beside each other: what a stage does where there is little room, or none, and for whom.
#![cfg(all(feature = "alloc", not(loom)))]

use batchloop_core::{machine::Admits, *};

/// Allocates so many states, and lets the driver look away from them until it may sleep.
fn filled<A: Admits<u32>>(capacity: Capacity, states: u32) -> (Machine<u32, A>, Driver<u32, A>) {
    let machine: Machine<u32, A> = Machine::heap(capacity);
    let mut driver = machine.driver().unwrap();
    while driver.turn(|_| ()).unwrap() == Progress::More {}
    for number in 0..states {
        machine.allocate(number).unwrap();
    }
    (machine, driver)
}

fn a_point_without_room<A: Admits<u32>>() {
    let capacity = Capacity::slots(64).points(0).scopes(0).batch(1);
    let (machine, mut driver) = filled::<A>(capacity, 64);
    // Nothing changes during the turn, and there are more batches than the scratch space has room for.
    let mut looked = 0;
    let progress = driver.turn(|cx| {
        let mut batches = Vec::new();
        loop {
            looked += 1;
            let batch = cx.arrivals();
            if batch.is_empty() {
                break;
            }
            batches.push(batch.advance(|_, _| Step::Next));
        }
        batches.into_iter().for_each(Batch::release);
    });
    assert!(looked > 2 && machine.live() > 0);
    assert_eq!(progress, Ok(Progress::More), "work was left behind");
}

#[test]
fn a_point_that_no_room_was_left_for_is_work() {
    a_point_without_room::<Local>();
    a_point_without_room::<Shared>();
}

/// Another batch lies above those that arrive, so that those that wait cannot be added to them in place.
fn arrivals_below_another_batch<A: Admits<u32>>() {
    let capacity = Capacity::slots(9).points(2).scopes(0);
    let (machine, mut driver) = filled::<A>(capacity, 9);
    let points = [point!("one"), point!("two")];
    let turn = driver.turn(|cx| {
        let (one, others) = cx.arrivals().partition(|number, _| *number < 3);
        let (two, rest) = others.partition(|number, _| *number < 6);
        cx.stage(points[0], one).advance(|_, _| Step::Wait);
        cx.stage(points[1], two).advance(|_, _| Step::Wait);
        rest.put_back();
    });
    assert_eq!(turn, Ok(Progress::More));
    for handle in machine.handles() {
        machine.wake(handle).unwrap();
    }
    let mut seen = Vec::new();
    let mut turns = 0;
    while machine.live() > 0 {
        turns += 1;
        assert!(turns < 4, "{}", machine.dump());
        let turn = driver.turn(|cx| {
            let new = cx.arrivals();
            let above = cx.waiting::<u32>(points[0]);
            let together = cx.stage(points[1], new);
            for batch in [together, above] {
                batch.advance(|number, _| {
                    seen.push(*number);
                    Step::Release
                });
            }
        });
        assert!(turn.is_ok());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..9).collect::<Vec<_>>(), "each of them once");
}

#[test]
fn arrivals_below_another_batch_and_those_that_wait_are_all_handed_out() {
    arrivals_below_another_batch::<Local>();
    arrivals_below_another_batch::<Shared>();
}

fn the_entrance<A: Admits<u32>>() {
    let capacity = Capacity::slots(4).points(1).scopes(0).drivers(2);
    let machine: Machine<u32, A> = Machine::heap(capacity.workloads(2));
    let mut cpu = machine.driver_for(Workload::CPU).unwrap();
    machine.allocate(7).unwrap();
    let mut taken = 0;
    let mut turn = |driver: &mut Driver<u32, A>| {
        let turn = driver.turn(|cx| {
            let new = cx.arrivals();
            taken += new.len();
            new.advance(|_, _| Step::Wait);
        });
        turn.unwrap();
        taken
    };
    assert_eq!(turn(&mut cpu), 0, "new states are for those that serve IO");
    let mut io = machine.driver_for(Workload::IO).unwrap();
    assert_eq!(turn(&mut io), 1);
}

#[test]
fn a_driver_that_does_not_serve_io_takes_nothing_from_the_entrance() {
    the_entrance::<Local>();
    the_entrance::<Shared>();
}
