//! Memory for machines as a `static`.

use core::{cell::UnsafeCell, fmt, marker::PhantomData, mem::MaybeUninit, slice};

use crate::{
    ground::word::{Admits, Local, Shared, Word},
    machine::{
        claim::Claim,
        full::Claimed,
        parts::{Parts, Zeroed},
        typed::Machine,
    },
    program::node::Node,
    slab::{
        capacity::Capacity,
        entry::Index,
        raw::{ParentCell, Place, RawMachine, TaskCell},
    },
    sleep::counters::Shard,
};

/// How many words of bookkeeping a machine has.
#[doc(hidden)]
#[track_caller]
pub const fn words(capacity: Capacity) -> usize {
    capacity.words()
}

// In the order of the row: no element is aligned more than the one before it.
const _: () = {
    assert!(align_of::<Shard>() >= align_of::<Word>());
    assert!(align_of::<Word>() >= align_of::<ParentCell>());
    assert!(align_of::<ParentCell>() >= align_of::<TaskCell>());
    assert!(align_of::<TaskCell>() >= align_of::<Node>());
    assert!(align_of::<Node>() >= align_of::<Index>());
    assert!(align_of::<Index>() >= align_of::<Place>());
};

/// The memory that a [`Storage`] is of. Its image is all zero.
#[doc(hidden)]
#[repr(transparent)]
pub struct Memory<T: 'static, const SLOTS: usize, const WORDS: usize>(
    UnsafeCell<Room<T, SLOTS, WORDS>>,
);

/// The record comes first, for the same reason as its fields do.
#[repr(C)]
struct Room<T: 'static, const SLOTS: usize, const WORDS: usize> {
    raw: MaybeUninit<RawMachine>,
    /// The row begins with what is aligned most.
    align: [Shard; 0],
    words: [usize; WORDS],
    payloads: [MaybeUninit<T>; SLOTS],
}

impl<T: 'static, const SLOTS: usize, const WORDS: usize> Memory<T, SLOTS, WORDS> {
    #[allow(clippy::new_without_default, reason = "it is for the macro")]
    pub const fn new() -> Self {
        Memory(UnsafeCell::new(Room {
            raw: MaybeUninit::uninit(),
            align: [],
            words: [0; WORDS],
            payloads: [const { MaybeUninit::uninit() }; SLOTS],
        }))
    }
}

impl<T, const SLOTS: usize, const WORDS: usize> fmt::Debug for Memory<T, SLOTS, WORDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({SLOTS} slots)")
    }
}

// SAFETY: R7: nothing in it is touched before its storage is claimed, and the one caller that wins the claim has it alone.
// No state is in it before, so `T` need not be `Send`; a machine that crosses threads asks for that itself (`Admits`).
unsafe impl<T: 'static, const SLOTS: usize, const WORDS: usize> Sync for Memory<T, SLOTS, WORDS> {}

/// The memory of one machine, and the limits that it was made for: what [`storage!`](crate::storage) makes a `static` of.
///
/// ```
/// use batchloop_core::{machine::Storage, Machine, Capacity, storage};
///
/// struct Lamp { is_on: bool }
///
/// storage!(static HALL: Lamp = Capacity::slots(4));
/// storage!(static STAIRS: Lamp = Capacity::slots(100));
///
/// /// A machine with all its lamps off.
/// fn dark(storage: &'static Storage<Lamp>) -> Machine<Lamp> {
///     let machine = storage.local().expect("each is used once");
///     while machine.allocate(Lamp { is_on: false }).is_ok() {}
///     machine
/// }
///
/// assert_eq!(dark(&HALL).live(), 4);
/// assert_eq!(dark(&STAIRS).live(), 100);
/// ```
pub struct Storage<T: 'static> {
    raw: *mut MaybeUninit<RawMachine>,
    words: *mut usize,
    payloads: *mut MaybeUninit<T>,
    claim: &'static Claim,
    capacity: Capacity,
    /// How many words must be cleared before they are used: none, or all.
    uncleared: usize,
}

// SAFETY: R7: as for `Memory`, which it points to.
unsafe impl<T: 'static> Sync for Storage<T> {}
// SAFETY: R7: as above.
unsafe impl<T: 'static> Send for Storage<T> {}

impl<T: 'static> Storage<T> {
    /// `is_cleared` says that the memory is zero when the program starts.
    ///
    /// # Safety
    ///
    /// R7: the memory and the claim are used for this alone.
    #[doc(hidden)]
    pub const unsafe fn new<const SLOTS: usize, const WORDS: usize>(
        memory: &'static Memory<T, SLOTS, WORDS>,
        claim: &'static Claim,
        capacity: Capacity,
        is_cleared: bool,
    ) -> Self {
        // Before anything else: the states may be too many for their size.
        capacity.footprint::<T>();
        assert!(
            SLOTS == capacity.slots && WORDS == capacity.words(),
            "storage arrays do not match the capacity"
        );
        let room = memory.0.get();
        // SAFETY: R1: it points to the memory.
        let raw = unsafe { &raw mut (*room).raw };
        // SAFETY: R1: as above.
        let words = unsafe { &raw mut (*room).words };
        // SAFETY: R1: as above.
        let payloads = unsafe { &raw mut (*room).payloads };
        Storage {
            raw,
            words: words.cast(),
            payloads: payloads.cast(),
            claim,
            capacity,
            uncleared: if is_cleared { 0 } else { WORDS },
        }
    }

    fn claim<A: Admits<T>>(&self) -> Result<Machine<T, A>, Claimed> {
        self.claim.take()?;
        // SAFETY: R7: this is the winner.
        Ok(unsafe { self.machine() })
    }

    /// # Safety
    ///
    /// R7: only the winner of the claim calls this, once.
    unsafe fn machine<A: Admits<T>>(&self) -> Machine<T, A> {
        // SAFETY: R7: the caller's promise.
        unsafe { self.clear() };
        let capacity = self.capacity;
        let slots = capacity.slots;
        let mut row = Row::new(self.words);
        let parts = Parts {
            // SAFETY: R1, R7: it points to memory that is the caller's.
            raw: unsafe { &mut *self.raw },
            // SAFETY: R1, R5, R7: as above, and there are so many.
            payloads: unsafe { slice::from_raw_parts_mut(self.payloads, slots) },
            // SAFETY: R5, R7: in the order of the row, so all of them are inside.
            shards: unsafe { row.cut(capacity.shards()) },
            // SAFETY: R5, R7: as above.
            lives: unsafe { row.cut(slots) },
            // SAFETY: R5, R7: as above.
            sets: unsafe { row.cut(capacity.set_words()) },
            // SAFETY: R5, R7: as above.
            parents: unsafe { row.cut(capacity.parent_cells()) },
            // SAFETY: R5, R7: as above.
            tasks: unsafe { row.cut(capacity.task_cells()) },
            // SAFETY: R5, R7: as above.
            nodes: unsafe { row.cut(capacity.nodes()) },
            // SAFETY: R5, R7: as above.
            scratch: unsafe { row.cut(capacity.scratch()) },
            // SAFETY: R5, R7: as above.
            places: unsafe { row.cut(slots) },
        };
        // SAFETY: R5: they were just cut so long.
        unsafe { parts.assemble(capacity) }
    }

    /// Clears the row, if it may not be clear; the record and the states are written before they are read. Volatile: the
    /// compiler believes that it is clear.
    ///
    /// # Safety
    ///
    /// R7: only the winner of the claim calls this, once.
    unsafe fn clear(&self) {
        for at in 0..self.uncleared {
            let word = self.words.wrapping_add(at);
            // SAFETY: R7, R9: the caller has it alone, it is inside, and zero is fresh.
            unsafe { word.write_volatile(0) };
        }
    }

    /// Makes the machine, for one thread. It can be made once.
    ///
    /// # Errors
    ///
    /// [`Claimed`] from the second time on.
    pub fn local(&self) -> Result<Machine<T, Local>, Claimed> {
        self.claim()
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
        self.claim()
    }

    /// The limits that the storage was made for.
    pub const fn capacity(&self) -> Capacity {
        self.capacity
    }
}

impl<T> fmt::Debug for Storage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({} slots)", self.capacity.slots)
    }
}

/// What is left of a row of words from which parts are cut.
struct Row {
    rest: *mut u8,
    words: PhantomData<&'static mut [usize]>,
}

impl Row {
    fn new(words: *mut usize) -> Self {
        Row {
            rest: words.cast(),
            words: PhantomData,
        }
    }

    /// # Safety
    ///
    /// R5, R7, R9: the row has so many elements left, is aligned for them and zero, and is the caller's for ever.
    unsafe fn cut<E: Zeroed>(&mut self, count: usize) -> &'static mut [E] {
        let first = self.rest.cast::<E>();
        debug_assert!(first.is_aligned());
        self.rest = first.wrapping_add(count).cast();
        // SAFETY: R5, R7, R9: the caller's promise.
        unsafe { slice::from_raw_parts_mut(first, count) }
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
/// # Ok::<(), batchloop_core::machine::Claimed>(())
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
        // Types have names of their own, so this one disturbs none. It has the capacity computed once: a mistake in
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
        $visibility static $name: $crate::machine::Storage<$state> =
            $crate::storage!(@storage $memory $name [$state]);
    };

    (@storage [$([$($memory:tt)+])*] $name:ident [$state:ty]) => {{
        $(#[$($memory)+])*
        static MEMORY: $crate::__private::Memory<
            $state,
            { $name::CAPACITY.slot_count() },
            { $crate::__private::words($name::CAPACITY) },
        > = $crate::__private::Memory::new();
        static CLAIM: $crate::__private::Claim = $crate::__private::Claim::new();
        // What has attributes of its own may lie in a section that nothing clears.
        const IS_CLEARED: bool = $crate::__private::core::stringify!($($($memory)+)*).is_empty();
        // SAFETY: R7: both are nothing else's.
        unsafe { $crate::machine::Storage::new(&MEMORY, &CLAIM, $name::CAPACITY, IS_CLEARED) }
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

    type Room = Memory<u16, 70, { words(CAPACITY) }>;

    /// A storage in memory that nothing has cleared.
    fn uncleared(byte: u8) -> Storage<u16> {
        let memory: &'static mut MaybeUninit<Room> = Box::leak(Box::new_uninit());
        // SAFETY: R9: the memory is not in use, and all bytes are valid for integers.
        unsafe { memory.as_mut_ptr().write_bytes(byte, 1) };
        // SAFETY: R9: as above.
        let memory = unsafe { memory.assume_init_ref() };
        let claim = Box::leak(Box::new(Claim::new()));
        // SAFETY: R7: both were just made.
        unsafe { Storage::new(memory, claim, CAPACITY, false) }
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

    /// Whatever the limits are, the parts lie one behind the other, and the row is no longer than they are.
    #[test]
    fn a_storage_is_as_large_as_its_footprint() {
        const FEW: Capacity = Capacity::slots(3).points(1).scopes(0);
        const ODD: Capacity = CAPACITY.points(8).batch(7);
        fn slack<const SLOTS: usize, const WORDS: usize>(capacity: Capacity) -> usize {
            let of_the_row = capacity.footprint::<u64>().total() - 8 * SLOTS;
            let row = size_of::<RawMachine>() + WORDS * size_of::<usize>();
            assert!(
                size_of::<Memory<u64, SLOTS, WORDS>>() - row - 8 * SLOTS
                    < align_of::<Memory<u64, SLOTS, WORDS>>()
            );
            row - of_the_row
        }
        assert!(slack::<70, { words(CAPACITY) }>(CAPACITY) < size_of::<usize>());
        assert!(slack::<70, { words(ODD) }>(ODD) < size_of::<usize>());
        assert!(slack::<3, { words(FEW) }>(FEW) < size_of::<usize>());
    }

    #[test]
    fn a_row_is_cut_without_gaps() {
        let mut words = [0_usize; 64];
        let mut row = Row::new(words.as_mut_ptr());
        // SAFETY: R5, R7, R9: there are more words than that, zero, and nothing else has them.
        let lives: &[Word] = unsafe { row.cut(3) };
        // SAFETY: R5, R7, R9: as above.
        let scratch: &[Index] = unsafe { row.cut(5) };
        // SAFETY: R5, R7, R9: as above.
        let places: &[Place] = unsafe { row.cut(7) };
        let ends = [
            lives.as_ptr_range().end.addr() - scratch.as_ptr().addr(),
            scratch.as_ptr_range().end.addr() - places.as_ptr().addr(),
        ];
        assert_eq!((ends, places.len()), ([0, 0], 7));
    }
}
