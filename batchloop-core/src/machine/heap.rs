//! Machines whose memory comes from the heap.

extern crate alloc;

use alloc::boxed::Box;

use crate::{
    ground::word::Admits,
    machine::{
        parts::{Parts, Zeroed},
        typed::Machine,
    },
    slab::capacity::Capacity,
};

/// Zeroed memory straight from the allocator, which for a large slice means pages that are not touched yet.
#[cfg(not(loom))]
fn fresh<E: Zeroed>(count: usize) -> &'static mut [E] {
    let elements = Box::<[E]>::new_zeroed_slice(count);
    // SAFETY: R9: `Zeroed` says that all-zero bytes are valid.
    Box::leak(unsafe { elements.assume_init() })
}

#[cfg(loom)]
fn fresh<E: Zeroed>(count: usize) -> &'static mut [E] {
    Box::leak((0..count).map(|_| E::default()).collect())
}

impl<T: 'static, A: Admits<T>> Machine<T, A> {
    /// A machine whose memory comes from the heap and is never given back: hooks, wakers and parents may refer to it
    /// for as long as the program runs.
    ///
    /// The memory is zeroed by the allocator and not touched here, so that a large machine costs address space first
    /// and pages as its slots come into use.
    ///
    /// # Panics
    ///
    /// With the name of the limit, if `capacity` asks for more than the target can address; and as the allocator does,
    /// where there is no memory.
    ///
    /// ```
    /// use batchloop_core::{Capacity, Machine};
    /// let machine: Machine<String> = Machine::heap(Capacity::slots(1_000_000));
    /// let hello = machine.allocate("hello".to_string()).unwrap();
    /// assert!(machine.is_live(hello));
    /// ```
    #[track_caller]
    pub fn heap(capacity: Capacity) -> Self {
        // Before anything is allocated.
        capacity.footprint::<T>();
        let parts = Parts {
            raw: Box::leak(Box::new_uninit()),
            payloads: Box::leak(Box::new_uninit_slice(capacity.slots)),
            shards: fresh(capacity.shards()),
            lives: fresh(capacity.slots),
            sets: fresh(capacity.set_words()),
            parents: fresh(capacity.parent_cells()),
            tasks: fresh(capacity.task_cells()),
            nodes: fresh(capacity.nodes()),
            scratch: fresh(capacity.scratch()),
            places: fresh(capacity.slots),
        };
        // SAFETY: R5: they were just made so long.
        unsafe { parts.assemble(capacity) }
    }
}
