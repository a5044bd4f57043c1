//! The error of what outlives its multiplexer.

use std::io;

/// The error for what belongs to a multiplexer that has been dropped.
pub(crate) fn gone() -> io::Error {
    let why = "the multiplexer has been dropped";
    io::Error::new(io::ErrorKind::NotConnected, why)
}
