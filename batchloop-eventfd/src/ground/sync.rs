//! Where the atomics come from: `core`, or the model checker.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicBool, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};

/// For what no sleep depends on.
pub(crate) mod plain {
    pub(crate) use core::sync::atomic::{AtomicU32, Ordering};
}

/// For what is shared with the kernel, which no model knows.
#[cfg(io_uring)]
pub(crate) mod kernel {
    pub(crate) use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
}
