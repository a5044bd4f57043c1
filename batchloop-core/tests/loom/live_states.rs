//! What another thread reads of a machine, while its owner works on it: each look is at one state, and was true.

use batchloop_core::{
    inspect::{LiveStates, StateInfo, Status},
    machine::Admits,
    *,
};
use loom::thread;

fn machine<A: Admits<u8>>() -> (Machine<u8, A>, Driver<u8, A>) {
    let capacity = Capacity::slots(3).points(1).scopes(0).parents(true);
    let machine = Machine::heap(capacity);
    (machine, machine.driver().unwrap())
}

/// Waits at its point.
fn entry<A: Access>(cx: &mut Turn<'_, u8, A>) {
    let new = cx.arrivals();
    cx.stage(point!("there"), new).advance(|_, _| Step::Wait);
}

/// Stays at the entrance, until something has been posted to it.
fn linger<A: Access>(cx: &mut Turn<'_, u8, A>) {
    let new = cx.arrivals().advance(|_, me| match me.events().is_empty() {
        true => Step::Wait,
        false => Step::Next,
    });
    cx.stage(point!("behind"), new).advance(|_, _| Step::Wait);
}

/// Another thread looks once at a slot.
fn look<A: Access>(
    machine: Machine<u8, A>,
    slot: usize,
    check: impl FnOnce(StateInfo) + Send + 'static,
) -> thread::JoinHandle<()> {
    let live = LiveStates::from(machine);
    thread::spawn(move || {
        if let Some(info) = live.iter().find(|info| info.slot() == slot) {
            check(info);
        }
    })
}

fn the_next_tenant_has_its_own_parent<A: Admits<u8>>() {
    loom::model(|| {
        let (machine, _driver) = machine::<A>();
        let [one, two] = [1, 2].map(|number| machine.lineage(machine.allocate(number).unwrap()));
        let child = machine.allocate_child(3, one).unwrap();
        let first = child.version();
        let other = look(machine, child.slot(), move |info| {
            let expected = if info.version() == first { one } else { two };
            // What has ended meanwhile has no parent any more.
            if let Some(parent) = info.parent() {
                assert_eq!(parent, expected);
            }
            if info.version() != first {
                assert_eq!(info.parent(), Some(two), "the next tenant has not ended");
            }
        });
        machine.release(child).unwrap();
        machine.allocate_child(4, two).unwrap();
        other.join().unwrap();
    });
}

fn the_next_tenant_is_not_where_the_first_was<A: Admits<u8>>() {
    loom::model(|| {
        let (machine, mut driver) = machine::<A>();
        let state = machine.allocate(1).unwrap();
        driver.turn(entry).unwrap();
        let first = state.version();
        let other = look(machine, state.slot(), move |info| {
            let is_there = info.path().count() == 1;
            assert_eq!(is_there, info.version() == first, "{info}");
        });
        machine.release(state).unwrap();
        machine.allocate(2).unwrap();
        other.join().unwrap();
    });
}

fn a_state_that_has_moved_is_where_it_is<A: Admits<u8>>() {
    loom::model(|| {
        let (machine, mut driver) = machine::<A>();
        let state = machine.allocate(1).unwrap();
        driver.turn(linger).unwrap();
        let other = look(machine, state.slot(), |info| {
            // With the event it waits at its new place only.
            if info.status() == Status::Waiting && !info.events().is_empty() {
                assert_eq!(info.path().count(), 1, "{info}");
            }
        });
        machine.post(state, Events::READABLE).unwrap();
        driver.turn(linger).unwrap();
        other.join().unwrap();
    });
}

/// The parent's machine is made after the live states have gone to another thread.
fn a_parent_of_a_machine_that_was_made_meanwhile<A: Admits<u8>>() {
    loom::model(|| {
        let (machine, _driver) = machine::<A>();
        let child = machine.reserve().unwrap();
        let other = look(machine, child.handle().slot(), |info| {
            let parent = info.parent().expect("it was given one");
            assert_eq!((parent.slot(), parent.is_live()), (0, true));
        });
        let parents: Machine<u8, A> = Machine::heap(Capacity::slots(1).points(0).scopes(0));
        let parent = parents.lineage(parents.allocate(1).unwrap());
        child.commit_child(2, parent).unwrap();
        other.join().unwrap();
    });
}

#[test]
fn the_next_tenant_has_its_own_parent_on_a_local_machine() {
    the_next_tenant_has_its_own_parent::<Local>();
}

#[test]
fn the_next_tenant_has_its_own_parent_on_a_shared_machine() {
    the_next_tenant_has_its_own_parent::<Shared>();
}

#[test]
fn the_next_tenant_is_not_where_the_first_was_on_a_local_machine() {
    the_next_tenant_is_not_where_the_first_was::<Local>();
}

#[test]
fn the_next_tenant_is_not_where_the_first_was_on_a_shared_machine() {
    the_next_tenant_is_not_where_the_first_was::<Shared>();
}

#[test]
fn a_state_that_has_moved_is_where_it_is_on_a_local_machine() {
    a_state_that_has_moved_is_where_it_is::<Local>();
}

#[test]
fn a_state_that_has_moved_is_where_it_is_on_a_shared_machine() {
    a_state_that_has_moved_is_where_it_is::<Shared>();
}

#[test]
fn a_parent_of_a_machine_that_was_made_meanwhile_on_a_local_machine() {
    a_parent_of_a_machine_that_was_made_meanwhile::<Local>();
}

#[test]
fn a_parent_of_a_machine_that_was_made_meanwhile_on_a_shared_machine() {
    a_parent_of_a_machine_that_was_made_meanwhile::<Shared>();
}
