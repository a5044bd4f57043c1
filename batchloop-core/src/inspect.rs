//! Every live state, as data or printed.
//!
//! [`Machine::dump`](crate::Machine::dump) prints the states of a machine. For everything else there are [`LiveStates`],
//! which may go to another thread, and one [`StateInfo`] for each state. They read words that any thread may read; only to
//! print what a state itself contains, it is locked.
//!
//! Nothing here stops a machine, or changes one.

mod dump;
mod live_states;
mod state_info;

pub use dump::Dump;
pub use live_states::LiveStates;
pub use state_info::{StateInfo, Status};

pub use crate::program::type_name::TypeName;
