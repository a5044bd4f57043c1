//! Wakes that come from outside: into a set that is atomic on every machine, and from there to the points.

use crate::{
    ground::{index::SlotId, word::Access},
    slab::{
        events::Events,
        lifecycle::{Activate, Life},
        raw::RawMachine,
    },
};

impl RawMachine {
    /// Wakes a state of a `Local` machine from any thread or interrupt handler: the owner routes the inbox at its next turn.
    pub(crate) fn put_into_inbox(&self, slot: SlotId) {
        if self.inbox().insert(slot) {
            self.counters.first().ring();
        }
    }

    /// Wakes those in the inbox. Returns whether there were any.
    #[inline]
    pub(crate) fn route_inbox<A: Access>(&self) -> bool {
        let any = self.inbox_top.get() != 0;
        if any {
            self.route_some::<A>();
        }
        any
    }

    #[inline(never)]
    fn route_some<A: Access>(&self) {
        // Quietly: a bell that panics would lose the bits that are in hand.
        self.inbox()
            .drain(|slot| self.wake_tenant_quietly::<A>(slot));
        self.counters.ring_for_own();
    }

    /// Wakes the state that lives in the slot, if one does: for task wakers.
    pub(crate) fn wake_tenant<A: Access>(&self, slot: SlotId) {
        if self.notify_tenant::<A>(slot) == Activate::Yes {
            self.activate::<A>(slot);
        }
    }

    /// As `wake_tenant`, for bits of the inbox: the owner rings for all of them later.
    pub(super) fn wake_tenant_quietly<A: Access>(&self, slot: SlotId) {
        if self.notify_tenant::<A>(slot) == Activate::Yes {
            self.activate_quietly::<A>(slot);
        }
    }

    #[inline]
    fn notify_tenant<A: Access>(&self, slot: SlotId) -> Activate {
        let edge = |life: Life| match life.is_live() {
            true => life.wake(life.version(), Events::NONE).ok_or(()),
            // A slot whose tenant has ended needs no wake.
            false => Err(()),
        };
        self.attempt::<A, _, _>(slot, edge).unwrap_or(Activate::No)
    }
}
