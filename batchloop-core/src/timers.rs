//! Deadlines of states, over storage that the caller supplies.
//!
//! A hierarchical timing wheel, after Varghese and Lauck, *Hashed and Hierarchical Timing Wheels* (1987). A slot of the
//! lowest of seven levels is a tick, and a slot of each other level is a whole turn of the level below. A deadline lies
//! at the lowest level where its slot differs from that of the present, and moves down as the present comes near: at
//! most once a level.

use core::{fmt, iter};

use crate::{access::Access, events::Events, frame::Frame, handle::Token, machine::Machine};

const SLOT_BITS: u32 = 5;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 7;

/// The list of the timers that were due when they were armed.
const DUE: usize = LEVELS * SLOTS;

/// How many timers of a slot [`Timers::next`] looks at for the earliest.
const LOOK: usize = 8;

/// No timer.
const NONE: u32 = u32::MAX;

/// Not armed.
const IDLE: u16 = u16::MAX;

/// Not armed any more: its state has been told, and may not have taken the event yet.
const TOLD: u16 = u16::MAX - 1;

/// Room for the deadline of one state.
#[derive(Clone, Debug)]
pub struct Timer {
    when: u64,
    state: Token,
    next: u32,
    previous: u32,
    /// The list that it is in.
    list: u16,
}

impl Timer {
    /// Not armed.
    pub const IDLE: Timer = Timer {
        when: 0,
        state: Token::from_u64(0),
        next: NONE,
        previous: NONE,
        list: IDLE,
    };

    fn is_armed(&self) -> bool {
        self.list != IDLE && self.list != TOLD
    }
}

/// Deadlines of the states of one machine: one for each state at most.
///
/// Time is counted in ticks from where the program likes, and a tick is as long as it likes. It must stay below 2⁶³.
///
/// A state whose deadline has come is woken with [`Events::DEADLINE`], which stays posted until the state
/// [takes](crate::Me::take) it. A deadline that is moved or cancelled before that is withdrawn: the state does not see it.
/// A state that ends need not cancel its deadline: it is stale then, and the slot's next tenant does not get it.
///
/// *Progress*: [`arm`](Self::arm) and [`cancel`](Self::cancel) take a constant number of steps, and so does each
/// deadline that [`expire`](Self::expire) meets: it moves at most six times, and once more for each 2³⁵ ticks that it
/// lies ahead.
///
/// ```
/// use batchloop_core::{Capacity, Events, Machine, Step, Timer, Timers, point};
///
/// let machine: Machine<u32> = Machine::heap(Capacity::slots(4));
/// let mut storage = [Timer::IDLE; 4];
/// let mut timers = Timers::new(&mut storage, 0);
/// let mut driver = machine.driver().unwrap();
/// machine.allocate(0).unwrap();
///
/// for now in [0, 10, 20] {
///     timers.expire(now, &machine);
///     driver.turn(|cx| {
///         let new = cx.arrivals();
///         cx.stage(point!("tick"), new).advance(|ticks, me| {
///             if !me.take(Events::DEADLINE).is_empty() {
///                 *ticks += 1;
///             }
///             timers.arm(me.token(), now + 10);
///             if *ticks == 2 { Step::Release } else { Step::Wait }
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
    told: Option<&'static Frame>,
    now: u64,
    /// A bit for each list that is not empty.
    occupied: [u32; LEVELS],
    heads: [u32; DUE + 1],
}

/// A slot of the wheel that has deadlines.
struct Occupied {
    list: usize,
    /// Its first and its last tick.
    start: u64,
    end: u64,
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
            occupied: [0; LEVELS],
            heads: [NONE; DUE + 1],
        }
    }

    /// Sets the deadline of a state, in place of the one that it had, even if that has come and the state has not taken
    /// the event yet. One in the past is due at once.
    ///
    /// # Panics
    ///
    /// If the state's slot is beyond the timers: the storage is for a smaller machine.
    pub fn arm(&mut self, state: Token, when: u64) {
        let timer = state.slot();
        self.withdraw(state);
        self.unlink(timer);
        self.timers[timer].state = state;
        self.timers[timer].when = when;
        self.link(timer);
    }

    /// Takes the deadline of a state back, even if it has come and the state has not taken the event yet. Returns whether
    /// there was one.
    ///
    /// # Panics
    ///
    /// As [`arm`](Self::arm).
    pub fn cancel(&mut self, state: Token) -> bool {
        let timer = state.slot();
        let armed = self.deadline(state).is_some();
        if armed {
            self.unlink(timer);
        }
        armed | self.withdraw(state)
    }

    /// Takes back what a state has been told and has not taken.
    fn withdraw(&mut self, state: Token) -> bool {
        let timer = &mut self.timers[state.slot()];
        if timer.list != TOLD || timer.state != state {
            return false;
        }
        timer.list = IDLE;
        self.told
            .is_some_and(|frame| frame.withdraw_deadline(state))
    }

    /// The deadline of a state.
    ///
    /// # Panics
    ///
    /// As [`arm`](Self::arm).
    pub fn deadline(&self, state: Token) -> Option<u64> {
        let timer = &self.timers[state.slot()];
        (timer.is_armed() && timer.state == state).then_some(timer.when)
    }

    /// When to call [`expire`](Self::expire) next; `None` while there are no deadlines.
    ///
    /// Never later than the earliest deadline. Where more than eight deadlines lie closely together, or one lies further
    /// ahead than 2³⁵ ticks, it is earlier, and `expire` then brings them nearer.
    pub fn next(&self) -> Option<u64> {
        if self.heads[DUE] != NONE {
            return Some(self.now);
        }
        let slot = self.first()?;
        let mut looked = 0;
        let earliest = self
            .list(self.heads[slot.list])
            .take(LOOK + 1)
            .map(|timer| {
                looked += 1;
                timer.when
            });
        let earliest = earliest.min()?;
        let known = looked <= LOOK && earliest <= slot.end;
        Some(if known { earliest } else { slot.start })
    }

    /// Wakes the states whose deadlines have come, in any order; answers how many still lived.
    ///
    /// A present before an earlier one counts as that one.
    pub fn expire<T, A: Access>(&mut self, now: u64, machine: &Machine<T, A>) -> usize {
        self.told = Some(machine.frame);
        let mut woken = self.sort(DUE, now, machine);
        while let Some(slot) = self.first() {
            if slot.start > now {
                break;
            }
            self.now = slot.start;
            woken += self.sort(slot.list, now, machine);
        }
        self.now = self.now.max(now);
        woken
    }

    /// Empties a list: wakes what is due and links the others anew.
    fn sort<T, A: Access>(&mut self, list: usize, now: u64, machine: &Machine<T, A>) -> usize {
        let mut woken = 0;
        let mut timer = core::mem::replace(&mut self.heads[list], NONE);
        self.mark(list);
        while timer != NONE {
            let index = timer as usize;
            timer = self.timers[index].next;
            self.timers[index].list = IDLE;
            if self.timers[index].when > now.max(self.now) {
                self.link(index);
            } else {
                let timer = &mut self.timers[index];
                if machine.post_token(timer.state, Events::DEADLINE).is_ok() {
                    timer.list = TOLD;
                    woken += 1;
                }
            }
        }
        woken
    }

    fn list(&self, head: u32) -> impl Iterator<Item = &Timer> {
        let at = |timer: u32| self.timers.get(timer as usize);
        iter::successors(at(head), move |timer| at(timer.next))
    }

    /// The earliest slot that has deadlines. What is due is in none.
    fn first(&self) -> Option<Occupied> {
        let level = self.occupied.iter().position(|bits| *bits != 0)?;
        let shift = level as u32 * SLOT_BITS;
        let present = self.now >> shift;
        let slot = present as u32 % SLOTS as u32;
        // The present slot itself is empty: what is in it lies at a lower level.
        let ahead = self.occupied[level].rotate_right(slot).trailing_zeros();
        let start = (present + u64::from(ahead)) << shift;
        Some(Occupied {
            list: level * SLOTS + (slot + ahead) as usize % SLOTS,
            start,
            end: start + ((1 << shift) - 1),
        })
    }

    /// The list where a deadline belongs.
    fn list_of(&self, when: u64) -> usize {
        if when <= self.now {
            return DUE;
        }
        // What lies further ahead than the highest level reaches waits in its last slot.
        let top_shift = (LEVELS as u32 - 1) * SLOT_BITS;
        let last = (self.now >> top_shift) + SLOTS as u64 - 1;
        let when = when.min((last << top_shift) | ((1 << top_shift) - 1));
        let differing = (when ^ self.now).ilog2() / SLOT_BITS;
        let level = differing.min(LEVELS as u32 - 1);
        let slot = (when >> (level * SLOT_BITS)) as usize % SLOTS;
        level as usize * SLOTS + slot
    }

    fn link(&mut self, timer: usize) {
        let list = self.list_of(self.timers[timer].when);
        let next = core::mem::replace(&mut self.heads[list], timer as u32);
        if let Some(next) = self.timers.get_mut(next as usize) {
            next.previous = timer as u32;
        }
        self.timers[timer].list = list as u16;
        self.timers[timer].next = next;
        self.timers[timer].previous = NONE;
        self.mark(list);
    }

    fn unlink(&mut self, timer: usize) {
        let Timer {
            next,
            previous,
            list,
            ..
        } = self.timers[timer];
        if !self.timers[timer].is_armed() {
            return;
        }
        match self.timers.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => self.heads[list as usize] = next,
        }
        if let Some(next) = self.timers.get_mut(next as usize) {
            next.previous = previous;
        }
        self.timers[timer].list = IDLE;
        self.mark(list as usize);
    }

    /// Notes whether a list is empty.
    fn mark(&mut self, list: usize) {
        if list == DUE {
            return;
        }
        let bit = 1 << (list % SLOTS);
        if self.heads[list] == NONE {
            self.occupied[list / SLOTS] &= !bit;
        } else {
            self.occupied[list / SLOTS] |= bit;
        }
    }
}

impl fmt::Debug for Timers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let armed = self.timers.iter().filter(|timer| timer.is_armed());
        write!(
            f,
            "Timers({} of {}, now {})",
            armed.count(),
            self.timers.len(),
            self.now
        )
    }
}

#[cfg(all(test, feature = "alloc", not(loom)))]
mod tests;
