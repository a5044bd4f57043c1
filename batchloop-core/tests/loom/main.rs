//! Every interleaving of small programs on whole machines, by loom.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 \
//!     cargo test --release -p batchloop-core --features alloc --lib --test loom
//! ```
//!
//! Loom explores orderings as the C11 model allows them, within the bound on preemptions. A lost wake-up shows as a
//! count that is never reached; two holders of one state show as a race on the payload's witness.
#![cfg(loom)]

mod completion;
mod live_states;
mod machines;
mod slabs;
mod sleep;
#[cfg(feature = "task-bell")]
mod task;
mod traversals;

use batchloop_core::*;

/// Runs turns until there is nothing to do.
pub(crate) fn quiet<T, A: Access>(
    driver: &mut Driver<T, A>,
    entry: impl for<'t> Fn(&mut Turn<'t, T, A>),
) {
    while driver.turn(&entry) == Ok(Progress::More) {}
}
