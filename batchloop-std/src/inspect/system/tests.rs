use std::{
    sync::{Arc, Barrier, OnceLock},
    thread,
};

use batchloop_core::{Capacity, Events, Machine, Shared, Step, Turn, point};

use super::*;
use crate::Parking;
use batchloop_core::slab::Lineage;

#[test]
fn names_are_taken_until_the_registration_is_dropped() {
    let system = System::new();
    let machine: Machine<u8> = Machine::heap(Capacity::slots(1));
    let first = system.register("one", machine).unwrap();
    assert_eq!(first.name(), "one");
    let refused = system.register("one", machine).map(drop);
    assert_eq!(refused, Err(NameTaken("one".into())));
    let text = refused.unwrap_err().to_string();
    assert_eq!(text, "another machine is registered as \"one\"");
    assert_eq!(system.dump().machines.len(), 1);
    drop(first);
    assert_eq!(system.dump().to_string(), "");
    let _again = system.register("one", machine).unwrap();
    assert_eq!(system.dump().to_string(), "one: u8, 0 of 1 slots\n");
}

fn wait(cx: &mut Turn<'_, &'static str, Shared>) {
    let new = cx.arrivals();
    cx.scope(point!("outer"), 3, |cx| {
        // Nobody is through.
        let through = cx.stage(point!("rest"), new).advance(|_, _| Step::Wait);
        assert!(through.is_empty());
    });
}

#[test]
fn states_are_a_tree_by_parent_across_machines() {
    let system = System::new();
    let upper: Machine<&str, Shared> = Machine::heap(Capacity::slots(4));
    let lower: Machine<u8> = Machine::heap(Capacity::slots(8).parents(true));
    let _registered = (
        system.register("upper", upper.dump().states()).unwrap(),
        system.register("lower", lower).unwrap(),
    );
    let [a, b, c] = ["a", "b", "c"].map(|name| upper.allocate(name).unwrap());
    let of_b = lower.allocate_child(0, upper.lineage(b)).unwrap();
    lower.allocate_child(1, upper.lineage(c)).unwrap();
    lower.allocate_child(2, upper.lineage(a)).unwrap();
    lower.allocate_child(3, lower.lineage(of_b)).unwrap();
    lower.allocate_child(4, upper.lineage(a)).unwrap();
    upper.driver().unwrap().turn(wait).unwrap();
    upper.post(a, Events::READABLE).unwrap();
    upper.release(c).unwrap();
    let dump = system.dump();
    let place = |name: &str| {
        let mut path = dump.states[0].info.path();
        let site = path.find(|site| site.point.name() == Some(name));
        format!("{}", site.expect("it is there"))
    };
    let (rest, outer) = (place("rest"), place("outer"));
    assert!(outer.ends_with("[3]"));
    let expected = format!(
        "upper: &str, 2 of 4 slots
lower: u8, 5 of 8 slots
upper#0v1 active at {rest} in {outer}, readable: \"a\"
  lower#2v1 active at the entrance
  lower#4v1 active at the entrance
upper#1v1 waits at {rest} in {outer}: \"b\"
  lower#0v1 active at the entrance
    lower#3v1 active at the entrance
lower#1v1 active at the entrance, child of upper#2v1 (ended)
"
    );
    assert_eq!(dump.to_string(), expected);
}

#[test]
fn a_parent_of_no_registered_machine_is_named_by_its_type() {
    let system = System::new();
    let upper: Machine<i16> = Machine::heap(Capacity::slots(1));
    let lower: Machine<u8> = Machine::heap(Capacity::slots(1).parents(true));
    let _registered = system.register("lower", lower).unwrap();
    let parent = upper.allocate(0).unwrap();
    lower.allocate_child(1, upper.lineage(parent)).unwrap();
    let dump = system.dump();
    assert_eq!(dump.states[0].parent().unwrap(), "i16#0v1");
}

/// Each state in a circle of parents, and what hangs below it.
fn circle<const N: usize>(machines: [Machine<&'static str>; 2]) -> [Lineage; N] {
    let reserved: [_; N] = std::array::from_fn(|at| machines[at % 2].reserve().unwrap());
    let states: [Lineage; N] =
        std::array::from_fn(|at| machines[at % 2].lineage(reserved[at].handle()));
    for (at, reservation) in reserved.into_iter().enumerate() {
        let parent = states[(at + 1) % N];
        assert!(reservation.commit_child("round", parent).is_ok());
    }
    states
}

fn family() -> Machine<&'static str> {
    Machine::heap(Capacity::slots(8).parents(true))
}

fn each_is_listed_once<const N: usize>(one: Machine<&'static str>, other: Machine<&'static str>) {
    let before = one.allocate("before").unwrap();
    let states = circle::<N>([one, other]);
    let below = other.allocate_child("below", states[0]).unwrap();
    other
        .allocate_child("further below", other.lineage(below))
        .unwrap();
    one.allocate_child("elsewhere", one.lineage(before))
        .unwrap();
    let system = System::new();
    let _one = system.register("one", one).unwrap();
    let _other = system.register("other", other).unwrap();
    let dump = system.dump();
    let mut listed: Vec<(&str, usize)> = dump
        .states
        .iter()
        .map(|state| (state.machine.as_str(), state.info.slot()))
        .collect();
    assert_eq!(listed.len(), one.live() + other.live(), "{dump}");
    listed.sort_unstable();
    listed.dedup();
    assert_eq!(listed.len(), N + 4, "{dump}");
    let tops: Vec<_> = dump
        .states
        .iter()
        .filter(|state| state.depth == 0)
        .collect();
    assert_eq!(tops.len(), 2, "{dump}");
    assert!(
        tops[0].parent().is_none() && tops[1].parent().is_some(),
        "{dump}"
    );
    // The circle shows: what comes first in it is the child of one below it.
    assert!(tops[1].to_string().contains("child of"), "{dump}");
    assert!(!states[0].is_orphan(1000));
}

#[test]
fn each_state_is_listed_once_even_if_parents_go_round() {
    each_is_listed_once::<1>(family(), family());
    each_is_listed_once::<2>(family(), family());
    each_is_listed_once::<3>(family(), family());
    each_is_listed_once::<5>(family(), family());
}

#[cfg(feature = "serde")]
#[test]
fn tools_read_it_as_json() {
    let system = System::new();
    let machine: Machine<&str, Shared> = Machine::heap(Capacity::slots(2).parents(true));
    let _registered = system.register("m", machine.dump().states()).unwrap();
    let parent = machine.allocate("top").unwrap();
    machine
        .allocate_child("below", machine.lineage(parent))
        .unwrap();
    let json = serde_json::to_value(system.dump()).unwrap();
    let expected = serde_json::json!({
        "machines": [{ "name": "m", "state": "&str", "live": 2, "slots": 2 }],
        "states": [
            {
                "depth": 0, "machine": "m", "slot": 0, "version": "v1", "standing": "active",
                "path": [], "events": null, "parent": null, "state": "\"top\"",
            },
            {
                "depth": 1, "machine": "m", "slot": 1, "version": "v1", "standing": "active",
                "path": [], "events": null, "state": "\"below\"",
                "parent": { "machine": "m", "slot": 0, "version": "v1", "is_live": true },
            },
        ],
    });
    assert_eq!(json, expected);
}

/// Goes round for ever: each state ends at once and makes another one.
fn churn(cx: &mut Turn<'_, [u64; 4], Shared>, end: &OnceLock<()>) {
    while end.get().is_none()
        && let Ok(slot) = cx.reserve()
    {
        slot.commit([7; 4]);
    }
    let new = cx.arrivals();
    let worked = cx.stage(point!("work"), new).advance(|state, _| {
        *state = [9; 4];
        Step::Next
    });
    cx.stage(point!("end"), worked)
        .advance(|_, _| Step::Release);
    if end.get().is_some() && cx.machine().live() == 0 {
        cx.machine().counter().ring();
        cx.stop();
    }
}

#[test]
fn a_dump_stops_no_worker_and_shows_no_state_that_is_half_written() {
    let system = System::new();
    let machine: Machine<[u64; 4], Shared> = Machine::heap(Capacity::slots(100).drivers(2));
    let _registered = system.register("churn", machine.dump().states()).unwrap();
    let bell = Parking::new(&machine).unwrap().bell();
    let (end, ready) = (Arc::new(OnceLock::new()), Arc::new(Barrier::new(3)));
    let workers = [(); 2].map(|()| {
        let (end, ready) = (end.clone(), ready.clone());
        thread::spawn(move || {
            let mut driver = machine.driver().unwrap();
            ready.wait();
            driver
                .run(Parking::with_bell(bell), |cx| churn(cx, &end))
                .unwrap();
        })
    });
    ready.wait();
    for _ in 0..3000 {
        for state in system.dump().states {
            let text = state.state.unwrap();
            let whole = ["busy", "[7, 7, 7, 7]", "[9, 9, 9, 9]"];
            assert!(whole.contains(&text.as_str()), "{text}");
        }
    }
    end.set(()).unwrap();
    machine.counter().ring();
    for worker in workers {
        worker.join().unwrap();
    }
    assert!(system.dump().states.is_empty());
}
