//! batchloop on an operating system: machines on the heap, and drivers whose thread sleeps.
//!
//! The library itself is [`batchloop_core`], which this crate re-exports with its `alloc` feature. What is added here
//! is [`Parking`]: how a driver spends the time when there is nothing to do. A driver with file descriptors sleeps on
//! epoll instead; see `batchloop-eventfd`.
//!
//! [`queue`](fn@queue) brings work from other threads, [`dump_all`] prints what every machine of the program is doing, and
//! [`scope`] does without the context argument.
//!
//! ```
//! use batchloop_std::{Capacity, Machine, Parking, Step, Turn, point};
//!
//! struct Download { bytes: usize }
//!
//! fn entry(cx: &mut Turn<'_, Download>) {
//!     let new = cx.arrivals();
//!     cx.stage(point!("all here"), new).advance(|download, _| match download.bytes {
//!         0 => Step::Wait,
//!         _ => Step::Release,
//!     });
//!     if cx.machine().live() == 0 {
//!         cx.stop();
//!     }
//! }
//!
//! let machine: Machine<Download> = Machine::heap(Capacity::slots(100));
//! machine.allocate(Download { bytes: 512 })?;
//! machine.driver()?.run(Parking::new(&machine)?, entry)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod inspect;
mod queue;
pub mod scope;
mod sleep;
mod workers;

pub use batchloop_core::*;
pub use inspect::{
    MachineDump, NameTaken, ParentDump, Registration, Registry, SiteDump, StateDump, SystemDump,
    dump_all, register,
};
pub use queue::{Closed, PushError, Queue, Sender, queue};
pub use sleep::{bell::BlockingBell, parking::Parking};
pub use workers::{
    OnPanic, Panic, Report, Role, RunError, Running, Stop, Worker, WorkerReport, Workers,
};
