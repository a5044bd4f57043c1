//! The registers of the machine, and of the core.

use firmware::{Interrupts, Register};
use riscv::register::mie;

// SAFETY: B1: CLINT, software interrupt of hart 0.
pub(crate) const SOFTWARE_INTERRUPT: Register = unsafe { Register::at(0x0200_0000) };
// SAFETY: B1: CLINT, time of hart 0's timer interrupt, low half.
const ALARM: Register = unsafe { Register::at(0x0200_4000) };
// SAFETY: B1: CLINT, the same, high half.
const ALARM_HIGH: Register = unsafe { Register::at(0x0200_4004) };
// SAFETY: B1: CLINT, time in units of 100 ns, low half.
const TIME: Register = unsafe { Register::at(0x0200_BFF8) };
// SAFETY: B1: CLINT, the same, high half.
const TIME_HIGH: Register = unsafe { Register::at(0x0200_BFFC) };

// SAFETY: B1: PLIC, priority of the serial line.
const PRIORITY: Register = unsafe { Register::at(0x0C00_0000 + 4 * SERIAL_LINE) };
// SAFETY: B1: PLIC, interrupts that hart 0 gets in machine mode.
const ENABLE: Register = unsafe { Register::at(0x0C00_2000) };
// SAFETY: B1: PLIC, which interrupt this is; writing it says that it has been dealt with.
pub(crate) const CLAIM: Register = unsafe { Register::at(0x0C20_0004) };

// SAFETY: B1: 16550, data.
const DATA: Register<u8> = unsafe { Register::at(0x1000_0000) };
// SAFETY: B1: 16550, which interrupts it makes.
const INTERRUPTS: Register<u8> = unsafe { Register::at(0x1000_0001) };
// SAFETY: B1: 16550, state.
const STATE: Register<u8> = unsafe { Register::at(0x1000_0005) };

const SERIAL_LINE: usize = 10;
const RECEIVED: u8 = 1 << 0;
const CAN_SEND: u8 = 1 << 5;

/// Ticks of the alarm.
pub(crate) const SOON: u64 = 10_000 * firmware::ALARM as u64;

pub(crate) fn let_interrupts_through() {
    set_alarm(u64::MAX);
    // SAFETY: B2: there is a handler for each of them.
    unsafe { mie::set_msoft() };
    // SAFETY: B2: as above.
    unsafe { mie::set_mtimer() };
    // SAFETY: B2: as above.
    unsafe { mie::set_mext() };
    // SAFETY: B2: as above.
    unsafe { riscv::interrupt::enable() };
}

/// The time, in ticks since the machine was switched on.
pub(crate) fn time() -> u64 {
    loop {
        let (high, low) = (TIME_HIGH.read(), TIME.read());
        // The low half has not wrapped between the looks.
        if high == TIME_HIGH.read() {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// When the alarm goes off.
pub(crate) fn alarm() -> u64 {
    u64::from(ALARM_HIGH.read()) << 32 | u64::from(ALARM.read())
}

pub(crate) fn set_alarm(time: u64) {
    // Not a moment at which it is earlier than it was and than it will be.
    ALARM_HIGH.write(u32::MAX);
    ALARM.write(time as u32);
    ALARM_HIGH.write((time >> 32) as u32);
}

pub(crate) fn listen(interrupts: Interrupts) {
    PRIORITY.write(1);
    ENABLE.write(1 << SERIAL_LINE);
    let (received, can_send) = (interrupts.received, interrupts.can_send);
    INTERRUPTS.write(u8::from(received) | u8::from(can_send) << 1);
}

pub(crate) fn receive() -> Option<u8> {
    let received = STATE.read() & RECEIVED != 0;
    received.then(|| DATA.read())
}

pub(crate) fn can_send() -> bool {
    STATE.read() & CAN_SEND != 0
}

pub(crate) fn send(byte: u8) {
    while !can_send() {}
    DATA.write(byte);
}
