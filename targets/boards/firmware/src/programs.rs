//! The programs.

use core::{fmt, panic::PanicInfo};

use semihosting::{eprintln, process};

use crate::{Board, mailbox::wake_by_interrupt};

/// Standard output by semihosting.
struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        semihosting::print!("{text}");
        Ok(())
    }
}

/// Prints the lines of the suite; wakes come from the interrupt handler.
pub fn suite<B: Board>() -> ! {
    match suite::run(&mut Console, &mut wake_by_interrupt::<B>) {
        Ok(()) => process::exit(0),
        Err(failure) => {
            eprintln!("{failure:?}");
            process::exit(1)
        }
    }
}

/// The end of a program that has panicked.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    eprintln!("{info}");
    process::exit(101)
}
