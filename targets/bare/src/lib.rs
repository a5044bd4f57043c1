//! The suite in a program that has no std. It brings its own panic handler, so it does not compile if anything that
//! it is made of has one, as std does.
#![no_std]
#![forbid(unsafe_code)]

use core::{fmt, hint, panic::PanicInfo};

/// Counts the bytes of what is printed.
struct Count(usize);

impl fmt::Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// Runs the suite; returns how many bytes it printed, or 0 if it did not come to its end.
pub extern "C" fn suite() -> usize {
    let mut count = Count(0);
    match suite::run(&mut count, &mut |waker| waker.wake()) {
        Ok(()) => count.0,
        Err(_) => 0,
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        hint::spin_loop();
    }
}
