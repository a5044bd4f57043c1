//! Every live state, with the place where it waits.

use core::{fmt, marker::PhantomData};

use crate::{
    ground::word::{Access, Local, Shared},
    inspect::{live_states::LiveStates, state_info::StateInfo},
    machine::typed::Machine,
};

/// All live states of a machine, one a line; made by [`Machine::dump`] and printed with `{}`, to any
/// [`core::fmt::Write`].
///
/// Each line has the slot and its version, whether the state waits, is active (woken, or newly arrived) or is in a
/// batch, its point, the context path with iterations, events, parent, and, after [`states`](Self::states), the state
/// itself. On a [`Shared`](crate::Shared) machine workers go on meanwhile, so each line is true at its own moment.
///
/// ```
/// # use batchloop_core::*;
/// let machine: Machine<u8> = Machine::heap(Capacity::slots(4));
/// machine.allocate(7).unwrap();
/// let text = machine.dump().states().to_string();
/// assert_eq!(text, "u8: 1 of 4 slots\n  #0v1 active at the entrance: 7\n");
/// ```
///
/// *Reentrancy*: it may be printed from anywhere, even from a closure that has a state; that one shows as busy.
#[must_use = "a dump shows nothing until it is printed"]
pub struct Dump<T: 'static, A: Access = Local> {
    live: LiveStates,
    machine: Machine<T, A>,
}

impl<T, A: Access> Machine<T, A> {
    /// All live states, with the place where each waits; print it with `{}`.
    pub fn dump(&self) -> Dump<T, A> {
        Dump::new(*self)
    }
}

impl<T, A: Access> Dump<T, A> {
    fn new(machine: Machine<T, A>) -> Self {
        Dump {
            live: LiveStates::from(machine),
            machine,
        }
    }

    /// Prints the states too. Each is locked while it prints into the output: where that may block, such as a pipe that is
    /// read slowly, print into memory first. A `Debug` that panics releases its state.
    pub fn states(mut self) -> Self
    where
        T: fmt::Debug,
    {
        self.live = LiveStates::describing(self.machine);
        self
    }

    /// The lines of the states, in address order, for an output that takes little at a time: finding one prints none of
    /// those before it.
    ///
    /// ```
    /// # use batchloop_core::*;
    /// let machine: Machine<u8> = Machine::heap(Capacity::slots(4));
    /// for number in [7, 8, 9] {
    ///     machine.allocate(number).unwrap();
    /// }
    /// let third = machine.dump().states().lines().nth(2).unwrap();
    /// assert_eq!(third.to_string(), "#2v1 active at the entrance: 9");
    /// ```
    pub fn lines(&self) -> impl Iterator<Item = impl fmt::Display + use<T, A>> + use<T, A> {
        // In the closure too: what has the iterator can print.
        let types = PhantomData::<Machine<T, A>>;
        let line = move |info| Line { info, types };
        self.live.iter().map(line)
    }
}

/// A state of a [`Local`] machine is printed on its own thread only.
struct Line<T: 'static, A: Access> {
    info: StateInfo,
    types: PhantomData<Machine<T, A>>,
}

impl<T, A: Access> fmt::Display for Line<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.fmt(f)
    }
}

/// The states of a `Shared` machine may be looked at from any thread.
impl<T> From<Dump<T, Shared>> for LiveStates {
    fn from(dump: Dump<T, Shared>) -> Self {
        dump.live
    }
}

impl<T, A: Access> fmt::Display for Dump<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.live.fmt(f)
    }
}

impl<T, A: Access> fmt::Debug for Dump<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dump({:?})", self.live)
    }
}
