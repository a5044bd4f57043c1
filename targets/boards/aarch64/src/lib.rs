//! QEMU's AArch64 machine `virt`, at EL1, with the generic timer and a GICv2.
#![no_std]

mod registers;
mod system;

use aarch64_rt::{ExceptionHandlers, RegisterStateRef, exception_handlers};
use firmware::{Board, Interrupts, period};

#[doc(hidden)]
pub use {aarch64_rt, firmware};

/// The board.
#[derive(Debug)]
pub struct Here;

/// Makes a program of `firmware` the program of this board, with a panic handler of its own.
#[macro_export]
macro_rules! entry {
    ($name:ident) => {
        $crate::aarch64_rt::entry!(main, 40);

        fn main(_: u64, _: u64, _: u64, _: u64) -> ! {
            <$crate::Here as $crate::firmware::Board>::start();
            $crate::firmware::$name::<$crate::Here>()
        }
    };
}

/// Makes a program of `firmware` the program of this board.
#[macro_export]
macro_rules! program {
    ($name:ident) => {
        $crate::entry!($name);

        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::firmware::panicked(info)
        }
    };
}

impl Board for Here {
    fn start() {
        registers::let_interrupts_through();
        system::let_interrupts_through();
    }

    fn pend() {
        registers::interrupt_oneself();
    }

    fn alarm() {
        system::set_alarm(system::time() + system::SOON);
    }

    fn silence() {
        system::set_alarm(u64::MAX);
    }

    fn alarm_again() -> u64 {
        let (due, now) = (system::alarm(), system::time());
        system::set_alarm(period::next(due, system::SOON, now));
        period::come(due, system::SOON, now)
    }

    fn wait() {
        system::wait();
    }

    fn listen(interrupts: Interrupts) {
        registers::listen(interrupts);
    }

    fn receive() -> Option<u8> {
        registers::receive()
    }

    fn can_send() -> bool {
        registers::can_send()
    }

    fn send(byte: u8) {
        registers::send(byte);
    }
}

struct Exceptions;

exception_handlers!(Exceptions);

impl ExceptionHandlers for Exceptions {
    extern "C" fn irq_current(_: RegisterStateRef<'_>) {
        let source = registers::ACKNOWLEDGE.read();
        match source & registers::SOURCE {
            registers::SERIAL_LINE => firmware::on_serial::<Here>(),
            registers::TIMER => firmware::on_alarm::<Here>(),
            registers::ONESELF => firmware::on_interrupt(),
            _ => {}
        }
        registers::DEALT_WITH.write(source);
    }
}
