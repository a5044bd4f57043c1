use std::panic::{AssertUnwindSafe, catch_unwind};

use batchloop_core::{Capacity, Driver, Fault, Machine, Progress, Step, Turn, field, point};

use super::*;

struct Call {
    left: u32,
}

struct Job {
    call: Call,
}

fn count_down(calls: Batch<'_, Call>) -> Batch<'_, Call> {
    let begun = stage(point!("begin"), calls).advance(|_, _| Step::Next);
    stage(point!("count"), begun).advance(|call, _| {
        if call.left == 0 {
            return Step::Next;
        }
        call.left -= 1;
        Step::Again
    })
}

/// The same points with a context and without: both ways in one program.
fn entry(cx: &mut Turn<'_, Job>) {
    let new = cx.arrivals();
    let first = cx.stage(point!("first"), new).advance(|_, _| Step::Next);
    let mut calls = enter(cx, || {
        let mut calls = first.project(field!(Job, call));
        for round in 0..3 {
            calls = within(point!("round"), round, || {
                within(point!("inner"), 0, || count_down(calls)).for_each(|call, _| call.left = 1)
            });
        }
        calls
    });
    calls = cx.stage(point!("behind"), calls).advance(|_, _| Step::Next);
    calls.release();
}

fn job(left: u32) -> Job {
    Job {
        call: Call { left },
    }
}

fn quiet(driver: &mut Driver<Job>, entry: impl Fn(&mut Turn<'_, Job>)) {
    while driver.turn(&entry) == Ok(Progress::More) {}
}

#[test]
fn helpers_without_a_context_have_points_of_their_own() {
    let machine: Machine<Job> = Machine::heap(Capacity::slots(8));
    for left in 0..5 {
        machine.allocate(job(left)).unwrap();
    }
    let mut driver = machine.driver().unwrap();
    driver.turn(entry).unwrap();
    let text = machine.dump().to_string();
    let found = text.contains("active at \"count\"") && text.contains(" in \"inner\"");
    assert!(found && text.contains(" in \"round\""), "{text}");
    quiet(&mut driver, entry);
    assert_eq!(machine.live(), 0);
    assert_eq!(
        machine.dump().to_string(),
        "Job: 0 of 8 slots\n",
        "nothing skipped"
    );
}

#[test]
fn a_stage_without_a_scope_says_so_and_loses_nothing() {
    let machine: Machine<Job> = Machine::heap(Capacity::slots(1));
    machine.allocate(job(0)).unwrap();
    let mut driver = machine.driver().unwrap();
    let fault = driver.turn(|cx| {
        let new = cx.arrivals();
        let through = within(point!(), 0, || stage(point!("nowhere"), new));
        assert!(through.is_empty());
    });
    let Err(Fault::OutOfScope(site)) = fault else {
        panic!("{fault:?}");
    };
    assert_eq!(site.point.name(), Some("nowhere"));
    quiet(&mut driver, entry);
    assert_eq!(machine.live(), 0);
}

#[test]
fn the_batch_of_another_machine_is_out_of_scope_and_a_nested_turn_is_not() {
    let outer: Machine<Job> = Machine::heap(Capacity::slots(1));
    let inner: Machine<Job> = Machine::heap(Capacity::slots(1));
    for machine in [outer, inner] {
        machine.allocate(job(0)).unwrap();
    }
    let mut inner_driver = inner.driver().unwrap();
    let mut outer_driver = outer.driver().unwrap();
    let turned = outer_driver.turn(|cx| {
        let new = cx.arrivals();
        let kept = enter(cx, || {
            let fault = inner_driver.turn(|cx| {
                let new = cx.arrivals();
                assert!(stage(point!("wrong"), new).is_empty());
            });
            assert!(matches!(fault, Err(Fault::OutOfScope(_))), "{fault:?}");
            quiet(&mut inner_driver, entry);
            stage(point!("right"), new).advance(|_, _| Step::Next)
        });
        kept.release();
    });
    assert!(turned.is_ok());
    assert_eq!((outer.live(), inner.live()), (0, 0));
}

fn fail() {
    within(point!(), 0, || panic!("on purpose"));
}

#[test]
fn a_panic_gives_the_thread_its_former_scope() {
    let machine: Machine<Job> = Machine::heap(Capacity::slots(2));
    let mut driver = machine.driver().unwrap();
    let panicking = catch_unwind(AssertUnwindSafe(|| {
        let _ = driver.turn(|cx| enter(cx, fail));
    }));
    assert!(panicking.is_err());
    assert!(POSITION.get().is_none());
    let turned = driver.turn(|cx| {
        enter(cx, || {
            assert!(catch_unwind(fail).is_err());
            let position = format!("{:?}", POSITION.get());
            assert_eq!(position, "Some(Position(root))");
        });
    });
    assert!(turned.is_ok(), "{turned:?}");
}

#[test]
fn what_is_skipped_in_a_scope_is_counted() {
    let machine: Machine<Job> = Machine::heap(Capacity::slots(2));
    let mut driver = machine.driver().unwrap();
    for is_first in [true, false] {
        let turned = driver.turn(|cx| {
            let new = cx.arrivals();
            enter(cx, || {
                within(point!(), 0, || {
                    if is_first {
                        drop(stage(point!(), new));
                    }
                });
            });
        });
        assert!(turned.is_ok());
    }
    let text = machine.dump().to_string();
    assert!(
        text.ends_with("\n  1 nodes of the traversal skipped\n"),
        "{text}"
    );
}

#[test]
fn a_scope_that_does_not_fit_is_a_fault_of_the_turn() {
    let machine: Machine<Job> = Machine::heap(Capacity::slots(1).points(1).scopes(0));
    machine.allocate(job(0)).unwrap();
    let mut driver = machine.driver().unwrap();
    let fault = driver.turn(|cx| {
        let new = cx.arrivals();
        let kept = cx.stage(point!(), new);
        enter(cx, || {
            within(point!(), 0, || drop(stage(point!(), kept)));
        });
    });
    assert!(
        matches!(fault, Err(Fault::ScopesExhausted { .. })),
        "{fault:?}"
    );
    assert_eq!(machine.live(), 1);
}

#[test]
fn a_position_of_another_turn_is_refused() {
    let machine: Machine<Job> = Machine::heap(Capacity::slots(1));
    let mut driver = machine.driver().unwrap();
    let other: Machine<Job> = Machine::heap(Capacity::slots(1));
    let mut position = None;
    let _ = other
        .driver()
        .unwrap()
        .turn(|cx| position = Some(cx.position()));
    let fault = driver.turn(|cx| cx.resume(position.unwrap()));
    assert_eq!(fault, Err(Fault::Elsewhere));
}
