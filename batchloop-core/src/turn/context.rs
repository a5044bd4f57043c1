//! The abstract call stack: where in the program a run stands.

use core::{any::type_name, cell::Cell, fmt, marker::PhantomData};

use crate::{
    ground::{
        index::NodeId,
        word::{Access, Local},
    },
    program::{
        cursor::Cursor,
        fault::{Fault, Mismatch},
        growth::Binding,
        point::{ProgramPoint, Site},
        shape::{Path, Shape},
        trie::Visited,
    },
    turn::{batch::Batch, run::Run},
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
    pub(super) fn new(run: &'t Run<A>, node: Option<NodeId>) -> Self {
        Context {
            run,
            cursor: Cursor::at(node),
            turn: PhantomData,
        }
    }

    pub(super) fn at(run: &'t Run<A>, cursor: Cursor) -> Self {
        Context {
            run,
            cursor,
            turn: PhantomData,
        }
    }

    #[inline(always)]
    fn visit(
        &mut self,
        point: &'static ProgramPoint,
        iteration: u32,
        visited: Visited,
    ) -> Option<NodeId> {
        let predicted = self.cursor.predict(&self.run.raw.trie, point, iteration);
        predicted.or_else(|| self.look_up(point, iteration, visited))
    }

    #[cold]
    fn look_up(
        &mut self,
        point: &'static ProgramPoint,
        iteration: u32,
        visited: Visited,
    ) -> Option<NodeId> {
        let raw = self.run.raw;
        let visit = self.cursor.visit(&raw.trie, point, iteration, visited);
        if let Some(fault) = visit.fault {
            self.run.report(fault);
        }
        visit.node
    }

    /// A place where states may wait: the batch arrives here, and those who wait here and may have been woken are
    /// taken along. The answer is all of them, in address order.
    ///
    /// A state's first arrival counts as an activation. Afterwards it is taken only when it has been woken, and that
    /// may be spurious: the code below must look, not assume.
    ///
    /// At a point of a [`Workload`](crate::Workload) that this driver does not serve the answer is empty, and who arrives
    /// waits there, active, for one that does. At a point with an `at_most` the arrivals join those who wait, and that
    /// many are taken.
    ///
    /// What goes wrong is the turn's [`Fault`]; then the answer is empty and the states are where they were.
    ///
    /// *Progress*: bounded by the arrivals and [`Capacity::batch`](crate::Capacity::batch). A point with nothing
    /// active costs a few loads, however many states wait there.
    #[must_use = "a batch that is dropped goes back to its point, active"]
    #[inline(always)]
    pub fn stage<U: 'static>(
        &mut self,
        point: &'static ProgramPoint,
        arriving: Batch<'t, U, A>,
    ) -> Batch<'t, U, A> {
        let Some(node) = self.visit(point, 0, Visited::Stage) else {
            return self.none();
        };
        if arriving.is_empty() && self.run.is_quiet(node, point) {
            return arriving;
        }
        self.stage_at(node, point, arriving)
    }

    /// A stage that has something to do.
    fn stage_at<U: 'static>(
        &mut self,
        node: NodeId,
        point: &'static ProgramPoint,
        arriving: Batch<'t, U, A>,
    ) -> Batch<'t, U, A> {
        let raw = self.run.raw;
        let arrives = arriving.path();
        let shape = arrives.map(Path::shape);
        let (set, bound) = match raw.trie.bind(node, point, shape) {
            Binding::To(set, bound) => (set, bound),
            Binding::Nothing => return arriving,
            Binding::NoRoom => {
                self.report_no_room(point);
                return self.none();
            }
        };
        let path = match arrives {
            Some(path) => (path.shape() == bound).then_some(path),
            None => raw.trie.path_to::<U>(bound),
        };
        let Some(path) = path else {
            self.report_mismatch(point, bound, shape, type_name::<U>());
            return self.none();
        };
        let segment = self.run.gather(set, point, arriving.into_segment());
        Batch::new(self.run, segment, path)
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
        name: &'static str,
    ) {
        let raw = self.run.raw;
        self.run.report(Fault::Mismatch(Mismatch {
            at: Some(Site::stage(point)),
            expected: raw.trie.shape_name(bound),
            found: found.map_or(name, |shape| raw.trie.shape_name(shape)),
        }));
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
        let Some(node) = self.visit(point, iteration, Visited::Scope) else {
            let mut nowhere = Context::new(self.run, None);
            return body(&mut nowhere);
        };
        let mut inner = Context::new(self.run, Some(node));
        let answer = body(&mut inner);
        inner.cursor.leave(&self.run.raw.trie);
        answer
    }

    /// A [`stage`](Self::stage) that nothing new arrives at: those who wait here and may have been woken.
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
        let Some(shape) = batch.path().map(Path::shape) else {
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
