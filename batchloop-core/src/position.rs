//! A context as plain data, so that it can be kept beside the stack.

use core::fmt;

use crate::{
    access::Access,
    batch::Batch,
    bench::Bench,
    context::Context,
    cursor::Cursor,
    error::{Fault, Site},
    frame::Frame,
    point::ProgramPoint,
    trie::Visited,
};

/// Where a run of the entry point stands, without the turn: what thread-local storage can hold, so that functions deep
/// below the entry point need no [`Context`] argument. `batchloop_std::scope` does that.
///
/// It has no access to anything. The turn comes with the batch that is brought to a [`stage`](Self::stage), and
/// the two are compared: a batch of another turn or machine is [`Fault::OutOfScope`]. So a position may be kept as
/// long as one likes, without harm.
#[derive(Clone, Copy)]
pub struct Position {
    frame: &'static Frame,
    /// Compared only.
    bench: *const (),
    cursor: Cursor,
    fault: Option<Fault>,
}

impl<'t, A: Access> Context<'t, A> {
    /// Where this context stands.
    pub fn position(&self) -> Position {
        Position {
            frame: self.bench.frame,
            bench: identity(self.bench),
            cursor: self.cursor,
            fault: None,
        }
    }

    /// Goes on from where the position that was taken from this context has come to. One of another turn is
    /// [`Fault::Elsewhere`], and changes nothing.
    pub fn resume(&mut self, position: Position) {
        if !position.is_of(self.bench) || !position.cursor.is_below_the_same(&self.cursor) {
            self.bench.report(Fault::Elsewhere);
            return;
        }
        if let Some(fault) = position.fault {
            self.bench.report(fault);
        }
        self.cursor = position.cursor;
    }
}

impl Position {
    fn is_of<A: Access>(&self, bench: &Bench<A>) -> bool {
        // The address alone could be that of a later turn of another machine.
        core::ptr::eq(self.bench, identity(bench)) && core::ptr::eq(self.frame, bench.frame)
    }

    /// As [`Context::stage`]. The turn is that of the batch, which may be empty.
    #[must_use = "a batch that is dropped goes back to its point, active"]
    pub fn stage<'t, U: 'static, A: Access>(
        &mut self,
        point: &'static ProgramPoint,
        arriving: Batch<'t, U, A>,
    ) -> Batch<'t, U, A> {
        let bench = arriving.bench();
        if !self.is_of(bench) {
            return arriving.out_of_scope(point);
        }
        let mut context = Context::at(bench, self.cursor);
        let batch = context.stage(point, arriving);
        self.cursor = context.cursor;
        batch
    }

    /// The position one level deeper, as the body of [`Context::scope`] sees it. Give it back to [`leave`](Self::leave).
    pub fn enter(&mut self, point: &'static ProgramPoint, iteration: u32) -> Position {
        let visit = self
            .cursor
            .visit(self.frame, point, iteration, Visited::Scope);
        self.fault = self.fault.or(visit.fault);
        Position {
            cursor: Cursor::at(visit.node),
            fault: None,
            ..*self
        }
    }

    /// Leaves the level that [`enter`](Self::enter) began.
    pub fn leave(&mut self, inner: Position) {
        if core::ptr::eq(self.frame, inner.frame) {
            inner.cursor.leave(self.frame);
        }
        self.fault = self.fault.or(inner.fault);
    }
}

fn identity<A: Access>(bench: &Bench<A>) -> *const () {
    core::ptr::from_ref(bench).cast()
}

impl<'t, U, A: Access> Batch<'t, U, A> {
    /// An empty batch of the same turn: what one brings to a stage that nothing new arrives at.
    pub fn none<V>(&self) -> Batch<'t, V, A> {
        Batch::empty(self.bench())
    }

    /// Reports [`Fault::OutOfScope`] to the turn of this batch, and answers an empty one: where there is no position for
    /// a stage. The states go back to their point.
    #[must_use = "it is empty"]
    pub fn out_of_scope(self, point: &'static ProgramPoint) -> Batch<'t, U, A> {
        let iteration = 0;
        let site = Site { point, iteration };
        self.bench().report(Fault::OutOfScope(site));
        self.none()
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cursor.scope(self.frame).and_then(|node| node.site()) {
            Some(site) => write!(f, "Position({site})"),
            None => f.write_str("Position(root)"),
        }
    }
}
