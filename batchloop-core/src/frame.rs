//! The part of a machine that does not know the type of its states.
//!
//! Code that is the same for every state type lives on [`Frame`], so that it is compiled once per access and not
//! once per type.

use core::{any::TypeId, mem::MaybeUninit, ops::Range};

use crate::{
    access::{Access, Shared, Word},
    active_set::ActiveSet,
    bitmap::{BITS, Geometry},
    capacity::{Capacity, Wrap},
    free_set::FreeSet,
    lifecycle::{Life, VersionLimit},
    lineage::Kin,
    storage::{Index, Place},
    sync::{AtomicUsize, Ordering, Witness, fence},
    task::TaskCell,
    trie::{Growth, Node},
    watch::Shard,
    workload::Workload,
};

/// A part of a machine's storage, for indices that are known to be inside.
pub(crate) struct Inside<'a, T>(pub(crate) &'a [T]);

impl<T> Clone for Inside<'_, T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Inside<'_, T> {}

impl<'a, T> Inside<'a, T> {
    #[inline(always)]
    pub(crate) fn at(self, index: usize) -> &'a T {
        debug_assert!(index < self.0.len());
        // SAFETY: R5: numbers of slots, nodes, words and entries are inside.
        unsafe { self.0.get_unchecked(index) }
    }

    #[inline(always)]
    pub(crate) fn part(self, range: Range<usize>) -> Self {
        debug_assert!(range.start <= range.end && range.end <= self.0.len());
        // SAFETY: R5: so are sets, segments and a driver's share of the scratch space.
        Inside(unsafe { self.0.get_unchecked(range) })
    }
}

/// Room for the machine's own record, in storage that the caller supplies.
pub struct FrameCell(pub(crate) MaybeUninit<Frame>);

opaque_debug!(FrameCell);

impl FrameCell {
    /// Unused room.
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "fresh room for each storage is what is wanted"
    )]
    pub const EMPTY: FrameCell = FrameCell(MaybeUninit::uninit());
}

/// The states' memory.
pub(crate) struct Payloads {
    pub(crate) base: *mut u8,
    pub(crate) stride: usize,
    pub(crate) witness: Witness,
}

/// What is known of the states' type.
pub(crate) struct StateType {
    pub(crate) drop: unsafe fn(*mut u8),
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
}

/// Everything of a machine but the type of its states.
///
/// What a wake or a turn uses comes first: fields near the start are reached by short instructions.
#[repr(C)]
pub(crate) struct Frame {
    pub(crate) lives: &'static [Word],
    pub(crate) places: &'static [Place],
    pub(crate) sets: &'static [Word],
    pub(crate) nodes: &'static [Node],
    pub(crate) geometry: Geometry,
    pub(crate) payloads: Payloads,
    pub(crate) capacity: Capacity,
    pub(crate) shards: &'static [Shard],
    /// The first change counter: of the workload IO, and of all that have none of their own.
    pub(crate) counter: Shard,
    pub(crate) scratch: &'static [Index],
    pub(crate) growth: Growth,
    pub(crate) limit: VersionLimit,
    /// Whether somebody has seen every slot in use since the last one was given back.
    pub(crate) starved: Word,
    pub(crate) retired: AtomicUsize,
    /// A bit for each driver that exists.
    pub(crate) drivers: AtomicUsize,
    pub(crate) parents: &'static [Kin],
    pub(crate) tasks: &'static [TaskCell],
    pub(crate) state: StateType,
}

// SAFETY: R1, R2, R8: the raw pointer is to `'static` storage that only the holder of a slot's lock reads or writes.
// Handing states to another thread is decided by `Admits`, and by `Machine` not being `Send` for `Local`.
unsafe impl Sync for Frame {}
// SAFETY: R1, R2, R8: as above.
unsafe impl Send for Frame {}

impl Frame {
    pub(crate) fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    pub(crate) fn growth(&self) -> &Growth {
        &self.growth
    }

    pub(crate) fn state_name(&self) -> &'static str {
        let name = self.state.name;
        name.rsplit("::").next().unwrap_or(name)
    }

    /// A node that a link or a set led to.
    #[inline(always)]
    pub(crate) fn node(&self, index: u16) -> &Node {
        Inside(self.nodes).at(index as usize)
    }

    pub(crate) fn kin(&self, slot: usize) -> Option<&Kin> {
        self.parents.get(slot)
    }

    /// The lifecycle word of a slot that exists.
    #[inline(always)]
    pub(crate) fn word(&self, slot: usize) -> &'static Word {
        Inside(self.lives).at(slot)
    }

    #[inline(always)]
    fn place_word(&self, slot: usize) -> &'static Place {
        Inside(self.places).at(slot)
    }

    #[inline]
    pub(crate) fn life(&self, slot: usize) -> Life {
        Life(self.word(slot).get())
    }

    /// Whether the slot exists and has this version.
    #[inline]
    pub(crate) fn is_tenant(&self, slot: usize, version: usize) -> bool {
        self.lives
            .get(slot)
            .is_some_and(|word| Life(word.get()).is_version(version))
    }

    pub(crate) fn free_set<A: Access>(&self) -> FreeSet<'_, A> {
        FreeSet::new(&self.geometry, self.bitmap(2 + self.capacity.points))
    }

    /// The words of one of the sets.
    #[inline(always)]
    fn bitmap(&self, index: usize) -> Inside<'_, Word> {
        let words = self.geometry.words;
        let base = index * words;
        Inside(self.sets).part(base..base + words)
    }

    /// The slots that other threads and interrupt handlers have woken on a `Local` machine. It is atomic on every
    /// machine; see [`Waker::wake`](crate::Waker::wake).
    #[inline]
    pub(crate) fn inbox(&self) -> ActiveSet<'_, Shared> {
        ActiveSet::new(&self.geometry, self.bitmap(1 + self.capacity.points))
    }

    /// The bit that says that a deadline, posted to this slot, was withdrawn. It is atomic on every machine.
    pub(crate) fn withdrawn(&self, slot: usize) -> (&Word, usize) {
        let leaves = self.bitmap(3 + self.capacity.points);
        (leaves.at(slot / BITS), 1 << (slot % BITS))
    }

    /// Wakes those in the inbox. Answers whether there were any.
    #[inline]
    pub(crate) fn route_inbox<A: Access>(&self) -> bool {
        let any = !self.inbox().is_empty();
        if any {
            self.route_some::<A>();
            self.ring_for_own();
        }
        any
    }

    #[inline(never)]
    fn route_some<A: Access>(&self) {
        // Quietly: a bell that panics would lose the bits that are in hand.
        self.inbox()
            .drain(|slot| self.wake_tenant_quietly::<A>(slot));
    }

    #[inline(always)]
    pub(crate) fn active_set<A: Access>(&self, set: u16) -> ActiveSet<'_, A> {
        ActiveSet::new(&self.geometry, self.bitmap(set as usize))
    }

    /// The set of the point where the slot waits, or was last.
    #[inline(always)]
    pub(crate) fn place(&self, slot: usize) -> u16 {
        // ORDERING: Relaxed; read after an exchange on the lifecycle word, whose partner published it.
        self.place_word(slot).0.load(Ordering::Relaxed)
    }

    /// Only the slot's owner, or whoever is allocating it, may call this: R3.
    #[inline]
    pub(crate) fn set_place(&self, slot: usize, set: u16) {
        self.place_word(slot).0.store(set, Ordering::Relaxed);
    }

    /// Sets the slot's bit at its point.
    #[inline(always)]
    pub(crate) fn activate<A: Access>(&self, slot: usize) {
        self.activate_at::<A>(slot, self.place(slot));
    }

    /// As `activate`, but rings no bell: for the owner of a `Local` machine, which does so later.
    pub(crate) fn activate_quietly<A: Access>(&self, slot: usize) {
        let set = self.place(slot);
        if self.active_set::<A>(set).insert(slot) {
            self.counter_of(self.workload_of(set)).count_own_quietly();
        }
    }

    /// Sets the slot's bit in a set, and counts a change if nothing was active there.
    #[inline(always)]
    pub(crate) fn activate_at<A: Access>(&self, slot: usize, set: u16) {
        if self.active_set::<A>(set).insert(slot) {
            self.count_change::<A>(set);
        }
    }

    /// Counts a change at a point that somebody who may change the machine's words makes.
    #[inline]
    pub(crate) fn count_change<A: Access>(&self, set: u16) {
        if A::SHARED {
            self.counter_of(self.workload_of(set)).ring();
        } else {
            self.counter_of(self.workload_of(set)).count_own();
        }
    }

    /// The workload of a set's point.
    fn workload_of(&self, set: u16) -> Workload {
        if self.shards.is_empty() {
            return Workload::IO;
        }
        // ORDERING: Relaxed; written before the set's first state came to its point.
        Workload::from_index(self.node(set).workload_of_set.load(Ordering::Relaxed))
    }

    /// The next slot that is given back counts a change.
    pub(crate) fn watch_for_room<A: Access>(&self) {
        A::swap(&self.starved, 1);
        if A::SHARED {
            // ORDERING: the partner is the fence in `give_back`: either that sees `starved`, or who called this sees
            // the slot.
            fence(Ordering::SeqCst);
        }
    }

    /// Takes the lowest free slot.
    pub(crate) fn reserve<A: Access>(&self) -> Option<usize> {
        let free = self.free_set::<A>();
        if let Some(slot) = free.reserve() {
            return Some(slot);
        }
        self.watch_for_room::<A>();
        if A::SHARED { free.reserve() } else { None }
    }

    /// Gives a slot back, and counts a change if somebody is waiting for one.
    pub(crate) fn give_back<A: Access>(&self, slot: usize) {
        self.free_set::<A>().give_back(slot);
        self.tell_of_room::<A>();
    }

    /// A slot more is free, or a state less lives: counts a change if something waits for either.
    fn tell_of_room<A: Access>(&self) {
        if A::SHARED {
            // ORDERING: the partner is the fence in `watch_for_room`.
            fence(Ordering::SeqCst);
        }
        if self.starved.get() != 0 && A::swap(&self.starved, 0) != 0 {
            // Whatever has waited for it may be at any workload.
            self.count_for_all::<A>();
        }
    }

    /// What becomes of a slot whose version has gone round.
    pub(crate) fn wrapped<A: Access>(&self, slot: usize) {
        match self.capacity.wrap {
            Wrap::Reuse => self.give_back::<A>(slot),
            Wrap::Retire => {
                self.retired.fetch_add(1, Ordering::Relaxed);
                self.tell_of_room::<A>();
            }
        }
    }
}
