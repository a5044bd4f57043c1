//! What a program is told of its mistakes, and when: in the first turn that makes them, with the place and the limit.
#![cfg(all(feature = "alloc", not(loom)))]

use batchloop_core::*;

fn machine(capacity: Capacity) -> (Machine<u32>, Driver<u32>) {
    let machine = Machine::heap(capacity);
    let driver = machine.driver().unwrap();
    (machine, driver)
}

fn text(answer: Result<Progress, Fault>) -> String {
    answer.map_or_else(
        |fault| fault.to_string(),
        |progress| format!("{progress:?}"),
    )
}

fn small() -> Capacity {
    Capacity::slots(4).points(2).scopes(1)
}

#[test]
fn a_stage_too_many_is_named_in_the_first_turn_and_nothing_is_lost() {
    let (machine, mut driver) = machine(small());
    let entry = |cx: &mut Turn<'_, u32>| {
        let new = cx.arrivals();
        let one = cx.stage(point!("idle"), new).advance(|_, _| Step::Wait);
        let two = cx.stage(point!("work"), one).advance(|_, _| Step::Next);
        drop(cx.stage(point!("rare error path"), two));
    };
    // No state has ever come there, and none exists.
    for _ in 0..2 {
        let text = text(driver.turn(entry));
        assert!(text.contains("\"rare error path\" ("), "{text}");
        assert!(text.contains("Capacity::points is 2"), "{text}");
    }
    machine.allocate(7).unwrap();
    assert!(driver.turn(entry).is_err());
    assert_eq!(machine.live(), 1);
}

#[test]
fn points_are_not_used_up_by_scopes_nor_scopes_by_points() {
    let (_, mut driver) = machine(small());
    let entry = |cx: &mut Turn<'_, u32>| {
        for round in 0..2 {
            cx.scope(point!("loop"), round, |cx| {
                drop(cx.waiting::<u32>(point!("round")))
            });
        }
    };
    for _ in 0..2 {
        let text = text(driver.turn(entry));
        assert!(
            text.contains("\"loop\" (") && text.contains("[1]"),
            "{text}"
        );
        assert!(text.contains("Capacity::scopes is 1"), "{text}");
    }
    // Both of the points are still to be had.
    let (_, mut driver) = machine(small());
    let entry = |cx: &mut Turn<'_, u32>| {
        cx.scope(point!("scope"), 0, |cx| {
            drop(cx.waiting::<u32>(point!("inner")))
        });
        drop(cx.waiting::<u32>(point!("outer")));
    };
    assert!(driver.turn(entry).is_ok());
}

#[test]
fn a_projection_too_many_is_named_in_the_first_turn() {
    let machine: Machine<((u8, u16), u32)> = Machine::heap(Capacity::slots(4).points(1).scopes(0));
    let mut driver = machine.driver().unwrap();
    for _ in 0..2 {
        let answer = driver.turn(|cx| {
            let inner = cx.arrivals().project(field!(((u8, u16), u32), 0));
            drop(inner.project(field!((u8, u16), 1)));
        });
        let text = text(answer);
        assert!(text.contains("(u8, u16).1"), "{text}");
        assert!(text.contains("room for 1,"), "{text}");
    }
}

#[test]
fn states_that_go_on_to_no_stage_are_a_fault_that_names_where_they_are() {
    let (machine, mut driver) = machine(small());
    machine.allocate(0).unwrap();
    let last = |cx: &mut Turn<'_, u32>| {
        let new = cx.arrivals();
        cx.stage(point!("last"), new).advance(|runs, _| {
            *runs += 1;
            Step::Next
        });
    };
    for _ in 0..3 {
        let text = text(driver.turn(last));
        assert!(text.starts_with("states went on from \"last\" ("), "{text}");
    }
    assert!(
        driver.run(Backoff::new(), last).is_err(),
        "a loop ends with it"
    );

    let (machine, mut driver) = self::machine(small());
    machine.allocate(0).unwrap();
    let entrance = |cx: &mut Turn<'_, u32>| {
        cx.arrivals().advance(|_, _| Step::Next);
    };
    assert_eq!(driver.turn(entrance), Err(Fault::NoStage(None)));
    assert_eq!(machine.live(), 1);
}

#[test]
fn a_stage_that_is_left_out_when_states_come_to_it_is_a_fault() {
    let (machine, mut driver) = machine(small());
    let mut open = false;
    let mut entry = |cx: &mut Turn<'_, u32>| {
        let new = cx.arrivals();
        let passed = cx.stage(point!("gate"), new).advance(|_, _| Step::Next);
        if open {
            cx.stage(point!("behind"), passed)
                .advance(|_, _| Step::Wait);
        }
        open = !open;
    };
    machine.allocate(0).unwrap();
    assert!(matches!(
        driver.turn(&mut entry),
        Err(Fault::NoStage(Some(_)))
    ));
    assert!(driver.turn(&mut entry).is_ok());
    assert_eq!(
        driver.turn(&mut entry),
        Ok(Progress::Quiet),
        "there is nobody to go on"
    );
}

#[test]
fn what_is_put_back_or_was_not_said_to_go_on_is_no_fault() {
    let ways: [fn(Batch<'_, u32>); 6] = [
        |batch| drop(batch),
        |batch| batch.put_back(),
        |batch| batch.advance(|_, _| Step::Next).put_back(),
        |batch| drop(batch.for_each(|_, _| ())),
        |batch| drop(batch.partition(|_, _| true)),
        |batch| drop(batch.advance(|_, _| Step::Wait)),
    ];
    for way in ways {
        let (machine, mut driver) = machine(small());
        machine.allocate(0).unwrap();
        assert!(driver.turn(|cx| way(cx.arrivals())).is_ok());
        assert_eq!(machine.live(), 1);
    }
    let (machine, mut driver) = machine(small());
    machine.allocate(0).unwrap();
    let merged = driver.turn(|cx| {
        let one = cx.arrivals().advance(|_, _| Step::Next);
        let none = cx.none();
        drop(none.merge(one));
    });
    assert_eq!(merged, Err(Fault::NoStage(None)));
}

#[test]
fn a_point_that_again_does_not_find_is_said_to_be_unknown() {
    let (machine, mut driver) = machine(small());
    machine.allocate(0).unwrap();
    let answer = driver.turn(|cx| {
        let new = cx.arrivals();
        let here = cx.stage(point!("here"), new).for_each(|_, _| ());
        cx.again(point!("elsewhere"), here);
    });
    let text = text(answer);
    assert!(
        text.starts_with("states were brought to \"elsewhere\" ("),
        "{text}"
    );
    assert!(text.ends_with("which is no stage of the scope"), "{text}");
}

#[test]
fn a_loop_without_a_scope_is_told_what_it_needs() {
    let (machine, mut driver) = machine(small());
    machine.allocate(0).unwrap();
    let answer = driver.turn(|cx| {
        let mut batch = cx.arrivals();
        for _ in 0..3 {
            batch = cx.stage(point!("round"), batch).advance(|_, _| Step::Next);
        }
        batch.release();
    });
    let text = text(answer);
    assert!(text.starts_with("traversal diverged: "), "{text}");
    assert!(
        text.contains("found \"round\" (") && text.contains("loop need scopes"),
        "{text}"
    );
}

/// A stage that is first taken in a late turn is new, whatever stands behind it.
#[test]
fn a_stage_inside_an_if_may_be_first_taken_in_any_turn() {
    for first in 0..8_u32 {
        let (machine, mut driver) = machine(Capacity::slots(4).points(5).scopes(0));
        let mut passed = 0;
        for turn in 0..16 {
            let open = turn ^ first;
            let handle = machine.allocate(0).unwrap();
            let answer = driver.turn(|cx| {
                let new = cx.arrivals();
                let mut here = cx.stage(point!("a"), new).advance(|_, _| Step::Next);
                for (bit, point) in [point!("b"), point!("c"), point!("d")]
                    .into_iter()
                    .enumerate()
                {
                    if open >> bit & 1 == 1 {
                        here = cx.stage(point, here).advance(|_, _| Step::Next);
                    }
                }
                passed += here.len();
                cx.stage(point!("e"), here).release();
            });
            assert!(answer.is_ok(), "{first} {turn} {}", text(answer));
            assert!(!machine.is_live(handle));
        }
        assert_eq!(passed, 16);
    }
}

#[test]
fn a_loop_may_grow_before_what_comes_behind_it() {
    let (machine, mut driver) = machine(Capacity::slots(4).points(9).scopes(8));
    for rounds in [1, 3, 2, 8, 0, 8] {
        machine.allocate(0).unwrap();
        let answer = driver.turn(|cx| {
            let mut batch = cx.arrivals();
            for round in 0..rounds {
                batch = cx.scope(point!("loop"), round, |cx| {
                    cx.stage(point!("round"), batch).advance(|_, _| Step::Next)
                });
            }
            cx.stage(point!("behind"), batch).release();
        });
        assert!(answer.is_ok(), "{rounds}: {}", text(answer));
        assert_eq!(machine.live(), 0);
    }
}
