//! How many instructions one wake and the run that follows cost, beside the same work on `embassy-executor`.
//!
//! For QEMU with `-icount shift=0`, where each instruction takes a nanosecond of the board's time. A task, or a state,
//! adds to a number of its own and waits to be woken again. A round wakes some of 32, then lets the executor, or the
//! driver, run until nothing is left to do. A loop of known length tells how many instructions a tick is.
#![no_std]
#![no_main]

mod clock;
mod embassy;
mod quiet;
mod states;

use core::panic::PanicInfo;

use board::firmware::semihosting::{println, process};
use clock::Clock;

/// How many there are.
const TASKS: usize = 32;
#[cortex_m_rt::entry]
fn main() -> ! {
    let clock = Clock::new();
    embassy::measure(&clock);
    states::measure(&clock);
    quiet::measure(&clock);
    process::exit(0)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    board::firmware::panicked(info)
}

/// Makes a round of so many wakes, again and again, and prints what one of them cost.
fn measure(clock: &Clock, name: &str, woken: usize, mut round: impl FnMut(usize)) {
    let hundredths = clock.each_hundredths(|| round(woken));
    let each = (hundredths / woken as u64) as u32;
    println!("{name}_{woken}_of_{TASKS} {}.{:02}", each / 100, each % 100);
}

/// Prints what something costs, in hundredths of an instruction.
fn print_each(name: &str, hundredths: u64) {
    let each = hundredths as u32;
    println!("{name} {}.{:02}", each / 100, each % 100);
}
