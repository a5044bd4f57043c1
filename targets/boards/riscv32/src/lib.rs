//! QEMU's RISC-V machine `virt`, 32 bits, machine mode.
#![no_std]

mod registers;

use firmware::{Board, Interrupts, period};
use riscv::{asm, interrupt::Interrupt};

#[doc(hidden)]
pub use {firmware, riscv_rt};

/// The board.
#[derive(Debug)]
pub struct Here;

/// Makes a program of `firmware` the program of this board, with a panic handler of its own.
#[macro_export]
macro_rules! entry {
    ($name:ident) => {
        #[$crate::riscv_rt::entry]
        fn main() -> ! {
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
    }

    fn pend() {
        registers::SOFTWARE_INTERRUPT.write(1);
    }

    fn alarm() {
        registers::set_alarm(registers::time() + registers::SOON);
    }

    fn silence() {
        registers::set_alarm(u64::MAX);
    }

    fn alarm_again() -> u64 {
        let (due, now) = (registers::alarm(), registers::time());
        registers::set_alarm(period::next(due, registers::SOON, now));
        period::come(due, registers::SOON, now)
    }

    fn wait() {
        asm::wfi();
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

#[riscv_rt::core_interrupt(Interrupt::MachineSoft)]
fn software_interrupt() {
    registers::SOFTWARE_INTERRUPT.write(0);
    firmware::on_interrupt();
}

#[riscv_rt::core_interrupt(Interrupt::MachineTimer)]
fn timer() {
    firmware::on_alarm::<Here>();
}

#[riscv_rt::core_interrupt(Interrupt::MachineExternal)]
fn serial_line() {
    let source = registers::CLAIM.read();
    firmware::on_serial::<Here>();
    registers::CLAIM.write(source);
}
