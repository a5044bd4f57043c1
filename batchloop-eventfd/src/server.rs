//! What a server needs beside the wait: clients that become states, deadlines by the clock, signals. Each is used by the
//! program's loop, and none of them by the multiplexer.

pub(crate) mod deadlines;
pub(crate) mod listener;
pub(crate) mod signals;
