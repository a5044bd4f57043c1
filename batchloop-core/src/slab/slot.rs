//! Runs the transitions of `lifecycle.rs` on the words of a machine.

use core::{marker::PhantomData, mem::ManuallyDrop};

use crate::{
    ground::{
        index::{SetId, SlotId},
        sync::{Ordering, fence, spin_loop},
        word::{Access, Shared, Word},
    },
    slab::{
        entry::Entry,
        events::Events,
        handle::Token,
        lifecycle::{Activate, Ended, Enter, Life, Refusal, Take},
        raw::{RawMachine, Tenant},
        stale::Stale,
    },
};

/// How often [`RawMachine::lock_waiting`] looks at a locked slot before it returns `Busy`: a few microseconds, more than a
/// callback should take.
#[cfg(not(loom))]
const PATIENCE: usize = 2000;
#[cfg(loom)]
const PATIENCE: usize = 2;

/// Runs one transition: reads the word, and exchanges it for what `edge` makes of it.
#[inline(always)]
fn transition<A: Access, R>(word: &Word, edge: impl Fn(Life) -> (Life, R)) -> R {
    let mut found = A::load(word);
    loop {
        let (next, answer) = edge(Life(found));
        match A::exchange(word, found, next.0) {
            Ok(_) => return answer,
            Err(other) => found = other,
        }
    }
}

/// As `transition`, for edges that may refuse.
#[inline(always)]
fn attempt<A: Access, R, E>(
    word: &Word,
    edge: impl Fn(Life) -> Result<(Life, R), E>,
) -> Result<R, E> {
    let mut found = A::load(word);
    loop {
        let (next, answer) = edge(Life(found))?;
        match A::exchange(word, found, next.0) {
            Ok(_) => return Ok(answer),
            Err(other) => found = other,
        }
    }
}

impl RawMachine {
    #[inline(always)]
    fn transition<A: Access, R>(&self, slot: SlotId, edge: impl Fn(Life) -> (Life, R)) -> R {
        transition::<A, _>(self.word(slot), edge)
    }

    /// As `transition`, for edges that may refuse.
    #[inline(always)]
    pub(super) fn attempt<A: Access, R, E>(
        &self,
        slot: SlotId,
        edge: impl Fn(Life) -> Result<(Life, R), E>,
    ) -> Result<R, E> {
        attempt::<A, _, _>(self.word(slot), edge)
    }

    /// The version that edge 1 will give: the word of a reserved slot is not changed by others.
    pub(crate) fn version_to_come(&self, slot: SlotId) -> usize {
        self.life(slot).allocate(self.limit).version()
    }

    /// Edge 13, for the reservation of the slot, which has told the handle of the tenant that does not come.
    ///
    /// # Safety
    ///
    /// R2: so it is.
    pub(crate) unsafe fn skip_version<A: Access>(&self, slot: SlotId) {
        let wrapped = self.transition::<A, _>(slot, |life| life.skip(self.limit));
        // SAFETY: R2: the caller's promise.
        unsafe { self.bury::<A>(slot, wrapped) };
    }

    /// Edge 1, for the reservation of the slot, which has written its payload.
    ///
    /// # Safety
    ///
    /// R2, R4: so it is, and the payload is of the type of the machine's states.
    pub(crate) unsafe fn settle<A: Access>(&self, slot: SlotId, parent: Option<Tenant>) -> usize {
        // ORDERING: Release; the partner is the fence in `is_still`: where what is written below is read, the word is not
        // the last tenant's any more.
        fence(Ordering::Release);
        if let Some(kin) = self.kin(slot.number()) {
            kin.set(parent);
        }
        self.set_place(slot, SetId::ENTRANCE);
        self.publish::<A>();
        let version = self.transition::<A, _>(slot, |life| {
            let next = life.allocate(self.limit);
            (next, next.version())
        });
        self.activate_again::<A>(slot);
        version
    }

    /// Edge 2. The exchange happens even where the word does not change: it publishes what the waker has written.
    #[inline]
    pub(crate) fn wake<A: Access>(
        &self,
        slot: SlotId,
        version: usize,
        events: Events,
    ) -> Result<(), Stale> {
        if events.contains(Events::DEADLINE) {
            // What was withdrawn is an earlier one.
            self.is_withdrawn_no_more(slot);
        }
        let edge = |life: Life| life.wake(version, events).ok_or(Stale);
        let activate = self.attempt::<A, _, _>(slot, edge)?;
        if activate == Activate::Yes {
            self.activate::<A>(slot);
        }
        Ok(())
    }

    pub(crate) fn wake_token<A: Access>(&self, token: Token, events: Events) -> Result<(), Stale> {
        let slot = self.slot(token.slot()).ok_or(Stale)?;
        let version = self.life(slot).version();
        if version % 2 == 1 && token.matches(version) {
            self.wake::<A>(slot, version, events)
        } else {
            Err(Stale)
        }
    }

    /// The events of a state that were posted and not taken.
    pub(crate) fn posted(&self, slot: SlotId, version: usize) -> Events {
        let life = self.life(slot);
        match life.is_version(version) {
            true => self.events_of(slot, life),
            false => Events::NONE,
        }
    }

    /// The events that a word of this slot tells of, without a deadline that was withdrawn.
    pub(crate) fn events_of(&self, slot: SlotId, life: Life) -> Events {
        let events = life.events();
        match events.contains(Events::DEADLINE) && self.is_withdrawn(slot) {
            true => events.without(Events::DEADLINE),
            false => events,
        }
    }

    /// Edge 12.
    #[inline]
    pub(crate) fn take_events<A: Access>(
        &self,
        slot: SlotId,
        version: usize,
        which: Events,
    ) -> Events {
        let edge = |life: Life| life.take_events(version, which).ok_or(());
        let taken = self.attempt::<A, _, _>(slot, edge);
        let taken = taken.unwrap_or(Events::NONE);
        match taken.contains(Events::DEADLINE) && self.is_withdrawn_no_more(slot) {
            true => taken.without(Events::DEADLINE),
            false => taken,
        }
    }

    /// Takes back a deadline that was posted, if the state has not taken it. Returns whether that is so.
    ///
    /// Any thread may do it, even on a `Local` machine: it marks the slot in a set that is atomic on every machine, and
    /// leaves the lifecycle word alone. The mark says that the deadline in the word does not count. A mark that comes too
    /// late stays, without effect, until the next deadline is posted.
    pub(crate) fn withdraw_deadline(&self, token: Token) -> bool {
        let Some(slot) = self.slot(token.slot()) else {
            return false;
        };
        let life = self.life(slot);
        let is_posted = life.is_live()
            && token.matches(life.version())
            && life.events().contains(Events::DEADLINE);
        is_posted && {
            let (word, bit) = self.withdrawn(slot);
            Shared::set(word, bit) & bit == 0
        }
    }

    fn is_withdrawn(&self, slot: SlotId) -> bool {
        let (word, bit) = self.withdrawn(slot);
        word.get() & bit != 0
    }

    /// Takes the mark of a withdrawn deadline away. Returns whether there was one.
    #[inline(never)]
    fn is_withdrawn_no_more(&self, slot: SlotId) -> bool {
        let (word, bit) = self.withdrawn(slot);
        word.get() & bit != 0 && Shared::clear(word, bit) & bit != 0
    }

    /// Sets the slot's bit at its point, where that is not what the caller is mostly about.
    #[inline(never)]
    fn activate_again<A: Access>(&self, slot: SlotId) {
        self.activate::<A>(slot);
    }

    /// Edge 3, for a taker at the point of `set` that has the slot's bit in hand.
    #[inline]
    pub(crate) fn take<A: Access>(&self, slot: SlotId, set: SetId) -> Option<Entry> {
        let edge = |life: Life| match life.take() {
            Take::Taken(next) => Ok((next, true)),
            Take::Deferred(next) => Ok((next, false)),
            Take::Gone => Err(()),
        };
        let is_taken = self.attempt::<A, _, _>(slot, edge).unwrap_or(false);
        // The place is read as owner. Read before the exchange, it could be that of an earlier tenant.
        if is_taken && self.place(slot) == set {
            // SAFETY: R3: the exchange has made it the taker's.
            return Some(unsafe { Entry::owned(slot) });
        }
        if is_taken {
            // SAFETY: R3: as above.
            unsafe { self.put_back::<A>(slot) };
        }
        None
    }

    /// Edge 4, or 11 where the slot died in the batch.
    ///
    /// # Safety
    ///
    /// R3: the caller owns the slot.
    pub(crate) unsafe fn put_back<A: Access>(&self, slot: SlotId) {
        let (live, wrapped) = self.transition::<A, _>(slot, |life| {
            let (next, live) = life.put_back();
            (next, (live, next.version() == 0))
        });
        if live {
            self.activate_again::<A>(slot);
        } else {
            // SAFETY: R2: its tenant has ended, and its owner buries it.
            unsafe { self.bury::<A>(slot, wrapped) };
        }
    }

    #[cold]
    unsafe fn bury<A: Access>(&self, slot: SlotId, wrapped: bool) {
        if wrapped {
            // SAFETY: R2: the caller's promise.
            unsafe { self.wrapped::<A>(slot) };
        } else {
            // SAFETY: R2: the caller's promise.
            unsafe { self.give_back::<A>(slot) };
        }
    }

    /// Edge 5, for a slot of the caller's batch. `None` where the slot is not the caller's any more.
    ///
    /// # Safety
    ///
    /// R3: the caller owns the slot.
    #[inline(always)]
    pub(crate) unsafe fn enter<A: Access>(&'static self, slot: SlotId) -> Option<Entered<A>> {
        enum Found {
            Entered(Life),
            Deferred,
            Buried(bool),
        }
        let found = self.transition::<A, _>(slot, |life| match life.enter() {
            Enter::Entered(next) => (next, Found::Entered(life)),
            Enter::Deferred(next) => (next, Found::Deferred),
            Enter::Buried(next) => (next, Found::Buried(next.version() == 0)),
        });
        match found {
            Found::Entered(before) => Some(Entered {
                // SAFETY: R2: the exchange has set the bit.
                lock: unsafe { Lock::new(self, slot, true) },
                version: before.version(),
            }),
            Found::Deferred => None,
            Found::Buried(wrapped) => {
                // SAFETY: R2: its tenant has ended, and its owner buries it.
                unsafe { self.bury::<A>(slot, wrapped) };
                None
            }
        }
    }

    /// Edges 3 and 5 in one, for a slot whose bit the caller has taken out of `set`.
    #[inline(always)]
    pub(crate) fn seize<A: Access>(&'static self, slot: SlotId, set: SetId) -> Option<Entered<A>> {
        let edge = |life: Life| life.seize().map(|next| (next, life)).ok_or(());
        let before = self.attempt::<A, _, _>(slot, edge).ok()?;
        // The place is read as owner. Read before the exchange, it could be that of an earlier tenant.
        if self.place(slot) != set {
            // SAFETY: R2, R3: the exchange has made it the caller's, and locked it.
            unsafe { self.park_active::<A>(slot) };
            return None;
        }
        Some(Entered {
            // SAFETY: R2: the exchange has set the bit.
            lock: unsafe { Lock::new(self, slot, true) },
            version: before.version(),
        })
    }

    /// Edge 6, for an owner that holds the lock, and whose slot stays active.
    ///
    /// # Safety
    ///
    /// R2, R3: so it is.
    #[inline(never)]
    unsafe fn park_active<A: Access>(&self, slot: SlotId) {
        self.transition::<A, _>(slot, |life| (life.park_active(), ()));
        self.activate_again::<A>(slot);
    }

    /// Edge 8, once.
    pub(crate) fn lock<A: Access>(
        &'static self,
        slot: SlotId,
        version: usize,
    ) -> Result<Lock<A>, Refusal> {
        self.attempt::<A, _, _>(slot, |life| life.lock(version).map(|next| (next, ())))?;
        // SAFETY: R2: the exchange has set the bit.
        Ok(unsafe { Lock::new(self, slot, false) })
    }

    /// Edge 8. On a `Shared` machine it waits for the holder of the lock, for a bounded number of looks; on a `Local`
    /// one the holder is further up on this very stack.
    pub(crate) fn lock_waiting<A: Access>(
        &'static self,
        slot: SlotId,
        version: usize,
    ) -> Result<Lock<A>, Refusal> {
        let mut patience = if A::SHARED { PATIENCE } else { 0 };
        loop {
            match self.lock::<A>(slot, version) {
                Err(Refusal::Locked) if patience > 0 => {
                    patience -= 1;
                    spin_loop();
                }
                answer => return answer,
            }
        }
    }
}

/// A slot of a batch whose closure may run.
pub(crate) struct Entered<A: Access> {
    pub(crate) lock: Lock<A>,
    pub(crate) version: usize,
}

/// The right to form a reference to one payload.
///
/// Dropped without one of its endings, as by a panic in user code, it ends the state: what was left half-changed is
/// not run again.
pub(crate) struct Lock<A: Access> {
    raw: &'static RawMachine,
    word: &'static Word,
    slot: SlotId,
    owner: bool,
    access: PhantomData<A>,
}

impl<A: Access> Lock<A> {
    /// # Safety
    ///
    /// R2: the caller has set the slot's `locked` bit, in an exchange on a word where it was clear.
    #[inline(always)]
    unsafe fn new(raw: &'static RawMachine, slot: SlotId, owner: bool) -> Self {
        raw.payloads.witness.exclusive(slot);
        Lock {
            raw,
            word: raw.word(slot),
            slot,
            owner,
            access: PhantomData,
        }
    }

    /// Where the state lies.
    #[inline]
    pub(crate) fn payload(&self) -> *mut u8 {
        self.raw.payload(self.slot)
    }

    /// Edge 7, for an owner: the slot is its batch's.
    #[inline(always)]
    pub(crate) fn keep(self) -> Entry {
        debug_assert!(self.owner);
        let this = self.leave();
        transition::<A, _>(this.word, |life| (life.keep(), ()));
        // SAFETY: R3: the former holder of the lock owns it.
        unsafe { Entry::owned(this.slot) }
    }

    /// Edge 6, for an owner.
    #[inline(always)]
    pub(crate) fn park(self) {
        debug_assert!(self.owner);
        let this = self.leave();
        let activate = transition::<A, _>(this.word, Life::park);
        if activate == Activate::Yes {
            this.raw.activate_again::<A>(this.slot);
        }
    }

    /// Edge 6, for an owner whose slot stays active.
    #[inline(always)]
    pub(crate) fn park_active(self) {
        debug_assert!(self.owner);
        let this = self.leave();
        // SAFETY: R2, R3: the former holder of the lock owns it.
        unsafe { this.raw.park_active::<A>(this.slot) };
    }

    /// Edge 9.
    pub(crate) fn unlock(self, wake: bool) {
        let this = self.leave();
        let activate = transition::<A, _>(this.word, |life| life.unlock(wake));
        if activate == Activate::Yes {
            this.raw.activate_again::<A>(this.slot);
        }
    }

    /// Edge 10.
    #[inline(never)]
    pub(crate) fn end(self) {
        drop(self);
    }

    #[inline(always)]
    fn leave(self) -> ManuallyDrop<Self> {
        self.raw.payloads.witness.exclusive(self.slot);
        ManuallyDrop::new(self)
    }
}

impl<A: Access> Drop for Lock<A> {
    fn drop(&mut self) {
        /// Frees the slot even if the state's own `drop` panics.
        struct Free<A: Access>(&'static RawMachine, SlotId, bool, PhantomData<A>);
        impl<A: Access> Drop for Free<A> {
            fn drop(&mut self) {
                let &mut Free(raw, slot, owner, _) = self;
                let ended = raw.transition::<A, _>(slot, |life| life.end(owner, raw.limit));
                match ended {
                    // SAFETY: R2: the edge has ended its tenant, and it has no owner.
                    Ended::Free => unsafe { raw.give_back::<A>(slot) },
                    // SAFETY: R2: as above.
                    Ended::Wrapped => unsafe { raw.wrapped::<A>(slot) },
                    Ended::Dead => {}
                }
            }
        }
        let _free = Free::<A>(self.raw, self.slot, self.owner, PhantomData);
        self.raw.payloads.witness.exclusive(self.slot);
        let payload = self.payload();
        // SAFETY: R2, R4: the lock is held, so there is no other reference; the slot is live, so its payload is
        // initialised; and the version moves on before the slot can be locked again.
        unsafe { (self.raw.drop)(payload) };
    }
}
