//! Memory for machines, supplied by the caller: a `static`, or plain slices.

use core::{
    any::{TypeId, type_name},
    cell::UnsafeCell,
    mem::MaybeUninit,
};

use crate::{
    access::{Admits, Word},
    capacity::Capacity,
    error::TooShort,
    frame::{Frame, FrameCell, Payloads, StateType},
    index::SetCell,
    lifecycle::VersionLimit,
    lineage::Kin,
    machine::Machine,
    scratch::Index,
    sync::{AtomicUsize, Witness},
    task::TaskCell,
    trie::{Growth, Node},
    watch::Shard,
};
#[cfg(not(loom))]
use crate::{
    access::{Local, Shared},
    error::Claimed,
    sync::Ordering,
};

/// Room for one state.
#[repr(transparent)]
pub struct Payload<T>(UnsafeCell<MaybeUninit<T>>);

opaque_debug!(Payload<T>, Place);

impl<T> Payload<T> {
    /// Unused room.
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "fresh room for each array element is what is wanted"
    )]
    pub const EMPTY: Payload<T> = Payload(UnsafeCell::new(MaybeUninit::uninit()));
}

/// Where one state waits.
#[repr(transparent)]
pub struct Place(pub(crate) SetCell);

impl Place {
    /// Unused room: all zero.
    #[cfg(not(loom))]
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "fresh room for each array element is what is wanted"
    )]
    pub const EMPTY: Place = Place(SetCell::EMPTY);

    #[cfg(loom)]
    pub(crate) fn empty() -> Place {
        Place(SetCell::empty())
    }
}

/// The memory of a machine, as slices: the constructor that the others are made of.
///
/// [`Capacity`] says how long each slice must be. The elements must be fresh (`EMPTY`).
///
/// ```
/// use batchloop_core::{Capacity, Index, Kin, Machine, Node, Parts, Payload, Place, Word, FrameCell};
///
/// const CAPACITY: Capacity = Capacity::slots(8).points(2).scopes(0);
/// let parts = Parts {
///     frame: Box::leak(Box::new(FrameCell::EMPTY)),
///     payloads: Box::leak(Box::new([Payload::EMPTY; 8])),
///     lives: Box::leak(Box::new([Word::EMPTY; 8])),
///     places: Box::leak(Box::new([Place::EMPTY; 8])),
///     sets: Box::leak(Box::new([Word::EMPTY; CAPACITY.set_words()])),
///     nodes: Box::leak(Box::new([Node::EMPTY; CAPACITY.nodes()])),
///     kin: Box::leak(Box::new([Kin::EMPTY; CAPACITY.kin()])),
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
    pub frame: &'static mut FrameCell,
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
    pub kin: &'static mut [Kin],
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
            frame: self.frame,
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
    pub(crate) unsafe fn assemble<A: Admits<T>>(self, capacity: Capacity) -> Machine<T, A> {
        let frame = self.frame.0.write(Frame {
            lives: self.lives,
            places: self.places,
            sets: self.sets,
            nodes: self.nodes,
            geometry: capacity.geometry(),
            payloads: Payloads {
                base: self.payloads.as_mut_ptr().cast(),
                stride: size_of::<T>(),
                witness: Witness::new(capacity.slots),
            },
            capacity,
            shards: self.shards,
            counter: Shard(crate::change::ChangeCounter::new()),
            scratch: self.scratch,
            growth: Growth::new(),
            limit: VersionLimit::of_bits(capacity.version_bits),
            starved: Word(AtomicUsize::new(0)),
            retired: AtomicUsize::new(0),
            drivers: AtomicUsize::new(0),
            parents: self.kin,
            tasks: self.tasks,
            state: StateType {
                drop: drop_payload::<T>,
                id: TypeId::of::<T>(),
                name: type_name::<T>(),
            },
        });
        // SAFETY: R6: it is for states of this type, and nothing has another name for it.
        unsafe { Machine::new(frame) }
    }
}

/// # Safety
///
/// `payload` is the address of an initialised `T` that nobody else refers to.
unsafe fn drop_payload<T>(payload: *mut u8) {
    // SAFETY: R4: the caller's promise.
    unsafe { core::ptr::drop_in_place(payload.cast::<T>()) };
}

/// The memory of a machine as one `static`, made by [`storage!`](crate::storage). Its image is all zero.
///
/// The number parameters are an implementation detail of the macro.
#[cfg(not(loom))]
#[repr(C)]
pub struct Storage<
    T: 'static,
    const SLOTS: usize,
    const SETS: usize,
    const NODES: usize,
    const KIN: usize,
    const TASKS: usize,
    const SHARDS: usize,
    const SCRATCH: usize,
> {
    parts: UnsafeCell<Arrays<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>>,
    claimed: AtomicUsize,
}

/// The frame comes first, for the same reason as its fields do.
#[cfg(not(loom))]
#[repr(C)]
struct Arrays<
    T: 'static,
    const SLOTS: usize,
    const SETS: usize,
    const NODES: usize,
    const KIN: usize,
    const TASKS: usize,
    const SHARDS: usize,
    const SCRATCH: usize,
> {
    frame: FrameCell,
    payloads: [Payload<T>; SLOTS],
    lives: [Word; SLOTS],
    places: [Place; SLOTS],
    sets: [Word; SETS],
    nodes: [Node; NODES],
    kin: [Kin; KIN],
    tasks: [TaskCell; TASKS],
    shards: [Shard; SHARDS],
    scratch: [Index; SCRATCH],
}

// SAFETY: R7: nothing in it is touched before `claim`, and the one caller that wins `claim` has it alone. No state
// is in it before, so `T` need not be `Send`; a machine that crosses threads asks for that itself (`Admits`).
#[cfg(not(loom))]
unsafe impl<
    T: 'static,
    const SLOTS: usize,
    const SETS: usize,
    const NODES: usize,
    const KIN: usize,
    const TASKS: usize,
    const SHARDS: usize,
    const SCRATCH: usize,
> Sync for Storage<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>
{
}

#[cfg(not(loom))]
impl<
    T: 'static,
    const SLOTS: usize,
    const SETS: usize,
    const NODES: usize,
    const KIN: usize,
    const TASKS: usize,
    const SHARDS: usize,
    const SCRATCH: usize,
> Storage<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>
{
    #[doc(hidden)]
    pub const fn new() -> Self {
        Storage {
            parts: UnsafeCell::new(Arrays {
                frame: FrameCell::EMPTY,
                payloads: [const { Payload::EMPTY }; SLOTS],
                lives: [const { Word::EMPTY }; SLOTS],
                places: [const { Place::EMPTY }; SLOTS],
                sets: [const { Word::EMPTY }; SETS],
                nodes: [const { Node::EMPTY }; NODES],
                kin: [const { Kin::EMPTY }; KIN],
                tasks: [const { TaskCell::EMPTY }; TASKS],
                shards: [const { Shard::EMPTY }; SHARDS],
                scratch: [const { Index::EMPTY }; SCRATCH],
            }),
            claimed: AtomicUsize::new(0),
        }
    }

    /// # Safety
    ///
    /// R5: `capacity` is what the arrays were made for.
    unsafe fn claim<A: Admits<T>>(
        &'static self,
        capacity: Capacity,
    ) -> Result<Machine<T, A>, Claimed> {
        // ORDERING: Relaxed; the winner is the first to touch the arrays, so there is nothing to acquire.
        self.claimed
            .compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed)
            .map_err(|_| Claimed)?;
        let arrays = self.parts.get();
        // SAFETY: R7: only the one winner of the exchange above gets here.
        let arrays = unsafe { &mut *arrays };
        let parts = Parts {
            frame: &mut arrays.frame,
            payloads: &mut arrays.payloads,
            lives: &mut arrays.lives,
            places: &mut arrays.places,
            sets: &mut arrays.sets,
            nodes: &mut arrays.nodes,
            kin: &mut arrays.kin,
            tasks: &mut arrays.tasks,
            shards: &mut arrays.shards,
            scratch: &mut arrays.scratch,
        };
        // SAFETY: R5: the caller's promise.
        Ok(unsafe { parts.assemble(capacity) })
    }
}

#[cfg(not(loom))]
impl<
    T: 'static,
    const SLOTS: usize,
    const SETS: usize,
    const NODES: usize,
    const KIN: usize,
    const TASKS: usize,
    const SHARDS: usize,
    const SCRATCH: usize,
> Default for Storage<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>
{
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(not(loom))]
impl<
    T: 'static,
    const SLOTS: usize,
    const SETS: usize,
    const NODES: usize,
    const KIN: usize,
    const TASKS: usize,
    const SHARDS: usize,
    const SCRATCH: usize,
> core::fmt::Debug for Storage<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>
{
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Storage({SLOTS} slots)")
    }
}

/// A `static` that a machine lives in, with the capacity beside it; see [`storage!`](crate::storage).
#[cfg(not(loom))]
#[derive(Debug)]
pub struct Home<S: 'static> {
    storage: &'static S,
    capacity: Capacity,
}

#[cfg(not(loom))]
impl<
    T: 'static,
    const SLOTS: usize,
    const SETS: usize,
    const NODES: usize,
    const KIN: usize,
    const TASKS: usize,
    const SHARDS: usize,
    const SCRATCH: usize,
> Home<Storage<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>>
{
    #[doc(hidden)]
    pub const fn new(
        storage: &'static Storage<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>,
        capacity: Capacity,
    ) -> Self {
        assert!(
            SLOTS == capacity.slots
                && SETS == capacity.set_words()
                && NODES == capacity.nodes()
                && KIN == capacity.kin()
                && TASKS == capacity.task_cells()
                && SHARDS == capacity.shards()
                && SCRATCH == capacity.scratch(),
            "storage arrays do not match the capacity"
        );
        capacity.footprint::<T>();
        Home { storage, capacity }
    }

    /// Makes the machine, for one thread. It can be made once.
    ///
    /// # Errors
    ///
    /// [`Claimed`] from the second time on.
    pub fn local(&self) -> Result<Machine<T, Local>, Claimed> {
        // SAFETY: R5: `new` has compared them.
        unsafe { self.storage.claim(self.capacity) }
    }

    /// Makes the machine, for any number of threads. It can be made once.
    ///
    /// # Errors
    ///
    /// [`Claimed`] from the second time on.
    pub fn shared(&self) -> Result<Machine<T, Shared>, Claimed>
    where
        T: Send,
    {
        // SAFETY: R5: `new` has compared them.
        unsafe { self.storage.claim(self.capacity) }
    }

    /// The limits that the storage was made for.
    pub const fn capacity(&self) -> Capacity {
        self.capacity
    }
}

/// Makes the memory of a machine: a `static` whose image is all zero, so that it costs no flash.
///
/// ```
/// use batchloop_core::{Capacity, storage};
///
/// struct Blink { on: bool }
///
/// storage!(static BLINKS: Blink = Capacity::slots(4).points(2).scopes(0));
///
/// let machine = BLINKS.local()?;
/// machine.allocate(Blink { on: false }).unwrap();
/// assert_eq!(machine.live(), 1);
/// assert!(BLINKS.local().is_err(), "a storage is for one machine");
/// # Ok::<(), batchloop_core::Claimed>(())
/// ```
#[macro_export]
macro_rules! storage {
    ($(#[$meta:meta])* $visibility:vis static $name:ident: $state:ty = $capacity:expr) => {
        // Types have names of their own, so this one disturbs nobody. It has the capacity computed once: a mistake in
        // it is one error and not one for each array.
        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code)]
        struct $name {}

        impl $name {
            const CAPACITY: $crate::Capacity = $capacity;
        }

        $(#[$meta])*
        $visibility static $name: $crate::Home<
            $crate::Storage<
                $state,
                { $name::CAPACITY.slot_count() },
                { $name::CAPACITY.set_words() },
                { $name::CAPACITY.nodes() },
                { $name::CAPACITY.kin() },
                { $name::CAPACITY.task_cells() },
                { $name::CAPACITY.shards() },
                { $name::CAPACITY.scratch() },
            >,
        > = {
            static STORAGE: $crate::Storage<
                $state,
                { $name::CAPACITY.slot_count() },
                { $name::CAPACITY.set_words() },
                { $name::CAPACITY.nodes() },
                { $name::CAPACITY.kin() },
                { $name::CAPACITY.task_cells() },
                { $name::CAPACITY.shards() },
                { $name::CAPACITY.scratch() },
            > = $crate::Storage::new();
            $crate::Home::new(&STORAGE, $name::CAPACITY)
        };
    };
}
