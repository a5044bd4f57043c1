//! The life of a slot, as pure functions of one word. `slot.rs` runs them.
//!
//! ```text
//!                 1 allocate                     3 take
//!   free ────────────────────▶ parked ◀──────────────────────▶ owned ──────▶ owned, locked
//!    ▲                          │  ▲   4 put back (no lock)     ▲      5 enter     │  │  │
//!    │                          │  └─────────────────────────── │ ────────────────┘  │  │
//!    │                          │          6 park               └────────────────────┘  │
//!    │                          │                                        7 keep         │
//!    │◀─────────────────────────┴──────────────────────────── 10 end, version + 1 ──────┘
//!    │
//!    └──── 11 bury ──── dead (even version, still in a batch) ◀──── 10 end by a hook while owned
//!
//!   2 wake          sets `notified` (and events) on a live slot, whatever else it is
//!   8 lock          a hook takes the lock of a parked or owned slot, by version
//!   9 unlock        the hook gives it back
//!  12 take events   clears events of a live slot, by version, whatever else it is
//!  13 skip          a free slot that was reserved and stays free: version + 2
//! ```
//!
//! | bits | field |
//! |---|---|
//! | 0 | `locked`: its holder may form a reference to the payload |
//! | 1 | `notified`: woken since its owner last looked |
//! | 2, 3 | free, owned or parked |
//! | 4 to 7 | events that were posted and have not been taken |
//! | 8 and up | version, odd while the slot is live |
//!
//! The rules that the rest of the crate rests on:
//!
//! * **one lock**: `locked` is set only by edges 5 and 8, on a word where it is clear.
//! * **one owner**: `owned` is entered only by edge 3, from `parked`.
//! * **active**: a slot that is parked and notified has its bit in the active set of its point, or one of these is
//!   about to set it: the waker or parker that made it so, the hook that holds its lock, or a taker that has the bit
//!   in hand. Each edge that makes a slot "parked, notified" returns [`Activate`], which must be used.
//! * **stale**: an edge that starts from a handle compares the whole version in the same exchange.

use core::fmt;

use crate::slab::events::Events;

const LOCKED: usize = 1;
const NOTIFIED: usize = 2;
const OWNED: usize = 4;
const PARKED: usize = 8;
const PHASE: usize = OWNED | PARKED;
const EVENTS_SHIFT: u32 = 4;
const EVENTS: usize = 0xf << EVENTS_SHIFT;
pub(super) const VERSION_SHIFT: u32 = 8;

/// The bits left for the version on this target.
pub(super) const VERSION_BITS: u32 = usize::BITS - VERSION_SHIFT;

/// The lifecycle word of a slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life(pub(super) usize);

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.0 & PHASE {
            0 => "free",
            OWNED => "owned",
            PARKED => "parked",
            _ => "owned and parked",
        };
        write!(f, "Life(v{} {phase}", self.version())?;
        if self.is_notified() {
            f.write_str(", notified")?;
        }
        if self.is_locked() {
            f.write_str(", locked")?;
        }
        if !self.events().is_empty() {
            write!(f, ", {:?}", self.events())?;
        }
        f.write_str(")")
    }
}

/// Whether the edge obliges its caller to set the slot's bit in the active set of its point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a parked, notified slot without its bit sleeps for ever"]
pub(super) enum Activate {
    Yes,
    No,
}

impl Activate {
    fn when(condition: bool) -> Self {
        if condition {
            Activate::Yes
        } else {
            Activate::No
        }
    }
}

/// What edge 3 finds in a slot whose bit a taker has in hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Take {
    /// The slot is the taker's.
    Taken(Life),
    /// A hook holds the lock; its unlock will activate the slot again.
    Deferred(Life),
    /// The bit was stale.
    Gone,
}

/// What edge 5 finds in a slot of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Enter {
    /// The closure may run.
    Entered(Life),
    /// A hook holds the lock; the slot is parked again and the hook's unlock activates it.
    Deferred(Life),
    /// A hook ended it while it was in the batch; the slot is free now.
    Buried(Life),
}

/// Why a slot cannot be locked by handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    Stale,
    Locked,
}

/// Where edge 10 leaves the slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// The caller gives the slot back to the free set.
    Free,
    /// As `Free`, but the version has gone round.
    Wrapped,
    /// The slot is in a batch, whose owner buries it.
    Dead,
}

/// Where the version wraps: a power of two, so that the parity survives the wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct VersionLimit(usize);

impl VersionLimit {
    /// Versions of `bits` bits, at least 1 and at most what the word has.
    pub(crate) const fn of_bits(bits: u32) -> Self {
        assert!(bits >= 1 && bits <= VERSION_BITS);
        VersionLimit(if bits == VERSION_BITS {
            usize::MAX >> VERSION_SHIFT
        } else {
            (1 << bits) - 1
        })
    }

    fn after(self, version: usize) -> usize {
        (version + 1) & self.0
    }
}

impl Life {
    pub(crate) fn version(self) -> usize {
        self.0 >> VERSION_SHIFT
    }

    pub(crate) fn is_live(self) -> bool {
        self.version() & 1 == 1
    }

    pub(super) fn is_version(self, version: usize) -> bool {
        self.version() == version
    }

    pub(super) fn is_locked(self) -> bool {
        self.0 & LOCKED != 0
    }

    pub(crate) fn is_notified(self) -> bool {
        self.0 & NOTIFIED != 0
    }

    pub(crate) fn is_parked(self) -> bool {
        self.0 & PHASE == PARKED
    }

    pub(super) fn is_owned(self) -> bool {
        self.0 & PHASE == OWNED
    }

    pub(super) fn events(self) -> Events {
        Events::from_bits(((self.0 & EVENTS) >> EVENTS_SHIFT) as u8)
    }

    /// Edge 1: a reserved slot gets its tenant, which waits at the entrance, active.
    #[inline]
    pub(super) fn allocate(self, limit: VersionLimit) -> Life {
        Life((limit.after(self.version()) << VERSION_SHIFT) | PARKED | NOTIFIED)
    }

    /// Edge 13: a reserved slot stays without the tenant that it was reserved for, whose version is not used again.
    /// Returns whether the version has gone round.
    #[inline]
    pub(super) fn skip(self, limit: VersionLimit) -> (Life, bool) {
        let version = limit.after(limit.after(self.version()));
        (Life(version << VERSION_SHIFT), version == 0)
    }

    /// Edge 2, for the holder of a handle: its version is odd, so a slot of that version is live.
    #[inline]
    pub(super) fn wake(self, version: usize, events: Events) -> Option<(Life, Activate)> {
        debug_assert!(version % 2 == 1);
        if !self.is_version(version) {
            return None;
        }
        let woken = self.0 | NOTIFIED | ((events.bits() as usize) << EVENTS_SHIFT);
        let activate = Activate::when(self.is_parked() && self.0 & (NOTIFIED | LOCKED) == 0);
        Some((Life(woken), activate))
    }

    /// Edge 3.
    #[inline]
    pub(super) fn take(self) -> Take {
        if !self.is_parked() {
            Take::Gone
        } else if self.is_locked() {
            Take::Deferred(Life(self.0 | NOTIFIED))
        } else {
            Take::Taken(Life((self.0 ^ PHASE) & !NOTIFIED))
        }
    }

    /// Edges 3 and 5 in one, for a taker that has the slot's bit in hand and runs the closure at once. Returns `None`
    /// where the bit was stale, and where a hook holds the lock, whose unlock will activate the slot again.
    #[inline]
    pub(crate) fn seize(self) -> Option<Life> {
        let ready = self.0 & (PHASE | NOTIFIED | LOCKED) == PARKED | NOTIFIED;
        ready.then_some(Life((self.0 ^ PHASE) & !NOTIFIED | LOCKED))
    }

    /// Edge 6: the closure returned `Again`, or has not run.
    #[inline]
    pub(super) fn park_active(self) -> Life {
        Life((self.0 & !(PHASE | LOCKED)) | PARKED | NOTIFIED)
    }

    /// Edge 4: the owner parks a slot that it has not entered. The slot is active, for its activation was not used.
    /// Returns whether it still lives; where it died in the batch, it is free now.
    #[inline]
    pub(crate) fn put_back(self) -> (Life, bool) {
        if self.is_live() {
            (Life((self.0 & !PHASE) | PARKED | NOTIFIED), true)
        } else {
            (Life(self.0 & !PHASE), false)
        }
    }

    /// Edge 5.
    #[inline]
    pub(super) fn enter(self) -> Enter {
        if !self.is_live() {
            Enter::Buried(Life(self.0 & !PHASE))
        } else if self.is_locked() {
            Enter::Deferred(Life((self.0 & !PHASE) | PARKED | NOTIFIED))
        } else {
            Enter::Entered(Life(self.0 & !NOTIFIED | LOCKED))
        }
    }

    /// Edge 6: the closure returned `Wait`.
    #[inline]
    pub(super) fn park(self) -> (Life, Activate) {
        let parked = (self.0 & !(PHASE | LOCKED)) | PARKED;
        (Life(parked), Activate::when(self.is_notified()))
    }

    /// Edge 7: the closure returned `Next`.
    #[inline]
    pub(crate) fn keep(self) -> Life {
        Life(self.0 & !LOCKED)
    }

    /// Edge 8.
    #[inline]
    pub(crate) fn lock(self, version: usize) -> Result<Life, Refusal> {
        if !self.is_version(version) || !self.is_live() {
            Err(Refusal::Stale)
        } else if self.is_locked() {
            Err(Refusal::Locked)
        } else {
            Ok(Life(self.0 | LOCKED))
        }
    }

    /// Edge 9.
    #[inline]
    pub(super) fn unlock(self, wake: bool) -> (Life, Activate) {
        let unlocked = Life((self.0 & !LOCKED) | if wake { NOTIFIED } else { 0 });
        let activate = Activate::when(unlocked.is_parked() && unlocked.is_notified());
        (unlocked, activate)
    }

    /// Edge 12, for a closure that has the version of its state. Returns the events that were posted, of those that are
    /// asked for; `None` where there is nothing to take.
    #[inline]
    pub(crate) fn take_events(self, version: usize, which: Events) -> Option<(Life, Events)> {
        let taken = self.events() & which;
        let there_are = self.is_version(version) && !taken.is_empty();
        let left = self.0 & !((taken.bits() as usize) << EVENTS_SHIFT);
        there_are.then_some((Life(left), taken))
    }

    /// Edge 10, for the holder of the lock. `owner` says that the caller also owns the slot.
    #[inline]
    pub(super) fn end(self, owner: bool, limit: VersionLimit) -> (Life, Ended) {
        let version = limit.after(self.version());
        let next = version << VERSION_SHIFT;
        if self.is_owned() && !owner {
            (Life(next | OWNED), Ended::Dead)
        } else if version == 0 {
            (Life(next), Ended::Wrapped)
        } else {
            (Life(next), Ended::Free)
        }
    }
}

#[cfg(test)]
mod tests;
