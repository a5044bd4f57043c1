//! Making states active: their bits at their points, and the changes that drivers hear of.

use crate::{
    ground::{
        index::{SetId, SlotId},
        word::Access,
    },
    program::workload::Workload,
    slab::raw::RawMachine,
};

impl RawMachine {
    /// Sets the slot's bit at its point.
    #[inline(always)]
    pub(super) fn activate<A: Access>(&self, slot: SlotId) {
        self.activate_at::<A>(slot, self.place(slot));
    }

    /// As `activate`, but rings no bell: for the owner of a `Local` machine, which does so later.
    pub(super) fn activate_quietly<A: Access>(&self, slot: SlotId) {
        let set = self.place(slot);
        if self.active_set::<A>(set).insert(slot) {
            self.counters.of(self.workload_of(set)).count_own_quietly();
        }
    }

    /// Sets the slot's bit in a set, and counts a change if nothing was active there.
    #[inline(always)]
    pub(crate) fn activate_at<A: Access>(&self, slot: SlotId, set: SetId) {
        if self.active_set::<A>(set).insert(slot) {
            self.count_change::<A>(set);
        }
    }

    /// Counts a change at a point. The caller may change the machine's words.
    #[inline]
    pub(crate) fn count_change<A: Access>(&self, set: SetId) {
        if A::SHARED {
            self.counters.of(self.workload_of(set)).ring();
        } else {
            self.counters.of(self.workload_of(set)).count_own();
        }
    }

    /// The workload of a set's point.
    fn workload_of(&self, set: SetId) -> Workload {
        if self.counters.is_one() {
            return Workload::IO;
        }
        Workload::from_index(self.trie.workload_index(set))
    }
}
