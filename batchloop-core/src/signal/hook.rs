//! Signalling hooks: the only way to push an existing state forward.

use core::{fmt, marker::PhantomData};

use crate::{
    ground::word::{Access, Local},
    program::shape::Offset,
    slab::{
        events::Events,
        lifecycle::Refusal,
        lineage::Lineage,
        raw::Tenant,
        slot::Lock,
        stale::{SignalError, Stale},
    },
};

/// What a hook's callback decides about its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reaction {
    /// The state becomes potentially active.
    Wake,
    /// The state goes on waiting.
    Ignore,
}

/// Runs `call` on a locked payload.
pub(crate) fn deliver<A: Access, X>(
    lock: Result<Lock<A>, Refusal>,
    arguments: X,
    call: impl FnOnce(*mut u8, X) -> Reaction,
) -> Result<(), SignalError<X>> {
    match lock {
        Ok(lock) => {
            let reaction = call(lock.payload(), arguments);
            lock.unlock(reaction == Reaction::Wake);
            Ok(())
        }
        Err(Refusal::Stale) => Err(SignalError::Stale(arguments)),
        Err(Refusal::Locked) => Err(SignalError::Busy(arguments)),
    }
}

/// Wakes one state, from any thread and from interrupt handlers.
///
/// It does not keep the state alive. On a [`Local`] machine the wake goes through the machine's inbox, and the owner
/// routes it when its next turn starts; if the state ends in between, its slot's next tenant is woken, which is a
/// spurious activation.
///
/// *Progress*: lock-free; bounded on a `Local` machine.
pub struct Waker<A: Access = Local> {
    state: Tenant,
    access: PhantomData<fn() -> A>,
}

impl<A: Access> Waker<A> {
    pub(crate) fn new(state: Tenant) -> Self {
        let access = PhantomData;
        Waker { state, access }
    }

    /// Makes the state potentially active.
    ///
    /// What the caller wrote before is seen by the closure that runs next for this state.
    ///
    /// # Errors
    ///
    /// [`Stale`] if the state has ended.
    pub fn wake(&self) -> Result<(), Stale> {
        let Tenant { raw, slot, version } = self.state;
        if A::SHARED {
            return raw.wake::<A>(slot, version, Events::NONE);
        }
        if !self.state.is_live() {
            return Err(Stale);
        }
        raw.put_into_inbox(slot);
        Ok(())
    }
}

impl<A: Access> Clone for Waker<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Access> Copy for Waker<A> {}

impl<A: Access> fmt::Debug for Waker<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waker({})", self.state.number())
    }
}

/// A callback and the state that it is for: what one state machine gives another to be told of something.
///
/// Made by [`Me::hook`](crate::Me::hook). The type of the state is not part of the hook's, so that the holder need
/// not know it. Hooks of a [`Local`] machine stay on its thread; those of a [`Shared`](crate::Shared) one may be
/// signalled from any thread.
#[doc(alias = "callback")]
pub struct Hook<X, A: Access = Local> {
    state: Tenant,
    /// Where in the state that lies which the callback is for.
    offset: u32,
    callback: unsafe fn(*mut u8, X) -> Reaction,
    access: PhantomData<A>,
}

impl<X, A: Access> Hook<X, A> {
    pub(crate) fn new<U>(
        state: Tenant,
        offset: Offset<U>,
        callback: fn(&mut U, X) -> Reaction,
    ) -> Self {
        // SAFETY: R6: `&mut U` and `*mut u8` are passed alike, as are safe and unsafe functions, and the callback is
        // only ever called with a pointer that is good for `&mut U`.
        let callback = unsafe {
            core::mem::transmute::<fn(&mut U, X) -> Reaction, unsafe fn(*mut u8, X) -> Reaction>(
                callback,
            )
        };
        Hook {
            state,
            offset: offset.bytes(),
            callback,
            access: PhantomData,
        }
    }

    fn call(&self, lock: Result<Lock<A>, Refusal>, arguments: X) -> Result<(), SignalError<X>> {
        let offset = self.offset as usize;
        let callback = self.callback;
        deliver(lock, arguments, |payload, arguments| {
            let field = payload.wrapping_add(offset);
            // SAFETY: R2, R6: the lock is held, and the offset leads to the `U` that the callback was made for.
            unsafe { callback(field, arguments) }
        })
    }

    /// Calls the callback with the state and the arguments, on this thread, now.
    ///
    /// *Reentrancy*: the state is locked meanwhile. A callback that signals its own state gets `Busy`; one that wakes
    /// it is remembered. If it panics, the state is released and the panic goes on.
    ///
    /// *Progress*: on a `Shared` machine it waits for the holder of the lock of this state, for a few microseconds at
    /// most; on a `Local` one it never waits. Interrupt handlers use [`try_signal`](Self::try_signal).
    ///
    /// # Errors
    ///
    /// [`SignalError`] gives the arguments back: `Stale` if the state has ended, `Busy` if it is locked. On a
    /// `Shared` machine `Busy` is ordinary: the thread that has the lock may have been suspended. Try again later, as
    /// a state that returns [`Step::Again`](crate::Step::Again) does; arguments that are ignored here are lost.
    pub fn signal(&self, arguments: X) -> Result<(), SignalError<X>> {
        let lock = self
            .state
            .raw
            .lock_waiting::<A>(self.state.slot, self.state.version);
        self.call(lock, arguments)
    }

    /// As [`signal`](Self::signal), but never waits: callable from an interrupt handler if the callback is.
    ///
    /// # Errors
    ///
    /// [`SignalError`] gives the arguments back: `Stale` if the state has ended, `Busy` if it is locked.
    pub fn try_signal(&self, arguments: X) -> Result<(), SignalError<X>> {
        let lock = self
            .state
            .raw
            .lock::<A>(self.state.slot, self.state.version);
        self.call(lock, arguments)
    }

    /// The state as something to wake, without arguments.
    pub fn waker(&self) -> Waker<A> {
        Waker::new(self.state)
    }

    /// The state that the hook is for, as a parent for others.
    pub fn lineage(&self) -> Lineage {
        Lineage(self.state)
    }

    /// Adds events to the state and wakes it, without its lock.
    pub(super) fn post(&self, events: Events) -> Result<(), Stale> {
        let Tenant { raw, slot, version } = self.state;
        raw.wake::<A>(slot, version, events)
    }
}

impl<X, A: Access> Clone for Hook<X, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<X, A: Access> Copy for Hook<X, A> {}

impl<X, A: Access> fmt::Debug for Hook<X, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hook({})", self.state.number())
    }
}
