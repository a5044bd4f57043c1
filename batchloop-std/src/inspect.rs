//! What every machine of the program is doing, as data.
//!
//! The core lists the states of one machine ([`LiveStates`]). Here machines have names, and states of all of them stand
//! below their parents.

mod system;
mod system_dump;

pub use batchloop_core::inspect::*;
pub use system::{NameTaken, Registration, System, dump_all, register};
pub use system_dump::{MachineDump, StateDump, SystemDump};
