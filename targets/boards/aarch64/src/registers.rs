//! The machine's registers: a GICv2 and a PL011.

use firmware::{Interrupts, Register};

// SAFETY: B1: GIC distributor, on or off.
const DISTRIBUTOR: Register = unsafe { Register::at(0x0800_0000) };
const ENABLE: [Register; 2] = [
    // SAFETY: B1: GIC distributor, lets interrupts 0 to 31 through.
    unsafe { Register::at(0x0800_0100) },
    // SAFETY: B1: GIC distributor, lets interrupts 32 to 63 through.
    unsafe { Register::at(0x0800_0104) },
];
// SAFETY: B1: GIC distributor, which core gets the serial line's interrupt.
const SERIAL_LINE_TARGET: Register<u8> = unsafe { Register::at(0x0800_0800 + 33) };
// SAFETY: B1: GIC distributor, interrupts that software makes.
const SOFTWARE: Register = unsafe { Register::at(0x0800_0F00) };
// SAFETY: B1: GIC, this core's part, on or off.
const CORE: Register = unsafe { Register::at(0x0801_0000) };
// SAFETY: B1: GIC, this core's part, priorities that are let through.
const PRIORITIES: Register = unsafe { Register::at(0x0801_0004) };
// SAFETY: B1: GIC, this core's part, which interrupt this is.
pub(crate) const ACKNOWLEDGE: Register = unsafe { Register::at(0x0801_000C) };
// SAFETY: B1: GIC, this core's part, says that it has been dealt with.
pub(crate) const DEALT_WITH: Register = unsafe { Register::at(0x0801_0010) };

// SAFETY: B1: PL011, data.
const DATA: Register = unsafe { Register::at(0x0900_0000) };
// SAFETY: B1: PL011, flags.
const FLAGS: Register = unsafe { Register::at(0x0900_0018) };
// SAFETY: B1: PL011, control.
const CONTROL: Register = unsafe { Register::at(0x0900_0030) };
// SAFETY: B1: PL011, which interrupts it makes.
const INTERRUPTS: Register = unsafe { Register::at(0x0900_0038) };

/// The bits of an acknowledged interrupt that say which it is.
pub(crate) const SOURCE: u32 = 0x3FF;
pub(crate) const ONESELF: u32 = 0;
pub(crate) const TIMER: u32 = 30;
pub(crate) const SERIAL_LINE: u32 = 33;

const TO_ONESELF: u32 = 2 << 24 | ONESELF;
const NOTHING_RECEIVED: u32 = 1 << 4;
const CANNOT_SEND: u32 = 1 << 5;
const ENABLE_BOTH_WAYS: u32 = 1 << 9 | 1 << 8 | 1;

pub(crate) fn let_interrupts_through() {
    DISTRIBUTOR.write(1);
    ENABLE[0].write(1 << ONESELF | 1 << TIMER);
    PRIORITIES.write(0xFF);
    CORE.write(1);
}

pub(crate) fn interrupt_oneself() {
    SOFTWARE.write(TO_ONESELF);
}

pub(crate) fn listen(interrupts: Interrupts) {
    SERIAL_LINE_TARGET.write(1);
    ENABLE[1].write(1 << (SERIAL_LINE - 32));
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
