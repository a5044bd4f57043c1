//! What the boards run, whatever the board: programs over a [`Board`], and the pieces that real firmware would copy.
//!
//! Lines go out by semihosting, and semihosting ends the program, so that QEMU's exit status is the program's.
//!
//! # Rules
//!
//! What the `unsafe` code of the boards rests on, beside the rules of `batchloop_core::implementation`.
//!
//! * **B1, registers**: the address is that of a register in the board's manual, and reading or writing it does to
//!   memory nothing that Rust does not know of.
//! * **B2, the runtime calls**: vectors, entry points and handlers are called by the hardware or the runtime's start
//!   code, as the runtime's manual says, and by nothing else.
//! * **B3, the last to run**: one core runs the program, and after a panic nothing runs on it but the panic handler, which
//!   never returns.
#![no_std]

mod clock;
mod idle;
mod last_words;
mod line;
mod mailbox;
pub mod period;
mod programs;
mod register;

pub use clock::on_alarm;
pub use idle::Sleep;
#[doc(hidden)]
pub use last_words::LastWords;
pub use line::{Interrupts, on_serial};
pub use mailbox::on_interrupt;
pub use programs::{dying, empty, gateway, minimal, panicked, serial, sleep, staged, suite};
pub use register::Register;
pub use semihosting;

/// How long an alarm takes, in milliseconds.
pub const ALARM: u32 = 4;

/// What the programs need of a board.
pub trait Board: 'static {
    /// Sets up what the other methods use.
    fn start();

    /// Makes the interrupt pending whose handler calls [`on_interrupt`].
    fn pend();

    /// Makes an interrupt pending later, [`ALARM`] from now, whose handler calls [`on_alarm`].
    fn alarm();

    /// In that handler: no other alarm follows.
    fn silence();

    /// In that handler: the next alarm follows [`ALARM`] after this one was due, however late this is. Returns how many
    /// were due by now, if the board can tell.
    fn alarm_again() -> u64;

    /// Sleeps until an interrupt is pending, also if interrupts are held back: `WFI`.
    fn wait();

    /// Lets these interrupts of the serial line through, and no others; their handler calls [`on_serial`].
    ///
    /// What was so before need not make an interrupt: look after this call.
    fn listen(interrupts: Interrupts);

    /// A byte that the serial line has received.
    fn receive() -> Option<u8>;

    /// Whether the serial line takes a byte now.
    fn can_send() -> bool;

    /// Sends a byte on the serial line; waits until it takes one.
    fn send(byte: u8);
}
