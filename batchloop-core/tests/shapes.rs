//! What a batch is of is compared wherever the compiler cannot: each of these programs would otherwise look at one type as
//! another.

use batchloop_core::{Batch, Capacity, Fault, Machine, Progress, Step, Turn, field, point};

fn machine<T>(states: impl IntoIterator<Item = T>) -> Machine<T> {
    let machine = Machine::heap(Capacity::slots(8).points(4).scopes(4));
    for state in states {
        assert!(machine.allocate(state).is_ok());
    }
    machine
}

fn is_mismatch(turn: Result<Progress, Fault>) -> bool {
    matches!(turn, Err(Fault::Mismatch(_)))
}

/// All states come out at the stage of `point`, and wait there again.
fn count<U: 'static>(cx: &mut Turn<'_, Job>, arriving: Option<Field>) -> usize {
    let here = point!("here");
    let mut seen = 0;
    match arriving {
        Some(Field::Call) => {
            let calls = cx.arrivals().project(field!(Job, call));
            let calls = cx.stage(here, calls);
            calls.advance(|_, _| Step::Wait);
        }
        Some(Field::Number) => {
            let numbers = cx.arrivals().project(field!(Job, call.number));
            let numbers = cx.stage(here, numbers);
            numbers.advance(|_, _| Step::Wait);
        }
        Some(Field::Whole) => {
            let jobs = cx.arrivals();
            let jobs = cx.stage(here, jobs);
            jobs.advance(|_, _| Step::Wait);
        }
        None => {
            let none = cx.none::<U>();
            let found = cx.stage(here, none);
            found.advance(|_, _| {
                seen += 1;
                Step::Wait
            });
        }
    }
    seen
}

#[derive(Clone, Copy)]
enum Field {
    Whole,
    Call,
    Number,
}

/// The first bytes of each are those of all: only the types tell them apart.
#[repr(C)]
#[derive(Clone, Copy)]
struct Job {
    call: Call,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Call {
    number: u64,
}

const JOB: Job = Job {
    call: Call { number: 7 },
};

/// The point is bound to one thing, and asked for `U` when nothing new arrives.
fn asked_for<U: 'static>(bound: Field) -> (bool, usize) {
    let machine = machine([JOB, JOB]);
    let mut driver = machine.driver().unwrap();
    driver
        .turn(|cx| {
            // Known before: a field at the same place with another type.
            let known = cx.arrivals().project(field!(Job, call));
            drop(known);
        })
        .unwrap_or(Progress::More);
    driver.turn(|cx| _ = count::<U>(cx, Some(bound))).unwrap();
    for handle in machine.handles() {
        machine.wake(handle).unwrap();
    }
    let mut seen = 0;
    let turn = driver.turn(|cx| seen = count::<U>(cx, None));
    assert_eq!(machine.live(), 2);
    (is_mismatch(turn), seen)
}

#[test]
fn states_come_out_as_what_their_point_is_bound_to() {
    assert_eq!(asked_for::<Job>(Field::Whole), (false, 2));
    assert_eq!(asked_for::<Call>(Field::Call), (false, 2));
    assert_eq!(asked_for::<u64>(Field::Number), (false, 2));
}

#[test]
fn states_do_not_come_out_as_anything_else() {
    assert_eq!(asked_for::<Call>(Field::Whole), (true, 0));
    assert_eq!(asked_for::<u64>(Field::Whole), (true, 0));
    assert_eq!(asked_for::<String>(Field::Whole), (true, 0));
    assert_eq!(asked_for::<Job>(Field::Call), (true, 0));
    assert_eq!(asked_for::<u64>(Field::Call), (true, 0));
    assert_eq!(asked_for::<i64>(Field::Number), (true, 0));
    assert_eq!(asked_for::<Call>(Field::Number), (true, 0));
}

#[test]
fn a_batch_of_another_shape_does_not_arrive() {
    for (bound, arriving) in [
        (Field::Whole, Field::Call),
        (Field::Call, Field::Whole),
        (Field::Call, Field::Number),
        (Field::Number, Field::Call),
    ] {
        let machine = machine([JOB]);
        let mut driver = machine.driver().unwrap();
        driver.turn(|cx| _ = count::<Job>(cx, Some(bound))).unwrap();
        machine.allocate(JOB).unwrap();
        assert!(is_mismatch(
            driver.turn(|cx| _ = count::<Job>(cx, Some(arriving)))
        ));
        assert_eq!(machine.live(), 2);
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Pair {
    left: Side,
    right: Side,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Side {
    number: u32,
}

/// Of the same type as a `Side`'s, at the same place.
#[repr(C)]
struct Other {
    number: u32,
}

const PAIR: Pair = Pair {
    left: Side { number: 1 },
    right: Side { number: 2 },
};

fn after_a_turn(entry: impl FnOnce(&mut Turn<'_, Pair>)) -> Result<Progress, Fault> {
    let machine = machine([PAIR]);
    let mut driver = machine.driver().unwrap();
    // Every path that the tests go has been gone before, by its own turn.
    driver
        .turn(|cx| {
            let pairs = cx.arrivals().project(field!(Pair, right));
            let numbers = pairs.project(field!(Side, number));
            drop(numbers.unproject(field!(Side, number)));
        })
        .unwrap();
    let turn = driver.turn(entry);
    assert_eq!(machine.live(), 1);
    turn
}

/// Waits, so that what is left in the batch is of no interest.
fn look<U: Copy>(batch: Batch<'_, U>) -> Option<U> {
    let mut seen = None;
    batch.advance(|state, _| {
        seen = Some(*state);
        Step::Wait
    });
    seen
}

#[test]
fn a_batch_goes_back_the_way_that_it_came() {
    let mut seen = None;
    let turn = after_a_turn(|cx| {
        let numbers = cx
            .arrivals()
            .project(field!(Pair, left))
            .project(field!(Side, number));
        let sides = numbers.unproject(field!(Side, number));
        let pairs = sides.unproject(field!(Pair, left));
        seen = look(
            pairs
                .project(field!(Pair, right))
                .project(field!(Side, number)),
        );
    });
    assert!(turn.is_ok());
    assert_eq!(seen, Some(2));
}

#[test]
fn a_batch_goes_back_to_no_other_container() {
    let mut seen = None;
    let turn = after_a_turn(|cx| {
        let sides = cx.arrivals().project(field!(Pair, right));
        let numbers = sides.project(field!(Side, number));
        let others = numbers.unproject(field!(Other, number));
        seen = look(others.project(field!(Other, number)));
    });
    assert!(is_mismatch(turn));
    assert_eq!(seen, None);
}

#[test]
fn a_batch_goes_back_by_no_other_field() {
    let mut seen = None;
    let turn = after_a_turn(|cx| {
        let left = cx.arrivals().project(field!(Pair, left));
        let pairs = left.unproject(field!(Pair, right));
        seen = look(
            pairs
                .project(field!(Pair, right))
                .project(field!(Side, number)),
        );
    });
    assert!(is_mismatch(turn));
    assert_eq!(seen, None);
}

#[test]
fn a_batch_does_not_leave_what_it_is_not_in() {
    let mut seen = None;
    let turn = after_a_turn(|cx| {
        // By the first field of a `Pair`, as if the whole were a `Side` in one.
        struct Around {
            pair: Pair,
        }
        let around = cx.arrivals().unproject(field!(Around, pair));
        seen = look(around.project(field!(Around, pair))).map(|pair| pair.left.number);
    });
    assert!(is_mismatch(turn));
    assert_eq!(seen, None);
}

#[test]
fn batches_of_two_fields_do_not_mix() {
    let machine = machine([PAIR, PAIR]);
    let mut driver = machine.driver().unwrap();
    let mut seen = 0;
    let turn = driver.turn(|cx| {
        let mut first = true;
        let (one, other) = cx
            .arrivals()
            .partition(|_, _| core::mem::replace(&mut first, false));
        let left = one.project(field!(Pair, left));
        let right = other.project(field!(Pair, right));
        let both = left.merge(right);
        both.advance(|side, _| {
            assert_eq!(side.number, 1);
            seen += 1;
            Step::Wait
        });
    });
    assert!(is_mismatch(turn));
    assert_eq!((seen, machine.live()), (1, 2));
}

/// The same field of two fields: the way there is a part of the shape.
#[test]
fn one_field_by_two_ways_is_two_shapes() {
    let machine = machine([PAIR]);
    let mut driver = machine.driver().unwrap();
    fn entry(cx: &mut Turn<'_, Pair>, right: bool, seen: &mut Vec<u32>) {
        let new = cx.arrivals();
        let sides = match right {
            true => new.project(field!(Pair, right)),
            false => new.project(field!(Pair, left)),
        };
        let here = point!("here");
        let numbers = cx.stage(here, sides.project(field!(Side, number)));
        numbers.advance(|number, _| {
            seen.push(*number);
            Step::Wait
        });
    }
    let mut seen = Vec::new();
    driver.turn(|cx| entry(cx, false, &mut seen)).unwrap();
    machine.allocate(PAIR).unwrap();
    assert!(is_mismatch(driver.turn(|cx| entry(cx, true, &mut seen))));
    assert_eq!(seen, [1]);
}
