//! The serial line of the MPS2 boards: a CMSDK UART.

use firmware::{Interrupts, Register};

#[cfg(feature = "mps2-an386")]
const BASE: usize = 0x4000_4000;
#[cfg(feature = "mps2-an386")]
pub(crate) const IRQS: [usize; 2] = [0, 1];
#[cfg(feature = "mps2-an386")]
pub(crate) const HERTZ: u32 = 25_000_000;

/// Its secure alias.
#[cfg(feature = "mps2-an505")]
const BASE: usize = 0x5020_0000;
#[cfg(feature = "mps2-an505")]
pub(crate) const IRQS: [usize; 2] = [32, 33];
#[cfg(feature = "mps2-an505")]
pub(crate) const HERTZ: u32 = 20_000_000;

// SAFETY: B1: UART0, data.
const DATA: Register = unsafe { Register::at(BASE) };
// SAFETY: B1: UART0, state.
const STATE: Register = unsafe { Register::at(BASE + 4) };
// SAFETY: B1: UART0, control.
const CONTROL: Register = unsafe { Register::at(BASE + 8) };
// SAFETY: B1: UART0, the interrupts that it makes; writing takes them back.
const INTERRUPTS: Register = unsafe { Register::at(BASE + 12) };
// SAFETY: B1: UART0, clock ticks for a bit.
const DIVIDER: Register = unsafe { Register::at(BASE + 16) };

const CANNOT_SEND: u32 = 1 << 0;
const SENT: u32 = 1 << 0;
const RECEIVED: u32 = 1 << 1;
const BOTH_WAYS: u32 = 1 << 0 | 1 << 1;

pub(crate) fn listen(interrupts: Interrupts) {
    DIVIDER.write(16);
    let (received, can_send) = (interrupts.received, interrupts.can_send);
    CONTROL.write(BOTH_WAYS | u32::from(can_send) << 2 | u32::from(received) << 3);
    // What it has made stays until it is taken back.
    INTERRUPTS.write(SENT | RECEIVED);
}

pub(crate) fn receive() -> Option<u8> {
    INTERRUPTS.write(RECEIVED);
    let received = STATE.read() & RECEIVED != 0;
    received.then(|| DATA.read() as u8)
}

pub(crate) fn can_send() -> bool {
    STATE.read() & CANNOT_SEND == 0
}

pub(crate) fn send(byte: u8) {
    while !can_send() {}
    DATA.write(u32::from(byte));
}
