use std::{collections::BTreeMap, vec, vec::Vec};

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
            now,
        }
    }

    fn arm(&mut self, state: usize, when: u64) {
        self.timers.arm(self.states[state].token(), when);
        self.model.insert(state, when);
    }

    fn cancel(&mut self, state: usize) {
        let had = self.model.remove(&state).is_some();
        assert_eq!(self.timers.cancel(self.states[state].token()), had);
    }

    /// Exactly those whose time has come are woken.
    fn expire(&mut self, now: u64) {
        self.now = self.now.max(now);
        let due: Vec<usize> = (0..STATES)
            .filter(|state| self.model.get(state).is_some_and(|when| *when <= self.now))
            .collect();
        self.model.retain(|_, when| *when > self.now);
        assert_eq!(self.timers.expire(now, &self.machine), due.len());
        let mut reached = Vec::new();
        let mut driver = self.machine.driver().unwrap();
        driver
            .turn(|cx| {
                cx.arrivals().advance(|(), me| {
                    if me.events().contains(Events::DEADLINE) {
                        reached.push(me.handle().slot());
                    }
                    Step::Wait
                });
            })
            .unwrap();
        assert_eq!(reached, due);
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
