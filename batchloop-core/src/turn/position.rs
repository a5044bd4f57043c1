//! A context as plain data, so that it can be kept beside the stack.

use core::{fmt, marker::PhantomData};

use crate::{
    ground::word::{Access, Shared},
    program::{
        cursor::Cursor,
        fault::Fault,
        node::{Node, Visited},
        point::{ProgramPoint, Site},
    },
    slab::raw::RawMachine,
    turn::{batch::Batch, context::Context, run::Run},
};

/// Where a run of the entry point stands, without the turn: what thread-local storage can hold, so that functions deep
/// below the entry point need no [`Context`] argument. `batchloop_std::scope` does that.
///
/// It has no access to the turn, which comes with the batch that is brought to a [`stage`](Self::stage). The two are
/// compared: a batch of another turn, an earlier or later one of the same driver too, or of another machine is
/// [`Fault::OutOfScope`]. So a position may be kept as long as one likes, without harm.
#[derive(Clone, Copy)]
pub struct Position {
    raw: &'static RawMachine,
    /// That of the turn. A turn whose position was not asked for has none.
    turn: usize,
    /// It stays on its thread, as the turn does.
    thread: PhantomData<*const ()>,
    cursor: Cursor,
    fault: Option<Fault>,
}

impl<'t, A: Access> Context<'t, A> {
    /// Where this context stands.
    pub fn position(&self) -> Position {
        Position {
            raw: self.run.raw,
            turn: self.run.number(),
            thread: PhantomData,
            cursor: self.cursor,
            fault: None,
        }
    }

    /// Goes on from where the position that was taken from this context has come to. One of another turn or of another scope
    /// is [`Fault::Elsewhere`], and changes nothing.
    pub fn resume(&mut self, position: Position) {
        if !position.is_of(self.run) || !position.cursor.is_below_the_same(&self.cursor) {
            self.run.report(Fault::Elsewhere);
            return;
        }
        if let Some(fault) = position.fault {
            self.run.report(fault);
        }
        self.cursor = position.cursor;
    }
}

impl Position {
    fn is_of<A: Access>(&self, run: &Run<A>) -> bool {
        core::ptr::eq(self.raw, run.raw) && run.has_number(self.turn)
    }

    /// As [`Context::stage`]. The turn is that of the batch, which may be empty.
    #[must_use = "a batch that is dropped goes back to its point, active"]
    pub fn stage<'t, U: 'static, A: Access>(
        &mut self,
        point: &'static ProgramPoint,
        arriving: Batch<'t, U, A>,
    ) -> Batch<'t, U, A> {
        let run = arriving.run();
        if !self.is_of(run) {
            return arriving.out_of_scope(point);
        }
        let mut context = Context::at(run, self.cursor);
        let batch = context.stage(point, arriving);
        self.cursor = context.cursor;
        batch
    }

    /// The position one level deeper, as the body of [`Context::scope`] sees it. Give it back to [`leave`](Self::leave).
    pub fn enter(&mut self, point: &'static ProgramPoint, iteration: u32) -> Position {
        let trie = &self.raw.trie;
        let site = Site { point, iteration };
        // Whether the machine is shared is not known here.
        let visit = self.cursor.visit::<Shared>(trie, site, Visited::Scope);
        self.fault = self.fault.or(visit.fault);
        Position {
            cursor: self.cursor.below(trie, visit.node.map(Node::number)),
            fault: None,
            ..*self
        }
    }

    /// Leaves the level that [`enter`](Self::enter) began last. Where it has begun another one than `inner` is at, that is
    /// [`Fault::Elsewhere`], which the turn hears of by [`Context::resume`].
    pub fn leave(&mut self, inner: Position) {
        let is_of_the_same = core::ptr::eq(self.raw, inner.raw) && self.turn == inner.turn;
        if !is_of_the_same || !inner.cursor.is_inside(&self.cursor) {
            self.fault = self.fault.or(Some(Fault::Elsewhere));
            return;
        }
        inner.cursor.leave(&self.raw.trie);
        self.cursor.come_back(&inner.cursor);
        self.fault = self.fault.or(inner.fault);
    }
}

impl<'t, U, A: Access> Batch<'t, U, A> {
    /// An empty batch of the same turn: what one brings to a stage that nothing new arrives at.
    pub fn none<V>(&self) -> Batch<'t, V, A> {
        Batch::empty(self.run())
    }

    /// Reports [`Fault::OutOfScope`] to the turn of this batch, and returns an empty one: where there is no position for
    /// a stage. The states go back to their point.
    #[must_use = "it is empty"]
    pub fn out_of_scope(self, point: &'static ProgramPoint) -> Batch<'t, U, A> {
        let iteration = 0;
        let site = Site { point, iteration };
        self.run().report(Fault::OutOfScope(site));
        self.none()
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self
            .cursor
            .scope(&self.raw.trie)
            .and_then(|node| node.site())
        {
            Some(site) => write!(f, "Position({site})"),
            None => f.write_str("Position(root)"),
        }
    }
}
