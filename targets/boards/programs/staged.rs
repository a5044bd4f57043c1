//! The smallest firmware with a machine, and eight stages more.
#![no_std]
#![no_main]

board::entry!(staged);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
