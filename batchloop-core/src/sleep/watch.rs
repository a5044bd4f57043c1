//! What a driver sleeps on: the change counters of the workloads that it serves.

use crate::{
    ground::{
        sync::{Ordering, fence},
        word::Access,
    },
    program::workload::Workloads,
    sleep::{
        change::{Bell, ChangeCounter, Snapshot},
        counters::Counters,
    },
};

/// What a driver looks at to know whether it may sleep: the counters of its workloads, as they were when its last turn
/// started, and as they are.
///
/// That of a [`Local`](crate::Local) machine is for the machine's thread: changes that the thread itself makes are counted
/// without an order that another one could rely on.
#[derive(Clone, Copy)]
pub struct Watch {
    counters: &'static Counters,
    serves: Workloads,
    /// Whether the first counter is looked at for what others do, though it is of no workload that is served: they wake
    /// states of a `Local` machine through the inbox, whatever their workload, and ring that counter.
    hears_inbox: bool,
    since: Snapshot,
    /// The last turn left work behind, or did not come to its end, or there was none yet.
    unfinished: bool,
}

opaque_debug!(Watch);

impl Watch {
    pub(crate) fn new<A: Access>(counters: &'static Counters, serves: Workloads) -> Self {
        let mut watch = Watch {
            counters,
            serves,
            hears_inbox: !A::SHARED && !counters.serves_first(serves),
            since: Snapshot::ZERO,
            unfinished: true,
        };
        watch.renew();
        watch
    }

    pub(crate) fn serves(&self) -> Workloads {
        self.serves
    }

    fn each_counter(&self, visit: &mut dyn FnMut(&'static ChangeCounter)) {
        self.counters.each(self.serves, visit);
    }

    /// Each counter whose bell ends this driver's sleep, once.
    fn each_bell(&self, visit: &mut dyn FnMut(&'static ChangeCounter)) {
        self.each_counter(visit);
        if self.hears_inbox {
            visit(self.counters.first());
        }
    }

    #[inline(always)]
    fn now(&self) -> Snapshot {
        if self.counters.is_one() {
            return self.counters.first().snapshot();
        }
        self.now_of_several()
    }

    #[cfg_attr(batchloop_small, inline(never))]
    fn now_of_several(&self) -> Snapshot {
        // Counts only grow, so the sum has moved if one of them has.
        let mut sum = Snapshot::ZERO;
        self.each_counter(&mut |counter| sum = sum.plus(counter.snapshot()));
        if self.hears_inbox {
            sum = sum.plus(self.counters.first().snapshot().of_others());
        }
        sum
    }

    /// Takes the present as the new past: a turn starts.
    pub(crate) fn renew(&mut self) {
        if self.unfinished {
            self.make_up();
        }
        self.since = self.now();
        self.unfinished = true;
    }

    #[cold]
    #[inline(never)]
    fn make_up(&self) {
        self.each_bell(&mut ChangeCounter::make_up);
    }

    /// The turn came to its end. Returns whether another one is due.
    pub(crate) fn finish(&mut self, backlog: bool) -> bool {
        self.unfinished = backlog;
        self.is_due()
    }

    /// Discounts the owner's own changes made since then.
    pub(crate) fn forget_own_changes(&mut self) {
        self.since = self.since.with_own_of(self.now());
    }

    /// Whether there has been a change since the driver's last turn started.
    pub fn has_moved(&self) -> bool {
        self.now() != self.since
    }

    /// Whether the driver should have another turn before it sleeps: something has changed, or its last turn left work
    /// behind, ended in a fault or a panic, or was none yet.
    pub fn is_due(&self) -> bool {
        self.unfinished || self.has_moved()
    }

    /// Whether a change of any of the driver's workloads ends the sleep of those that sleep on this bell. If not, a
    /// thread that sleeps on it would sleep through changes: their counters have another bell, or none.
    #[must_use = "a driver that sleeps on a bell that is not rung sleeps for ever"]
    pub fn is_rung_by(&self, sleeper: &dyn Bell) -> bool {
        let mut each = true;
        self.each_bell(&mut |counter| each &= counter.is_rung_by(sleeper));
        each
    }

    /// Whether a counter of the driver's workloads rings another bell.
    #[cfg(feature = "task-bell")]
    pub(crate) fn rings_another(&self, sleeper: &dyn Bell) -> bool {
        let mut another = false;
        self.each_bell(&mut |counter| {
            another |= counter.has_bell() && !counter.is_rung_by(sleeper);
        });
        another
    }

    /// Calls `wait` unless another turn is due. Returns what it returns.
    ///
    /// While `wait` runs, every change rings the bells of the counters. `wait` may return early; the driver then looks
    /// again.
    pub fn sleep<R>(&self, wait: impl FnOnce() -> R) -> Option<R> {
        let _announced = self.announce()?;
        Some(wait())
    }

    /// As [`sleep`](Self::sleep), for a thread that sleeps elsewhere: every change rings the bells until the
    /// announcement is dropped. `None` if another turn is due.
    ///
    /// A thread with several drivers announces each of them before it sleeps.
    ///
    /// The protocol is that of [`ChangeCounter::sleep`], on several counters: each is announced to, then one fence,
    /// then all are compared. With several drivers this is done for one after the other, and that is enough: a change
    /// before a driver's comparison is seen by the comparison, and one after it sees the announcement, which stays, and
    /// rings a bell that remembers.
    ///
    /// ```
    /// # use batchloop_core::*;
    /// # let listening: Machine<u8> = Machine::heap(Capacity::slots(4));
    /// # let calling: Machine<u16> = Machine::heap(Capacity::slots(4));
    /// # let (mut one, mut other) = (listening.driver()?, calling.driver()?);
    /// one.turn(|cx| cx.arrivals().release())?;
    /// other.turn(|cx| cx.arrivals().release())?;
    /// if let Some(_one) = one.watch().announce() && let Some(_other) = other.watch().announce() {
    ///     // There is nothing to do: sleep until a bell rings.
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn announce(&self) -> Option<Announced> {
        if self.is_due() {
            return None;
        }
        let announced = Announced(*self);
        self.each_bell(&mut ChangeCounter::announce);
        // ORDERING: the partner is the fence in `ring`.
        fence(Ordering::SeqCst);
        // What is dropped on the way out is taken back.
        (!self.has_moved()).then_some(announced)
    }
}

/// A sleep that is announced: while this lives, every change rings the bell.
#[must_use = "dropping an announcement takes it back"]
pub struct Announced(Watch);

opaque_debug!(Announced);

impl Drop for Announced {
    fn drop(&mut self) {
        self.0.each_bell(&mut ChangeCounter::withdraw);
    }
}
