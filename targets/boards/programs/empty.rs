//! The smallest firmware without one.
#![no_std]
#![no_main]

board::entry!(empty);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
