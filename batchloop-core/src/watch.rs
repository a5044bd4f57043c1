//! What a driver sleeps on: the change counters of the workloads that it serves.

use crate::{
    change::{ChangeCounter, Snapshot},
    frame::Frame,
    sync::{Ordering, fence},
    workload::{Workload, Workloads},
};

/// The change counter of one workload, in a cache line of its own where there are caches, in storage that the caller
/// supplies.
#[cfg_attr(target_pointer_width = "64", repr(align(128)))]
pub struct Shard(pub(crate) ChangeCounter);

opaque_debug!(Shard);

impl Shard {
    /// A counter at zero. All its bytes are.
    #[cfg(not(loom))]
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "fresh room for each array element is what is wanted"
    )]
    pub const EMPTY: Shard = Shard(ChangeCounter::new());

    #[cfg(loom)]
    pub(crate) fn empty() -> Shard {
        Shard(ChangeCounter::new())
    }
}

impl Frame {
    /// The counter of a workload. Those that the capacity has no counter of their own for share the first.
    pub(crate) fn counter_of(&self, workload: Workload) -> &ChangeCounter {
        match workload.index().checked_sub(1) {
            Some(index) => self
                .shards
                .get(index)
                .map_or(&self.counter.0, |shard| &shard.0),
            None => &self.counter.0,
        }
    }
}

/// What a driver looks at to know whether it may sleep: the counters of its workloads, as they were when its last turn
/// started, and as they are.
#[derive(Clone, Copy)]
pub struct Watch {
    frame: &'static Frame,
    serves: Workloads,
    since: Snapshot,
}

opaque_debug!(Watch);

impl Watch {
    pub(crate) fn new(frame: &'static Frame, serves: Workloads) -> Self {
        let mut watch = Watch {
            frame,
            serves,
            since: Snapshot::ZERO,
        };
        watch.renew();
        watch
    }

    pub(crate) fn serves(&self) -> Workloads {
        self.serves
    }

    /// Each counter of the workloads, once.
    fn each_counter(&self, mut visit: impl FnMut(&'static ChangeCounter)) {
        let Watch { frame, serves, .. } = *self;
        let mut first_is_served = false;
        for workload in serves.iter() {
            match workload.index() {
                own if (1..=frame.shards.len()).contains(&own) => visit(frame.counter_of(workload)),
                _ => first_is_served = true,
            }
        }
        if first_is_served {
            visit(&frame.counter.0);
        }
    }

    #[inline]
    fn now(&self) -> Snapshot {
        if self.frame.shards.is_empty() {
            return self.frame.counter.0.snapshot();
        }
        // Counts only grow, so the sum has moved if one of them has.
        let mut sum = Snapshot::ZERO;
        self.each_counter(|counter| sum = sum.plus(counter.snapshot()));
        sum
    }

    /// Says to each counter that somebody is about to sleep.
    pub(crate) fn announce(&self) {
        self.each_counter(ChangeCounter::announce);
    }

    /// Takes the announcements back.
    pub(crate) fn withdraw(&self) {
        self.each_counter(ChangeCounter::withdraw);
    }

    /// Takes the present as the new past.
    pub(crate) fn renew(&mut self) {
        self.since = self.now();
    }

    /// Leaves the owner's changes since out of account.
    pub(crate) fn forget_own_changes(&mut self) {
        self.since = self.frame.counter.0.with_own_changes(self.since);
    }

    /// Whether there has been a change since the driver's last turn started.
    #[inline]
    pub fn has_moved(&self) -> bool {
        self.now() != self.since
    }

    /// Calls `wait` unless there has been a change since the driver's last turn started; answers what it answers.
    ///
    /// While `wait` runs, every change rings the bells of the counters. `wait` may return early; the driver then looks
    /// again. Watches of several drivers nest: the innermost `wait` is run if nothing has moved for any of them.
    ///
    /// The protocol is that of [`ChangeCounter::sleep`], on several counters: each is announced to, then one fence,
    /// then all are compared.
    pub fn sleep<R>(&self, wait: impl FnOnce() -> R) -> Option<R> {
        struct Announced(Watch);
        impl Drop for Announced {
            fn drop(&mut self) {
                self.0.withdraw();
            }
        }
        if self.has_moved() {
            return None;
        }
        let announced = Announced(*self);
        self.announce();
        // ORDERING: the partner is the fence in `ring`.
        fence(Ordering::SeqCst);
        let answer = if self.has_moved() { None } else { Some(wait()) };
        drop(announced);
        answer
    }
}
