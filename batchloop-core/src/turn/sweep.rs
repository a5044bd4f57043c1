//! One pass over a batch: the closure runs for each of its states.

use core::{marker::PhantomData, mem::ManuallyDrop, slice};

use crate::{
    ground::{index::SlotId, word::Access},
    program::shape::Offset,
    signal::me::Me,
    slab::{
        entry::{Entry, Index},
        raw::{RawMachine, Tenant},
        slot::{Entered, Lock},
    },
    turn::{run::Run, scratch::Segment, step::Step},
};

/// The state that a closure runs for. It is locked meanwhile.
pub(super) struct Current<A> {
    state: Tenant,
    value: *mut u8,
    offset: u32,
    access: PhantomData<A>,
}

impl<A: Access> Current<A> {
    /// What the closure gets.
    ///
    /// # Safety
    ///
    /// R2, R6: once for each state, and the shape of its batch leads to a `U`.
    #[inline(always)]
    pub(super) unsafe fn parts<U>(&mut self) -> (&mut U, Me<U, A>) {
        // SAFETY: R2, R6: the lock is held, and the caller promises the rest.
        let value = unsafe { &mut *self.value.cast::<U>() };
        // SAFETY: R6: as above.
        let offset = unsafe { Offset::new(self.offset) };
        (value, Me::new(self.state, offset))
    }
}

/// What is kept moves to the front of the batch's own segment.
///
/// Dropped in the middle, as by a panic in user code, it puts back everything but the state that was being worked on.
pub(super) struct Sweep<'t, A: Access> {
    run: &'t Run<A>,
    raw: &'static RawMachine,
    segment: Segment,
    offset: u32,
    indices: &'static [Index],
    /// Those that are still to come.
    entries: slice::Iter<'static, Index>,
    kept: usize,
    /// How many are put aside: in the buffer if there is one, else behind those that are kept.
    others: usize,
    buffer: Segment,
}

impl<'t, A: Access> Sweep<'t, A> {
    #[inline]
    pub(super) fn new(run: &'t Run<A>, segment: Segment) -> Self {
        let indices = run.scratch.entries(segment);
        let raw = run.raw;
        Sweep {
            run,
            raw,
            segment,
            offset: segment.shape().map_or(0, |shape| raw.trie.offset_of(shape)),
            indices,
            entries: indices.iter(),
            kept: 0,
            others: 0,
            buffer: Segment::EMPTY,
        }
    }

    /// Runs the closure for each state, and does with it what the step says.
    #[inline(always)]
    pub(super) fn advance(&mut self, work: &mut (impl FnMut(&mut Current<A>) -> Step + ?Sized)) {
        while let Some((lock, mut current)) = self.next() {
            match work(&mut current) {
                Step::Next => self.keep(lock.keep()),
                Step::Wait => lock.park(),
                Step::Again => lock.park_active(),
                Step::Release => lock.end(),
            }
        }
    }

    /// As `advance`: keeps those that are chosen, and puts the others aside.
    #[inline(always)]
    pub(super) fn partition(
        &mut self,
        choose: &mut (impl FnMut(&mut Current<A>) -> bool + ?Sized),
    ) {
        self.buffer = self
            .run
            .extend(self.segment.len())
            .unwrap_or(Segment::EMPTY);
        while let Some((lock, mut current)) = self.next() {
            let chosen = choose(&mut current);
            let entry = lock.keep();
            if chosen {
                self.keep_before_others(entry);
            } else {
                self.put_aside(entry);
            }
        }
    }

    /// The next state that this batch still owns, locked.
    #[inline(always)]
    fn next(&mut self) -> Option<(Lock<A>, Current<A>)> {
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
                return Some(self.current(slot, entered));
            }
        }
        None
    }

    #[inline(always)]
    fn current(&self, slot: SlotId, entered: Entered<A>) -> (Lock<A>, Current<A>) {
        let Entered { lock, version } = entered;
        let current = Current {
            state: Tenant {
                raw: self.raw,
                slot,
                version,
            },
            value: lock.payload().wrapping_add(self.offset as usize),
            offset: self.offset,
            access: PhantomData,
        };
        (lock, current)
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

    /// Those that are kept.
    #[inline]
    pub(super) fn finish(self) -> Segment {
        let this = ManuallyDrop::new(self);
        this.run.scratch.shrink(this.segment, this.kept)
    }

    /// Those that are kept, and the others.
    pub(super) fn finish_both(self) -> (Segment, Segment) {
        let this = ManuallyDrop::new(self);
        let scratch = &this.run.scratch;
        let aside = scratch.entries(this.buffer.first(this.others));
        for (from, to) in aside.iter().zip(this.indices.iter().skip(this.kept)) {
            Entry::read(from).write(to);
        }
        scratch.discard(this.buffer);
        let segment = scratch.shrink(this.segment, this.kept + this.others);
        scratch.split(segment.going_on(false), this.kept)
    }
}

impl<A: Access> Drop for Sweep<'_, A> {
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
