//! The part of a machine that does not know the type of its states.
//!
//! Code that is the same for every state type lives on [`Frame`], so that it is compiled once per access and not
//! once per type.

use core::{any::TypeId, mem::MaybeUninit};

use crate::{
    access::{Access, Shared, Word},
    active_set::ActiveSet,
    bitmap::{BITS, Bitmap, Geometry, Spot},
    capacity::{Capacity, Wrap},
    free_set::FreeSet,
    index::{NodeId, SetId, SlotId},
    lifecycle::{Life, VersionLimit},
    lineage::Kin,
    scratch::Index,
    storage::Place,
    sync::{AtomicUsize, Ordering, Witness, fence},
    task::TaskCell,
    trie::{Growth, Node},
    type_name::TypeName,
    watch::Shard,
    workload::Workload,
};

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
    /// How many slots have a state or are reserved for one.
    pub(crate) live: Word,
    pub(crate) retired: AtomicUsize,
    /// Turns that have a number.
    pub(crate) turns: AtomicUsize,
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

/// What the bits of a bitmap say of the slots.
#[derive(Clone, Copy)]
enum Bits {
    /// Which may have been woken, of those that wait at the point of the set.
    Active(SetId),
    Inbox,
    Free,
    Withdrawn,
}

impl Frame {
    pub(crate) fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    pub(crate) fn growth(&self) -> &Growth {
        &self.growth
    }

    pub(crate) fn state_type(&self) -> TypeName {
        TypeName::new(self.state.name)
    }

    /// A number for a turn. It is another one's only after as many as a word can count.
    #[cold]
    pub(crate) fn number_turn(&self) -> usize {
        // ORDERING: Relaxed; the numbers are compared only.
        self.turns.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// The slot of this number, if there is one.
    #[inline(always)]
    pub(crate) fn slot(&self, number: usize) -> Option<SlotId> {
        self.geometry.slot(number)
    }

    /// The set of this number, if there is a point for it.
    pub(crate) fn set(&self, number: usize) -> Option<SetId> {
        if number > self.capacity.points {
            return None;
        }
        // SAFETY: R5: it has just been compared.
        Some(unsafe { SetId::new_unchecked(number) })
    }

    /// The node of this number, if there is room for it.
    pub(crate) fn node_id(&self, number: usize) -> Option<NodeId> {
        if number >= self.nodes.len() {
            return None;
        }
        // SAFETY: R5: it has just been compared.
        Some(unsafe { NodeId::new_unchecked(number) })
    }

    #[inline(always)]
    pub(crate) fn node(&self, node: NodeId) -> &Node {
        debug_assert!(node.number() < self.nodes.len());
        // SAFETY: R5: the number of a node.
        unsafe { self.nodes.get_unchecked(node.number()) }
    }

    pub(crate) fn kin(&self, slot: usize) -> Option<&Kin> {
        self.parents.get(slot)
    }

    #[inline(always)]
    pub(crate) fn word(&self, slot: SlotId) -> &'static Word {
        debug_assert!(slot.number() < self.lives.len());
        // SAFETY: R5: the number of a slot.
        unsafe { self.lives.get_unchecked(slot.number()) }
    }

    #[inline(always)]
    fn place_cell(&self, slot: SlotId) -> &'static Place {
        debug_assert!(slot.number() < self.places.len());
        // SAFETY: R5: the number of a slot.
        unsafe { self.places.get_unchecked(slot.number()) }
    }

    /// Where the payload of a slot lies. To form a reference takes its lock.
    #[inline]
    pub(crate) fn payload(&self, slot: SlotId) -> *mut u8 {
        let bytes = slot.number().wrapping_mul(self.payloads.stride);
        self.payloads.base.wrapping_add(bytes)
    }

    #[inline]
    pub(crate) fn life(&self, slot: SlotId) -> Life {
        Life(self.word(slot).get())
    }

    /// The slot, if it exists and has this version.
    #[inline]
    pub(crate) fn tenant(&self, number: usize, version: usize) -> Option<SlotId> {
        let slot = self.slot(number)?;
        self.life(slot).is_version(version).then_some(slot)
    }

    /// Whether what was read of a tenant, after its version, was not yet another one's.
    pub(crate) fn is_still(&self, slot: SlotId, version: usize) -> bool {
        // ORDERING: Acquire; the partner is the fence in `settle`.
        fence(Ordering::Acquire);
        self.life(slot).is_version(version)
    }

    /// What a thread that reads the words of a `Local` machine may read of its slots is written, and the words of those
    /// slots come next. The exchanges of a `Shared` machine do that by themselves.
    #[inline(always)]
    pub(crate) fn publish<A: Access>(&self) {
        if !A::SHARED {
            // ORDERING: Release; the partner is the Acquire load of a word that is stored after this.
            fence(Ordering::Release);
        }
    }

    pub(crate) fn free_set<A: Access>(&self) -> FreeSet<'_, A> {
        FreeSet::new(self.bitmap(Bits::Free))
    }

    /// The words of one of the sets.
    #[inline(always)]
    fn bitmap(&self, bits: Bits) -> Bitmap<'_> {
        let index = match bits {
            Bits::Active(set) => set.number(),
            Bits::Inbox => 1 + self.capacity.points,
            Bits::Free => 2 + self.capacity.points,
            Bits::Withdrawn => 3 + self.capacity.points,
        };
        let words = self.geometry.words();
        let base = index * words;
        debug_assert!(base + words <= self.sets.len());
        // SAFETY: R5: there are words for so many bitmaps.
        let words = unsafe { self.sets.get_unchecked(base..base + words) };
        // SAFETY: R5: as many as the geometry says.
        unsafe { Bitmap::new_unchecked(&self.geometry, words) }
    }

    /// The slots that other threads and interrupt handlers have woken on a `Local` machine. It is atomic on every
    /// machine; see [`Waker::wake`](crate::Waker::wake).
    #[inline]
    pub(crate) fn inbox(&self) -> ActiveSet<'_, Shared> {
        ActiveSet::new(self.bitmap(Bits::Inbox))
    }

    /// The bit that says that a deadline, posted to this slot, was withdrawn. It is atomic on every machine.
    pub(crate) fn withdrawn(&self, slot: SlotId) -> (&Word, usize) {
        let word = self.bitmap(Bits::Withdrawn).word(Spot::leaf(slot));
        (word, 1 << (slot.number() % BITS))
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
    pub(crate) fn active_set<A: Access>(&self, set: SetId) -> ActiveSet<'_, A> {
        ActiveSet::new(self.bitmap(Bits::Active(set)))
    }

    /// The set of the point where the slot waits, or was last.
    #[inline(always)]
    pub(crate) fn place(&self, slot: SlotId) -> SetId {
        // ORDERING: Relaxed; read after an exchange on the lifecycle word, whose partner published it.
        self.place_cell(slot).0.load(Ordering::Relaxed)
    }

    /// Only the slot's owner, or whoever is allocating it, may call this: R3.
    #[inline]
    pub(crate) fn set_place(&self, slot: SlotId, set: SetId) {
        self.place_cell(slot).0.store(set, Ordering::Relaxed);
    }

    /// Sets the slot's bit at its point.
    #[inline(always)]
    pub(crate) fn activate<A: Access>(&self, slot: SlotId) {
        self.activate_at::<A>(slot, self.place(slot));
    }

    /// As `activate`, but rings no bell: for the owner of a `Local` machine, which does so later.
    pub(crate) fn activate_quietly<A: Access>(&self, slot: SlotId) {
        let set = self.place(slot);
        if self.active_set::<A>(set).insert(slot) {
            self.counter_of(self.workload_of(set)).count_own_quietly();
        }
    }

    /// Sets the slot's bit in a set, and counts a change if nothing was active there.
    #[inline(always)]
    pub(crate) fn activate_at<A: Access>(&self, slot: SlotId, set: SetId) {
        if self.active_set::<A>(set).insert(slot) {
            self.count_change::<A>(set);
        }
    }

    /// Counts a change at a point that somebody who may change the machine's words makes.
    #[inline]
    pub(crate) fn count_change<A: Access>(&self, set: SetId) {
        if A::SHARED {
            self.counter_of(self.workload_of(set)).ring();
        } else {
            self.counter_of(self.workload_of(set)).count_own();
        }
    }

    /// The workload of a set's point.
    fn workload_of(&self, set: SetId) -> Workload {
        if self.shards.is_empty() {
            return Workload::IO;
        }
        Workload::from_index(self.workload_index(set))
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

    /// Gives a slot back, and counts a change if somebody is waiting for one.
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
            self.count_for_all::<A>();
        }
    }

    /// What becomes of a slot whose version has gone round.
    ///
    /// # Safety
    ///
    /// As [`give_back`](Self::give_back).
    pub(crate) unsafe fn wrapped<A: Access>(&self, slot: SlotId) {
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
