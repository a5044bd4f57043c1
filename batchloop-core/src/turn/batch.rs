//! Batches: the states that a turn has taken, and what can be done with them.

use core::{cell::Cell, fmt, marker::PhantomData};

use crate::{
    ground::word::{Access, Local},
    program::field::Field,
    signal::me::Me,
    turn::{raw_batch::RawBatch, run::Run, step::Step, sweep::Current},
};

/// States that this turn has taken from a point, in address order; consumed by what is done with it.
///
/// A batch owns its states' places, not their contents: a hook may still reach a state of a batch until its closure
/// runs. A state that a hook works on at that very moment, or has ended, is left out then.
///
/// A batch that is dropped loses nothing: its states go back to the point that they came from, active. If it is what
/// [`advance`](Self::advance) returned, that is [`Fault::NoStage`](crate::Fault::NoStage) as well: the code behind the
/// point would run for them again and again. One that is leaked, as by [`core::mem::forget`], keeps its states for
/// ever.
///
/// Batches belong to their turn. Keeping one does not compile:
///
/// ```compile_fail,E0521
/// # use batchloop_core::*;
/// let machine: Machine<u8> = Machine::heap(Capacity::slots(4));
/// let mut driver = machine.driver().unwrap();
/// let mut kept = None;
/// let _ = driver.turn(|cx| kept = Some(cx.arrivals()));
/// ```
///
/// Nor does using one twice:
///
/// ```compile_fail,E0382
/// # use batchloop_core::*;
/// fn entry(cx: &mut Turn<'_, u8>) {
///     let new = cx.arrivals();
///     new.release();
///     new.release();
/// }
/// ```
pub struct Batch<'t, U, A: Access = Local> {
    raw: RawBatch<'t, A>,
    value: PhantomData<fn(U) -> U>,
    turn: PhantomData<Cell<&'t ()>>,
}

impl<'t, U, A: Access> Batch<'t, U, A> {
    /// # Safety
    ///
    /// R6: the shape of the batch leads to a `U`.
    #[inline(always)]
    pub(super) unsafe fn of(raw: RawBatch<'t, A>) -> Self {
        Batch {
            raw,
            value: PhantomData,
            turn: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn empty(run: &'t Run<A>) -> Self {
        // SAFETY: R6: it has no shape.
        unsafe { Batch::of(RawBatch::empty(run)) }
    }

    #[inline(always)]
    pub(super) fn run(&self) -> &'t Run<A> {
        self.raw.run()
    }

    #[inline(always)]
    pub(super) fn into_raw(self) -> RawBatch<'t, A> {
        self.raw
    }

    /// How many states there are, at most: some may turn out to have ended, or to be in the hands of a hook.
    pub fn len(&self) -> usize {
        self.raw.segment().len()
    }

    /// Whether there are none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Calls `work` on each state and applies the [`Step`] that it returns. Returns the states that go on.
    ///
    /// A state whose step is [`Step::Again`], or that wakes itself and waits, comes again in the next turn, or at once
    /// where the slot's earlier tenant was active at this point when it ended.
    ///
    /// *Reentrancy*: the state is locked while `work` has it. A hook on it that comes meanwhile waits or gets `Busy`; a
    /// wake is remembered, and [`Step::Wait`] then leaves the state active. `work` may use the machine: allocate,
    /// wake, signal other states.
    ///
    /// # Panics
    ///
    /// If `work` does: that state is released, the others go back to their points, active, and the panic goes on. The
    /// same if a state that is released panics when it is dropped; its slot is free all the same.
    ///
    /// ```
    /// # use batchloop_core::*;
    /// fn entry(cx: &mut Turn<'_, u32>) {
    ///     let new = cx.arrivals();
    ///     let even = cx.stage(point!("halve"), new).advance(|number, _| {
    ///         *number /= 2;
    ///         if *number % 2 == 0 { Step::Next } else { Step::Wait }
    ///     });
    ///     even.release();
    /// }
    /// # let machine: Machine<u32> = Machine::heap(Capacity::slots(4));
    /// # let six = machine.allocate(6).unwrap();
    /// # let eight = machine.allocate(8).unwrap();
    /// # machine.driver().unwrap().turn(entry).unwrap();
    /// # assert!(machine.is_live(six));
    /// # assert!(!machine.is_live(eight));
    /// ```
    #[inline(always)]
    pub fn advance(self, mut work: impl FnMut(&mut U, Me<U, A>) -> Step) -> Batch<'t, U, A> {
        if self.is_empty() {
            return self;
        }
        let mut raw = self.raw;
        advance_some(&mut raw, &mut |current| {
            // SAFETY: R2, R6: it is for this state alone, and the batch's shape leads to a `U`.
            let (state, me) = unsafe { current.parts() };
            work(state, me)
        });
        // SAFETY: R6: the shape is the same, or none.
        unsafe { Batch::of(raw) }
    }

    /// Runs `work` once for each state; all go on.
    ///
    /// *Reentrancy* and panics: as [`advance`](Self::advance).
    #[must_use = "a batch that is dropped goes back to its point, active"]
    #[inline(always)]
    pub fn for_each(self, mut work: impl FnMut(&mut U, Me<U, A>)) -> Batch<'t, U, A> {
        let mut all = self.advance(|state, me| {
            work(state, me);
            Step::Next
        });
        all.raw.going_on(false);
        all
    }

    /// Splits the batch: the states for which `choose` returns `true`, and the others.
    ///
    /// Where the scratch space is nearly full, the others are not in address order.
    ///
    /// *Reentrancy* and panics: as [`advance`](Self::advance).
    #[must_use = "a batch that is dropped goes back to its point, active"]
    #[inline(always)]
    pub fn partition(
        self,
        mut choose: impl FnMut(&mut U, Me<U, A>) -> bool,
    ) -> (Batch<'t, U, A>, Batch<'t, U, A>) {
        if self.is_empty() {
            let others = Batch::empty(self.run());
            return (self, others);
        }
        self.partition_some(&mut |current| {
            // SAFETY: R2, R6: it is for this state alone, and the batch's shape leads to a `U`.
            let (state, me) = unsafe { current.parts() };
            choose(state, me)
        })
    }

    fn partition_some(
        self,
        choose: &mut impl FnMut(&mut Current<A>) -> bool,
    ) -> (Batch<'t, U, A>, Batch<'t, U, A>) {
        #[cfg(batchloop_small)]
        let choose: &mut dyn FnMut(&mut Current<A>) -> bool = choose;
        let (chosen, others) = self.raw.partition(choose);
        // SAFETY: R6: the shape is the same.
        let chosen = unsafe { Batch::of(chosen) };
        // SAFETY: R6: as above.
        let others = unsafe { Batch::of(others) };
        (chosen, others)
    }

    /// Both batches as one.
    ///
    /// Where the scratch space is too full to hold them side by side, the second goes back to its points, active,
    /// and the turn says [`Progress::More`](crate::Progress::More). Batches of different fields do not mix: that is
    /// [`Fault::Mismatch`](crate::Fault::Mismatch), and the second goes back.
    #[must_use = "a batch that is dropped goes back to its point, active"]
    pub fn merge(self, other: Batch<'t, U, A>) -> Batch<'t, U, A> {
        let raw = self.raw.merge(other.raw);
        // SAFETY: R6: the shape is that of one of them.
        unsafe { Batch::of(raw) }
    }

    /// Lets all of them go back to the point that they came from, active, so that the next turn takes them there once
    /// more: what dropping the batch does, for a program that means it.
    pub fn put_back(self) {
        let run = self.run();
        run.let_go(self.raw.into_segment());
    }

    /// Ends all of them.
    #[inline(always)]
    pub fn release(self) {
        self.advance(|_, _| Step::Release);
    }

    /// The batch as one of a field: what a sub-machine works on.
    ///
    /// ```
    /// # use batchloop_core::*;
    /// struct Call { reply: Option<u8> }
    /// struct Job { call: Call }
    ///
    /// fn entry(cx: &mut Turn<'_, Job>) {
    ///     let new = cx.arrivals();
    ///     let called = call(cx, new.project(field!(Job, call))).unproject(field!(Job, call));
    ///     called.release();
    /// }
    ///
    /// fn call<'t>(cx: &mut Context<'t>, calls: Batch<'t, Call>) -> Batch<'t, Call> {
    ///     cx.stage(point!("reply"), calls).advance(|call, _| match call.reply {
    ///         Some(_) => Step::Next,
    ///         None => Step::Wait,
    ///     })
    /// }
    /// # let machine: Machine<Job> = Machine::heap(Capacity::slots(4));
    /// # machine.allocate(Job { call: Call { reply: Some(1) } }).unwrap();
    /// # machine.driver().unwrap().turn(entry).unwrap();
    /// # assert_eq!(machine.live(), 0);
    /// ```
    ///
    /// More different projections than the machine has room for are
    /// [`Fault::ShapesExhausted`](crate::Fault::ShapesExhausted); then the batch is empty, and the states go back to
    /// their point.
    #[must_use = "a batch that is dropped goes back to its point, active"]
    #[inline(always)]
    pub fn project<V>(self, field: Field<U, V>) -> Batch<'t, V, A> {
        if self.raw.shape().is_none() {
            return Batch::empty(self.run());
        }
        let raw = self.raw.project(field.info);
        // SAFETY: R6: so far into each `U` lies a `V`.
        unsafe { Batch::of(raw) }
    }

    /// The batch as one of the states that contain the field: undoes [`project`](Self::project).
    ///
    /// If the batch was not projected by this field last, that is [`Fault::Mismatch`](crate::Fault::Mismatch); then the
    /// returned batch is empty, and the states go back to their point.
    #[must_use = "a batch that is dropped goes back to its point, active"]
    #[inline(always)]
    pub fn unproject<C>(self, field: Field<C, U>) -> Batch<'t, C, A> {
        if self.raw.shape().is_none() {
            return Batch::empty(self.run());
        }
        let raw = self.raw.unproject(field.info);
        // SAFETY: R6: the `U` was found by this field of a `C`.
        unsafe { Batch::of(raw) }
    }
}

impl<U, A: Access> fmt::Debug for Batch<'_, U, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} states)", self.len())
    }
}

fn advance_some<A: Access>(
    batch: &mut RawBatch<'_, A>,
    work: &mut impl FnMut(&mut Current<A>) -> Step,
) {
    #[cfg(batchloop_small)]
    let work: &mut dyn FnMut(&mut Current<A>) -> Step = work;
    batch.advance(work);
}
