//! Workers that extend the trie at the same time.

use batchloop_core::*;
use loom::thread;

/// One stage in a scope, where everybody waits for ever.
fn entry(cx: &mut Turn<'_, u32, Shared>, seen: &mut u32) {
    let new = cx.arrivals();
    cx.scope(point!("scope"), 0, |cx| {
        cx.stage(point!("stage"), new).advance(|_, _| {
            *seen += 1;
            Step::Wait
        });
    });
}

/// Each worker has a state to bring, so that both append the nodes and bind the stage.
///
/// A turn has many steps. All their interleavings with three preemptions take minutes, those with two find the
/// mistakes.
#[test]
fn two_workers_record_the_same_way() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let capacity = Capacity::slots(2).points(2).scopes(2).batch(1).drivers(2);
        let machine: Machine<u32, Shared> = Machine::heap(capacity);
        let states = [1, 2].map(|value| machine.allocate(value).unwrap());
        let turn = move || {
            let mut driver = machine.driver().unwrap();
            let mut seen = 0;
            driver.turn(|cx| entry(cx, &mut seen)).unwrap();
            seen
        };
        let other = thread::spawn(turn);
        let seen = turn() + other.join().unwrap();
        let seen = seen + turn() + turn();
        assert!(seen >= 2, "both have arrived");
        let text = machine.dump().to_string();
        assert_eq!(text.matches("waits at \"stage\"").count(), 2, "{text}");
        assert_eq!(text.matches(" in \"scope\"").count(), 2, "{text}");
        assert!(!text.contains("nodes of the traversal"), "{text}");
        for state in states {
            machine.wake(state).unwrap();
        }
        assert_eq!(turn() + turn(), 2, "they wait at one point");
    });
}

/// One worker visits a stage that the other leaves out, so that it is inserted while the other passes.
#[test]
fn a_stage_that_one_worker_leaves_out_is_no_divergence_for_either() {
    let points = [point!("a"), point!("b"), point!("c")];
    let way = move |cx: &mut Turn<'_, u32, Shared>, stages: &[usize]| {
        for at in stages {
            drop(cx.waiting::<u32>(points[*at]));
        }
    };
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let capacity = Capacity::slots(1).points(3).scopes(0).drivers(2);
        let machine: Machine<u32, Shared> = Machine::heap(capacity);
        let turn = move |stages: &[usize]| {
            let mut driver = machine.driver().unwrap();
            driver.turn(|cx| way(cx, stages)).is_ok()
        };
        let other = thread::spawn(move || turn(&[0, 2]));
        assert!(turn(&[0, 1, 2]));
        assert!(other.join().unwrap());
        for _ in 0..3 {
            assert!(turn(&[0, 1, 2]), "it is one order");
        }
        assert!(!turn(&[1, 0]) && !turn(&[2, 1]));
    });
}

/// Both stand at a stage that is known, and one of them appends the next one, which the other finds in place.
#[test]
fn a_worker_goes_on_where_another_one_extends_the_way() {
    let points = [point!("a"), point!("b"), point!("c")];
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let capacity = Capacity::slots(1).points(3).scopes(0).drivers(2);
        let machine: Machine<u32, Shared> = Machine::heap(capacity);
        let turn = move |stages: usize| {
            let mut driver = machine.driver().unwrap();
            let turn = driver.turn(|cx| {
                for point in &points[..stages] {
                    drop(cx.waiting::<u32>(point));
                }
            });
            turn.is_ok()
        };
        assert!(turn(1));
        let other = thread::spawn(move || turn(3));
        assert!(turn(3));
        assert!(other.join().unwrap());
        assert!(turn(3));
        let text = machine.dump().to_string();
        assert!(!text.contains("skipped"), "{text}");
    });
}
