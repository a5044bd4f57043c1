//! The serial line of the LM3S6965: a PL011.

use firmware::{Interrupts, Register};

pub(crate) const IRQS: [usize; 1] = [5];
pub(crate) const HERTZ: u32 = 12_500_000;

// SAFETY: B1: UART0 of the LM3S6965, data.
const DATA: Register = unsafe { Register::at(0x4000_C000) };
// SAFETY: B1: UART0, flags.
const FLAGS: Register = unsafe { Register::at(0x4000_C018) };
// SAFETY: B1: UART0, control.
const CONTROL: Register = unsafe { Register::at(0x4000_C030) };
// SAFETY: B1: UART0, which interrupts it makes.
const INTERRUPTS: Register = unsafe { Register::at(0x4000_C038) };
// SAFETY: B1: the clocks of the UARTs and timers.
const CLOCKS: Register = unsafe { Register::at(0x400F_E104) };

const NOTHING_RECEIVED: u32 = 1 << 4;
const CANNOT_SEND: u32 = 1 << 5;
const ENABLE_BOTH_WAYS: u32 = 1 << 9 | 1 << 8 | 1;

pub(crate) fn listen(interrupts: Interrupts) {
    CLOCKS.write(CLOCKS.read() | 1);
    CONTROL.write(ENABLE_BOTH_WAYS);
    let (received, can_send) = (interrupts.received, interrupts.can_send);
    INTERRUPTS.write(u32::from(received) << 4 | u32::from(can_send) << 5);
}

pub(crate) fn receive() -> Option<u8> {
    let empty = FLAGS.read() & NOTHING_RECEIVED != 0;
    (!empty).then(|| DATA.read() as u8)
}

pub(crate) fn can_send() -> bool {
    FLAGS.read() & CANNOT_SEND == 0
}

pub(crate) fn send(byte: u8) {
    while !can_send() {}
    DATA.write(u32::from(byte));
}
