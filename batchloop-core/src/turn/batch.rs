//! Batches: the states that a turn has taken, and what can be done with them.

use core::{cell::Cell, fmt, marker::PhantomData, mem::ManuallyDrop, slice};

use crate::{
    ground::{
        index::SlotId,
        word::{Access, Local},
    },
    program::{
        fault::{Fault, Mismatch},
        field::Field,
        shape::Path,
    },
    signal::me::Me,
    slab::{
        entry::{Entry, Index},
        raw::RawMachine,
        slot::Entered,
    },
    turn::{run::Run, scratch::Segment, step::Step},
};

/// States that this turn has taken from a point, in address order; consumed by what is done with it.
///
/// A batch owns its states' places, not their contents: a hook may still reach a state of a batch until its closure
/// runs. A state that a hook works on at that very moment, or has ended, is left out then.
///
/// A batch that is dropped loses nothing: its states go back to the point that they came from, active. If it is what
/// [`advance`](Self::advance) returned, that is [`Fault::NoStage`] as well: the code behind the point would run for them
/// again and again. One that is leaked, as by [`core::mem::forget`], keeps its states for ever.
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
    run: &'t Run<A>,
    segment: Segment,
    /// Where in the states a `U` is. A batch that knows it not is empty.
    path: Option<Path<U>>,
    turn: PhantomData<Cell<&'t ()>>,
}

impl<'t, U, A: Access> Batch<'t, U, A> {
    #[inline(always)]
    pub(super) fn new(run: &'t Run<A>, segment: Segment, path: Path<U>) -> Self {
        Batch {
            run,
            segment,
            path: Some(path),
            turn: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn empty(run: &'t Run<A>) -> Self {
        Batch {
            run,
            segment: Segment::EMPTY,
            path: None,
            turn: PhantomData,
        }
    }

    pub(super) fn run(&self) -> &'t Run<A> {
        self.run
    }

    #[inline(always)]
    pub(super) fn path(&self) -> Option<Path<U>> {
        self.path
    }

    #[inline(always)]
    pub(super) fn into_segment(self) -> Segment {
        ManuallyDrop::new(self).segment
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
    /// A state that answers [`Step::Again`], or wakes itself and waits, comes again in the next turn, or at once where the
    /// slot's earlier tenant was active at this point when it ended.
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
        // One that has states knows where they are.
        let Some(path) = self.path else {
            return self;
        };
        let mut sweep = Sweep::new(self, path);
        while let Some((slot, entered)) = sweep.next() {
            let offset = sweep.path.offset();
            let me = Me::new(sweep.raw, slot, offset, &entered);
            let lock = entered.lock;
            let state = lock.part(offset);
            // SAFETY: R2, R6: the lock is held, and the batch's path leads to a `U`.
            let state = unsafe { &mut *state };
            match work(state, me) {
                Step::Next => sweep.keep(lock.keep()),
                Step::Wait => lock.park(),
                Step::Again => lock.park_active(),
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
        let mut all = self.advance(|state, me| {
            work(state, me);
            Step::Next
        });
        all.segment = all.segment.going_on(false);
        all
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
        let Some(path) = self.path else {
            let none = Batch::empty(self.run);
            return (self, none);
        };
        let mut sweep = Sweep::new(self, path);
        sweep.make_room_for_others();
        while let Some((slot, entered)) = sweep.next() {
            let offset = sweep.path.offset();
            let me = Me::new(sweep.raw, slot, offset, &entered);
            let lock = entered.lock;
            let state = lock.part(offset);
            // SAFETY: R2, R6: the lock is held, and the batch's path leads to a `U`.
            let state = unsafe { &mut *state };
            let chosen = choose(state, me);
            let entry = lock.keep();
            if chosen {
                sweep.keep_before_others(entry);
            } else {
                sweep.put_aside(entry);
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
        let (Some(path), Some(others)) = (self.path, other.path) else {
            return if self.path.is_some() { self } else { other };
        };
        let run = self.run;
        if path.shape() != others.shape() {
            run.report(Fault::Mismatch(Mismatch {
                at: None,
                expected: run.raw.trie.shape_name(path.shape()),
                found: run.raw.trie.shape_name(others.shape()),
            }));
            return self;
        }
        let joined = run.join(self.into_segment(), other.into_segment());
        let segment = joined.unwrap_or_else(|(segment, rest)| {
            run.let_go(rest);
            run.backlog.set(true);
            segment
        });
        Batch::new(run, segment, path)
    }

    /// Lets all of them go back to the point that they came from, active, so that the next turn takes them there once more:
    /// what dropping the batch does, for a program that means it.
    pub fn put_back(self) {
        let run = self.run;
        run.let_go(self.into_segment());
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
        let run = self.run;
        let Some(path) = self.path else {
            return Batch::empty(run);
        };
        match run.raw.trie.projected(path, field) {
            Ok(path) => Batch::new(run, self.into_segment(), path),
            Err(fault) => {
                run.report(fault);
                Batch::empty(run)
            }
        }
    }

    /// The batch as one of the states that contain the field: undoes [`project`](Self::project).
    ///
    /// If the batch was not projected by this field last, that is [`Fault::Mismatch`]; then the answer is empty, and
    /// the states go back to their point.
    #[must_use = "a batch that is dropped goes back to its point, active"]
    pub fn unproject<C>(self, field: Field<C, U>) -> Batch<'t, C, A> {
        let run = self.run;
        let Some(path) = self.path else {
            return Batch::empty(run);
        };
        match run.raw.trie.unprojected(path, field) {
            Some(path) => Batch::new(run, self.into_segment(), path),
            None => {
                run.report(Fault::Mismatch(Mismatch {
                    at: None,
                    expected: field.info.name,
                    found: run.raw.trie.shape_name(path.shape()),
                }));
                Batch::empty(run)
            }
        }
    }
}

impl<U, A: Access> Drop for Batch<'_, U, A> {
    fn drop(&mut self) {
        if !self.segment.is_empty() {
            if self.segment.goes_on() {
                self.run.report_no_stage(self.segment);
            }
            self.run.let_go(self.segment);
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
    run: &'t Run<A>,
    raw: &'static RawMachine,
    segment: Segment,
    path: Path<U>,
    indices: &'static [Index],
    /// Those that are still to come.
    entries: slice::Iter<'static, Index>,
    kept: usize,
    /// How many are put aside: in the buffer if there is one, else behind those that are kept.
    others: usize,
    buffer: Segment,
}

impl<'t, U, A: Access> Sweep<'t, U, A> {
    fn new(batch: Batch<'t, U, A>, path: Path<U>) -> Self {
        let run = batch.run;
        let segment = batch.into_segment();
        let indices = run.scratch.entries(segment);
        Sweep {
            run,
            raw: run.raw,
            segment,
            path,
            indices,
            entries: indices.iter(),
            kept: 0,
            others: 0,
            buffer: Segment::EMPTY,
        }
    }

    /// The next state that this batch still owns, locked.
    #[inline(always)]
    fn next(&mut self) -> Option<(SlotId, Entered<A>)> {
        for entry in self.entries.by_ref() {
            let entry = Entry::read(entry);
            let slot = entry.slot();
            let entered = if entry.is_claimed() {
                self.raw.seize::<A>(slot, self.segment.from())
            } else {
                // SAFETY: R3: the entry says that the batch owns it.
                unsafe { self.raw.enter::<A>(slot) }
            };
            if let Some(entered) = entered {
                return Some((slot, entered));
            }
        }
        None
    }

    /// For the state that came last. So fewer are kept than the segment has indices.
    #[inline(always)]
    fn keep(&mut self, entry: Entry) {
        if let Some(index) = self.indices.get(self.kept) {
            entry.write(index);
            self.kept += 1;
        }
    }

    /// As `keep`, where others may have been put aside.
    fn keep_before_others(&mut self, entry: Entry) {
        if self.buffer.is_empty() && self.others > 0 {
            // In place: the first of the others makes way.
            let behind = self.indices.get(self.kept + self.others);
            if let (Some(first), Some(behind)) = (self.indices.get(self.kept), behind) {
                Entry::read(first).write(behind);
            }
        }
        self.keep(entry);
    }

    fn make_room_for_others(&mut self) {
        self.buffer = self
            .run
            .extend(self.segment.len())
            .unwrap_or(Segment::EMPTY);
    }

    fn put_aside(&mut self, entry: Entry) {
        let index = match self.buffer.is_empty() {
            true => self.indices.get(self.kept + self.others),
            false => self.run.scratch.entries(self.buffer).get(self.others),
        };
        if let Some(index) = index {
            entry.write(index);
            self.others += 1;
        }
    }

    fn finish(self) -> Batch<'t, U, A> {
        let this = ManuallyDrop::new(self);
        let segment = this.run.scratch.shrink(this.segment, this.kept);
        Batch::new(this.run, segment.going_on(true), this.path)
    }

    fn finish_both(self) -> (Batch<'t, U, A>, Batch<'t, U, A>) {
        let this = ManuallyDrop::new(self);
        let scratch = &this.run.scratch;
        let aside = scratch.entries(this.buffer.first(this.others));
        for (from, to) in aside.iter().zip(this.indices.iter().skip(this.kept)) {
            Entry::read(from).write(to);
        }
        scratch.discard(this.buffer);
        let segment = scratch.shrink(this.segment, this.kept + this.others);
        let (kept, others) = scratch.split(segment.going_on(false), this.kept);
        (
            Batch::new(this.run, kept, this.path),
            Batch::new(this.run, others, this.path),
        )
    }
}

impl<U, A: Access> Drop for Sweep<'_, U, A> {
    fn drop(&mut self) {
        let aside = match self.buffer.is_empty() {
            true => self.segment.behind(self.kept),
            false => self.buffer,
        };
        let to_come = self.segment.len() - self.entries.len();
        let runs = [
            self.segment.first(self.kept),
            aside.first(self.others),
            self.segment.behind(to_come),
        ];
        for run in runs {
            self.run.put_back(run);
        }
        self.run.scratch.discard(self.buffer);
        self.run.scratch.discard(self.segment);
    }
}
