use std::{
    collections::{BTreeMap, BTreeSet},
    string::ToString,
    vec,
    vec::Vec,
};

use proptest::prelude::*;

use super::*;
use crate::{Capacity, Handle, Step};

const STATES: usize = 12;

/// A machine whose states note each deadline that reaches them, with the wheel and a naive model of it.
struct Fixture<'s> {
    machine: Machine<()>,
    states: Vec<Handle<()>>,
    timers: Timers<'s>,
    model: BTreeMap<usize, u64>,
    /// Those that have been told and have not looked yet.
    told: BTreeSet<usize>,
    now: u64,
}

impl<'s> Fixture<'s> {
    fn new(storage: &'s mut [Timer], now: u64) -> Self {
        let machine = Machine::heap(Capacity::slots(STATES));
        let states = (0..STATES).map(|_| machine.allocate(()).unwrap()).collect();
        Fixture {
            machine,
            states,
            timers: Timers::new(storage, now),
            model: BTreeMap::new(),
            told: BTreeSet::new(),
            now,
        }
    }

    fn arm(&mut self, state: usize, when: u64) {
        self.timers.arm(self.states[state].token(), when);
        self.model.insert(state, when);
        self.told.remove(&state);
    }

    fn cancel(&mut self, state: usize) {
        let had = self.model.remove(&state).is_some() | self.told.remove(&state);
        assert_eq!(self.timers.cancel(self.states[state].token()), had);
    }

    /// Exactly those whose time has come are told.
    fn expire(&mut self, now: u64) {
        self.now = self.now.max(now);
        let due: Vec<usize> = (0..STATES)
            .filter(|state| self.model.get(state).is_some_and(|when| *when <= self.now))
            .collect();
        self.model.retain(|_, when| *when > self.now);
        assert_eq!(self.timers.expire(now, &self.machine), due.len());
        self.told.extend(due);
    }

    /// The states have a turn: exactly those that have been told since the last one see it, unless it was withdrawn.
    fn turn(&mut self) {
        let mut reached = Vec::new();
        let mut driver = self.machine.driver().unwrap();
        driver
            .turn(|cx| {
                cx.arrivals().advance(|(), me| {
                    let seen = me.events();
                    assert_eq!(me.take(Events::DEADLINE), seen);
                    if seen == Events::DEADLINE {
                        reached.push(me.handle().slot());
                    }
                    Step::Wait
                });
            })
            .unwrap();
        assert!(reached.iter().eq(&self.told), "{reached:?}");
        self.told.clear();
    }

    fn check(&self) {
        for (state, handle) in self.states.iter().enumerate() {
            let deadline = self.timers.deadline(handle.token());
            assert_eq!(deadline, self.model.get(&state).copied());
        }
        let earliest = self.model.values().min().copied();
        match (self.timers.next(), earliest) {
            (Some(next), Some(earliest)) => {
                assert!(next <= earliest.max(self.now), "{next} > {earliest}");
                assert!(next > self.now || earliest <= self.now, "no progress");
            }
            (next, earliest) => assert_eq!(next, earliest),
        }
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Arm(usize, u64),
    Cancel(usize),
    Pass(u64),
    PassToNext,
    Turn,
}

/// Spans of all sizes: a few ticks, a few turns of some level, more than the wheel reaches.
fn span() -> impl Strategy<Value = u64> {
    (0..40_u32, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (0..STATES, span()).prop_map(|(state, span)| Operation::Arm(state, span)),
        1 => (0..STATES).prop_map(Operation::Cancel),
        2 => span().prop_map(Operation::Pass),
        2 => Just(Operation::PassToNext),
        2 => Just(Operation::Turn),
    ]
}

proptest! {
    #[test]
    fn exactly_what_is_due_is_woken(
        start in span(),
        operations in prop::collection::vec(operation(), 0..200),
    ) {
        let mut storage = vec![Timer::IDLE; STATES];
        let mut fixture = Fixture::new(&mut storage, start);
        for operation in operations {
            match operation {
                Operation::Arm(state, span) => fixture.arm(state, fixture.now + span),
                Operation::Cancel(state) => fixture.cancel(state),
                Operation::Pass(span) => fixture.expire(fixture.now + span),
                Operation::PassToNext => {
                    if let Some(next) = fixture.timers.next() {
                        fixture.expire(next);
                    }
                }
                Operation::Turn => fixture.turn(),
            }
            fixture.check();
        }
    }
}

#[test]
fn each_tick_around_the_edges_of_slots_is_met() {
    let mut storage = vec![Timer::IDLE; STATES];
    for level in 0..=LEVELS as u32 {
        let edge = 1_u64 << (level * SLOT_BITS);
        for start in [0, edge - 1, edge, edge * 3 + 1] {
            for when in [1, edge.max(2) - 1, edge, edge + 1, 31 * edge, 32 * edge] {
                let mut fixture = Fixture::new(&mut storage, start);
                fixture.arm(0, start + when);
                fixture.expire(start + when - 1);
                fixture.check();
                fixture.expire(start + when);
                assert!(fixture.model.is_empty());
                fixture.turn();
                fixture.check();
            }
        }
    }
}

#[test]
fn a_deadline_comes_near_in_few_steps() {
    let mut storage = vec![Timer::IDLE; 64];
    let machine: Machine<()> = Machine::heap(Capacity::slots(64));
    let mut timers = Timers::new(&mut storage, 0);
    for _ in 0..64 {
        let state = machine.allocate(()).unwrap();
        timers.arm(state.token(), 1_234_567_890);
    }
    let mut steps = 0;
    let mut woken = 0;
    while let Some(next) = timers.next() {
        steps += 1;
        woken += timers.expire(next, &machine);
    }
    assert_eq!(woken, 64);
    assert!(steps <= LEVELS, "{steps} steps");
}

#[test]
fn a_deadline_does_not_reach_the_next_tenant() {
    let mut storage = vec![Timer::IDLE; 1];
    let machine: Machine<()> = Machine::heap(Capacity::slots(1));
    let mut timers = Timers::new(&mut storage, 0);
    let first = machine.allocate(()).unwrap();
    timers.arm(first.token(), 10);
    machine.release(first).unwrap();
    let second = machine.allocate(()).unwrap();
    assert_eq!(timers.deadline(second.token()), None);
    assert!(!timers.cancel(second.token()));
    assert_eq!(timers.expire(10, &machine), 0);
    timers.arm(second.token(), 20);
    assert!(!timers.cancel(first.token()), "it is the tenant's");
    assert_eq!(timers.expire(20, &machine), 1);
}

#[test]
fn the_far_future_is_far() {
    let mut storage = vec![Timer::IDLE; STATES];
    let mut fixture = Fixture::new(&mut storage, 5);
    fixture.arm(0, u64::MAX);
    fixture.arm(1, 1 << 62);
    for now in [1 << 20, 1 << 34, 1 << 36, 1 << 45] {
        fixture.expire(now);
        fixture.check();
    }
    assert_eq!(fixture.model.len(), 2);
}

/// What the next turn of a state shows of its deadline.
fn is_told(driver: &mut crate::Driver<()>) -> bool {
    let mut told = false;
    driver
        .turn(|cx| {
            cx.arrivals().advance(|(), me| {
                told = !me.take(Events::DEADLINE).is_empty();
                Step::Wait
            });
        })
        .unwrap();
    told
}

#[test]
fn a_deadline_that_is_moved_or_cancelled_after_it_has_come_is_not_told() {
    let machine: Machine<()> = Machine::heap(Capacity::slots(1));
    let mut driver = machine.driver().unwrap();
    let mut storage = [Timer::IDLE; 1];
    let mut timers = Timers::new(&mut storage, 0);
    let state = machine.allocate(()).unwrap();
    let token = state.token();
    timers.arm(token, 10);
    assert_eq!(timers.expire(10, &machine), 1);
    assert!(timers.cancel(token));
    assert!(!timers.cancel(token), "there is none any more");
    assert!(!machine.dump().to_string().contains("deadline"));
    assert!(!is_told(&mut driver));

    timers.arm(token, 20);
    assert_eq!(timers.expire(20, &machine), 1);
    timers.arm(token, 30);
    assert!(!is_told(&mut driver), "it was moved");
    assert_eq!(timers.expire(30, &machine), 1);
    assert!(is_told(&mut driver), "the new one has come");
    assert!(!timers.cancel(token), "it has been taken");

    // Other events stay, and so does a deadline that something else posts.
    timers.arm(token, 40);
    timers.expire(40, &machine);
    machine.post(state, Events::READABLE).unwrap();
    assert!(timers.cancel(token));
    machine.post(state, Events::NONE).unwrap();
    let seen = machine.dump().to_string();
    assert!(
        seen.contains("readable") && !seen.contains("deadline"),
        "{seen}"
    );
    machine.post(state, Events::DEADLINE).unwrap();
    assert!(is_told(&mut driver));
}

#[test]
fn what_is_withdrawn_from_a_state_that_has_ended_is_not_taken_from_the_next_tenant() {
    let machine: Machine<()> = Machine::heap(Capacity::slots(1));
    let mut driver = machine.driver().unwrap();
    let mut storage = [Timer::IDLE; 1];
    let mut timers = Timers::new(&mut storage, 0);
    let old = machine.allocate(()).unwrap();
    timers.arm(old.token(), 10);
    timers.expire(10, &machine);
    machine.release(old).unwrap();
    let new = machine.allocate(()).unwrap();
    machine.post(new, Events::DEADLINE).unwrap();
    assert!(!timers.cancel(old.token()));
    assert!(is_told(&mut driver));

    // The mark of a tenant that ended before it looked is not the next one's.
    timers.arm(new.token(), 20);
    timers.expire(20, &machine);
    assert!(timers.cancel(new.token()));
    machine.release(new).unwrap();
    let next = machine.allocate(()).unwrap();
    timers.arm(next.token(), 30);
    timers.expire(30, &machine);
    assert!(is_told(&mut driver));
}
