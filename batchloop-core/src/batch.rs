//! Batches: the states that a turn has taken, and what can be done with them.

use core::{cell::Cell, fmt, marker::PhantomData, mem::ManuallyDrop, slice};

use crate::{
    access::{Access, Local},
    bench::{Bench, Entry, Segment},
    error::{Fault, Mismatch},
    frame::Frame,
    me::Me,
    project::Field,
    shape::Shape,
    slot::Entered,
    storage::Index,
};

/// What becomes of a state whose closure has run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It goes into the batch that the call answers.
    Next,
    /// It waits at its point until something wakes it.
    Wait,
    /// It ends: it is dropped, and its slot is free.
    Release,
}

/// States that this turn has taken from a point, in address order; consumed by what is done with it.
///
/// A batch owns its states' places, not their contents: a hook may still reach a state of a batch until its closure
/// runs. A state that a hook works on at that very moment, or has ended, is left out then.
///
/// A batch that is dropped loses nothing: its states go back to the point that they came from, active. One that is
/// leaked, as by [`core::mem::forget`], keeps its states for ever.
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
    bench: &'t Bench<A>,
    segment: Segment,
    /// Unknown while nothing says where in the state a `U` is; then the batch is empty.
    shape: Shape,
    offset: u32,
    state: PhantomData<fn(U) -> U>,
    turn: PhantomData<Cell<&'t ()>>,
}

impl<'t, U, A: Access> Batch<'t, U, A> {
    /// `offset` is that of the shape, which leads to a `U`: R6.
    #[inline(always)]
    pub(crate) fn new(bench: &'t Bench<A>, segment: Segment, shape: Shape, offset: u32) -> Self {
        debug_assert!(shape.is_known() || segment.is_empty());
        Batch {
            bench,
            segment,
            shape,
            offset,
            state: PhantomData,
            turn: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) fn empty(bench: &'t Bench<A>) -> Self {
        Self::new(bench, Segment::EMPTY, Shape::UNKNOWN, 0)
    }

    pub(crate) fn bench(&self) -> &'t Bench<A> {
        self.bench
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }

    pub(crate) fn into_segment(self) -> Segment {
        ManuallyDrop::new(self).segment
    }

    /// The same states as a batch of another type.
    fn reshape<V>(self, shape: Shape, offset: u32) -> Batch<'t, V, A> {
        let bench = self.bench;
        Batch::new(bench, self.into_segment(), shape, offset)
    }

    /// How many states there are, at most: some may turn out to have ended, or to be in the hands of a hook.
    pub fn len(&self) -> usize {
        self.segment.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.segment.is_empty()
    }

    /// Runs `work` once for each state and does with it what the [`Step`] says; answers those who go on.
    ///
    /// A state that wakes itself and waits comes again: in the next turn, or at once where the slot's earlier tenant was
    /// active at this point when it ended.
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
    pub fn advance(self, work: impl FnMut(&mut U, Me<U, A>) -> Step) -> Batch<'t, U, A> {
        if self.is_empty() {
            return self;
        }
        self.advance_some(work)
    }

    fn advance_some(self, mut work: impl FnMut(&mut U, Me<U, A>) -> Step) -> Batch<'t, U, A> {
        let mut sweep = Sweep::new(self);
        while let Some((slot, entered)) = sweep.next() {
            let offset = sweep.offset;
            let me = Me::new(sweep.frame, slot, offset, &entered);
            let lock = entered.lock;
            let state = lock.payload(offset);
            // SAFETY: R2, R6: the lock is held, and the batch's shape leads to a `U`.
            let state = unsafe { &mut *state.cast::<U>() };
            match work(state, me) {
                Step::Next => {
                    lock.keep();
                    sweep.keep(slot);
                }
                Step::Wait => lock.park(),
                Step::Release => lock.end(),
            }
        }
        sweep.finish()
    }

    /// Runs `work` once for each state; all go on.
    ///
    /// *Reentrancy* and panics: as [`advance`](Self::advance).
    #[must_use = "a batch that is dropped goes back to its point, active"]
    pub fn for_each(self, mut work: impl FnMut(&mut U, Me<U, A>)) -> Batch<'t, U, A> {
        self.advance(|state, me| {
            work(state, me);
            Step::Next
        })
    }

    /// Splits the batch: those for which `choose` answers `true`, and the others.
    ///
    /// Where the scratch space is nearly full, the others are not in address order.
    ///
    /// *Reentrancy* and panics: as [`advance`](Self::advance).
    #[must_use = "a batch that is dropped goes back to its point, active"]
    pub fn partition(
        self,
        mut choose: impl FnMut(&mut U, Me<U, A>) -> bool,
    ) -> (Batch<'t, U, A>, Batch<'t, U, A>) {
        let mut sweep = Sweep::new(self);
        sweep.make_room_for_others();
        while let Some((slot, entered)) = sweep.next() {
            let offset = sweep.offset;
            let me = Me::new(sweep.frame, slot, offset, &entered);
            let lock = entered.lock;
            let state = lock.payload(offset);
            // SAFETY: R2, R6: the lock is held, and the batch's shape leads to a `U`.
            let state = unsafe { &mut *state.cast::<U>() };
            let chosen = choose(state, me);
            lock.keep();
            if chosen {
                sweep.keep(slot);
            } else {
                sweep.put_aside(slot);
            }
        }
        sweep.finish_both()
    }

    /// Both batches as one.
    ///
    /// Where the scratch space is too full to hold them side by side, the second goes back to its points, active,
    /// and the turn says [`Progress::More`](crate::Progress::More). Batches of different fields do not mix: that is
    /// [`Fault::Mismatch`], and the second goes back.
    #[must_use = "a batch that is dropped goes back to its point, active"]
    pub fn merge(self, other: Batch<'t, U, A>) -> Batch<'t, U, A> {
        if !self.shape.is_known() {
            return other;
        }
        if !other.shape.is_known() {
            return self;
        }
        let frame = self.bench.frame;
        if self.shape != other.shape {
            self.bench.report(Fault::Mismatch(Mismatch {
                at: None,
                expected: frame.shape_name(self.shape),
                found: frame.shape_name(other.shape),
            }));
            return self;
        }
        let (bench, shape, offset) = (self.bench, self.shape, self.offset);
        let joined = bench.join(self.into_segment(), other.into_segment());
        let segment = joined.unwrap_or_else(|(segment, rest)| {
            bench.let_go(rest);
            bench.backlog.set(true);
            segment
        });
        Batch::new(bench, segment, shape, offset)
    }

    /// Ends all of them.
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
    /// More different projections than the machine has room for are [`Fault::ShapesExhausted`]; then the answer is
    /// empty, and the states go back to their point.
    #[must_use = "a batch that is dropped goes back to its point, active"]
    pub fn project<V>(self, field: Field<U, V>) -> Batch<'t, V, A> {
        if !self.shape.is_known() {
            return Batch::empty(self.bench);
        }
        match self.bench.frame.projected(self.shape, field.info) {
            Ok(shape) => {
                let offset = self.offset + field.info.offset as u32;
                self.reshape(shape, offset)
            }
            Err(fault) => {
                self.bench.report(fault);
                Batch::empty(self.bench)
            }
        }
    }

    /// The batch as one of the states that contain the field: undoes [`project`](Self::project).
    ///
    /// If the batch was not projected by this field last, that is [`Fault::Mismatch`]; then the answer is empty, and
    /// the states go back to their point.
    #[must_use = "a batch that is dropped goes back to its point, active"]
    pub fn unproject<C>(self, field: Field<C, U>) -> Batch<'t, C, A> {
        if !self.shape.is_known() {
            return Batch::empty(self.bench);
        }
        match self.bench.frame.unprojected(self.shape, field.info) {
            Some(shape) => {
                let offset = self.offset - field.info.offset as u32;
                self.reshape(shape, offset)
            }
            None => {
                self.bench.report(Fault::Mismatch(Mismatch {
                    at: None,
                    expected: field.info.name,
                    found: self.bench.frame.shape_name(self.shape),
                }));
                Batch::empty(self.bench)
            }
        }
    }
}

impl<U, A: Access> Drop for Batch<'_, U, A> {
    fn drop(&mut self) {
        if !self.segment.is_empty() {
            self.bench.let_go(self.segment);
        }
    }
}

impl<U, A: Access> fmt::Debug for Batch<'_, U, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} states)", self.len())
    }
}

/// One pass over a batch: what is kept moves to the front of its own segment.
///
/// Dropped in the middle, as by a panic in user code, it puts back everything but the state that was being worked on.
struct Sweep<'t, U, A: Access> {
    bench: &'t Bench<A>,
    frame: &'static Frame,
    /// Those that are still to come.
    entries: slice::Iter<'static, Index>,
    segment: Segment,
    shape: Shape,
    offset: u32,
    kept: usize,
    /// Where those that are put aside begin, and how many they are.
    aside: usize,
    others: usize,
    /// The room that was taken for them, if there was any.
    buffer: Segment,
    types: PhantomData<fn(U) -> U>,
}

impl<'t, U, A: Access> Sweep<'t, U, A> {
    fn new(batch: Batch<'t, U, A>) -> Self {
        let batch = ManuallyDrop::new(batch);
        Sweep {
            bench: batch.bench,
            frame: batch.bench.frame,
            entries: batch.bench.entries(batch.segment).iter(),
            segment: batch.segment,
            shape: batch.shape,
            offset: batch.offset,
            kept: 0,
            aside: usize::MAX,
            others: 0,
            buffer: Segment::EMPTY,
            types: PhantomData,
        }
    }

    /// The next state that this batch still owns, locked.
    #[inline(always)]
    fn next(&mut self) -> Option<(usize, Entered<A>)> {
        for entry in self.entries.by_ref() {
            let entry = Entry::read(entry);
            let slot = entry.slot();
            let entered = if entry.is_claimed() {
                self.frame.seize::<A>(slot, self.segment.from)
            } else {
                self.frame.enter::<A>(slot)
            };
            if let Some(entered) = entered {
                return Some((slot, entered));
            }
        }
        None
    }

    #[inline(always)]
    fn keep(&mut self, slot: usize) {
        let at = self.segment.start() + self.kept;
        if self.aside == at {
            // In place: the first of the others makes way.
            self.bench.put(at + self.others, self.bench.get(at));
            self.aside += 1;
        }
        self.bench.put(at, Entry::owned(slot));
        self.kept += 1;
    }

    fn make_room_for_others(&mut self) {
        self.aside = match self.bench.extend(self.segment.len()) {
            Some(buffer) => {
                self.buffer = buffer;
                buffer.start()
            }
            None => self.segment.start(),
        };
    }

    fn put_aside(&mut self, slot: usize) {
        let at = self.aside + self.others;
        self.bench.put(at, Entry::owned(slot));
        self.others += 1;
    }

    fn finish(self) -> Batch<'t, U, A> {
        let this = ManuallyDrop::new(self);
        let segment = this.bench.shrink(this.segment, this.kept);
        Batch::new(this.bench, segment, this.shape, this.offset)
    }

    fn finish_both(self) -> (Batch<'t, U, A>, Batch<'t, U, A>) {
        let this = ManuallyDrop::new(self);
        let others = this.segment.start() + this.kept;
        if this.aside != others {
            for at in 0..this.others {
                this.bench.put(others + at, this.bench.get(this.aside + at));
            }
        }
        this.bench.discard(this.buffer);
        let segment = this.bench.shrink(this.segment, this.kept + this.others);
        let (kept, others) = this.bench.split(segment, this.kept);
        (
            Batch::new(this.bench, kept, this.shape, this.offset),
            Batch::new(this.bench, others, this.shape, this.offset),
        )
    }
}

impl<U, A: Access> Drop for Sweep<'_, U, A> {
    fn drop(&mut self) {
        let to_come = self.entries.len();
        let runs = [
            (self.segment.start(), self.kept),
            (self.aside, self.others),
            (self.segment.end() - to_come, to_come),
        ];
        for (start, len) in runs {
            if len > 0 {
                self.bench.put_back(self.segment.part(start, len));
            }
        }
        self.bench.discard(self.buffer);
        self.bench.discard(self.segment);
    }
}
