//! The change counters of a machine: one for all workloads, or several.

use crate::{
    ground::word::Access,
    program::workload::{Workload, Workloads},
    sleep::change::{Bell, BellClaim, BellTaken, ChangeCounter},
};

/// The change counter of one workload, in a cache line of its own where there are caches.
#[derive(Default)]
#[cfg_attr(target_pointer_width = "64", repr(align(128)))]
pub(crate) struct Shard(pub(super) ChangeCounter);

/// The change counters of a machine.
pub(crate) struct Counters {
    /// Of the workload IO, and of all that have none of their own.
    first: Shard,
    others: &'static [Shard],
}

impl Counters {
    pub(crate) fn new(others: &'static [Shard]) -> Self {
        let first = Shard(ChangeCounter::new());
        Counters { first, others }
    }

    /// Whether all workloads share the first one.
    #[inline]
    pub(crate) fn is_one(&self) -> bool {
        self.others.is_empty()
    }

    /// That of the workload IO, and of all that have none of their own.
    #[inline]
    pub(crate) fn first(&self) -> &ChangeCounter {
        &self.first.0
    }

    /// Whether one of the workloads has no counter of its own, and so the first one.
    pub(super) fn serves_first(&self, serves: Workloads) -> bool {
        // IO has the lowest bit, and then come those that have counters of their own: up to seven.
        let own = Workloads::from_bits(((2_u32 << self.others.len()) - 2) as u8);
        serves.without(own) != Workloads::NONE
    }

    /// Rings for the owner's changes that were counted quietly.
    #[inline(never)]
    pub(crate) fn ring_for_own(&self) {
        self.first.0.ring_for_own();
        for shard in self.others {
            shard.0.ring_for_own();
        }
    }

    /// The counter of a workload. Those that the capacity has no counter of their own for share the first.
    pub(crate) fn of(&self, workload: Workload) -> &ChangeCounter {
        match workload.index().checked_sub(1) {
            Some(index) => self
                .others
                .get(index)
                .map_or(&self.first.0, |shard| &shard.0),
            None => &self.first.0,
        }
    }

    /// Each counter of the workloads, once.
    #[inline(never)]
    pub(super) fn each<'a>(
        &'a self,
        workloads: Workloads,
        visit: &mut dyn FnMut(&'a ChangeCounter),
    ) {
        for (index, shard) in self.others.iter().enumerate() {
            if workloads.contains(Workload::from_index(index as u16 + 1)) {
                visit(&shard.0);
            }
        }
        if self.serves_first(workloads) {
            visit(&self.first.0);
        }
    }

    /// Counts a change for every workload. The caller may change the machine's words.
    pub(crate) fn count_for_all<A: Access>(&self) {
        let count = match A::SHARED {
            true => ChangeCounter::ring,
            false => ChangeCounter::count_own,
        };
        self.each(Workloads::ALL, &mut |counter| count(counter));
    }

    /// The workloads that have the same counter as this one.
    pub(crate) fn sharing(&self, workload: Workload) -> Workloads {
        let own = 1..=self.others.len();
        match own.contains(&workload.index()) {
            true => workload.into(),
            false => {
                let shares = |workload: &Workload| !own.contains(&workload.index());
                Workloads::ALL.iter().filter(shares).collect()
            }
        }
    }

    /// Gives bells to all counters of the workloads, or to none.
    pub(crate) fn set_bells(
        &self,
        workloads: Workloads,
        bell_of: &mut dyn FnMut(Workload) -> &'static dyn Bell,
    ) -> Result<(), BellTaken> {
        let mut claims: [Option<BellClaim<'_>>; Workload::COUNT] = [const { None }; _];
        let first_of_each = || Workloads::ALL.iter().take(1 + self.others.len());
        for (first, claim) in first_of_each().zip(&mut claims) {
            if self.sharing(first).intersects(workloads) {
                // If one is taken, the claims before it are dropped, which leaves those counters as they were.
                *claim = Some(self.of(first).claim_bell()?);
            }
        }
        for (first, claim) in first_of_each().zip(claims) {
            if let Some(claim) = claim {
                claim.fill(bell_of(first));
            }
        }
        Ok(())
    }
}
