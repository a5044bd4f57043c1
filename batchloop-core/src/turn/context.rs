//! The abstract call stack: where in the program a run stands.

use core::{cell::Cell, fmt, marker::PhantomData};

use crate::{
    ground::word::{Access, Local},
    program::{
        cursor::Cursor,
        fault::{Fault, Mismatch},
        growth::Binding,
        node::{Node, Visited},
        point::{ProgramPoint, Site},
        shape::{Kind, Shape},
    },
    turn::{batch::Batch, raw_batch::RawBatch, run::Run},
};

/// Where a run of the entry point stands: what functions below the entry point get, to have points of their own.
///
/// It plays the part of the article's dynamic scope, as an explicit argument. A function that gets a `Context` and a
/// batch of some field's type is a sub-machine: it can be called from several places, with several containing
/// states, and is compiled once.
pub struct Context<'t, A: Access = Local> {
    pub(super) run: &'t Run<A>,
    pub(super) cursor: Cursor,
    turn: PhantomData<Cell<&'t ()>>,
}

impl<'t, A: Access> Context<'t, A> {
    pub(super) fn at(run: &'t Run<A>, cursor: Cursor) -> Self {
        Context {
            run,
            cursor,
            turn: PhantomData,
        }
    }

    /// Goes to the node of a point, wherever it stands. `None` if there is none for it.
    #[inline]
    fn visit(&mut self, site: Site, visited: Visited) -> Option<&'static Node> {
        let visit = self.cursor.visit::<A>(&self.run.raw.trie, site, visited);
        if let Some(fault) = visit.fault {
            self.run.report(fault);
        }
        visit.node
    }

    /// A place where states may wait: the batch arrives here, and the states that wait here and may have been woken are
    /// taken along. Returns all of them, in address order.
    ///
    /// A state's first arrival counts as an activation. Afterwards it is taken only when it has been woken, and that
    /// may be spurious: the code below must look, not assume.
    ///
    /// At a point of a [`Workload`](crate::Workload) that this driver does not serve the result is empty, and what arrives
    /// waits there, active, for one that does. At a point with an `at_most` the arrivals join those that wait, and that
    /// many are taken.
    ///
    /// What goes wrong is the turn's [`Fault`]; then the result is empty and the states are where they were.
    ///
    /// *Progress*: bounded by the arrivals and [`Capacity::batch`](crate::Capacity::batch). A point with nothing
    /// active costs two comparisons, however many states wait there: 13 instructions of a Cortex-M3 with this and the
    /// [`advance`](Batch::advance) that follows.
    #[must_use = "a batch that is dropped goes back to its point, active"]
    #[inline(always)]
    pub fn stage<U: 'static>(
        &mut self,
        point: &'static ProgramPoint,
        arriving: Batch<'t, U, A>,
    ) -> Batch<'t, U, A> {
        // Built to be small, it asks that in the function, and costs a call.
        if !cfg!(batchloop_small) && arriving.is_empty() && self.cursor.passes::<A>(point) {
            return arriving;
        }
        let kind = const { &Kind::of::<U>() };
        let mut raw = arriving.into_raw();
        self.stage_some(point, &mut raw, kind);
        // SAFETY: R6: a stage leaves only what leads to its kind.
        unsafe { Batch::of(raw) }
    }

    /// Other batches leave room for the points that are still to come. Where there are none, there is room enough.
    fn count_passed(&mut self) {
        let run = self.run;
        if !run.scratch.is_unused() {
            run.passed.set(self.cursor.passed(&run.raw.trie));
        }
    }

    /// A stage that has something to do, or does not come where it is expected. Compiled once for all types.
    #[inline(never)]
    fn stage_some(
        &mut self,
        point: &'static ProgramPoint,
        batch: &mut RawBatch<'t, A>,
        kind: &'static Kind,
    ) {
        if cfg!(batchloop_small) && batch.is_empty() && self.cursor.passes::<A>(point) {
            return;
        }
        let run = self.run;
        if !cfg!(batchloop_small)
            && batch.has_no_shape()
            && let Some((set, bound)) = self.cursor.reaches::<A>(point, kind)
        {
            // Something may be active there, and nothing arrives: that is all there is to do in most turns.
            self.count_passed();
            let segment = run.gather_waiting(set, point);
            return batch.put(segment.shaped(Some(bound)));
        }
        let Some(node) = self.visit(Site::stage(point), Visited::Stage) else {
            return batch.clear();
        };
        self.count_passed();
        if batch.is_empty() && run.is_quiet(node, point) {
            return;
        }
        let trie = &run.raw.trie;
        let shape = batch.shape();
        let (set, bound) = match trie.bind(node, point, shape) {
            Binding::To(set, bound) => (set, bound),
            Binding::Nothing => return,
            Binding::NoRoom => {
                self.report_no_room(point);
                return batch.clear();
            }
        };
        let fits = match shape {
            Some(shape) => shape == bound,
            None => trie.leads_to(bound, kind),
        };
        if !fits {
            self.report_mismatch(point, bound, shape, kind);
            return batch.clear();
        }
        node.remember(kind);
        let segment = run.gather(set, point, batch.take());
        batch.put(segment.shaped(Some(bound)));
    }

    #[cold]
    #[inline(never)]
    fn report_no_room(&self, point: &'static ProgramPoint) {
        let at = Site::stage(point);
        self.run.report(self.run.raw.trie.points_exhausted(at));
    }

    /// A batch of this shape, or of a type that says no more, has come to a point of another one.
    #[cold]
    #[inline(never)]
    fn report_mismatch(
        &self,
        point: &'static ProgramPoint,
        bound: Shape,
        found: Option<Shape>,
        kind: &Kind,
    ) {
        let raw = self.run.raw;
        self.run.report(Fault::Mismatch(Mismatch {
            at: Some(Site::stage(point)),
            expected: raw.trie.shape_name(bound),
            found: found.map_or_else(kind.name, |shape| raw.trie.shape_name(shape)),
        }));
    }

    /// Goes to a scope. Returns where its body begins.
    #[inline(never)]
    fn enter(&mut self, site: Site) -> Cursor {
        let node = self.visit(site, Visited::Scope).map(Node::number);
        self.cursor.below(&self.run.raw.trie, node)
    }

    /// The states at the entrance that may have been woken.
    #[inline(never)]
    pub(super) fn take_arrivals(&mut self) -> RawBatch<'t, A> {
        self.count_passed();
        let run = self.run;
        let segment = run.gather_entrance().shaped(Some(Shape::WHOLE));
        RawBatch::new(run, run.as_far_as_needed(segment))
    }

    /// Runs `body` one level deeper in the abstract call stack.
    ///
    /// `iteration` tells the rounds of a loop apart; elsewhere it is 0.
    ///
    /// What goes wrong is the turn's [`Fault`]; if there is no room for the scope, `body` runs all the same, with
    /// every stage answering an empty batch.
    pub fn scope<R>(
        &mut self,
        point: &'static ProgramPoint,
        iteration: u32,
        body: impl FnOnce(&mut Context<'t, A>) -> R,
    ) -> R {
        let mut inner = Context::at(self.run, self.enter(Site { point, iteration }));
        let answer = body(&mut inner);
        inner.cursor.leave(&self.run.raw.trie);
        self.cursor.come_back(&inner.cursor);
        answer
    }

    /// A [`stage`](Self::stage) that nothing new arrives at: the states that wait here and may have been woken.
    ///
    /// *Progress*: as `stage`.
    #[must_use = "a batch that is dropped goes back to its point, active"]
    pub fn waiting<U: 'static>(&mut self, point: &'static ProgramPoint) -> Batch<'t, U, A> {
        let nobody = self.none();
        self.stage(point, nobody)
    }

    /// Brings states to a point of this scope that the turn has passed already. They are active there, so that the next
    /// turn takes them: how a program has a loop, such as a connection with one request after the other.
    ///
    /// A point that the scope does not have is [`Fault::UnknownPoint`], and a batch of another shape than those that wait
    /// there [`Fault::Mismatch`]; then the states go back to their point.
    ///
    /// *Progress*: bounded by the batch and the stages of the scope.
    ///
    /// ```
    /// # use batchloop_core::*;
    /// fn entry(cx: &mut Turn<'_, u32>) {
    ///     let new = cx.arrivals();
    ///     let count = point!("count");
    ///     let counted = cx.stage(count, new).for_each(|rounds, _| *rounds += 1);
    ///     let (over, others) = counted.partition(|rounds, _| *rounds == 3);
    ///     over.release();
    ///     cx.again(count, others);
    /// }
    /// # let machine: Machine<u32> = Machine::heap(Capacity::slots(4));
    /// # machine.allocate(0).unwrap();
    /// # let mut driver = machine.driver().unwrap();
    /// # for live in [1, 1, 0] {
    /// #     driver.turn(entry).unwrap();
    /// #     assert_eq!(machine.live(), live);
    /// # }
    /// ```
    #[doc(alias = "goto")]
    pub fn again<U>(&mut self, point: &'static ProgramPoint, batch: Batch<'t, U, A>) {
        if batch.is_empty() {
            return;
        }
        let Some(node) = self.cursor.known(&self.run.raw.trie, point) else {
            self.run.report(Fault::UnknownPoint(Site::stage(point)));
            return;
        };
        // A batch that has states has a shape.
        let batch = batch.into_raw();
        let Some(shape) = batch.shape() else {
            return;
        };
        match self.run.raw.trie.bind(node, point, Some(shape)) {
            Binding::To(set, bound) if bound == shape => {
                self.run.leave_at(set, batch.into_segment());
            }
            Binding::To(_, bound) => self.run.report(Fault::Mismatch(Mismatch {
                at: Some(Site::stage(point)),
                expected: self.run.raw.trie.shape_name(bound),
                found: self.run.raw.trie.shape_name(shape),
            })),
            Binding::Nothing => {}
            Binding::NoRoom => {
                let at = Site::stage(point);
                self.run.report(self.run.raw.trie.points_exhausted(at));
            }
        }
    }

    /// A batch with nothing in it.
    #[inline(always)]
    pub fn none<U>(&self) -> Batch<'t, U, A> {
        Batch::empty(self.run)
    }

    /// Ends [`Driver::run`](crate::Driver::run) after this turn.
    pub fn stop(&mut self) {
        self.run.stop.set(true);
    }
}

impl<A: Access> fmt::Debug for Context<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cursor.scope(&self.run.raw.trie) {
            Some(node) => match node.site() {
                Some(site) => write!(f, "Context({site})"),
                None => f.write_str("Context(root)"),
            },
            None => f.write_str("Context(nowhere)"),
        }
    }
}
