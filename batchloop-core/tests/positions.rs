//! Positions: contexts as plain data, seen from outside.
#![cfg(all(feature = "alloc", not(loom)))]

use batchloop_core::*;

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
