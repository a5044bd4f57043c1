//! The article's dynamic scope: stages and scopes without a context argument.
//!
//! Deep inside a program, passing the [`Context`] down can be in the way: through a function that only sometimes waits, or
//! through a closure. While a closure runs, [`enter`] keeps the position of the context in thread-local storage; [`stage`]
//! and [`within`] go on from there.
//!
//! ```
//! use batchloop_std::{Batch, Capacity, Machine, Step, Turn, field, point, scope};
//!
//! struct Http { reply: Option<u32> }
//! struct Job { http: Http }
//!
//! fn entry(cx: &mut Turn<'_, Job>) {
//!     let new = cx.arrivals();
//!     let answered = scope::enter(cx, || {
//!         let calls = new.project(field!(Job, http));
//!         scope::within(point!("first call"), 0, || make_http_calls(calls)).unproject(field!(Job, http))
//!     });
//!     answered.release();
//! }
//!
//! fn make_http_calls(calls: Batch<'_, Http>) -> Batch<'_, Http> {
//!     scope::stage(point!("reply"), calls).advance(|http, _| match http.reply {
//!         Some(_) => Step::Next,
//!         None => Step::Wait,
//!     })
//! }
//!
//! let machine: Machine<Job> = Machine::heap(Capacity::slots(4));
//! machine.allocate(Job { http: Http { reply: Some(1) } })?;
//! machine.driver()?.turn(entry)?;
//! assert_eq!(machine.live(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/hotline.rs` is a whole program: a walk through a tree of menus that calls itself, and functions at the leaves,
//! some of which wait.
//!
//! # Why it is sound
//!
//! The thread-local storage holds a [`Position`], which is plain data: a place in the trie, and the turn and machine that
//! it belongs to. It holds no reference to the turn. The turn comes with the batch that is brought to a stage, so there is
//! no stage without a batch here; where nothing new arrives, bring [`Batch::none`] of another one. A batch of another turn
//! or machine than the position's is found by comparison, and is [`Fault::OutOfScope`](crate::Fault::OutOfScope).
//!
//! Scopes nest: a closure may run a turn of another machine, with an [`enter`] of its own. After a panic the thread has the
//! scope that it had before.

use std::cell::Cell;

use batchloop_core::{Access, Batch, Context, program::ProgramPoint, turn::Position};

thread_local! {
    static POSITION: Cell<Option<Position>> = const { Cell::new(None) };
}

/// Gives the thread back the position that it had, even if user code panics.
struct Restore(Option<Position>);

impl Drop for Restore {
    fn drop(&mut self) {
        POSITION.set(self.0);
    }
}

/// Runs `body` with `inner` as the thread's position. Returns its result, and the position that it has reached.
fn run_at<R>(inner: Position, outer: Option<Position>, body: impl FnOnce() -> R) -> (R, Position) {
    let restore = Restore(outer);
    POSITION.set(Some(inner));
    let result = body();
    let reached = POSITION.get().unwrap_or(inner);
    drop(restore);
    (result, reached)
}

/// Runs `body` with this context as the dynamic scope of the thread.
///
/// The stages of `body` count as stages of the context, which goes on after them.
///
/// # Panics
///
/// If `body` panics; the thread has its former scope again.
pub fn enter<A: Access, R>(cx: &mut Context<'_, A>, body: impl FnOnce() -> R) -> R {
    let (result, reached) = run_at(cx.position(), POSITION.get(), body);
    cx.resume(reached);
    result
}

/// Runs `body` in a scope of the thread's dynamic scope, as [`Context::scope`] does. Outside of any [`enter`] it only runs
/// `body`, and each [`stage`] in there is out of scope.
///
/// # Panics
///
/// If `body` panics; the thread has its former scope again.
pub fn within<R>(point: &'static ProgramPoint, iteration: u32, body: impl FnOnce() -> R) -> R {
    let Some(mut outer) = POSITION.get() else {
        return body();
    };
    let inner = outer.enter(point, iteration);
    let (result, reached) = run_at(inner, Some(outer), body);
    outer.leave(reached);
    POSITION.set(Some(outer));
    result
}

/// Merges the arriving batch with the woken states that wait here, as [`Context::stage`] does, in the thread's dynamic
/// scope.
///
/// Outside of any [`enter`], or in that of another turn, it is [`Fault::OutOfScope`](crate::Fault::OutOfScope) of the
/// batch's turn; the returned batch is empty then, and the states go back to their point.
#[must_use = "a batch that is dropped goes back to its point, active"]
pub fn stage<'t, U: 'static, A: Access>(
    point: &'static ProgramPoint,
    arriving: Batch<'t, U, A>,
) -> Batch<'t, U, A> {
    let Some(mut position) = POSITION.get() else {
        return arriving.out_of_scope(point);
    };
    let batch = position.stage(point, arriving);
    POSITION.set(Some(position));
    batch
}

#[cfg(all(test, not(loom)))]
mod tests;
