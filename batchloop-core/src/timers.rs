//! Deadlines of states, over storage that the caller supplies.
//!
//! A heap in which a node has four children, after Johnson, *Priority Queues with Update and Finding Minimum Spanning
//! Trees* (1975). The earliest deadline is at its root, so the next one is known exactly, and a leap of the clock costs
//! what is due in it and no more. A timing wheel arms in fewer steps. But it does not know which deadline of a slot is
//! the earliest, and has to bring those that are not due nearer, slot by slot, as time passes.

use core::{fmt, iter, ops::Range};

use crate::{
    ground::word::Access,
    machine::typed::Machine,
    slab::{events::Events, handle::Token, raw::RawMachine},
};

/// The children of a node. Four lie in one or two cache lines, and make half as many levels as two.
const CHILDREN: usize = 4;

/// Where more than one deadline in so many is due, all are looked at in order. That costs less than to take each from the
/// root.
const FEW: usize = 32;

/// Not armed.
const IDLE: u32 = u32::MAX;

/// Not armed any more: its state has been told, and may not have taken the event yet.
const TOLD: u32 = u32::MAX - 1;

/// A deadline, and whose it is.
#[derive(Clone, Copy, Debug)]
struct Node {
    when: u64,
    state: Token,
}

/// Room for the deadline of one state.
///
/// An element of the storage is two things that have to do with each other only by their number.
#[derive(Clone, Debug)]
pub struct Timer {
    /// The node of this number in the heap.
    node: Node,
    /// Where in the heap the deadline of the state in the slot of this number is.
    place: u32,
    /// The version of that state, if it has been told.
    told: u32,
}

impl Timer {
    /// Not armed.
    pub const IDLE: Timer = Timer {
        node: Node {
            when: 0,
            state: Token::from_u64(0),
        },
        place: IDLE,
        told: 0,
    };
}

/// Deadlines of the states of one machine: one for each state at most.
///
/// Time is counted in ticks from where the program likes, and a tick is as long as it likes.
///
/// A state whose deadline has come is woken with [`Events::DEADLINE`], which stays posted until the state
/// [takes](crate::Me::take) it. A deadline that is moved or cancelled before that is withdrawn: the state does not see it.
/// A state that ends need not cancel its deadline: it is stale then, and the slot's next tenant does not get it. Until it
/// comes, or the next tenant arms its own, [`next`](Self::next) still tells of it.
///
/// *Progress*: among *n* deadlines, [`arm`](Self::arm) and [`cancel`](Self::cancel) take at most log₄ *n* steps, some ten
/// for a million, and [`next`](Self::next) takes one. [`expire`](Self::expire) takes log₄ *n* for each deadline that has
/// come, or looks at each of the *n* once if more than one in 32 has. How far ahead deadlines lie, and how far the clock
/// leaps, does not matter.
///
/// ```
/// use batchloop_core::{Capacity, Events, Machine, Step, Timer, Timers, point};
///
/// // A state is when its next tick is due: one each ten.
/// let machine: Machine<u64> = Machine::heap(Capacity::slots(4));
/// let mut storage = [Timer::IDLE; 4];
/// let mut timers = Timers::new(&mut storage, 0);
/// let mut driver = machine.driver().unwrap();
/// machine.allocate(10).unwrap();
///
/// for now in [0, 13, 21, 34] {
///     timers.expire(now, &machine);
///     driver.turn(|cx| {
///         let new = cx.arrivals();
///         cx.stage(point!("tick"), new).advance(|due, me| {
///             if !me.take(Events::DEADLINE).is_empty() {
///                 // Not from now on: this turn may be late, and the next one shall not be later.
///                 *due += 10;
///             }
///             timers.arm(me.token(), *due);
///             if *due == 40 { Step::Release } else { Step::Wait }
///         });
///     }).unwrap();
/// }
/// assert_eq!(machine.live(), 0);
/// ```
#[doc(alias = "timing wheel")]
#[doc(alias = "timeout")]
pub struct Timers<'s> {
    timers: &'s mut [Timer],
    /// The machine whose states have been told.
    told: Option<&'static RawMachine>,
    now: u64,
    /// How many nodes the heap has: the first so many.
    armed: usize,
}

impl<'s> Timers<'s> {
    /// Timers for the states of a machine with at most as many slots as there are timers.
    ///
    /// `now` is the present.
    pub fn new(timers: &'s mut [Timer], now: u64) -> Self {
        timers.fill(Timer::IDLE);
        Timers {
            timers,
            told: None,
            now,
            armed: 0,
        }
    }

    /// Sets the deadline of a state, in place of the one that it had, even if that has come and the state has not taken
    /// the event yet. One in the past is due at once.
    ///
    /// # Panics
    ///
    /// If the state's slot is beyond the timers: the storage is for a smaller machine.
    #[track_caller]
    pub fn arm(&mut self, state: Token, when: u64) {
        let (slot, timers) = (state.slot(), self.timers.len());
        assert!(
            slot < timers,
            "{timers} timers are too few for a state in slot {slot}: a machine needs one for each slot"
        );
        self.withdraw(state);
        let node = Node { when, state };
        match self.timers[slot].place {
            IDLE | TOLD => {
                self.armed += 1;
                self.rise(self.armed - 1, node);
            }
            place => self.settle(place as usize, node),
        }
    }

    /// Takes the deadline of a state back, even if it has come and the state has not taken the event yet. Returns whether
    /// there was one.
    pub fn cancel(&mut self, state: Token) -> bool {
        match self.place(state) {
            Some(place) => {
                self.remove(place);
                true
            }
            None => self.withdraw(state),
        }
    }

    /// Takes back what a state has been told and has not taken.
    fn withdraw(&mut self, state: Token) -> bool {
        match self.timers.get_mut(state.slot()) {
            Some(timer) if timer.place == TOLD && timer.told == version(state) => {
                timer.place = IDLE;
                let told = self.told;
                told.is_some_and(|raw| raw.withdraw_deadline(state))
            }
            _ => false,
        }
    }

    /// The deadline of a state.
    pub fn deadline(&self, state: Token) -> Option<u64> {
        self.place(state).map(|place| self.timers[place].node.when)
    }

    /// When to call [`expire`](Self::expire) next; `None` while there are no deadlines.
    ///
    /// This is the earliest deadline, or the present if that is over.
    pub fn next(&self) -> Option<u64> {
        let earliest = self.nodes().first()?.node.when;
        Some(earliest.max(self.now))
    }

    /// Wakes the states whose deadlines have come, in any order; returns how many still lived.
    ///
    /// `now` never goes backwards: an earlier value is treated as the latest one seen.
    pub fn expire<T, A: Access>(&mut self, now: u64, machine: &Machine<T, A>) -> usize {
        self.expire_at_most(usize::MAX, now, machine)
    }

    /// As [`expire`](Self::expire), and goes no further than this many deadlines, those of states that have ended
    /// included.
    ///
    /// While a million deadlines are met, nothing else is done for some tens of milliseconds. Where more are due than were
    /// met, [`next`](Self::next) is the present, so a loop that asks it before it sleeps does not sleep.
    pub fn expire_at_most<T, A: Access>(
        &mut self,
        most: usize,
        now: u64,
        machine: &Machine<T, A>,
    ) -> usize {
        self.told = Some(machine.raw);
        self.now = self.now.max(now);
        let (mut met, mut woken) = (0, 0);
        // From the last to the first, so that what takes the place of one that is due is not due.
        let sweep = (0..self.armed).rev();
        for place in iter::repeat_n(0, self.armed / FEW + 1).chain(sweep) {
            if met == most || !self.is_due(0) {
                break;
            }
            if self.is_due(place) {
                met += 1;
                if self.tell(place, machine) {
                    woken += 1;
                }
            }
        }
        woken
    }

    fn is_due(&self, place: usize) -> bool {
        let node = self.nodes().get(place);
        node.is_some_and(|timer| timer.node.when <= self.now)
    }

    /// Takes out a node that is due. Returns whether its state still lived.
    fn tell<T, A: Access>(&mut self, place: usize, machine: &Machine<T, A>) -> bool {
        let state = self.timers[place].node.state;
        self.remove(place);
        let lives = machine.post_token(state, Events::DEADLINE).is_ok();
        if lives {
            self.timers[state.slot()].place = TOLD;
            self.timers[state.slot()].told = version(state);
        }
        lives
    }

    fn nodes(&self) -> &[Timer] {
        &self.timers[..self.armed]
    }

    /// Where the deadline of a state is, and not that of an earlier or later tenant of its slot.
    fn place(&self, state: Token) -> Option<usize> {
        let place = self.timers.get(state.slot())?.place as usize;
        let node = self.nodes().get(place)?.node;
        (node.state == state).then_some(place)
    }

    /// Takes a node out, and puts the last one where it was.
    fn remove(&mut self, place: usize) {
        let slot = self.timers[place].node.state.slot();
        self.timers[slot].place = IDLE;
        self.armed -= 1;
        if place < self.armed {
            self.settle(place, self.timers[self.armed].node);
        }
    }

    /// Puts a node at a place that is free, or where it belongs if that is above or below.
    fn settle(&mut self, place: usize, node: Node) {
        match parent(place) {
            Some(parent) if node.when < self.timers[parent].node.when => self.rise(place, node),
            _ => self.sink(place, node),
        }
    }

    fn rise(&mut self, mut place: usize, node: Node) {
        while let Some(parent) = parent(place)
            && node.when < self.timers[parent].node.when
        {
            self.put(place, self.timers[parent].node);
            place = parent;
        }
        self.put(place, node);
    }

    fn sink(&mut self, mut place: usize, node: Node) {
        while let Some(child) =
            children(place, self.armed).min_by_key(|child| self.timers[*child].node.when)
            && self.timers[child].node.when < node.when
        {
            self.put(place, self.timers[child].node);
            place = child;
        }
        self.put(place, node);
    }

    fn put(&mut self, place: usize, node: Node) {
        self.timers[place].node = node;
        self.timers[node.state.slot()].place = place as u32;
    }
}

/// The half of a token that names the version.
fn version(state: Token) -> u32 {
    (state.to_u64() >> 32) as u32
}

fn parent(place: usize) -> Option<usize> {
    Some(place.checked_sub(1)? / CHILDREN)
}

/// The children of a place, in a heap of this many nodes.
fn children(place: usize, nodes: usize) -> Range<usize> {
    let first = (place * CHILDREN + 1).min(nodes);
    first..(first + CHILDREN).min(nodes)
}

impl fmt::Debug for Timers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (armed, timers) = (self.armed, self.timers.len());
        write!(f, "Timers({armed} of {timers}, now {})", self.now)
    }
}

#[cfg(all(test, feature = "alloc", not(loom)))]
mod tests;
