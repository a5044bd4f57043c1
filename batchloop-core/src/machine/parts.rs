//! The memory of a machine, cut into its parts.

use core::{
    any::{TypeId, type_name},
    mem::MaybeUninit,
};

use crate::{
    ground::{
        bitmap::Tops,
        index::SetId,
        witness::Witness,
        word::{Admits, Word},
    },
    machine::typed::Machine,
    program::{
        node::Node,
        trie::{Trie, Whole},
    },
    slab::{
        capacity::Capacity,
        entry::Index,
        lifecycle::VersionLimit,
        raw::{ParentCell, Payloads, Place, RawMachine, TaskCell},
    },
    sleep::counters::{Counters, Shard},
};

/// Elements of a machine's bookkeeping, which are fresh when all their bytes are zero. In models they are made one by one,
/// since loom's words are not zero; hence `Default`.
///
/// # Safety
///
/// R9: all-zero bytes are a valid value, and it is the default one.
pub(super) unsafe trait Zeroed: Sized + Default {}

macro_rules! zeroed {
    ($($element:ty),*) => {$(
        // SAFETY: R9: it is made of atomic integers and atomic raw pointers only.
        unsafe impl Zeroed for $element {}
    )*};
}

zeroed!(Word, Place, Node, ParentCell, TaskCell, Index, Shard);

/// The parts, each as long as the capacity needs it.
pub(super) struct Parts<T: 'static> {
    pub(super) raw: &'static mut MaybeUninit<RawMachine>,
    pub(super) payloads: &'static mut [MaybeUninit<T>],
    pub(super) shards: &'static mut [Shard],
    pub(super) lives: &'static mut [Word],
    pub(super) sets: &'static mut [Word],
    pub(super) parents: &'static mut [ParentCell],
    pub(super) tasks: &'static mut [TaskCell],
    pub(super) nodes: &'static mut [Node],
    pub(super) scratch: &'static mut [Index],
    pub(super) places: &'static mut [Place],
}

impl<T: 'static> Parts<T> {
    /// Makes the machine.
    ///
    /// # Safety
    ///
    /// R5: the parts are as long as the capacity needs them.
    pub(super) unsafe fn assemble<A: Admits<T>>(self, capacity: Capacity) -> Machine<T, A> {
        let whole = Whole {
            id: TypeId::of::<T>(),
            name: type_name::<T>(),
        };
        let geometry = capacity.geometry();
        // SAFETY: R5: the caller's promise.
        let tops = unsafe { Tops::new(&geometry, self.sets) };
        let entrance_top = tops.of(SetId::ENTRANCE);
        // SAFETY: R5: the inbox comes first of those that belong to no point.
        let inbox_top = unsafe { tops.behind(capacity.points) };
        // SAFETY: R5: as above.
        let trie = unsafe { Trie::new(self.nodes, tops, capacity.points, capacity.scopes, whole) };
        let raw = self.raw.write(RawMachine {
            lives: self.lives,
            places: self.places,
            sets: self.sets,
            geometry,
            payloads: Payloads {
                base: self.payloads.as_mut_ptr().cast(),
                stride: size_of::<T>(),
                witness: Witness::new(capacity.slots),
            },
            capacity,
            entrance_top,
            inbox_top,
            counters: Counters::new(self.shards),
            scratch: self.scratch,
            trie,
            limit: VersionLimit::of_bits(capacity.version_bits),
            starved: Word::default(),
            live: Word::default(),
            retired: Default::default(),
            turns: Default::default(),
            drivers: Default::default(),
            parents: self.parents,
            tasks: self.tasks,
            drop: drop_payload::<T>,
        });
        // SAFETY: R6: it is for states of this type, and nothing has another name for it.
        unsafe { Machine::new(raw) }
    }
}

/// # Safety
///
/// `payload` is the address of an initialised `T` to which there is no other reference.
unsafe fn drop_payload<T>(payload: *mut u8) {
    // SAFETY: R4: the caller's promise.
    unsafe { core::ptr::drop_in_place(payload.cast::<T>()) };
}
