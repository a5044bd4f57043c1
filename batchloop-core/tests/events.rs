//! Events stay posted until the program takes them, whatever closures run in between.
#![cfg(all(feature = "alloc", not(loom)))]

use batchloop_core::{machine::Admits, *};

/// Ways for a state to go from the entrance to the point where its events are taken, none of which looks at them.
const WAYS: usize = 6;

struct State {
    /// Whether it may go on from the stage that has nothing to do with events.
    may_pass: bool,
    seen: Vec<Events>,
}

fn entry<A: Access>(cx: &mut Turn<'_, State, A>, way: usize) {
    let new = cx.arrivals();
    let arrived = match way {
        0 => new,
        1 => new.for_each(|_, _| ()),
        2 => {
            let (one, two) = new.partition(|state, _| state.may_pass);
            one.merge(two)
        }
        3 => new.advance(|_, _| Step::Next),
        // Looks, and takes something else.
        4 => new.advance(|_, me| {
            assert!(me.take(Events::DEADLINE).is_empty());
            let _ = me.events();
            Step::Next
        }),
        _ => new,
    };
    let between = cx.stage(point!("something else"), arrived);
    let between = match way {
        5 => between,
        _ => between.advance(|state, _| match state.may_pass {
            true => Step::Next,
            false => Step::Wait,
        }),
    };
    cx.stage(point!("take"), between).advance(|state, me| {
        let posted = me.events();
        assert_eq!(me.events(), posted, "to look changes nothing");
        let taken = me.take(Events::READABLE | Events::CLOSED);
        assert_eq!(taken, posted & (Events::READABLE | Events::CLOSED));
        assert_eq!(me.events(), posted.without(taken));
        state.seen.push(taken);
        Step::Wait
    });
}

fn seen<A: Access>(machine: Machine<State, A>, state: Handle<State>) -> Vec<Events> {
    let mut seen = Vec::new();
    let look = machine.signal(state, |state: &mut State| {
        seen = state.seen.clone();
        Reaction::Ignore
    });
    assert!(look.is_ok());
    seen
}

fn settle<A: Access>(driver: &mut Driver<State, A>, way: usize) {
    let mut turns = 0;
    while driver.turn(|cx| entry(cx, way)).unwrap() == Progress::More {
        turns += 1;
        assert!(turns < 10, "events that stay do not keep a state active");
    }
}

fn no_closure_swallows_them<A: Admits<State>>() {
    // Posted at the entrance, or while the state waits at the stage that is not concerned.
    for (way, early) in (0..WAYS).flat_map(|way| [(way, true), (way, false)]) {
        let machine: Machine<State, A> = Machine::heap(Capacity::slots(4).batch(1));
        let mut driver = machine.driver().unwrap();
        let state = State {
            may_pass: early,
            seen: Vec::new(),
        };
        let state = machine.allocate(state).unwrap();
        if early {
            machine.post(state, Events::READABLE).unwrap();
        }
        settle(&mut driver, way);
        if !early {
            machine.post(state, Events::READABLE).unwrap();
            settle(&mut driver, way);
            let passes = machine.signal(state, |state: &mut State| {
                state.may_pass = true;
                Reaction::Wake
            });
            assert!(passes.is_ok());
            settle(&mut driver, way);
        }
        let expected = match (way, early) {
            // It is at the last point already, and takes them there.
            (5, false) => vec![Events::NONE, Events::READABLE, Events::NONE],
            _ => vec![Events::READABLE],
        };
        assert_eq!(seen(machine, state), expected, "way {way}, early {early}");

        // What is not taken stays, and what is taken does not come again.
        machine.post(state, Events::WRITABLE).unwrap();
        settle(&mut driver, way);
        machine.post(state, Events::CLOSED).unwrap();
        settle(&mut driver, way);
        let text = machine.dump().to_string();
        assert!(
            text.contains("writable") && !text.contains("closed"),
            "{text}"
        );
        let last = seen(machine, state).split_off(expected.len());
        assert_eq!(last, [Events::NONE, Events::CLOSED]);
    }
}

#[test]
fn no_closure_swallows_events() {
    no_closure_swallows_them::<Local>();
    no_closure_swallows_them::<Shared>();
}

fn an_event_that_comes_while_they_are_taken<A: Admits<u32>>() {
    let machine: Machine<u32, A> = Machine::heap(Capacity::slots(4));
    let mut driver = machine.driver().unwrap();
    let state = machine.allocate(0).unwrap();
    machine.post(state, Events::READABLE).unwrap();
    let mut taken = Vec::new();
    let mut turn = |again: bool| {
        driver.turn(|cx| {
            cx.arrivals().advance(|_, me| {
                taken.push(me.take_events());
                if again {
                    machine.post(me.handle(), Events::READABLE).unwrap();
                }
                Step::Wait
            });
        })
    };
    assert_eq!(
        turn(true),
        Ok(Progress::More),
        "it is active for the new one"
    );
    assert_eq!(turn(false), Ok(Progress::Quiet));
    machine.wake(state).unwrap();
    assert_eq!(turn(false), Ok(Progress::Quiet));
    assert_eq!(taken, [Events::READABLE, Events::READABLE, Events::NONE]);
}

#[test]
fn an_event_that_comes_while_events_are_taken_is_one_more() {
    an_event_that_comes_while_they_are_taken::<Local>();
    an_event_that_comes_while_they_are_taken::<Shared>();
}

#[test]
fn what_a_closure_was_told_is_good_for_its_own_state_only() {
    let machine: Machine<u32> = Machine::heap(Capacity::slots(1));
    let mut driver = machine.driver().unwrap();
    let old = machine.allocate(0).unwrap();
    machine.post(old, Events::READABLE).unwrap();
    let mut kept = None;
    driver
        .turn(|cx| {
            cx.arrivals().advance(|_, me| {
                kept = Some(me);
                Step::Release
            });
        })
        .unwrap();
    let new = machine.allocate(1).unwrap();
    assert_eq!(new.slot(), old.slot());
    machine.post(new, Events::READABLE).unwrap();
    let kept = kept.unwrap();
    assert_eq!(kept.events(), Events::NONE);
    assert_eq!(kept.take_events(), Events::NONE);
    driver
        .turn(|cx| {
            cx.arrivals().advance(|_, me| {
                assert_eq!(me.take_events(), Events::READABLE);
                Step::Wait
            });
        })
        .unwrap();
}
