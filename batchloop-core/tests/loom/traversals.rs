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
