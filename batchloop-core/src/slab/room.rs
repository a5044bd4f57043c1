//! Taking slots and giving them back, and the count of those that live.

use core::iter;

use crate::{
    ground::{
        index::SlotId,
        sync::{Ordering, fence},
        word::Access,
    },
    slab::{capacity::Wrap, raw::RawMachine},
};

impl RawMachine {
    /// The next slot that is given back counts a change.
    pub(crate) fn watch_for_room<A: Access>(&self) {
        A::swap(&self.starved, 1);
        if A::SHARED {
            // ORDERING: the partner is the fence in `give_back`: either that sees `starved`, or the caller of this sees
            // the slot.
            fence(Ordering::SeqCst);
        }
    }

    /// Takes the lowest free slot.
    pub(crate) fn reserve<A: Access>(&self) -> Option<SlotId> {
        let free = self.free_set::<A>();
        let slot = free.reserve().or_else(|| {
            self.watch_for_room::<A>();
            if A::SHARED { free.reserve() } else { None }
        })?;
        A::add(&self.live, 1);
        Some(slot)
    }

    /// How many slots have a state or are reserved for one. Each is counted after its bit is set, and no more before its
    /// bit is cleared, so there are never more than slots, and never fewer than none.
    pub(crate) fn live(&self) -> usize {
        self.live.get()
    }

    /// The slots that have a state or are reserved for one, in address order.
    pub(crate) fn used_slots<A: Access>(&'static self) -> impl Iterator<Item = SlotId> + use<A> {
        let mut from = 0;
        iter::from_fn(move || {
            let slot = self.free_set::<A>().next_used(from)?;
            from = slot.number() + 1;
            Some(slot)
        })
    }

    /// Gives a slot back, and counts a change if one is waited for.
    ///
    /// # Safety
    ///
    /// R2: the caller has the slot reserved, or has ended its tenant.
    pub(crate) unsafe fn give_back<A: Access>(&self, slot: SlotId) {
        self.count_down::<A>();
        self.free_set::<A>().give_back(slot);
        self.tell_of_room::<A>();
    }

    /// Before `tell_of_room`: what it wakes looks at the count.
    fn count_down<A: Access>(&self) {
        A::add(&self.live, usize::MAX);
    }

    /// A slot more is free, or a state less lives: counts a change if something waits for either.
    fn tell_of_room<A: Access>(&self) {
        if A::SHARED {
            // ORDERING: the partner is the fence in `watch_for_room`.
            fence(Ordering::SeqCst);
        }
        if self.starved.get() != 0 && A::swap(&self.starved, 0) != 0 {
            // Whatever has waited for it may be at any workload.
            self.counters.count_for_all::<A>();
        }
    }

    /// What becomes of a slot whose version has gone round.
    ///
    /// # Safety
    ///
    /// As [`give_back`](Self::give_back).
    pub(super) unsafe fn wrapped<A: Access>(&self, slot: SlotId) {
        match self.capacity.wrap {
            // SAFETY: R2: the caller's promise.
            Wrap::Reuse => unsafe { self.give_back::<A>(slot) },
            Wrap::Retire => {
                self.retired.fetch_add(1, Ordering::Relaxed);
                self.count_down::<A>();
                self.tell_of_room::<A>();
            }
        }
    }
}
