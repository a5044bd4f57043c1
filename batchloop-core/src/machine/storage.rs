//! Memory for machines, supplied by the caller as plain slices.

use core::{
    any::{TypeId, type_name},
    cell::UnsafeCell,
    mem::MaybeUninit,
};

use crate::{
    ground::{
        sync::AtomicUsize,
        witness::Witness,
        word::{Admits, Word},
    },
    machine::{full::TooShort, typed::Machine},
    program::trie::{Node, Trie, Whole},
    slab::{
        capacity::Capacity,
        entry::Index,
        lifecycle::VersionLimit,
        raw::{MachineCell, ParentCell, Payloads, Place, RawMachine, TaskCell},
    },
    sleep::counters::{Counters, Shard},
};

/// Room for one state.
#[repr(transparent)]
pub struct Payload<T>(UnsafeCell<MaybeUninit<T>>);

opaque_debug!(Payload<T>);

impl<T> Payload<T> {
    /// Unused room.
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "fresh room for each array element is what is wanted"
    )]
    pub const EMPTY: Payload<T> = Payload(UnsafeCell::new(MaybeUninit::uninit()));
}

/// The memory of a machine, as slices: the constructor that the others are made of.
///
/// [`Capacity`] says how long each slice must be. The elements must be fresh (`EMPTY`).
///
/// ```
/// use batchloop_core::{Capacity, Index, ParentCell, Machine, Node, Parts, Payload, Place, Word, MachineCell};
///
/// const CAPACITY: Capacity = Capacity::slots(8).points(2).scopes(0);
/// let parts = Parts {
///     raw: Box::leak(Box::new(MachineCell::EMPTY)),
///     payloads: Box::leak(Box::new([Payload::EMPTY; 8])),
///     lives: Box::leak(Box::new([Word::EMPTY; 8])),
///     places: Box::leak(Box::new([Place::EMPTY; 8])),
///     sets: Box::leak(Box::new([Word::EMPTY; CAPACITY.set_words()])),
///     nodes: Box::leak(Box::new([Node::EMPTY; CAPACITY.nodes()])),
///     kin: Box::leak(Box::new([ParentCell::EMPTY; CAPACITY.kin()])),
///     tasks: Box::leak(Box::new([])),
///     shards: Box::leak(Box::new([])),
///     scratch: Box::leak(Box::new([Index::EMPTY; CAPACITY.scratch()])),
/// };
/// let machine: Machine<u8> = parts.machine(CAPACITY)?;
/// assert_eq!(machine.capacity(), 8);
/// # Ok::<(), batchloop_core::TooShort>(())
/// ```
pub struct Parts<T: 'static> {
    /// The machine's own record.
    pub raw: &'static mut MachineCell,
    /// One element a slot.
    pub payloads: &'static mut [Payload<T>],
    /// One element a slot.
    pub lives: &'static mut [Word],
    /// One element a slot.
    pub places: &'static mut [Place],
    /// [`Capacity::set_words`] elements.
    pub sets: &'static mut [Word],
    /// [`Capacity::nodes`] elements.
    pub nodes: &'static mut [Node],
    /// [`Capacity::kin`] elements.
    pub kin: &'static mut [ParentCell],
    /// [`Capacity::task_cells`] elements.
    pub tasks: &'static mut [TaskCell],
    /// [`Capacity::shards`] elements.
    pub shards: &'static mut [Shard],
    /// [`Capacity::scratch`] elements.
    pub scratch: &'static mut [Index],
}

impl<T> core::fmt::Debug for Parts<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Parts({} slots)", self.payloads.len())
    }
}

impl<T: 'static> Parts<T> {
    /// Makes the machine.
    ///
    /// # Errors
    ///
    /// [`TooShort`] names the slice that is.
    pub fn machine<A: Admits<T>>(self, capacity: Capacity) -> Result<Machine<T, A>, TooShort> {
        let lengths = [
            ("payloads", self.payloads.len(), capacity.slots),
            ("lives", self.lives.len(), capacity.slots),
            ("places", self.places.len(), capacity.slots),
            ("sets", self.sets.len(), capacity.set_words()),
            ("nodes", self.nodes.len(), capacity.nodes()),
            ("kin", self.kin.len(), capacity.kin()),
            ("tasks", self.tasks.len(), capacity.task_cells()),
            ("shards", self.shards.len(), capacity.shards()),
            ("scratch", self.scratch.len(), capacity.scratch()),
        ];
        for (part, found, needed) in lengths {
            if found < needed {
                return Err(TooShort {
                    part,
                    needed,
                    found,
                });
            }
        }
        let parts = Parts {
            raw: self.raw,
            payloads: &mut self.payloads[..capacity.slots],
            lives: &mut self.lives[..capacity.slots],
            places: &mut self.places[..capacity.slots],
            sets: &mut self.sets[..capacity.set_words()],
            nodes: &mut self.nodes[..capacity.nodes()],
            kin: &mut self.kin[..capacity.kin()],
            tasks: &mut self.tasks[..capacity.task_cells()],
            shards: &mut self.shards[..capacity.shards()],
            scratch: &mut self.scratch[..capacity.scratch()],
        };
        // SAFETY: R5: the lengths were compared.
        Ok(unsafe { parts.assemble(capacity) })
    }

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
        // SAFETY: R5: the caller's promise.
        let trie = unsafe { Trie::new(self.nodes, capacity.points, capacity.scopes, whole) };
        let raw = self.raw.0.write(RawMachine {
            lives: self.lives,
            places: self.places,
            sets: self.sets,
            geometry: capacity.geometry(),
            payloads: Payloads {
                base: self.payloads.as_mut_ptr().cast(),
                stride: size_of::<T>(),
                witness: Witness::new(capacity.slots),
            },
            capacity,
            counters: Counters::new(self.shards),
            scratch: self.scratch,
            trie,
            limit: VersionLimit::of_bits(capacity.version_bits),
            starved: Word(AtomicUsize::new(0)),
            live: Word(AtomicUsize::new(0)),
            retired: AtomicUsize::new(0),
            turns: AtomicUsize::new(0),
            drivers: AtomicUsize::new(0),
            parents: self.kin,
            tasks: self.tasks,
            drop: drop_payload::<T>,
        });
        // SAFETY: R6: it is for states of this type, and nothing has another name for it.
        unsafe { Machine::new(raw) }
    }
}

/// # Safety
///
/// `payload` is the address of an initialised `T` that nobody else refers to.
unsafe fn drop_payload<T>(payload: *mut u8) {
    // SAFETY: R4: the caller's promise.
    unsafe { core::ptr::drop_in_place(payload.cast::<T>()) };
}
