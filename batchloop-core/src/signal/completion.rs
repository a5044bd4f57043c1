//! Completions: how a state that works for another one says what became of the work.

use core::fmt;

use crate::{
    ground::word::{Access, Local},
    signal::hook::Hook,
    slab::{
        events::Events,
        lineage::Lineage,
        stale::{Busy, SignalError},
    },
};

/// What a parent is told when a [`Completion`] was dropped: nothing works for it any more, and no result will come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Abandoned;

error!(Abandoned: "the work was abandoned");

/// The duty to tell a parent the result of some work, once.
///
/// Made by [`Me::completion`](crate::Me::completion) in the parent's closure, and kept by what does the work: most
/// often by a child, a state of another machine. [`complete`](Self::complete) signals the parent's hook if the
/// parent is still the same incarnation. Else the result goes to the cleanup function, so that a late file
/// descriptor or buffer is not lost.
///
/// ```
/// # use batchloop_core::*;
/// struct Parent { answer: Option<Result<u32, Abandoned>> }
///
/// impl Parent {
///     fn answered(&mut self, answer: Result<u32, Abandoned>) -> Reaction {
///         self.answer = Some(answer);
///         Reaction::Wake
///     }
/// }
///
/// struct Child { question: u32, done: Completion<u32> }
///
/// fn parents(cx: &mut Turn<'_, Parent>, children: Machine<Child>) {
///     let new = cx.arrivals();
///     let asked = cx.stage(point!("ask"), new).advance(|_, me| {
///         let Ok(slot) = children.reserve() else {
///             return Step::Release;
///         };
///         // There is nothing to clean up about a number.
///         let done = me.completion(Parent::answered, drop);
///         match slot.commit_child(Child { question: 21, done }, me.lineage()) {
///             Ok(_) => Step::Next,
///             Err(_) => Step::Release,
///         }
///     });
///     cx.stage(point!("answer"), asked).advance(|parent, _| match parent.answer {
///         Some(answer) => {
///             assert_eq!(answer, Ok(42));
///             Step::Release
///         }
///         None => Step::Wait,
///     });
/// }
///
/// fn children(cx: &mut Turn<'_, Child>) {
///     let new = cx.arrivals();
///     cx.stage(point!("work"), new).advance(|child, _| match child.done.complete(child.question * 2) {
///         Ok(_) => Step::Release,
///         // The parent is locked at this moment: once more in the next turn.
///         Err(Busy(_)) => Step::Again,
///     });
/// }
/// # let capacity = Capacity::slots(4).parents(true);
/// # let (upper, lower) = (Machine::heap(capacity), Machine::heap(capacity));
/// # upper.allocate(Parent { answer: None }).unwrap();
/// # upper.driver().unwrap().turn(|cx| parents(cx, lower)).unwrap();
/// # lower.driver().unwrap().turn(children).unwrap();
/// # upper.driver().unwrap().turn(|cx| parents(cx, lower)).unwrap();
/// # assert_eq!((upper.live(), lower.live()), (0, 0));
/// ```
///
/// **Dropped** before its result was delivered, it tells the parent's hook [`Abandoned`]: a child that is cancelled,
/// or whose closure panics, does not leave its parent waiting. Where the parent is locked at that moment, for
/// as long as [`complete`](Self::complete) would wait, the parent is woken with [`Events::CLOSED`] instead. That
/// needs no lock, but it does not count: it says that *at least* one of its completions was abandoned. Above all that
/// is so inside the parent's own closure; [`dismiss`](Self::dismiss) is for a completion that the parent itself
/// makes and does not give away.
///
/// **Threads**: the completion of a [`Shared`](crate::Shared) machine's state may be completed on any thread. That of
/// a [`Local`] machine's stays on the machine's thread, as its hooks do. Work on another thread for a `Local` parent
/// sends its result through a queue that the parent's entry point drains (`batchloop_std::Queue`), or puts it where
/// the parent looks and wakes the parent with a [`Waker`](crate::Waker), which may go to any thread.
#[must_use = "a completion that is dropped tells the parent that the work was abandoned"]
pub struct Completion<R, A: Access = Local> {
    hook: Hook<Result<R, Abandoned>, A>,
    cleanup: fn(R),
    is_due: bool,
}

impl<R, A: Access> Completion<R, A> {
    pub(crate) fn new(hook: Hook<Result<R, Abandoned>, A>, cleanup: fn(R)) -> Self {
        Completion {
            hook,
            cleanup,
            is_due: true,
        }
    }

    /// Tells the parent the result, or hands it to the cleanup function if the parent has ended.
    ///
    /// The hook and the cleanup function run on this thread, now. A second result is late by definition, and goes to
    /// the cleanup function.
    ///
    /// *Reentrancy*: the parent is locked while its hook runs, the cleanup function runs without a lock. If the hook
    /// panics, the parent is released, the result is gone, and the panic goes on.
    ///
    /// *Progress*: on a `Shared` machine it waits for the holder of the lock of the parent, for a few microseconds at
    /// most; on a `Local` one it never waits. Interrupt handlers use [`try_complete`](Self::try_complete).
    ///
    /// # Errors
    ///
    /// [`Busy`] gives the result back if the parent is locked all that time; complete it again later. The
    /// parent has not been told anything yet.
    pub fn complete(&mut self, result: R) -> Result<(), Busy<R>> {
        self.deliver(result, Hook::signal)
    }

    /// As [`complete`](Self::complete), but never waits: callable from an interrupt handler if the hook and the
    /// cleanup function are.
    ///
    /// # Errors
    ///
    /// [`Busy`] gives the result back if the parent is locked right now.
    pub fn try_complete(&mut self, result: R) -> Result<(), Busy<R>> {
        self.deliver(result, Hook::try_signal)
    }

    fn deliver(
        &mut self,
        result: R,
        signal: impl FnOnce(
            &Hook<Result<R, Abandoned>, A>,
            Result<R, Abandoned>,
        ) -> Result<(), SignalError<Result<R, Abandoned>>>,
    ) -> Result<(), Busy<R>> {
        if !self.is_due {
            (self.cleanup)(result);
            return Ok(());
        }
        // A hook that panics has had its result.
        self.is_due = false;
        match signal(&self.hook, Ok(result)) {
            Ok(()) => Ok(()),
            Err(SignalError::Stale(outcome)) => {
                outcome.map_or_else(|Abandoned| (), self.cleanup);
                Ok(())
            }
            Err(SignalError::Busy(Ok(result))) => {
                self.is_due = true;
                Err(Busy(result))
            }
            Err(SignalError::Busy(Err(Abandoned))) => unreachable!("what comes back was sent"),
        }
    }

    /// Whether a result is waited for: none was delivered yet, and the parent lives.
    ///
    /// *Progress*: one load; callable from anywhere.
    pub fn is_wanted(&self) -> bool {
        self.is_due && self.parent().is_live()
    }

    /// The state that the result is for.
    pub fn parent(&self) -> Lineage {
        self.hook.lineage()
    }

    /// Drops the completion without telling the parent, for a parent that did not give it away.
    pub fn dismiss(mut self) {
        self.is_due = false;
    }
}

impl<R, A: Access> Drop for Completion<R, A> {
    fn drop(&mut self) {
        if !self.is_due {
            return;
        }
        if let Err(SignalError::Busy(_)) = self.hook.signal(Err(Abandoned)) {
            // A parent that ends meanwhile need not know.
            let _ = self.hook.post(Events::CLOSED);
        }
    }
}

impl<R, A: Access> fmt::Debug for Completion<R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let due = if self.is_due { "due" } else { "done" };
        write!(f, "Completion({due} for {:?})", self.parent())
    }
}

#[cfg(all(test, not(loom), feature = "alloc"))]
mod tests;
