//! The change counter: how a driver knows whether it may sleep.
//!
//! A driver takes a [`Snapshot`], runs the entry point, and sleeps only while the counter has not moved since. That is an
//! eventcount; [the internals](crate::internals#sleeping) have its protocol. Ringers make no system call while no thread
//! sleeps.

use core::{cell::UnsafeCell, fmt, mem::MaybeUninit, ptr};

use crate::ground::sync::{AtomicUsize, Ordering, fence};

/// What wakes the thread of a sleeping driver: a futex, an eventfd, an event register.
pub trait Bell: Sync {
    /// Ends the sleep that a driver is in or about to enter.
    ///
    /// Called from whatever thread or interrupt handler makes the change, so it must neither block nor take a lock.
    ///
    /// It should not panic. If it does, no state is lost, and the panic goes on in whatever made the change; the bell is
    /// rung again when the driver that it happened to has its next turn, and is silent until then.
    fn ring(&self);

    /// Whether a ring ends the sleep of those that sleep on the other bell.
    ///
    /// A bell reaches itself. One that passes its rings on to another says so here: a thread that is about to sleep on a
    /// bell which no change would ring is told so, instead of sleeping for ever.
    fn reaches(&self, sleeper: &dyn Bell) -> bool {
        ptr::addr_eq(self, sleeper)
    }
}

/// The value of a [`ChangeCounter`] at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot {
    count: usize,
    own: usize,
}

impl Snapshot {
    pub(super) const ZERO: Snapshot = Snapshot { count: 0, own: 0 };

    /// Without the owner's changes.
    pub(super) fn of_others(self) -> Snapshot {
        Snapshot { own: 0, ..self }
    }

    /// With the owner's changes as they were at another time.
    pub(super) fn with_own_of(self, other: Snapshot) -> Snapshot {
        Snapshot {
            own: other.own,
            ..self
        }
    }

    /// Of two counters together.
    pub(super) fn plus(self, other: Snapshot) -> Snapshot {
        Snapshot {
            count: self.count.wrapping_add(other.count),
            own: self.own.wrapping_add(other.own),
        }
    }
}

/// The counter has a bell already; it keeps the first for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BellTaken;

error!(BellTaken: "the change counter already has a bell");

const NO_BELL: usize = 0;
const SETTING: usize = 1;
const SET: usize = 2;
/// Set, and the last ring has panicked.
const OWED: usize = 3;

/// Counts the changes that a driver has not looked at yet.
///
/// It counts in a word of the target and wraps: a driver would miss a change only if exactly 2³² (or 2⁶⁴) of them
/// fell between two of its looks.
#[doc(alias = "eventcount")]
pub struct ChangeCounter {
    count: AtomicUsize,
    /// Changes that the owner of a `Local` machine makes itself, so that it needs no locked instruction for them.
    own: AtomicUsize,
    sleepers: AtomicUsize,
    state: AtomicUsize,
    bell: UnsafeCell<MaybeUninit<&'static dyn Bell>>,
}

// SAFETY: R7: `bell` is written once, between SETTING and SET, by the one thread that won the exchange, and read
// only after SET was seen; the bell itself is `Sync`.
unsafe impl Sync for ChangeCounter {}

impl ChangeCounter {
    /// A counter at zero, with no bell: sleepers must poll.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        ChangeCounter {
            count: AtomicUsize::new(0),
            own: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            state: AtomicUsize::new(NO_BELL),
            bell: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// A counter at zero, with no bell: sleepers must poll.
    #[cfg(loom)]
    pub fn new() -> Self {
        ChangeCounter {
            count: AtomicUsize::new(0),
            own: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            state: AtomicUsize::new(NO_BELL),
            bell: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Gives the counter its bell.
    ///
    /// # Errors
    ///
    /// [`BellTaken`] if it has one: ringers may be using it at any time, so it cannot be replaced.
    pub fn set_bell(&self, bell: &'static dyn Bell) -> Result<(), BellTaken> {
        self.claim_bell()?.fill(bell);
        Ok(())
    }

    /// Takes the right to give the counter its bell.
    pub(super) fn claim_bell(&self) -> Result<BellClaim<'_>, BellTaken> {
        // ORDERING: Relaxed; nothing is read through SETTING. The winner publishes with the Release store in `fill`.
        self.state
            .compare_exchange(NO_BELL, SETTING, Ordering::Relaxed, Ordering::Relaxed)
            .map(|_| BellClaim(self))
            .map_err(|_| BellTaken)
    }

    /// Whether the counter has a bell, or is being given one.
    pub fn has_bell(&self) -> bool {
        // ORDERING: Relaxed; nothing is read through it.
        self.state.load(Ordering::Relaxed) != NO_BELL
    }

    /// Whether a change ends the sleep of those that sleep on this bell.
    pub fn is_rung_by(&self, sleeper: &dyn Bell) -> bool {
        self.bell().is_some_and(|bell| bell.reaches(sleeper))
    }

    fn bell(&self) -> Option<&'static dyn Bell> {
        // ORDERING: Acquire; the partner is the Release store in `BellClaim::fill`.
        let state = self.state.load(Ordering::Acquire);
        if state != SET && state != OWED {
            return None;
        }
        let cell = self.bell.get();
        // SAFETY: R7: SET was seen, so the bell is written and is not written again.
        let bell = unsafe { cell.read() };
        // SAFETY: R7: as above, the value is initialised.
        Some(unsafe { bell.assume_init() })
    }

    /// The count now. Take it before looking for work.
    pub fn snapshot(&self) -> Snapshot {
        // ORDERING: Acquire; the partner is the Release addition in `ring`: a driver that has counted a change sees
        // what was changed. The owner's own changes are its own to see.
        Snapshot {
            count: self.count.load(Ordering::Acquire),
            own: self.own.load(Ordering::Relaxed),
        }
    }

    /// Whether anything has changed since the snapshot.
    #[must_use = "a driver that sleeps without asking misses changes"]
    pub fn moved_since(&self, since: Snapshot) -> bool {
        self.snapshot() != since
    }

    /// Counts a change, and rings the bell if a driver sleeps or is about to.
    ///
    /// For what makes work that belongs to no state yet, such as a producer that fills a queue.
    ///
    /// *Progress*: lock-free, and callable from an interrupt handler if the bell is.
    pub fn ring(&self) {
        self.count.fetch_add(1, Ordering::Release);
        // ORDERING: the partner is the fence in `sleep`.
        fence(Ordering::SeqCst);
        self.ring_for_sleepers();
    }

    /// Rings the bell if a driver sleeps or is about to.
    #[inline]
    fn ring_for_sleepers(&self) {
        if self.sleepers.load(Ordering::Relaxed) != 0 {
            self.ring_unless_owed();
        }
    }

    #[cold]
    #[inline(never)]
    fn ring_unless_owed(&self) {
        if self.state.load(Ordering::Relaxed) != OWED
            && let Some(bell) = self.bell()
        {
            self.ring_bell(bell);
        }
    }

    /// A bell that panics is not rung again while the panic goes on: what unwinds puts states back, which are changes, and
    /// a second panic would end the program.
    fn ring_bell(&self, bell: &dyn Bell) {
        struct Owe<'a>(&'a ChangeCounter);
        impl Drop for Owe<'_> {
            fn drop(&mut self) {
                // ORDERING: Release; the partner is the Acquire load in `make_up`, which publishes the bell anew.
                self.0.state.store(OWED, Ordering::Release);
            }
        }
        let owe = Owe(self);
        bell.ring();
        core::mem::forget(owe);
    }

    /// A driver whose last turn did not come to its end begins another one: a ring that has panicked is made up for.
    pub(super) fn make_up(&self) {
        if self.state.load(Ordering::Acquire) == OWED {
            // ORDERING: Release; the partner is the Acquire load in `bell`, which sees the bell with either.
            self.state.store(SET, Ordering::Release);
            self.ring_for_sleepers();
        }
    }

    /// Counts a change that the owner of a `Local` machine makes: R8. The owner is awake, but a driver of the same thread
    /// may be asleep: as a task of its executor, or while its multiplexer is hosted.
    #[inline]
    pub(crate) fn count_own(&self) {
        self.count_own_quietly();
        // ORDERING: the announcement is this thread's own, too.
        self.ring_for_sleepers();
    }

    /// As `count_own`, for an owner that calls [`ring_for_own`](Self::ring_for_own) later.
    #[inline]
    pub(crate) fn count_own_quietly(&self) {
        let own = self.own.load(Ordering::Relaxed);
        self.own.store(own.wrapping_add(1), Ordering::Relaxed);
    }

    /// Rings for changes that were counted quietly.
    pub(crate) fn ring_for_own(&self) {
        self.ring_for_sleepers();
    }

    /// Says that a thread is about to sleep.
    pub(super) fn announce(&self) {
        // ORDERING: Relaxed; the sleeper's fence orders it before the comparison.
        self.sleepers.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes an announcement back.
    pub(super) fn withdraw(&self) {
        // ORDERING: Relaxed; a ringer that still sees the announcement only rings once too often.
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Calls `wait` unless the counter has moved since the snapshot. Returns what it returns.
    ///
    /// While `wait` runs, every change rings the bell. `wait` may return early; the driver then looks again.
    ///
    /// ```
    /// use batchloop_core::sleep::ChangeCounter;
    /// let counter = ChangeCounter::new();
    /// let before = counter.snapshot();
    /// assert_eq!(counter.sleep(before, || "slept"), Some("slept"));
    /// counter.ring();
    /// assert_eq!(counter.sleep(before, || "slept"), None);
    /// ```
    pub fn sleep<R>(&self, since: Snapshot, wait: impl FnOnce() -> R) -> Option<R> {
        struct Announced<'a>(&'a ChangeCounter);
        impl Drop for Announced<'_> {
            fn drop(&mut self) {
                self.0.withdraw();
            }
        }
        if self.moved_since(since) {
            return None;
        }
        self.announce();
        let _announced = Announced(self);
        // ORDERING: the partner is the fence in `ring`.
        fence(Ordering::SeqCst);
        if self.moved_since(since) {
            return None;
        }
        Some(wait())
    }
}

/// The right to give a counter its bell, which has one holder. Dropping it leaves the counter without a bell.
#[must_use = "dropping it leaves the counter without a bell"]
pub(super) struct BellClaim<'a>(&'a ChangeCounter);

impl BellClaim<'_> {
    pub(super) fn fill(self, bell: &'static dyn Bell) {
        let cell = self.0.bell.get();
        // SAFETY: R7: the claim is that of the winner of the exchange, and it is not read before SET.
        unsafe { cell.write(MaybeUninit::new(bell)) };
        // ORDERING: Release; the partner is the Acquire load in `ChangeCounter::bell`.
        self.0.state.store(SET, Ordering::Release);
        core::mem::forget(self);
    }
}

impl Drop for BellClaim<'_> {
    fn drop(&mut self) {
        // ORDERING: Relaxed; nothing was written under the claim.
        self.0.state.store(NO_BELL, Ordering::Relaxed);
    }
}

impl Default for ChangeCounter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ChangeCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeCounter")
            .field("count", &self.snapshot().count)
            .finish_non_exhaustive()
    }
}
