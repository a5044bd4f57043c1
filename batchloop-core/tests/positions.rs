//! Positions: contexts as plain data, seen from outside.
#![cfg(all(feature = "alloc", not(loom)))]

use batchloop_core::{turn::Position, *};

#[test]
fn the_batch_of_another_machine_is_out_of_scope() {
    let [one, other]: [Machine<u8>; 2] = [1, 2].map(|state| {
        let machine = Machine::heap(Capacity::slots(1));
        machine.allocate(state).unwrap();
        machine
    });
    let (mut first, mut second) = (one.driver().unwrap(), other.driver().unwrap());
    let turned = first.turn(|cx| {
        let mut position = cx.position();
        let fault = second.turn(|cx| {
            let new = cx.arrivals();
            assert!(position.stage(point!("wrong"), new).is_empty());
        });
        assert!(matches!(fault, Err(Fault::OutOfScope(_))), "{fault:?}");
        let new = cx.arrivals();
        let here = position.stage(point!("right"), new);
        assert_eq!(here.len(), 1);
        here.release();
        cx.resume(position);
    });
    assert!(turned.is_ok(), "{turned:?}");
    assert_eq!((one.live(), other.live()), (0, 1));
}

#[test]
fn a_position_outlives_its_turn_without_harm() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(1));
    let mut kept = None;
    let mut driver = machine.driver().unwrap();
    driver.turn(|cx| kept = Some(cx.position())).unwrap();
    let mut position = kept.unwrap();
    let inner = position.enter(point!("scope"), 0);
    position.leave(inner);
    assert_eq!(
        format!("{position:?} {inner:?}")
            .matches("Position")
            .count(),
        2
    );
    assert_eq!(driver.turn(|cx| drop(cx.arrivals())), Ok(Progress::Quiet));
}

fn one_state() -> (Machine<u8>, Driver<u8>) {
    let machine = Machine::heap(Capacity::slots(1));
    machine.allocate(1).unwrap();
    (machine, machine.driver().unwrap())
}

/// Each turn of a loop has its memory where the last one had.
#[test]
fn a_position_of_an_earlier_turn_is_refused() {
    let (machine, mut driver) = one_state();
    let mut kept: Option<Position> = None;
    for turn in 0..4 {
        let turned = driver.turn(|cx| {
            if let Some(position) = kept.replace(cx.position()) {
                cx.resume(position);
            }
        });
        let is_first = turn == 0;
        assert_eq!(turned.is_ok(), is_first);
        assert!(is_first || turned == Err(Fault::Elsewhere), "{turned:?}");
    }
    assert_eq!(machine.live(), 1);
}

#[test]
fn a_batch_of_a_later_turn_is_out_of_scope() {
    let (machine, mut driver) = one_state();
    let mut kept: Option<Position> = None;
    for turn in 0..4 {
        let turned = driver.turn(|cx| {
            let now = cx.position();
            let position = kept.get_or_insert(now);
            let new = cx.arrivals();
            let here = position.stage(point!("here"), new);
            assert_eq!(here.len(), usize::from(turn == 0));
        });
        let is_refused = matches!(turned, Err(Fault::OutOfScope(_)));
        assert_eq!(is_refused, turn > 0, "{turned:?}");
    }
    assert_eq!(machine.live(), 1);
}

/// The other driver's turn is inside of this one's, and at the same place of the program.
#[test]
fn a_position_of_another_driver_of_the_machine_is_refused() {
    let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(1).drivers(2));
    let [mut one, mut other] = [(); 2].map(|()| machine.driver().unwrap());
    let turned = one.turn(|cx| {
        let position = cx.position();
        let inside = other.turn(|cx| {
            // With a number of its own.
            let _ = cx.position();
            cx.resume(position);
        });
        assert_eq!(inside, Err(Fault::Elsewhere));
        let mut later = None;
        assert!(other.turn(|cx| later = Some(cx.position())).is_ok());
        cx.resume(later.unwrap());
    });
    assert_eq!(turned, Err(Fault::Elsewhere));
    let mut first = None;
    assert!(one.turn(|cx| first = Some(cx.position())).is_ok());
    let turned = other.turn(|cx| cx.resume(first.unwrap()));
    assert_eq!(turned, Err(Fault::Elsewhere));
}

#[test]
fn a_driver_that_follows_another_has_turns_of_its_own() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(1));
    let mut kept = None;
    let mut driver = machine.driver().unwrap();
    driver.turn(|cx| kept = Some(cx.position())).unwrap();
    drop(driver);
    let mut driver = machine.driver().unwrap();
    let turned = driver.turn(|cx| {
        let _ = cx.position();
        cx.resume(kept.unwrap());
    });
    assert_eq!(turned, Err(Fault::Elsewhere));
}

#[test]
fn a_position_of_another_scope_of_the_turn_is_refused() {
    let (_, mut driver) = one_state();
    let resumes = |driver: &mut Driver<u8>, from_outer: bool, into: u32| {
        driver.turn(|cx| {
            let outer = cx.position();
            let scope = point!("scope");
            let inner = cx.scope(scope, 0, |cx| cx.position());
            let kept = if from_outer { outer } else { inner };
            match into {
                0 => cx.resume(kept),
                round => cx.scope(scope, round, |cx| cx.resume(kept)),
            }
        })
    };
    assert_eq!(resumes(&mut driver, true, 1), Err(Fault::Elsewhere));
    assert_eq!(resumes(&mut driver, false, 1), Err(Fault::Elsewhere));
    assert_eq!(resumes(&mut driver, false, 0), Err(Fault::Elsewhere));
}

#[test]
fn a_level_that_was_not_entered_is_not_left() {
    let (_, mut driver) = one_state();
    let mut kept: Option<Position> = None;
    for turn in 0..3 {
        let turned = driver.turn(|cx| {
            let mut position = cx.position();
            let inner = position.enter(point!("scope"), 0);
            let left = kept.replace(inner).unwrap_or(inner);
            position.leave(left);
            cx.resume(position);
        });
        assert_eq!(turned == Err(Fault::Elsewhere), turn > 0, "{turned:?}");
    }
    // Two levels up at once.
    let turned = driver.turn(|cx| {
        let mut position = cx.position();
        let mut inner = position.enter(point!("outer"), 0);
        let innermost = inner.enter(point!("inner"), 0);
        position.leave(innermost);
        cx.resume(position);
    });
    assert_eq!(turned, Err(Fault::Elsewhere));
}
