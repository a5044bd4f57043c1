//! The one file that names an atomics backend.
//!
//! Everywhere else the crate says `sync::AtomicUsize`. A normal build gets `portable-atomic`, whose backend for
//! targets without compare-and-swap is chosen by the binary; a build with `--cfg loom` gets loom's modelled types.
#![allow(
    clippy::disallowed_types,
    reason = "this is the file that chooses them"
)]

#[cfg(loom)]
pub(crate) use loom::{
    hint::spin_loop,
    sync::atomic::{AtomicPtr, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use portable_atomic::{
    AtomicPtr, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence, hint::spin_loop,
};

#[cfg(all(feature = "task-bell", not(loom)))]
pub(crate) use atomic_waker::AtomicWaker;
#[cfg(all(feature = "task-bell", loom))]
pub(crate) use loom::future::AtomicWaker;

/// Makes `waker` the one that is woken next.
#[cfg(feature = "task-bell")]
pub(crate) fn register(cell: &AtomicWaker, waker: &core::task::Waker) {
    #[cfg(not(loom))]
    cell.register(waker);
    #[cfg(loom)]
    cell.register_by_ref(waker);
}

/// Tells loom of each access to a payload, so that two holders of one state are reported as a race.
///
/// Outside loom it is empty and costs nothing.
pub(crate) struct Witness {
    #[cfg(loom)]
    cells: &'static [loom::cell::UnsafeCell<()>],
}

impl Witness {
    pub(crate) fn new(slots: usize) -> Self {
        #[cfg(loom)]
        return Witness {
            cells: (0..slots)
                .map(|_| loom::cell::UnsafeCell::new(()))
                .collect::<std::vec::Vec<_>>()
                .leak(),
        };
        #[cfg(not(loom))]
        {
            let _ = slots;
            Witness {}
        }
    }

    /// Records that the caller is about to use the payload of `slot` alone.
    #[inline(always)]
    pub(crate) fn exclusive(&self, slot: usize) {
        #[cfg(loom)]
        self.cells[slot].with_mut(|_| ());
        #[cfg(not(loom))]
        let _ = slot;
    }
}
