//! The programs.

mod dying;
mod gateway;
mod minimal;
mod serial;
mod sleep;
mod staged;

use core::fmt;

use semihosting::{eprintln, process};

use crate::{Board, mailbox::wake_by_interrupt};

pub use dying::{dying, panicked};
pub use gateway::gateway;
pub use minimal::{empty, minimal};
pub use serial::serial;
pub use sleep::sleep;
pub use staged::staged;

/// Standard output by semihosting.
struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        semihosting::print!("{text}");
        Ok(())
    }
}

/// The end of a program.
fn end(outcome: Result<(), impl fmt::Debug>) -> ! {
    match outcome {
        Ok(()) => process::exit(0),
        Err(failure) => {
            eprintln!("{failure:?}");
            process::exit(1)
        }
    }
}

/// Prints the lines of the suite; wakes come from the interrupt handler.
pub fn suite<B: Board>() -> ! {
    end(suite::run(&mut Console, &mut wake_by_interrupt::<B>))
}
