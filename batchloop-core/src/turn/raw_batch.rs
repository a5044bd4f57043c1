//! The part of a batch that does not know the type of what it works on.
//!
//! Code that is the same for every type lives here, so that it is compiled once per access, and so that a stage costs a call
//! and not a copy.

use core::mem::ManuallyDrop;

use crate::{
    ground::word::Access,
    program::{
        fault::{Fault, Mismatch},
        field::FieldInfo,
        shape::Shape,
    },
    turn::{
        run::Run,
        scratch::Segment,
        step::Step,
        sweep::{Current, Sweep},
    },
};

/// States that a turn has in hand: where their entries lie. Dropped, they go back to where they came from, active.
pub(super) struct RawBatch<'t, A: Access> {
    run: &'t Run<A>,
    segment: Segment,
}

impl<'t, A: Access> RawBatch<'t, A> {
    #[inline(always)]
    pub(super) fn new(run: &'t Run<A>, segment: Segment) -> Self {
        RawBatch { run, segment }
    }

    #[inline(always)]
    pub(super) fn empty(run: &'t Run<A>) -> Self {
        RawBatch::new(run, Segment::EMPTY)
    }

    /// The turn that it is of.
    #[inline(always)]
    pub(super) fn run(&self) -> &'t Run<A> {
        self.run
    }

    #[inline(always)]
    pub(super) fn segment(&self) -> Segment {
        self.segment
    }

    /// What it works on. One that has states knows it.
    #[inline(always)]
    pub(super) fn shape(&self) -> Option<Shape> {
        self.segment.shape()
    }

    /// Whether it is empty, and need not know what it works on.
    #[inline(always)]
    pub(super) fn has_no_shape(&self) -> bool {
        self.shape().is_none()
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.segment.is_empty()
    }

    #[inline(always)]
    pub(super) fn into_segment(self) -> Segment {
        ManuallyDrop::new(self).segment
    }

    /// Takes the states out, so that it is empty.
    #[inline(always)]
    pub(super) fn take(&mut self) -> Segment {
        core::mem::replace(&mut self.segment, Segment::EMPTY)
    }

    /// Puts states into one that is empty.
    #[inline(always)]
    pub(super) fn put(&mut self, segment: Segment) {
        debug_assert!(self.is_empty());
        self.segment = segment;
    }

    /// Lets the states go back to where they came from.
    pub(super) fn clear(&mut self) {
        *self = RawBatch::empty(self.run);
    }

    /// The same states, which have said that they go on, or not.
    #[inline(always)]
    pub(super) fn going_on(&mut self, goes_on: bool) {
        self.segment = self.segment.going_on(goes_on);
    }

    /// The same states, to work on that.
    fn shaped(self, shape: Shape) -> Self {
        let run = self.run;
        RawBatch::new(run, self.into_segment().shaped(Some(shape)))
    }

    /// See [`Batch::advance`](crate::Batch::advance).
    #[cfg_attr(batchloop_small, inline(never))]
    pub(super) fn advance(&mut self, work: &mut (impl FnMut(&mut Current<A>) -> Step + ?Sized)) {
        let run = self.run;
        let mut sweep = Sweep::new(run, self.take());
        sweep.advance(work);
        let rest = sweep.finish().going_on(true);
        self.segment = run.as_far_as_needed(rest);
    }

    /// See [`Batch::partition`](crate::Batch::partition).
    #[cfg_attr(batchloop_small, inline(never))]
    pub(super) fn partition(
        self,
        choose: &mut (impl FnMut(&mut Current<A>) -> bool + ?Sized),
    ) -> (RawBatch<'t, A>, RawBatch<'t, A>) {
        let run = self.run;
        let mut sweep = Sweep::new(run, self.into_segment());
        sweep.partition(choose);
        let (kept, others) = sweep.finish_both();
        (RawBatch::new(run, kept), RawBatch::new(run, others))
    }

    /// See [`Batch::merge`](crate::Batch::merge).
    #[inline(never)]
    pub(super) fn merge(self, other: RawBatch<'t, A>) -> RawBatch<'t, A> {
        let (Some(shape), Some(others)) = (self.shape(), other.shape()) else {
            return if self.shape().is_some() { self } else { other };
        };
        let run = self.run;
        if shape != others {
            run.report(Fault::Mismatch(Mismatch {
                at: None,
                expected: run.raw.trie.shape_name(shape),
                found: run.raw.trie.shape_name(others),
            }));
            return self;
        }
        let joined = run.join(self.into_segment(), other.into_segment());
        let segment = joined.unwrap_or_else(|(segment, rest)| {
            run.let_go(rest);
            run.backlog.set(true);
            segment
        });
        RawBatch::new(run, segment.shaped(Some(shape)))
    }

    /// See [`Batch::project`](crate::Batch::project).
    #[inline(never)]
    pub(super) fn project(self, field: &'static FieldInfo) -> RawBatch<'t, A> {
        let run = self.run;
        let Some(shape) = self.shape() else {
            return self;
        };
        match run.raw.trie.projected(shape, field) {
            Ok(shape) => self.shaped(shape),
            Err(fault) => {
                run.report(fault);
                RawBatch::empty(run)
            }
        }
    }

    /// See [`Batch::unproject`](crate::Batch::unproject).
    #[inline(never)]
    pub(super) fn unproject(self, field: &'static FieldInfo) -> RawBatch<'t, A> {
        let run = self.run;
        let Some(shape) = self.shape() else {
            return self;
        };
        match run.raw.trie.unprojected(shape, field) {
            Some(shape) => self.shaped(shape),
            None => {
                run.report(Fault::Mismatch(Mismatch {
                    at: None,
                    expected: field.name,
                    found: run.raw.trie.shape_name(shape),
                }));
                RawBatch::empty(run)
            }
        }
    }

    /// What becomes of states that nothing more is done with.
    #[inline(never)]
    fn abandon(&self) {
        if self.segment.goes_on() {
            self.run.report_no_stage(self.segment);
        }
        self.run.let_go(self.segment);
    }
}

impl<A: Access> Drop for RawBatch<'_, A> {
    #[inline(always)]
    fn drop(&mut self) {
        if !self.is_empty() {
            self.abandon();
        }
    }
}
