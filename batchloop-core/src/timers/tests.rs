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
        let due: Vec<usize> = self.due().collect();
        assert_eq!(self.timers.expire(now, &self.machine), due.len());
        self.model.retain(|_, when| *when > self.now);
        self.told.extend(due);
    }

    /// So many of those whose time has come are told, and no others.
    fn expire_at_most(&mut self, most: usize, now: u64) {
        self.now = self.now.max(now);
        let due: Vec<usize> = self.due().collect();
        let met = self.timers.expire_at_most(most, now, &self.machine);
        assert_eq!(met, due.len().min(most));
        let is_met = |state: &usize| self.timers.deadline(self.states[*state].token()).is_none();
        let told: Vec<usize> = due.into_iter().filter(is_met).collect();
        assert_eq!(told.len(), met);
        for state in told {
            self.model.remove(&state);
            self.told.insert(state);
        }
    }

    fn due(&self) -> impl Iterator<Item = usize> {
        let due = self.model.iter().filter(|(_, when)| **when <= self.now);
        due.map(|(state, _)| *state)
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
        let earliest = self.model.values().min();
        let next = earliest.map(|earliest| (*earliest).max(self.now));
        assert_eq!(self.timers.next(), next);
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Arm(usize, u64),
    Cancel(usize),
    Pass(u64),
    PassToNext,
    Some(usize),
    Turn,
}

/// Spans of all sizes, from none to a leap over most of the time that there is.
fn span() -> impl Strategy<Value = u64> {
    (0..63_u32, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (0..STATES, span()).prop_map(|(state, span)| Operation::Arm(state, span)),
        1 => (0..STATES).prop_map(Operation::Cancel),
        2 => span().prop_map(Operation::Pass),
        2 => Just(Operation::PassToNext),
        1 => (0..4_usize).prop_map(Operation::Some),
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
                Operation::Arm(state, span) => fixture.arm(state, fixture.now.saturating_add(span)),
                Operation::Cancel(state) => fixture.cancel(state),
                Operation::Pass(span) => fixture.expire(fixture.now.saturating_add(span)),
                Operation::PassToNext => {
                    if let Some(next) = fixture.timers.next() {
                        let before = fixture.model.len();
                        fixture.expire(next);
                        assert!(fixture.model.len() < before, "a wake for nothing");
                    }
                }
                Operation::Some(most) => fixture.expire_at_most(most, fixture.now),
                Operation::Turn => fixture.turn(),
            }
            fixture.check();
        }
    }
}

/// All ways to arm, arm anew and cancel three states at deadlines that are equal, before and behind each other.
#[test]
fn every_order_of_a_few_deadlines_comes_out_sorted() {
    const FEW: usize = 3;
    const WAYS: usize = FEW + 1;
    let mut storage = vec![Timer::IDLE; STATES];
    for first in 0..WAYS.pow(FEW as u32) {
        for second in 0..WAYS.pow(FEW as u32) {
            let mut fixture = Fixture::new(&mut storage, 0);
            for mut ways in [first, second] {
                for state in 0..FEW {
                    match ways % WAYS {
                        0 => fixture.cancel(state),
                        when => fixture.arm(state, when as u64),
                    }
                    ways /= WAYS;
                    fixture.check();
                }
            }
            for now in 1..=FEW as u64 {
                fixture.expire(now);
                fixture.check();
            }
            assert!(fixture.model.is_empty());
        }
    }
}

/// The deadlines lie where a wheel has its slots: many in one, and around the edges.
#[test]
fn the_next_deadline_is_known_to_the_tick() {
    let mut storage = vec![Timer::IDLE; STATES];
    for bits in 0..63 {
        let edge = 1_u64 << bits;
        for start in [0, edge - 1, edge, edge * 3 / 2] {
            let mut fixture = Fixture::new(&mut storage, start);
            for state in 0..STATES {
                fixture.arm(state, start + edge + state as u64);
            }
            for state in 0..STATES {
                let when = start + edge + state as u64;
                fixture.check();
                fixture.expire(when - 1);
                fixture.check();
                fixture.expire(when);
                assert_eq!(fixture.model.len(), STATES - 1 - state);
            }
        }
    }
}

/// How many elements of the storage have been written since it was as `before`, which is brought up to date. Each step
/// writes a node, and the place of its owner.
fn changes(before: &mut Vec<Timer>, timers: &Timers<'_>) -> usize {
    let parts = |timer: &Timer| (timer.node.when, timer.node.state, timer.place);
    let pairs = before.iter().zip(&*timers.timers);
    let changes = pairs.filter(|(a, b)| parts(a) != parts(b)).count();
    *before = timers.timers.to_vec();
    changes
}

#[test]
fn no_operation_takes_more_steps_than_there_are_levels() {
    const MANY: usize = 1 + 4 + 16 + 64 + 256 + 1024;
    const LEVELS: usize = 6;
    const MOST: usize = 2 * LEVELS + 1;
    let machine: Machine<()> = Machine::heap(Capacity::slots(MANY));
    let states: Vec<Handle<()>> = (0..MANY).map(|_| machine.allocate(()).unwrap()).collect();
    let mut storage = vec![Timer::IDLE; MANY];
    let mut timers = Timers::new(&mut storage, 0);
    let mut before = timers.timers.to_vec();
    // Each is the earliest, and goes up through all levels.
    for (n, state) in states.iter().enumerate() {
        timers.arm(state.token(), (1 << 40) - n as u64);
        assert!(changes(&mut before, &timers) <= MOST);
    }
    // To the end, and a part of them back to the front.
    for (step, when) in [(1, u64::MAX), (3, 5)] {
        for state in states.iter().rev().step_by(step) {
            timers.arm(state.token(), when);
            assert!(changes(&mut before, &timers) <= MOST);
        }
    }
    for state in states.iter().step_by(7) {
        assert!(timers.cancel(state.token()));
        assert!(changes(&mut before, &timers) <= MOST);
    }
    // Nothing is due.
    assert_eq!(timers.expire(4, &machine), 0);
    assert_eq!(changes(&mut before, &timers), 0);
    while timers.expire_at_most(1, 1 << 60, &machine) == 1 {
        assert!(changes(&mut before, &timers) <= MOST);
    }
    assert_eq!(timers.next(), Some(u64::MAX));
}

/// Few are taken from the root, one by one; where many are due, all are looked at.
#[test]
fn whatever_part_of_many_is_due_the_rest_stays_in_order() {
    const MANY: usize = 500;
    let machine: Machine<()> = Machine::heap(Capacity::slots(MANY));
    let states: Vec<Handle<()>> = (0..MANY).map(|_| machine.allocate(()).unwrap()).collect();
    let mut storage = vec![Timer::IDLE; MANY];
    for due in 0..=MANY {
        for most in [1, 7, due / 2 + 1, MANY] {
            let mut timers = Timers::new(&mut storage, 0);
            // In an order that has nothing to do with the slots'.
            for (n, state) in states.iter().enumerate() {
                timers.arm(state.token(), 1 + (n * 271 % MANY) as u64);
            }
            let mut met = 0;
            loop {
                let more = timers.expire_at_most(most, due as u64, &machine);
                assert_eq!(more, most.min(due - met));
                met += more;
                if more == 0 {
                    break;
                }
            }
            for when in due as u64 + 1..=MANY as u64 {
                assert_eq!(timers.next(), Some(when));
                assert_eq!(timers.expire(when, &machine), 1);
            }
            assert_eq!(timers.next(), None);
        }
    }
}

#[test]
fn a_leap_of_the_clock_meets_what_is_due_and_nothing_else() {
    let mut storage = vec![Timer::IDLE; STATES];
    let mut fixture = Fixture::new(&mut storage, 0);
    for state in 0..STATES {
        fixture.arm(state, u64::MAX - state as u64);
    }
    fixture.arm(3, 1 << 62);
    fixture.expire(1 << 62);
    fixture.check();
    assert_eq!(fixture.model.len(), STATES - 1);
    fixture.expire(u64::MAX);
    assert_eq!(fixture.timers.next(), None);
}

#[test]
fn what_one_call_leaves_behind_is_due_at_once() {
    let mut storage = vec![Timer::IDLE; STATES];
    let mut fixture = Fixture::new(&mut storage, 0);
    for state in 0..STATES {
        fixture.arm(state, 10 + state as u64 % 3);
    }
    fixture.expire_at_most(0, 20);
    assert_eq!(fixture.timers.next(), Some(20));
    for left in (0..STATES).rev().step_by(5) {
        fixture.expire_at_most(5, 20);
        fixture.check();
        assert!(fixture.model.len() <= left);
    }
    fixture.expire_at_most(5, 20);
    assert_eq!(fixture.timers.next(), None);
}

#[test]
#[should_panic(
    expected = "2 timers are too few for a state in slot 2: a machine needs one for each slot"
)]
fn too_few_timers_are_named_by_their_number() {
    let machine: Machine<()> = Machine::heap(Capacity::slots(3));
    let states = [(); 3].map(|()| machine.allocate(()).unwrap().token());
    let mut storage = vec![Timer::IDLE; 2];
    let mut timers = Timers::new(&mut storage, 0);
    timers.arm(states[1], 1);
    assert_eq!(timers.deadline(states[2]), None);
    assert!(!timers.cancel(states[2]));
    timers.arm(states[2], 1);
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
    assert!(!timers.cancel(token), "it is not of these timers");
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
