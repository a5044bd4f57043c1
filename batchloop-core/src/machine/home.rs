//! Memory for machines, supplied by the caller as a `static`.

use core::{cell::UnsafeCell, mem::offset_of};

use crate::{
    ground::word::{Admits, Local, Shared, Word},
    machine::{
        claim::Claim,
        full::Claimed,
        storage::{Parts, Payload},
        typed::Machine,
    },
    program::trie::Node,
    slab::{
        capacity::Capacity,
        entry::Index,
        raw::{MachineCell, ParentCell, Place, TaskCell},
    },
    sleep::counters::Shard,
};

/// The memory of a machine as one `static`, made by [`storage!`](crate::storage). Its image is all zero.
///
/// The number parameters are an implementation detail of the macro.
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
    claim: Claim,
}

/// The raw comes first, for the same reason as its fields do.
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
    raw: MachineCell,
    payloads: [Payload<T>; SLOTS],
    lives: [Word; SLOTS],
    places: [Place; SLOTS],
    sets: [Word; SETS],
    nodes: [Node; NODES],
    kin: [ParentCell; KIN],
    tasks: [TaskCell; TASKS],
    shards: [Shard; SHARDS],
    scratch: [Index; SCRATCH],
}

// SAFETY: R7: nothing in it is touched before `claim`, and the one caller that wins `claim` has it alone. No state
// is in it before, so `T` need not be `Send`; a machine that crosses threads asks for that itself (`Admits`).
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
                raw: MachineCell::EMPTY,
                payloads: [const { Payload::EMPTY }; SLOTS],
                lives: [const { Word::EMPTY }; SLOTS],
                places: [const { Place::EMPTY }; SLOTS],
                sets: [const { Word::EMPTY }; SETS],
                nodes: [const { Node::EMPTY }; NODES],
                kin: [const { ParentCell::EMPTY }; KIN],
                tasks: [const { TaskCell::EMPTY }; TASKS],
                shards: [const { Shard::EMPTY }; SHARDS],
                scratch: [const { Index::EMPTY }; SCRATCH],
            }),
            claim: Claim::new(),
        }
    }

    /// # Panics
    ///
    /// If the arrays are not as long as the capacity needs them: R5.
    const fn assert_made_for(&self, capacity: &Capacity) {
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
    }
}

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

/// What a [`Home`] may be one of.
#[doc(hidden)]
pub trait Memory: 'static {
    type State: 'static;

    /// # Safety
    ///
    /// R5, R7: `capacity` is what the memory was made for, and only the winner of its claim calls this, once.
    #[doc(hidden)]
    unsafe fn machine<A: Admits<Self::State>>(
        &'static self,
        capacity: Capacity,
    ) -> Machine<Self::State, A>;
}

impl<
    T: 'static,
    const SLOTS: usize,
    const SETS: usize,
    const NODES: usize,
    const KIN: usize,
    const TASKS: usize,
    const SHARDS: usize,
    const SCRATCH: usize,
> Memory for Storage<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>
{
    type State = T;

    unsafe fn machine<A: Admits<T>>(&'static self, capacity: Capacity) -> Machine<T, A> {
        let arrays = self.parts.get();
        // SAFETY: R7: only the one winner of the claim gets here.
        let arrays = unsafe { &mut *arrays };
        let parts = Parts {
            raw: &mut arrays.raw,
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
        unsafe { parts.assemble(capacity) }
    }
}

/// A [`Storage`] in a section of its own, which may have anything in it when the program starts: memory that start-up code
/// does not clear, or that has kept what an earlier run has left.
#[doc(hidden)]
#[repr(transparent)]
pub struct Uncleared<S>(S);

opaque_debug!(Uncleared<S>);

impl<S> Uncleared<S> {
    #[doc(hidden)]
    pub const fn new(storage: S) -> Self {
        Uncleared(storage)
    }
}

impl<
    T: 'static,
    const SLOTS: usize,
    const SETS: usize,
    const NODES: usize,
    const KIN: usize,
    const TASKS: usize,
    const SHARDS: usize,
    const SCRATCH: usize,
> Uncleared<Storage<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>>
{
    /// Clears all but the states and the machine's record, which are written before they are read. Volatile: the compiler
    /// believes that it is clear.
    ///
    /// # Safety
    ///
    /// R7: only the winner of its claim calls this, once.
    unsafe fn clear(&'static self) {
        let base = self.0.parts.get().cast::<u8>();
        let first = offset_of!(Arrays<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>, lives);
        for at in first..size_of::<Arrays<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>>() {
            let byte = base.wrapping_add(at);
            // SAFETY: R7, R9: nobody else has it, it is inside, and zero is fresh.
            unsafe { byte.write_volatile(0) };
        }
    }
}

impl<
    T: 'static,
    const SLOTS: usize,
    const SETS: usize,
    const NODES: usize,
    const KIN: usize,
    const TASKS: usize,
    const SHARDS: usize,
    const SCRATCH: usize,
> Memory for Uncleared<Storage<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>>
{
    type State = T;

    unsafe fn machine<A: Admits<T>>(&'static self, capacity: Capacity) -> Machine<T, A> {
        // SAFETY: R7: the caller's promise.
        unsafe { self.clear() };
        // SAFETY: R5, R7: the caller's promise.
        unsafe { self.0.machine(capacity) }
    }
}

/// A `static` that a machine lives in, with the capacity beside it; see [`storage!`](crate::storage).
#[derive(Debug)]
pub struct Home<S: 'static> {
    storage: &'static S,
    claim: &'static Claim,
    capacity: Capacity,
}

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
        storage.assert_made_for(&capacity);
        Home {
            storage,
            claim: &storage.claim,
            capacity,
        }
    }
}

impl<
    T: 'static,
    const SLOTS: usize,
    const SETS: usize,
    const NODES: usize,
    const KIN: usize,
    const TASKS: usize,
    const SHARDS: usize,
    const SCRATCH: usize,
> Home<Uncleared<Storage<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>>>
{
    /// `claim` is not in the section of the storage.
    #[doc(hidden)]
    pub const fn in_section(
        storage: &'static Uncleared<Storage<T, SLOTS, SETS, NODES, KIN, TASKS, SHARDS, SCRATCH>>,
        claim: &'static Claim,
        capacity: Capacity,
    ) -> Self {
        storage.0.assert_made_for(&capacity);
        Home {
            storage,
            claim,
            capacity,
        }
    }
}

impl<S: Memory> Home<S> {
    fn claim<A: Admits<S::State>>(&self) -> Result<Machine<S::State, A>, Claimed> {
        self.claim.take()?;
        // SAFETY: R5, R7: the constructors have compared them, and this is the winner.
        Ok(unsafe { self.storage.machine(self.capacity) })
    }

    /// Makes the machine, for one thread. It can be made once.
    ///
    /// # Errors
    ///
    /// [`Claimed`] from the second time on.
    pub fn local(&self) -> Result<Machine<S::State, Local>, Claimed> {
        self.claim()
    }

    /// Makes the machine, for any number of threads. It can be made once.
    ///
    /// # Errors
    ///
    /// [`Claimed`] from the second time on.
    pub fn shared(&self) -> Result<Machine<S::State, Shared>, Claimed>
    where
        S::State: Send,
    {
        self.claim()
    }
}

impl<S> Home<S> {
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
///
/// Attributes that say where memory lies (`link_section`, `export_name`, `used`, in `unsafe` and `cfg_attr` too) are the
/// memory's; all others, such as documentation, `cfg` and `allow`, are the handle's. Memory in a section of its own need not
/// be cleared when the program starts: what the machine needs clear is cleared when it is made.
///
/// ```
/// # use batchloop_core::{Capacity, storage};
/// storage! {
///     /// In a memory of its own.
///     #[unsafe(link_section = ".uninit.blinks")]
///     pub static BLINKS: bool = Capacity::slots(4)
/// }
/// # assert!(BLINKS.local().is_ok());
/// # assert!(BLINKS.local().is_err());
/// ```
#[macro_export]
macro_rules! storage {
    ($(#[$($meta:tt)+])* $visibility:vis static $name:ident: $state:ty = $capacity:expr) => {
        $crate::storage!(@sort [] [] [] [$([$($meta)+])*] [$visibility] $name [$state] [$capacity]);
    };

    // What decides whether it is there belongs to all of it.
    (@sort [$($cfg:tt)*] $handle:tt $memory:tt [[cfg $condition:tt] $($more:tt)*] $($item:tt)*) => {
        $crate::storage!(@sort [$($cfg)* [cfg $condition]] $handle $memory [$($more)*] $($item)*);
    };
    (@sort $cfg:tt $handle:tt $memory:tt [[link_section $($rest:tt)*] $($more:tt)*] $($item:tt)*) => {
        $crate::storage!(@memory $cfg $handle $memory [link_section $($rest)*] [$($more)*] $($item)*);
    };
    (@sort $cfg:tt $handle:tt $memory:tt [[export_name $($rest:tt)*] $($more:tt)*] $($item:tt)*) => {
        $crate::storage!(@memory $cfg $handle $memory [export_name $($rest)*] [$($more)*] $($item)*);
    };
    (@sort $cfg:tt $handle:tt $memory:tt [[used $($rest:tt)*] $($more:tt)*] $($item:tt)*) => {
        $crate::storage!(@memory $cfg $handle $memory [used $($rest)*] [$($more)*] $($item)*);
    };
    (@sort $cfg:tt $handle:tt $memory:tt
        [[unsafe ($what:ident = $($rest:tt)*)] $($more:tt)*] $($item:tt)*) => {
        $crate::storage!(@memory $cfg $handle $memory
            [unsafe($what = $($rest)*)] [$($more)*] $($item)*);
    };
    (@sort $cfg:tt $handle:tt $memory:tt
        [[cfg_attr($when:meta, link_section $($rest:tt)*)] $($more:tt)*] $($item:tt)*) => {
        $crate::storage!(@memory $cfg $handle $memory
            [cfg_attr($when, link_section $($rest)*)] [$($more)*] $($item)*);
    };
    (@sort $cfg:tt $handle:tt $memory:tt
        [[cfg_attr($when:meta, unsafe ($what:ident = $($rest:tt)*) $(,)?)] $($more:tt)*]
        $($item:tt)*) => {
        $crate::storage!(@memory $cfg $handle $memory
            [cfg_attr($when, unsafe($what = $($rest)*))] [$($more)*] $($item)*);
    };
    (@sort $cfg:tt [$($handle:tt)*] $memory:tt [$other:tt $($more:tt)*] $($item:tt)*) => {
        $crate::storage!(@sort $cfg [$($handle)* $other] $memory [$($more)*] $($item)*);
    };
    (@memory $cfg:tt $handle:tt [$($memory:tt)*] $one:tt $more:tt $($item:tt)*) => {
        $crate::storage!(@sort $cfg $handle [$($memory)* $one] $more $($item)*);
    };

    (@sort [$([$($cfg:tt)+])*] [$([$($handle:tt)+])*] $memory:tt []
        [$visibility:vis] $name:ident [$state:ty] [$capacity:expr]) => {
        // Types have names of their own, so this one disturbs nobody. It has the capacity computed once: a mistake in
        // it is one error and not one for each array.
        $(#[$($cfg)+])*
        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code)]
        struct $name {}

        $(#[$($cfg)+])*
        impl $name {
            const CAPACITY: $crate::Capacity = $capacity;
        }

        $(#[$($cfg)+])*
        $(#[$($handle)+])*
        $visibility static $name: $crate::Home<$crate::storage!(@type $memory $name [$state])> =
            $crate::storage!(@home $memory $name [$state]);
    };

    (@type [] $name:ident [$state:ty]) => {
        $crate::Storage<
            $state,
            { $name::CAPACITY.slot_count() },
            { $name::CAPACITY.set_words() },
            { $name::CAPACITY.nodes() },
            { $name::CAPACITY.kin() },
            { $name::CAPACITY.task_cells() },
            { $name::CAPACITY.shards() },
            { $name::CAPACITY.scratch() },
        >
    };
    (@type $memory:tt $name:ident [$state:ty]) => {
        $crate::Uncleared<$crate::storage!(@type [] $name [$state])>
    };

    (@home [] $name:ident [$state:ty]) => {{
        static STORAGE: $crate::storage!(@type [] $name [$state]) = $crate::Storage::new();
        $crate::Home::new(&STORAGE, $name::CAPACITY)
    }};
    (@home [$([$($memory:tt)+])+] $name:ident [$state:ty]) => {{
        $(#[$($memory)+])+
        static STORAGE: $crate::Uncleared<$crate::storage!(@type [] $name [$state])> =
            $crate::Uncleared::new($crate::Storage::new());
        static CLAIM: $crate::Claim = $crate::Claim::new();
        $crate::Home::in_section(&STORAGE, &CLAIM, $name::CAPACITY)
    }};
}

#[cfg(test)]
mod tests {
    use std::{boxed::Box, mem::MaybeUninit};

    use super::*;
    use crate::{point, slab::lineage::Lineage, sleep::change::ChangeCounter, turn::step::Step};

    const CAPACITY: Capacity = Capacity::slots(70)
        .points(3)
        .scopes(2)
        .workloads(3)
        .drivers(2)
        .parents(true)
        .tasks(true);

    type Full = Storage<
        u16,
        70,
        { CAPACITY.set_words() },
        { CAPACITY.nodes() },
        70,
        70,
        { CAPACITY.shards() },
        { CAPACITY.scratch() },
    >;

    /// A storage in memory that nothing has cleared.
    fn uncleared(byte: u8) -> Home<Uncleared<Full>> {
        let memory: &'static mut MaybeUninit<Uncleared<Full>> = Box::leak(Box::new_uninit());
        // SAFETY: R9: the memory is not in use, and all bytes are valid for atomic integers and pointers.
        unsafe { memory.as_mut_ptr().write_bytes(byte, 1) };
        // SAFETY: R9: as above.
        let memory = unsafe { memory.assume_init_ref() };
        let claim = Box::leak(Box::new(Claim::new()));
        Home::in_section(memory, claim, CAPACITY)
    }

    #[test]
    fn a_machine_in_memory_that_was_not_cleared_is_fresh() {
        for byte in [0xff, 0xa5, 0x01, 0x80] {
            let home = uncleared(byte);
            let machine = home.shared().expect("it is claimed for the first time");
            assert!(home.shared().is_err());
            assert!(home.local().is_err());
            assert_eq!(machine.live(), 0);
            assert_eq!(
                machine.counter().snapshot(),
                ChangeCounter::new().snapshot()
            );
            let first = machine.allocate(1).unwrap();
            assert_eq!(
                (first.slot(), machine.lineage(first).parent()),
                (0, None::<Lineage>)
            );
            let all = (1..70).map(|number| machine.allocate(number).unwrap().slot());
            assert!(all.eq(1..70));
            assert!(machine.allocate(0).is_err());
            let mut drivers = [(); 2].map(|()| machine.driver().expect("there are two"));
            let mut seen = 0;
            for _ in 0..4 {
                for driver in &mut drivers {
                    let turn = driver.turn(|cx| {
                        let new = cx.arrivals();
                        let here = cx.stage(point!("here"), new);
                        let woken = here.advance(|_, me| {
                            seen += 1;
                            assert!(me.task_waker().is_ok());
                            Step::Next
                        });
                        cx.stage(point!("there"), woken).release();
                    });
                    assert!(turn.is_ok(), "{turn:?}");
                }
            }
            assert_eq!((seen, machine.live()), (70, 0));
        }
    }

    #[test]
    fn the_arrays_that_are_cleared_come_last() {
        type Parts = Arrays<u16, 1, 1, 1, 1, 1, 1, 1>;
        assert!(offset_of!(Parts, raw) < offset_of!(Parts, lives));
        assert!(offset_of!(Parts, payloads) < offset_of!(Parts, lives));
        assert!(offset_of!(Parts, lives) < offset_of!(Parts, places));
        assert!(offset_of!(Parts, places) < offset_of!(Parts, sets));
    }
}
