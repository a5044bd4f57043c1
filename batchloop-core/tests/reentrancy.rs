//! What a closure may do to the machine that runs it.
#![cfg(all(feature = "alloc", not(loom)))]

use batchloop_core::{
    inspect::{LiveStates, Status},
    machine::Admits,
    program::ProgramPoint,
    *,
};

#[derive(Debug)]
struct Name(&'static str);

struct Fixture<A: Access> {
    machine: Machine<Name, A>,
    driver: Driver<Name, A>,
    handles: Vec<Handle<Name>>,
}

fn work() -> &'static ProgramPoint {
    point!("work")
}

impl<A: Admits<Name>> Fixture<A> {
    /// Three states at one point, active.
    fn new() -> Self {
        let machine: Machine<Name, A> = Machine::heap(Capacity::slots(4).points(2).scopes(0));
        let mut driver = machine.driver().unwrap();
        let names = ["ant", "bee", "cow"];
        let handles = names.map(|name| machine.allocate(Name(name)).unwrap());
        let turn = driver.turn(|cx| {
            let new = cx.arrivals();
            cx.stage(work(), new).advance(|_, _| Step::Wait);
        });
        turn.unwrap();
        for handle in handles {
            machine.wake(handle).unwrap();
        }
        Fixture {
            machine,
            driver,
            handles: handles.into(),
        }
    }

    /// Runs a turn: `arrive` for those at the entrance, `visit` for those at the point. Answers who came.
    fn turn(
        &mut self,
        mut visit: impl FnMut(&mut Name, Me<Name, A>) -> Step,
    ) -> (Vec<&'static str>, Progress) {
        let mut seen = Vec::new();
        let progress = self.driver.turn(|cx| {
            let here = cx.waiting::<Name>(work());
            here.advance(|name, me| {
                seen.push(name.0);
                visit(name, me)
            });
        });
        (seen, progress.unwrap())
    }

    fn wait(&mut self) -> (Vec<&'static str>, Progress) {
        self.turn(|_, _| Step::Wait)
    }
}

/// Each test, on a machine of each kind.
macro_rules! on_both {
    ($($name:ident: $test:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            $test(Fixture::<Local>::new());
            $test(Fixture::<Shared>::new());
        }
    )*};
}

on_both! {
    a_state_that_signals_itself_is_busy: signals_itself,
    a_state_that_wakes_itself_comes_again: wakes_itself,
    a_state_that_stays_active_comes_again: stays_active,
    a_state_that_stays_active_keeps_what_was_posted: stays_active_with_events,
    a_state_that_wakes_itself_may_come_again_at_once_where_its_slot_left_a_bit: comes_again_at_once,
    a_state_that_posts_to_itself_is_told_next_time: posts_to_itself,
    a_state_that_releases_itself_is_busy: releases_itself,
    a_reaction_that_uses_its_own_state_is_busy: uses_itself_from_a_reaction,
    a_claimed_state_that_is_released_does_not_come: releases_claimed,
    an_owned_state_that_is_released_does_not_come: releases_owned,
    the_next_tenant_of_a_slot_of_the_batch_is_not_taken_for_the_first: reuses_the_slot,
    the_next_tenant_of_a_slot_of_an_unseen_batch_does_not_move_with_it: moves_unseen,
    the_next_tenant_keeps_its_events_when_its_slot_is_in_a_batch: keeps_events,
    a_state_that_has_been_worked_on_can_be_woken_by_a_later_one: wakes_an_earlier_one,
    a_state_that_is_still_to_come_is_not_run_twice_for_a_wake: wakes_a_later_one,
    a_new_state_waits_for_the_next_turn: allocates,
    a_full_slab_gives_the_value_back_in_a_closure: allocates_in_vain,
    a_dump_in_a_closure_shows_each_state_once: dumps,
    a_dropped_batch_comes_again: drops,
    a_dropped_batch_keeps_what_was_posted: drops_with_events,
    a_batch_that_was_owned_comes_again_when_it_is_dropped: drops_owned,
    a_turn_that_leaves_something_active_says_so: says_more,
}

fn signals_itself<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let machine = fixture.machine;
    let (seen, progress) = fixture.turn(|_, me| {
        let answer = machine.signal(me.handle(), |_| unreachable!("it is locked"));
        assert!(matches!(answer, Err(SignalError::Busy(_))));
        let hook: Hook<u8, A> = me.hook(|_, _| unreachable!("it is locked"));
        assert_eq!(hook.try_signal(7), Err(SignalError::Busy(7)));
        assert_eq!(hook.signal(8), Err(SignalError::Busy(8)));
        Step::Wait
    });
    assert_eq!(seen, ["ant", "bee", "cow"]);
    // What was refused leaves no trace.
    assert_eq!(progress, Progress::Quiet);
    assert_eq!(fixture.wait().0, [""; 0]);
}

fn wakes_itself<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let (_, progress) = fixture.turn(|name, me| {
        if name.0 == "bee" {
            me.waker().wake().unwrap();
        }
        Step::Wait
    });
    assert_eq!(progress, Progress::More);
    assert_eq!(fixture.wait(), (vec!["bee"], Progress::Quiet));
    assert_eq!(fixture.wait(), (vec![], Progress::Quiet));
}

fn stays_active<A: Admits<Name>>(mut fixture: Fixture<A>) {
    for _ in 0..3 {
        let (seen, progress) = fixture.turn(|name, _| match name.0 {
            "bee" => Step::Again,
            _ => Step::Wait,
        });
        assert_eq!(seen.iter().filter(|name| **name == "bee").count(), 1);
        assert_eq!(progress, Progress::More);
        let bee = LiveStates::from(fixture.machine).iter().nth(1).unwrap();
        assert_eq!(bee.status(), Status::Active);
    }
    assert_eq!(fixture.wait(), (vec!["bee"], Progress::Quiet));
    assert_eq!(fixture.wait(), (vec![], Progress::Quiet));
}

fn stays_active_with_events<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let machine = fixture.machine;
    fixture.turn(|name, me| match name.0 {
        "bee" => {
            machine.post(me.handle(), Events::READABLE).unwrap();
            Step::Again
        }
        _ => Step::Wait,
    });
    let (seen, progress) = fixture.turn(|_, me| {
        assert_eq!(me.take_events(), Events::READABLE);
        Step::Wait
    });
    assert_eq!((seen, progress), (vec!["bee"], Progress::Quiet));
}

/// The ant was active when it ended, and its bit is still there when the next tenant of its slot arrives.
fn comes_again_at_once<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let (machine, ant) = (fixture.machine, fixture.handles[0]);
    machine.release(ant).unwrap();
    let dog = machine.allocate(Name("dog")).unwrap();
    assert_eq!(dog.slot(), ant.slot());
    let mut seen = Vec::new();
    let turn = fixture.driver.turn(|cx| {
        let new = cx.arrivals();
        cx.stage(work(), new).advance(|name, me| {
            seen.push(name.0);
            if seen.len() == 1 {
                machine.wake(me.handle()).unwrap();
            }
            Step::Wait
        });
    });
    assert!(turn.is_ok());
    assert_eq!(seen, ["dog", "dog", "bee", "cow"]);
    assert_eq!(fixture.wait(), (vec![], Progress::Quiet));
}

fn posts_to_itself<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let machine = fixture.machine;
    let (_, progress) = fixture.turn(|name, me| {
        assert!(me.events().is_empty());
        if name.0 == "bee" {
            machine.post(me.handle(), Events::DEADLINE).unwrap();
        }
        Step::Wait
    });
    assert_eq!(progress, Progress::More);
    let (seen, _) = fixture.turn(|_, me| {
        assert_eq!(me.events(), Events::DEADLINE);
        Step::Wait
    });
    assert_eq!(seen, ["bee"]);
}

fn releases_itself<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let machine = fixture.machine;
    fixture.turn(|_, me| {
        let answer = machine.release(me.handle());
        assert_eq!(answer, Err(SignalError::Busy(())));
        Step::Wait
    });
    assert_eq!(machine.live(), 3);
}

fn uses_itself_from_a_reaction<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let (machine, ant) = (fixture.machine, fixture.handles[0]);
    fixture.wait();
    let answer = machine.signal(ant, |_| {
        assert!(machine.signal(ant, |_| Reaction::Wake).is_err());
        assert_eq!(machine.release(ant), Err(SignalError::Busy(())));
        machine.wake(ant).unwrap();
        Reaction::Ignore
    });
    assert!(answer.is_ok());
    // The reaction did not ask for it, but the wake did.
    assert_eq!(fixture.wait(), (vec!["ant"], Progress::Quiet));
}

fn releases_claimed<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let (machine, bee) = (fixture.machine, fixture.handles[1]);
    let (seen, _) = fixture.turn(|name, _| {
        if name.0 == "ant" {
            machine.release(bee).unwrap();
        }
        Step::Wait
    });
    assert_eq!(seen, ["ant", "cow"]);
    assert_eq!(machine.live(), 2);
}

fn releases_owned<A: Admits<Name>>(fixture: Fixture<A>) {
    let Fixture {
        machine,
        mut driver,
        handles,
    } = fixture;
    let mut seen = Vec::new();
    let turn = driver.turn(|cx| {
        let all = cx.waiting::<Name>(work()).for_each(|_, _| ());
        machine.release(handles[1]).unwrap();
        assert_eq!(machine.wake(handles[1]), Err(Stale));
        assert_eq!(machine.live(), 3, "the batch has its slot");
        all.advance(|name, _| {
            seen.push(name.0);
            Step::Wait
        });
        assert_eq!(machine.live(), 2);
    });
    assert_eq!(turn, Ok(Progress::Quiet));
    assert_eq!(seen, ["ant", "cow"]);
}

fn reuses_the_slot<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let (machine, bee) = (fixture.machine, fixture.handles[1]);
    let (seen, progress) = fixture.turn(|name, _| {
        if name.0 == "ant" {
            machine.release(bee).unwrap();
            let dog = machine.allocate(Name("dog")).unwrap();
            assert_eq!(dog.slot(), bee.slot());
        }
        Step::Wait
    });
    assert_eq!(seen, ["ant", "cow"], "the new state is at the entrance");
    assert_eq!(progress, Progress::More);
    assert_eq!(arrivals(&mut fixture.driver), [("dog", Events::NONE)]);
}

/// No closure has seen the batch when one of its states ends and the slot is used again.
fn moves_unseen<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let (machine, bee) = (fixture.machine, fixture.handles[1]);
    let mut seen = Vec::new();
    let turn = fixture.driver.turn(|cx| {
        let unseen = cx.waiting::<Name>(work());
        machine.release(bee).unwrap();
        assert_eq!(machine.allocate(Name("dog")).unwrap().slot(), bee.slot());
        cx.stage(point!("further"), unseen).advance(|name, _| {
            seen.push(name.0);
            Step::Wait
        });
    });
    assert_eq!(turn, Ok(Progress::More));
    assert_eq!(seen, ["ant", "cow"]);
    assert_eq!(arrivals(&mut fixture.driver), [("dog", Events::NONE)]);
}

fn arrivals<A: Access>(driver: &mut Driver<Name, A>) -> Vec<(&'static str, Events)> {
    let mut seen = Vec::new();
    let turn = driver.turn(|cx| {
        cx.arrivals().advance(|name, me| {
            seen.push((name.0, me.events()));
            Step::Wait
        });
        assert!(cx.waiting::<Name>(work()).is_empty());
    });
    turn.unwrap();
    seen
}

fn keeps_events<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let (machine, bee) = (fixture.machine, fixture.handles[1]);
    fixture.turn(|name, _| {
        if name.0 == "ant" {
            machine.release(bee).unwrap();
            let dog = machine.allocate(Name("dog")).unwrap();
            machine.post(dog, Events::READABLE).unwrap();
        }
        Step::Wait
    });
    assert_eq!(arrivals(&mut fixture.driver), [("dog", Events::READABLE)]);
}

fn wakes_an_earlier_one<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let (machine, ant) = (fixture.machine, fixture.handles[0]);
    let (seen, progress) = fixture.turn(|name, _| {
        if name.0 == "cow" {
            machine.wake(ant).unwrap();
        }
        Step::Wait
    });
    assert_eq!(seen, ["ant", "bee", "cow"]);
    assert_eq!(progress, Progress::More);
    assert_eq!(fixture.wait(), (vec!["ant"], Progress::Quiet));
}

fn wakes_a_later_one<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let (machine, cow) = (fixture.machine, fixture.handles[2]);
    let (seen, _) = fixture.turn(|name, me| {
        match name.0 {
            "ant" => machine.post(cow, Events::WRITABLE).unwrap(),
            "bee" => assert!(me.events().is_empty()),
            _ => assert_eq!(me.events(), Events::WRITABLE),
        }
        Step::Wait
    });
    assert_eq!(seen, ["ant", "bee", "cow"]);
    assert_eq!(fixture.wait(), (vec![], Progress::Quiet));
}

fn allocates<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let machine = fixture.machine;
    let (seen, progress) = fixture.turn(|name, _| {
        if name.0 == "ant" {
            machine.allocate(Name("dog")).unwrap();
        }
        Step::Wait
    });
    assert_eq!(seen, ["ant", "bee", "cow"]);
    assert_eq!(progress, Progress::More, "somebody is at the entrance");
    assert_eq!(arrivals(&mut fixture.driver), [("dog", Events::NONE)]);
}

fn allocates_in_vain<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let machine = fixture.machine;
    machine.allocate(Name("dog")).unwrap();
    fixture.wait();
    arrivals(&mut fixture.driver);
    for handle in &fixture.handles {
        machine.wake(*handle).unwrap();
    }
    let (_, progress) = fixture.turn(|name, _| match name.0 {
        "ant" => {
            let answer = machine.allocate(Name("eel"));
            assert!(matches!(answer, Err(Full(Name("eel")))));
            Step::Wait
        }
        _ => Step::Release,
    });
    // A slot that frees is a change for those who found none.
    assert_eq!(progress, Progress::More);
    assert_eq!(machine.allocate(Name("eel")).unwrap().slot(), 1);
}

fn dumps<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let machine = fixture.machine;
    let (seen, _) = fixture.turn(|name, _| {
        let text = machine.dump().states().to_string();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines.len(), 3, "{text}");
        let own = lines.iter().filter(|line| line.ends_with(": busy"));
        assert_eq!(own.count(), 1, "{text}");
        assert!(!text.contains(&format!("Name({:?})", name.0)), "{text}");
        assert!(lines.iter().all(|line| line.contains("\"work\"")), "{text}");
        Step::Wait
    });
    assert_eq!(seen, ["ant", "bee", "cow"]);
    // Printing a state that is active may count as a wake, no more: nobody is lost and it comes to an end.
    let mut turns = 0;
    while fixture.wait().1 == Progress::More {
        turns += 1;
        assert!(turns < 3);
    }
}

fn drops<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let turn = fixture.driver.turn(|cx| {
        assert_eq!(cx.waiting::<Name>(work()).len(), 3);
    });
    assert_eq!(turn, Ok(Progress::More));
    let text = fixture.machine.dump().to_string();
    assert_eq!(text.matches("active at \"work\"").count(), 3, "{text}");
    let all = vec!["ant", "bee", "cow"];
    assert_eq!(fixture.wait(), (all, Progress::Quiet));
}

fn drops_with_events<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let bee = fixture.handles[1];
    fixture.machine.post(bee, Events::CLOSED).unwrap();
    for _ in 0..3 {
        let turn = fixture.driver.turn(|cx| drop(cx.waiting::<Name>(work())));
        assert_eq!(turn, Ok(Progress::More));
    }
    fixture.turn(|name, me| {
        assert_eq!(me.events().contains(Events::CLOSED), name.0 == "bee");
        Step::Wait
    });
}

fn drops_owned<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let turn = fixture.driver.turn(|cx| {
        drop(cx.waiting::<Name>(work()).for_each(|_, _| ()));
    });
    assert_eq!(turn, Ok(Progress::More));
    let all = vec!["ant", "bee", "cow"];
    assert_eq!(fixture.wait(), (all, Progress::Quiet));
}

fn says_more<A: Admits<Name>>(mut fixture: Fixture<A>) {
    let (machine, ant) = (fixture.machine, fixture.handles[0]);
    fixture.wait();
    let before = fixture.driver.watch();
    assert!(!before.has_moved());
    machine.wake(ant).unwrap();
    assert!(before.has_moved());
    assert_eq!(fixture.wait(), (vec!["ant"], Progress::Quiet));
    let before = fixture.driver.watch();
    assert!(machine.signal(ant, |_| Reaction::Ignore).is_ok());
    assert!(!before.has_moved());
    assert!(machine.signal(ant, |_| Reaction::Wake).is_ok());
    assert!(before.has_moved());
}
