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
#![no_std]

mod idle;
mod mailbox;
mod programs;
mod register;

pub use idle::Sleep;
pub use mailbox::on_interrupt;
pub use programs::{panicked, suite};
pub use register::Register;
pub use semihosting;

/// What the programs need of a board.
pub trait Board: 'static {
    /// Sets up what the other methods use.
    fn start();

    /// Makes the interrupt pending whose handler calls [`on_interrupt`].
    fn pend();

    /// Makes the same interrupt pending later: some milliseconds from now.
    fn alarm();

    /// Sleeps until an interrupt is pending, also if interrupts are held back: `WFI`.
    fn wait();
}
