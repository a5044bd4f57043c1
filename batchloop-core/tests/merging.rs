//! Batches that are split and put together: in order, whole, and with what their states have said.
#![cfg(all(feature = "alloc", not(loom)))]

use batchloop_core::{program::ProgramPoint, *};

/// States 0 to 8, of which every third one waits, active, at each of three points.
fn at_three_points(batch: usize) -> (Machine<u32>, Driver<u32>, [&'static ProgramPoint; 3]) {
    let points = [point!("one"), point!("two"), point!("three")];
    let capacity = Capacity::slots(9).points(3).scopes(0).batch(batch);
    let machine: Machine<u32> = Machine::heap(capacity);
    let mut driver = machine.driver().unwrap();
    let states: Vec<_> = (0..9)
        .map(|number| machine.allocate(number).unwrap())
        .collect();
    while machine.dump().to_string().contains("entrance") {
        let turn = driver.turn(|cx| {
            let (one, others) = cx.arrivals().partition(|number, _| *number % 3 == 0);
            let (two, three) = others.partition(|number, _| *number % 3 == 1);
            for (point, batch) in points.into_iter().zip([one, two, three]) {
                cx.stage(point, batch).advance(|_, _| Step::Wait);
            }
        });
        turn.unwrap();
    }
    for state in states {
        machine.wake(state).unwrap();
    }
    (machine, driver, points)
}

fn numbers(batch: Batch<'_, u32>) -> Vec<u32> {
    let mut numbers = Vec::new();
    batch.advance(|number, _| {
        numbers.push(*number);
        Step::Wait
    });
    numbers
}

#[test]
fn batches_of_points_that_are_not_neighbours_fit_together_in_order() {
    let (_, mut driver, points) = at_three_points(9);
    let turn = driver.turn(|cx| {
        let [one, two, three] = points.map(|point| cx.waiting::<u32>(point));
        let outer = one.merge(three);
        assert_eq!(outer.len(), 6);
        assert_eq!(numbers(outer), [0, 2, 3, 5, 6, 8]);
        assert_eq!(numbers(two), [1, 4, 7]);
    });
    assert_eq!(turn, Ok(Progress::Quiet), "there was room for all");
}

#[test]
fn both_parts_of_a_batch_are_in_order_where_there_is_room() {
    let machine: Machine<u32> = Machine::heap(Capacity::slots(9).points(0).scopes(0));
    let mut driver = machine.driver().unwrap();
    for number in 0..9 {
        machine.allocate(number).unwrap();
    }
    let turn = driver.turn(|cx| {
        let all = cx.arrivals();
        assert_eq!(format!("{all:?}"), "Batch(9 states)");
        // Some of the others come first, so that they would have to make way.
        let (chosen, others) = all.partition(|number, _| matches!(number, 2 | 3 | 5 | 8));
        assert_eq!(numbers(chosen), [2, 3, 5, 8]);
        assert_eq!(numbers(others), [0, 1, 4, 6, 7]);
    });
    assert_eq!(turn, Ok(Progress::Quiet));
}

fn step(batch: Batch<'_, u32>, goes_on: bool) -> Batch<'_, u32> {
    match goes_on {
        true => batch.advance(|_, _| Step::Next),
        false => batch.for_each(|_, _| ()),
    }
}

/// Whether two batches go on, and whether they lie side by side.
#[test]
fn a_merged_batch_goes_on_if_one_of_the_two_does() {
    for (first, second, neighbours) in
        (0..8).map(|bits| (bits & 1 == 1, bits & 2 == 2, bits & 4 == 4))
    {
        let (machine, mut driver, points) = at_three_points(9);
        let other = if neighbours { 1 } else { 2 };
        let turn = driver.turn(|cx| {
            let [one, two] = [0, other].map(|at| cx.waiting::<u32>(points[at]));
            let (one, two) = (step(one, first), step(two, second));
            assert_eq!((one.len(), two.len()), (3, 3));
            drop(one.merge(two));
        });
        let is_fault = matches!(turn, Err(Fault::NoStage(_)));
        assert_eq!(
            is_fault,
            first || second,
            "{first} {second} {neighbours}: {turn:?}"
        );
        assert_eq!(machine.live(), 9);
    }
}
