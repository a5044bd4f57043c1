//! The one file that names an atomics backend.
//!
//! Everywhere else the crate says `sync::AtomicUsize`. A normal build gets core's atomics; on a target without
//! compare-and-swap, what reads and writes in one step does so in a critical section, which the binary brings. A build
//! with `--cfg loom` gets loom's modelled types.

#[cfg(all(not(loom), target_has_atomic = "ptr"))]
pub(crate) use core::sync::atomic::AtomicUsize;
#[cfg(not(loom))]
pub(crate) use core::{
    hint::spin_loop,
    sync::atomic::{AtomicPtr, AtomicU16, AtomicU32, Ordering, fence},
};
#[cfg(loom)]
pub(crate) use loom::{
    hint::spin_loop,
    sync::atomic::{AtomicPtr, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence},
};
#[cfg(all(not(loom), not(target_has_atomic = "ptr")))]
pub(crate) use without_swap::AtomicUsize;

/// Atomics of targets that can load and store, and no more.
#[cfg(all(not(loom), not(target_has_atomic = "ptr")))]
mod without_swap {
    use core::sync::atomic::{self, Ordering};

    /// Loads and stores are those of the target. What reads and writes in one step does both in a critical section, so
    /// such steps on one word have one order. A `store` has no place in that order: where there are several cores, it
    /// would be lost if it came between the two halves of another one's step.
    ///
    /// So a word that is stored to has one writer at a time, and meets no steps of others but exchanges that fail, which
    /// write nothing: the lock of the trie, whose holder stores, and the state of a bell, whose winner does. The words
    /// of a `Local` machine are its owner's, and others reach them by the inbox, which is never stored to.
    #[derive(Default)]
    #[repr(transparent)]
    pub(crate) struct AtomicUsize(atomic::AtomicUsize);

    impl AtomicUsize {
        pub(crate) const fn new(value: usize) -> Self {
            AtomicUsize(atomic::AtomicUsize::new(value))
        }

        #[inline(always)]
        pub(crate) fn load(&self, order: Ordering) -> usize {
            self.0.load(order)
        }

        #[inline(always)]
        pub(crate) fn store(&self, value: usize, order: Ordering) {
            self.0.store(value, order);
        }

        // ORDERING: whatever the caller asks for, it gets acquire and release; the critical section is no weaker.
        #[inline(always)]
        fn update(&self, change: impl FnOnce(usize) -> usize) -> usize {
            critical_section::with(|_| {
                let before = self.0.load(Ordering::Acquire);
                self.0.store(change(before), Ordering::Release);
                before
            })
        }

        /// Leaves only these bits, and sets those.
        #[inline(never)]
        fn replace(&self, left: usize, set: usize) -> usize {
            self.update(|before| before & left | set)
        }

        pub(crate) fn swap(&self, value: usize, _: Ordering) -> usize {
            self.replace(0, value)
        }

        pub(crate) fn fetch_or(&self, bits: usize, _: Ordering) -> usize {
            self.replace(usize::MAX, bits)
        }

        pub(crate) fn fetch_and(&self, bits: usize, _: Ordering) -> usize {
            self.replace(bits, 0)
        }

        #[inline(never)]
        pub(crate) fn fetch_add(&self, value: usize, _: Ordering) -> usize {
            self.update(|before| before.wrapping_add(value))
        }

        pub(crate) fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
            self.fetch_add(value.wrapping_neg(), order)
        }

        #[inline(never)]
        pub(crate) fn compare_exchange(
            &self,
            current: usize,
            new: usize,
            _: Ordering,
            _: Ordering,
        ) -> Result<usize, usize> {
            critical_section::with(|_| {
                let before = self.0.load(Ordering::Acquire);
                if before != current {
                    return Err(before);
                }
                self.0.store(new, Ordering::Release);
                Ok(before)
            })
        }
    }
}

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
