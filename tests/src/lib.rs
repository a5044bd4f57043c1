//! Tests that cross the crates; see the folder `tests`, and `benches` for what is measured beside peers.

pub mod client;
pub mod process;
pub mod server;
