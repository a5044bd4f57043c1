//! The smallest firmware with a machine.
#![no_std]
#![no_main]

board::entry!(minimal);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
