//! The machine: one slab of states with its points, trie and change counter.

use core::{cell::Cell, fmt, marker::PhantomData};

use crate::{
    ground::{
        index::SlotId,
        word::{Access, Local},
    },
    machine::full::{ChildError, Full},
    program::workload::{Workload, Workloads},
    signal::hook::{Reaction, Waker, deliver},
    slab::{
        events::Events,
        handle::{Handle, Token},
        lifecycle::Refusal,
        lineage::Lineage,
        raw::{RawMachine, Tenant},
        stale::{SignalError, Stale},
    },
    sleep::change::{Bell, BellTaken, ChangeCounter},
};

/// States of one type, with the places where they may wait.
///
/// It is a name for memory that lives as long as the program, so it is `Copy`. A [`Local`] machine stays on the
/// thread that made it; a [`Shared`](crate::Shared) one may be used from any.
///
/// All methods are bounded unless they say otherwise, and none allocates. On a `Shared` machine they are lock-free,
/// except where they wait for the lock of one state, which they say.
pub struct Machine<T: 'static, A: Access = Local> {
    pub(crate) raw: &'static RawMachine,
    state: PhantomData<fn(T) -> T>,
    access: PhantomData<A>,
}

impl<T, A: Access> Clone for Machine<T, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, A: Access> Copy for Machine<T, A> {}

impl<T, A: Access> fmt::Debug for Machine<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Machine<{}>({} of {})",
            self.raw.trie.state_type(),
            self.live(),
            self.capacity()
        )
    }
}

impl<T, A: Access> Machine<T, A> {
    /// # Safety
    ///
    /// R6, R8: the states in `raw` are `T`s, all names of it have this access, and if that is `Local`, this is the
    /// thread that made it.
    pub(crate) unsafe fn new(raw: &'static RawMachine) -> Self {
        Machine {
            raw,
            state: PhantomData,
            access: PhantomData,
        }
    }

    /// Puts a new state into the lowest free slot. It waits at the entrance, active: the next turn finds it in
    /// [`Turn::arrivals`](crate::Turn::arrivals).
    ///
    /// # Errors
    ///
    /// [`Full`] gives the value back; once a slot is given back, the change counter is rung.
    #[doc(alias = "spawn")]
    pub fn allocate(&self, value: T) -> Result<Handle<T>, Full<T>> {
        match self.reserve() {
            Ok(reservation) => Ok(reservation.commit(value)),
            Err(Full(())) => Err(Full(value)),
        }
    }

    /// As [`allocate`](Self::allocate), for a state that another one starts.
    ///
    /// # Errors
    ///
    /// [`ChildError`] gives the value back.
    pub fn allocate_child(&self, value: T, parent: Lineage) -> Result<Handle<T>, ChildError<T>> {
        match self.reserve() {
            Ok(reservation) => reservation.commit_child(value, parent),
            Err(Full(())) => Err(ChildError::Full(value)),
        }
    }

    /// Takes the lowest free slot before the value exists, so that costly work (accepting, connecting) is done only
    /// when there is room for what it makes.
    ///
    /// # Errors
    ///
    /// [`Full`]; once a slot is given back, the change counter is rung.
    pub fn reserve(&self) -> Result<Reservation<T, A>, Full<()>> {
        match self.raw.reserve::<A>() {
            Some(slot) => Ok(Reservation {
                machine: *self,
                slot,
                is_told: Cell::new(false),
            }),
            None => Err(Full(())),
        }
    }

    fn slot(&self, handle: Handle<T>) -> Result<SlotId, Stale> {
        self.raw.slot(handle.slot()).ok_or(Stale)
    }

    /// Makes a state potentially active, nothing more.
    ///
    /// What the caller wrote before is seen by the closure that runs next for this state, even if the state was
    /// active already.
    ///
    /// *Progress*: lock-free. For interrupt handlers and, with a `Local` machine, other threads, there is
    /// [`Waker`].
    ///
    /// # Errors
    ///
    /// [`Stale`] if the state has ended.
    #[inline]
    pub fn wake(&self, handle: Handle<T>) -> Result<(), Stale> {
        self.post(handle, Events::NONE)
    }

    /// Adds events to a state and wakes it, in one step.
    ///
    /// # Errors
    ///
    /// [`Stale`] if the state has ended.
    #[inline]
    pub fn post(&self, handle: Handle<T>, events: Events) -> Result<(), Stale> {
        let slot = self.slot(handle)?;
        self.raw.wake::<A>(slot, handle.version.0, events)
    }

    /// As [`post`](Self::post), for a token that has been through a kernel or a device.
    ///
    /// # Errors
    ///
    /// [`Stale`] if the state has ended, or the token names none.
    #[inline]
    pub fn post_token(&self, token: Token, events: Events) -> Result<(), Stale> {
        self.raw.wake_token::<A>(token, events)
    }

    /// Calls `change` with the state, and wakes it if that returns [`Reaction::Wake`].
    ///
    /// *Reentrancy*: the state is locked meanwhile. A `change` that signals or releases its own state gets `Busy`; one
    /// that wakes it is remembered. If it panics, the state is released and the panic goes on.
    ///
    /// *Progress*: on a `Shared` machine it waits for the holder of the lock of this state, for a few microseconds at
    /// most; on a `Local` one it never waits.
    ///
    /// # Errors
    ///
    /// [`SignalError`] gives `change` back.
    pub fn signal<F>(&self, handle: Handle<T>, change: F) -> Result<(), SignalError<F>>
    where
        F: FnOnce(&mut T) -> Reaction,
    {
        let Ok(slot) = self.slot(handle) else {
            return Err(SignalError::Stale(change));
        };
        let lock = self.raw.lock_waiting::<A>(slot, handle.version.0);
        deliver(lock, change, |payload, change| {
            // SAFETY: R2, R6: the lock is held and the handle is of this machine's type, so the payload is a live
            // `T` to which there is no other reference.
            let state = unsafe { &mut *payload.cast::<T>() };
            change(state)
        })
    }

    /// Ends a state from outside: cancellation. Its slot is free at once, or when the batch that it is in comes to it.
    ///
    /// *Progress*: as [`signal`](Self::signal).
    ///
    /// # Errors
    ///
    /// `Stale` if it has ended already, `Busy` if it is locked.
    ///
    /// # Panics
    ///
    /// If the state does when it is dropped; it has ended all the same.
    #[doc(alias = "cancel")]
    pub fn release(&self, handle: Handle<T>) -> Result<(), SignalError<()>> {
        let Ok(slot) = self.slot(handle) else {
            return Err(SignalError::Stale(()));
        };
        match self.raw.lock_waiting::<A>(slot, handle.version.0) {
            Ok(lock) => {
                lock.end();
                Ok(())
            }
            Err(Refusal::Stale) => Err(SignalError::Stale(())),
            Err(Refusal::Locked) => Err(SignalError::Busy(())),
        }
    }

    /// Whether the state still lives.
    pub fn is_live(&self, handle: Handle<T>) -> bool {
        let tenant = self.raw.tenant(handle.slot(), handle.version.0);
        tenant.is_some()
    }

    /// The states that live now, in address order. Those that start or end meanwhile may be in it or not.
    ///
    /// ```
    /// # use batchloop_core::*;
    /// let machine: Machine<&str> = Machine::heap(Capacity::slots(4));
    /// machine.allocate("stay").unwrap();
    /// machine.allocate("and wait").unwrap();
    /// // All look again, because something that concerns all has changed.
    /// for handle in machine.handles() {
    ///     let _ = machine.wake(handle);
    /// }
    /// assert_eq!(machine.handles().count(), 2);
    /// ```
    pub fn handles(&self) -> impl Iterator<Item = Handle<T>> + use<T, A> {
        let raw = self.raw;
        raw.used_slots::<A>().filter_map(move |slot| {
            let life = raw.life(slot);
            let handle = Handle::new(slot.bits(), life.version());
            life.is_live().then_some(handle)
        })
    }

    /// Something that wakes the state from any thread or interrupt handler.
    pub fn waker(&self, handle: Handle<T>) -> Waker<A> {
        Waker::new(self.tenant(handle))
    }

    /// The state as a parent for others.
    pub fn lineage(&self, handle: Handle<T>) -> Lineage {
        Lineage(self.tenant(handle))
    }

    fn tenant(&self, handle: Handle<T>) -> Tenant {
        let raw = self.raw;
        match raw.slot(handle.slot()) {
            Some(slot) => Tenant {
                raw,
                slot,
                version: handle.version.0,
            },
            None => Tenant::nothing(raw),
        }
    }

    /// How many slots have a state or are reserved for one.
    ///
    /// *Progress*: one load, however many slots there are.
    pub fn live(&self) -> usize {
        self.raw.live()
    }

    /// How many slots there are.
    pub fn capacity(&self) -> usize {
        self.raw.capacity.slots
    }

    /// What drivers sleep on. Ring it for work that belongs to no state yet.
    ///
    /// It is that of the workload IO, and of all that have none of their own.
    pub fn counter(&self) -> &'static ChangeCounter {
        self.raw.counters.first()
    }

    /// How many workloads have a counter of their own.
    pub fn workloads(&self) -> usize {
        self.raw.capacity.workloads
    }

    /// The change counter of a workload; see [`Capacity::workloads`](crate::Capacity::workloads).
    pub fn counter_of(&self, workload: Workload) -> &'static ChangeCounter {
        self.raw.counters.of(workload)
    }

    /// Gives each of the machine's counters this bell.
    ///
    /// # Errors
    ///
    /// [`BellTaken`] if one of them has a bell: nothing has changed then.
    pub fn set_bell(&self, bell: &'static dyn Bell) -> Result<(), BellTaken> {
        self.set_bell_for(Workloads::ALL, bell)
    }

    /// Gives the counters of these [`Workload`]s this bell, so that their drivers sleep on it, and the drivers of others on
    /// other bells: input and output in a multiplexer, say, and computations on threads of their own.
    ///
    /// Workloads without a counter of their own have the first one; see
    /// [`Capacity::workloads`](crate::Capacity::workloads).
    ///
    /// # Errors
    ///
    /// [`BellTaken`] if one of them has a bell, or another thread is giving it one: nothing has changed then.
    ///
    /// ```
    /// # use batchloop_core::{sleep::BellTaken, *};
    /// # struct Quiet;
    /// # impl Bell for Quiet { fn ring(&self) {} }
    /// # static ONE: Quiet = Quiet;
    /// # static OTHER: Quiet = Quiet;
    /// let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(4).workloads(2));
    /// machine.set_bell_for(Workload::CPU, &ONE)?;
    /// assert_eq!(machine.set_bell(&OTHER), Err(BellTaken));
    /// machine.set_bell_for(Workload::IO, &OTHER)?;
    /// # Ok::<(), BellTaken>(())
    /// ```
    pub fn set_bell_for(
        &self,
        workloads: impl Into<Workloads>,
        bell: &'static dyn Bell,
    ) -> Result<(), BellTaken> {
        self.set_bells(workloads, |_| bell)
    }

    /// As [`set_bell_for`](Self::set_bell_for), with a bell for each counter, which is called for with the first of the
    /// workloads that [share](Self::sharing) it. If that panics, counters are left without a bell.
    ///
    /// # Errors
    ///
    /// As [`set_bell_for`](Self::set_bell_for).
    pub fn set_bells(
        &self,
        workloads: impl Into<Workloads>,
        mut bell_of: impl FnMut(Workload) -> &'static dyn Bell,
    ) -> Result<(), BellTaken> {
        self.raw.counters.set_bells(workloads.into(), &mut bell_of)
    }

    /// The workloads that have the same change counter as this one, itself included.
    pub fn sharing(&self, workload: Workload) -> Workloads {
        self.raw.counters.sharing(workload)
    }

    /// The next slot that is given back rings the counters of all workloads, as if an allocation had failed: for
    /// threads that wait until no state lives. Call it before looking at [`live`](Self::live), or a slot that is given
    /// back in between is missed.
    pub fn ring_when_freed(&self) {
        self.raw.watch_for_room::<A>();
    }
}

/// A slot that is taken but has no state yet. Dropping it gives the slot back.
#[must_use = "dropping a reservation gives the slot back"]
pub struct Reservation<T: 'static, A: Access = Local> {
    machine: Machine<T, A>,
    slot: SlotId,
    /// Whether the handle has been told.
    is_told: Cell<bool>,
}

impl<T, A: Access> Reservation<T, A> {
    /// The handle that the state will have. Until then, and if it never comes, it is stale, and so is what is made of it:
    /// tokens, wakers, lineages.
    ///
    /// So what the state consists of can be told of the state that it will belong to.
    pub fn handle(&self) -> Handle<T> {
        self.is_told.set(true);
        let version = self.machine.raw.version_to_come(self.slot);
        Handle::new(self.slot.bits(), version)
    }

    /// Fills the slot. The state waits at the entrance, active.
    pub fn commit(self, value: T) -> Handle<T> {
        self.settle(value, None)
    }

    /// Fills the slot with a state that another one starts.
    ///
    /// Reserve first, and make what the child gets from its parent, such as a [`Completion`](crate::Completion), when
    /// there is a slot for it.
    ///
    /// # Errors
    ///
    /// [`ChildError::NoParents`] gives the value back, and the slot is free again.
    pub fn commit_child(self, value: T, parent: Lineage) -> Result<Handle<T>, ChildError<T>> {
        if self.machine.raw.parents.is_empty() {
            return Err(ChildError::NoParents(value));
        }
        Ok(self.settle(value, Some(parent)))
    }

    fn settle(self, value: T, parent: Option<Lineage>) -> Handle<T> {
        let raw = self.machine.raw;
        let slot = self.slot;
        core::mem::forget(self);
        raw.payloads.witness.exclusive(slot);
        let payload = raw.payload(slot);
        // SAFETY: R2, R4: the slot is reserved and has no tenant, so it cannot be locked, and nothing refers to its payload.
        unsafe { payload.cast::<T>().write(value) };
        // SAFETY: R2, R4: as above, and now the payload is written.
        let version = unsafe { raw.settle::<A>(slot, parent.map(|parent| parent.0)) };
        Handle::new(slot.bits(), version)
    }
}

impl<T, A: Access> Drop for Reservation<T, A> {
    fn drop(&mut self) {
        let raw = self.machine.raw;
        match self.is_told.get() {
            // Its handle must not be that of the next tenant.
            // SAFETY: R2: it is reserved, and nothing was committed.
            true => unsafe { raw.skip_version::<A>(self.slot) },
            // SAFETY: R2: as above.
            false => unsafe { raw.give_back::<A>(self.slot) },
        }
    }
}

impl<T, A: Access> fmt::Debug for Reservation<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reservation(#{})", self.slot.number())
    }
}
