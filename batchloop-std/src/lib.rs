//! batchloop on an operating system: machines on the heap, and drivers whose threads sleep.
//!
//! The library itself is [`batchloop_core`], all of which this crate re-exports, with its `alloc` feature. So a program
//! names one crate. What is added here, from the top:
//!
//! * [`Workers`]: threads that run one entry point on one machine, each for its kinds of work. They start, sleep, and end
//!   together; a [`Report`] says what they did.
//! * [`queue`](fn@queue): work from other threads, for which there is no state yet.
//! * [`dump_all`]: what every machine of the program is doing, as a tree, printed or serialised.
//! * [`scope`]: stages without the context argument.
//! * [`Parking`]: how a single driver spends the time when there is nothing to do. It and the workers sleep on a futex. A
//!   driver with file descriptors sleeps on epoll instead; see `batchloop-eventfd`.
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

pub mod inspect;
mod queue;
pub mod scope;
pub mod sleep;
mod workers;

pub use batchloop_core::*;
pub use inspect::{
    MachineDump, NameTaken, Registration, StateDump, System, SystemDump, dump_all, register,
};
pub use queue::{Closed, PushError, Queue, Sender, queue};
pub use sleep::{bell::BlockingBell, parking::Parking};
pub use workers::{
    OnPanic, Panic, Report, Role, RunError, Running, Stop, Worker, WorkerReport, Workers,
};
