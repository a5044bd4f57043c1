//! The serial line of the nRF51.

use core::cell::Cell;

use cortex_m::interrupt::{self, Mutex};
use firmware::{Interrupts, Register};

pub(crate) const IRQS: [usize; 1] = [2];
pub(crate) const HERTZ: u32 = 16_000_000;

// SAFETY: B1: UART0 of the nRF51, task: start to receive.
const START_RECEIVING: Register = unsafe { Register::at(0x4000_2000) };
// SAFETY: B1: UART0, task: start to send.
const START_SENDING: Register = unsafe { Register::at(0x4000_2008) };
// SAFETY: B1: UART0, event: a byte was received.
const RECEIVED: Register = unsafe { Register::at(0x4000_2108) };
// SAFETY: B1: UART0, event: a byte was sent.
const SENT: Register = unsafe { Register::at(0x4000_211C) };
// SAFETY: B1: UART0, which events make interrupts.
const INTERRUPTS: Register = unsafe { Register::at(0x4000_2304) };
// SAFETY: B1: UART0, which events make none any more.
const NO_INTERRUPTS: Register = unsafe { Register::at(0x4000_2308) };
// SAFETY: B1: UART0, on or off.
const ENABLE: Register = unsafe { Register::at(0x4000_2500) };
// SAFETY: B1: UART0, the byte received.
const RECEIVE: Register = unsafe { Register::at(0x4000_2518) };
// SAFETY: B1: UART0, the byte to send.
const SEND: Register = unsafe { Register::at(0x4000_251C) };

const ALL: u32 = 1 << 2 | 1 << 7;

/// Whether a byte has ever been sent: before, there is no event to wait for.
static HAS_SENT: Mutex<Cell<bool>> = Mutex::new(Cell::new(false));

pub(crate) fn listen(interrupts: Interrupts) {
    ENABLE.write(4);
    START_RECEIVING.write(1);
    START_SENDING.write(1);
    let (received, can_send) = (interrupts.received, interrupts.can_send);
    NO_INTERRUPTS.write(ALL);
    INTERRUPTS.write(u32::from(received) << 2 | u32::from(can_send) << 7);
}

pub(crate) fn receive() -> Option<u8> {
    if RECEIVED.read() == 0 {
        return None;
    }
    RECEIVED.write(0);
    Some(RECEIVE.read() as u8)
}

pub(crate) fn can_send() -> bool {
    SENT.read() != 0 || !interrupt::free(|cs| HAS_SENT.borrow(cs).get())
}

pub(crate) fn send(byte: u8) {
    while !can_send() {}
    interrupt::free(|cs| HAS_SENT.borrow(cs).set(true));
    SENT.write(0);
    SEND.write(u32::from(byte));
}
