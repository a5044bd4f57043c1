//! The part of a machine that does not know the type of its states.
//!
//! Code that is the same for every state type lives on [`RawMachine`], so that it is compiled once per access and not
//! once per type.

use core::{fmt, hash};

use crate::{
    ground::{
        active_set::ActiveSet,
        bitmap::{BITS, Bitmap, Geometry, Spot},
        free_set::FreeSet,
        index::{SetCell, SetId, SlotId},
        sync::{AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence},
        witness::Witness,
        word::{Access, Shared, Word},
    },
    program::trie::Trie,
    slab::{
        capacity::Capacity,
        entry::Index,
        lifecycle::{Life, VersionLimit},
    },
    sleep::counters::Counters,
};

/// Where one state waits.
#[derive(Default)]
#[repr(transparent)]
pub(crate) struct Place(SetCell);

/// A state of some machine: what its slot holds as long as it has this version.
#[derive(Clone, Copy)]
pub(crate) struct Tenant {
    pub(crate) raw: &'static RawMachine,
    pub(crate) slot: SlotId,
    pub(crate) version: usize,
}

impl Tenant {
    /// None: what a handle of another machine names. No state has an even version.
    pub(crate) fn nothing(raw: &'static RawMachine) -> Self {
        let (slot, version) = (SlotId::FIRST, 0);
        Tenant { raw, slot, version }
    }

    /// The state by its slot and version alone, as dumps call it.
    pub(crate) fn number(self) -> impl fmt::Display {
        fmt::from_fn(move |f| write!(f, "#{}v{}", self.slot.number(), self.version))
    }

    /// Whether the state lives.
    #[inline]
    pub(crate) fn is_live(self) -> bool {
        self.version % 2 == 1 && self.raw.life(self.slot).is_version(self.version)
    }
}

impl PartialEq for Tenant {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.raw, other.raw)
            && self.slot == other.slot
            && self.version == other.version
    }
}

impl Eq for Tenant {}

impl hash::Hash for Tenant {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        core::ptr::hash(self.raw, state);
        self.slot.number().hash(state);
        self.version.hash(state);
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.raw.trie.state_type();
        write!(f, "{name}{}", self.number())
    }
}

/// Room for the parent of one state.
#[derive(Default)]
pub(crate) struct ParentCell {
    raw: AtomicPtr<RawMachine>,
    slot: AtomicU32,
    version: AtomicUsize,
}

impl ParentCell {
    /// Only what is allocating the slot calls this, before the slot is live.
    pub(crate) fn set(&self, parent: Option<Tenant>) {
        let (raw, slot, version) = match parent {
            Some(parent) => (
                core::ptr::from_ref(parent.raw).cast_mut(),
                parent.slot.bits(),
                parent.version,
            ),
            None => (core::ptr::null_mut(), 0, 0),
        };
        // ORDERING: Release; the partner is the Acquire load in `get`, so that the parent's machine is seen.
        self.raw.store(raw, Ordering::Release);
        self.slot.store(slot, Ordering::Relaxed);
        self.version.store(version, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Option<Tenant> {
        // ORDERING: Acquire; the partner is the Release store in `set`.
        let raw = self.raw.load(Ordering::Acquire);
        let slot = self.slot.load(Ordering::Relaxed);
        let version = self.version.load(Ordering::Relaxed);
        // SAFETY: R1: the pointer is null or was made from a `&'static RawMachine` in `set`.
        let raw = unsafe { raw.as_ref() }?;
        // A mixture of two tenants' parents may name a slot that the machine does not have.
        let slot = raw.slot(slot as usize)?;
        Some(Tenant { raw, slot, version })
    }
}

/// What the task waker of one state points to.
///
/// A task waker has one pointer and nothing else. The address of the cell tells the slot, and what is inside tells the
/// machine.
#[derive(Default)]
pub(crate) struct TaskCell {
    pub(crate) raw: AtomicPtr<RawMachine>,
}

/// The states' memory.
pub(crate) struct Payloads {
    pub(crate) base: *mut u8,
    pub(crate) stride: usize,
    pub(crate) witness: Witness,
}

/// Everything of a machine but the type of its states.
///
/// What a wake or a turn uses comes first: fields near the start are reached by short instructions.
#[repr(C)]
pub(crate) struct RawMachine {
    pub(crate) lives: &'static [Word],
    pub(crate) places: &'static [Place],
    pub(crate) sets: &'static [Word],
    pub(crate) geometry: Geometry,
    pub(crate) payloads: Payloads,
    pub(crate) capacity: Capacity,
    /// The top word of the entrance's set.
    pub(crate) entrance_top: &'static Word,
    /// The top word of the inbox.
    pub(crate) inbox_top: &'static Word,
    pub(crate) counters: Counters,
    pub(crate) scratch: &'static [Index],
    pub(crate) trie: Trie,
    /// Whether every slot was seen in use since the last one was given back.
    pub(crate) starved: Word,
    /// How many slots have a state or are reserved for one.
    pub(crate) live: Word,
    // Between words that begin as zero, of which the compiler would call a function to clear five.
    pub(crate) limit: VersionLimit,
    pub(crate) retired: AtomicUsize,
    /// Turns that have a number.
    pub(crate) turns: AtomicUsize,
    /// A bit for each driver that exists.
    pub(crate) drivers: AtomicUsize,
    pub(crate) parents: &'static [ParentCell],
    pub(crate) tasks: &'static [TaskCell],
    pub(crate) drop: unsafe fn(*mut u8),
}

// SAFETY: R1, R2, R8: the raw pointer is to `'static` storage that only the holder of a slot's lock reads or writes.
// Handing states to another thread is decided by `Admits`, and by `Machine` not being `Send` for `Local`.
unsafe impl Sync for RawMachine {}
// SAFETY: R1, R2, R8: as above.
unsafe impl Send for RawMachine {}

/// What the bits of a bitmap say of the slots.
#[derive(Clone, Copy)]
enum Bits {
    /// Which may have been woken, of those that wait at the point of the set.
    Active(SetId),
    Inbox,
    Free,
    Withdrawn,
}

impl RawMachine {
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

    pub(crate) fn kin(&self, slot: usize) -> Option<&ParentCell> {
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

    pub(super) fn free_set<A: Access>(&self) -> FreeSet<'_, A> {
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
    pub(super) fn inbox(&self) -> ActiveSet<'_, Shared> {
        ActiveSet::new(self.bitmap(Bits::Inbox))
    }

    /// The bit that says that a deadline, posted to this slot, was withdrawn. It is atomic on every machine.
    pub(super) fn withdrawn(&self, slot: SlotId) -> (&Word, usize) {
        let word = self.bitmap(Bits::Withdrawn).word(Spot::leaf(slot));
        (word, 1 << (slot.number() % BITS))
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

    /// Only the slot's owner, or what is allocating it, may call this: R3.
    #[inline]
    pub(crate) fn set_place(&self, slot: SlotId, set: SetId) {
        self.place_cell(slot).0.store(set, Ordering::Relaxed);
    }
}
