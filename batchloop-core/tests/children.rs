//! Parents and children in two machines.
#![cfg(all(feature = "alloc", not(loom)))]

use batchloop_core::{machine::ChildError, *};

const CHILDREN: usize = 10_000;

/// Waits until its parent has ended.
fn until_orphan(cx: &mut Turn<'_, u32, Shared>) {
    let new = cx.arrivals();
    cx.stage(point!("work"), new)
        .advance(|_, me| match me.is_orphan(2) {
            true => Step::Release,
            false => Step::Wait,
        });
}

#[test]
fn releasing_a_parent_touches_no_child() {
    let parents: Machine<&str> = Machine::heap(Capacity::slots(1));
    let children: Machine<u32, Shared> = Machine::heap(Capacity::slots(CHILDREN).parents(true));
    let parent = parents.allocate("parent").unwrap();
    for _ in 0..CHILDREN {
        children.allocate_child(0, parents.lineage(parent)).unwrap();
    }
    let mut driver = children.driver().unwrap();
    while driver.turn(until_orphan) == Ok(Progress::More) {}
    assert_eq!(children.live(), CHILDREN);

    let before = children.counter().snapshot();
    parents.release(parent).unwrap();
    assert!(!children.counter().moved_since(before));
    assert_eq!(driver.turn(until_orphan), Ok(Progress::Quiet));
    assert_eq!(children.live(), CHILDREN, "each finds out when it looks");

    for child in children.handles() {
        assert!(children.lineage(child).is_orphan(1));
        children.wake(child).unwrap();
    }
    while driver.turn(until_orphan) == Ok(Progress::More) {}
    assert_eq!(children.live(), 0);
}

#[test]
fn a_reservation_becomes_a_child() {
    let parents: Machine<u8> = Machine::heap(Capacity::slots(1));
    let children: Machine<u8> = Machine::heap(Capacity::slots(1).parents(true));
    let parent = parents.allocate(1).unwrap();
    let slot = children.reserve().unwrap();
    let child = slot.commit_child(2, parents.lineage(parent)).unwrap();
    let lineage = children.lineage(child).parent();
    assert_eq!(lineage, Some(parents.lineage(parent)));
}

#[test]
fn a_reservation_knows_the_handle_that_its_state_will_have() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(1));
    for tenant in 0..3 {
        let slot = machine.reserve().unwrap();
        let promised = slot.handle();
        assert!(!machine.is_live(promised));
        assert_eq!(machine.wake(promised), Err(Stale));
        assert_eq!(slot.commit(tenant), promised);
        assert_eq!(machine.wake(promised), Ok(()));
        machine.release(promised).unwrap();
    }
    let given_up = machine.reserve().unwrap();
    let promised = given_up.handle();
    drop(given_up);
    assert!(!machine.is_live(promised));
}

#[test]
fn without_room_for_parents_the_value_and_the_slot_come_back() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(2));
    let parent = machine.allocate(1).unwrap();
    let slot = machine.reserve().unwrap();
    let refused = slot.commit_child(2, machine.lineage(parent));
    assert_eq!(refused, Err(ChildError::NoParents(2)));
    assert_eq!(machine.live(), 1);
}

#[test]
fn a_grandparent_that_ends_is_seen_as_far_as_one_looks() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(3).parents(true));
    let eldest = machine.allocate(0).unwrap();
    let middle = machine.allocate_child(1, machine.lineage(eldest)).unwrap();
    let youngest = machine.allocate_child(2, machine.lineage(middle)).unwrap();
    machine.release(eldest).unwrap();
    assert!(!machine.lineage(youngest).is_orphan(1));
    assert!(machine.lineage(youngest).is_orphan(2));
}
