//! Cortex-M: what its boards share.
#![no_std]

mod registers;
#[cfg_attr(feature = "microbit", path = "microbit.rs")]
#[cfg_attr(feature = "lm3s6965evb", path = "lm3s6965evb.rs")]
#[cfg_attr(any(feature = "mps2-an386", feature = "mps2-an505"), path = "mps2.rs")]
mod serial;

use cortex_m::{asm, peripheral::SCB};
use cortex_m_rt::exception;
use firmware::{ALARM, Board, Interrupts};

#[doc(hidden)]
pub use {cortex_m_rt, firmware};

/// Ticks of the alarm.
const PERIOD: u32 = serial::HERTZ / 1000 * ALARM;

const SYST_ENABLE: u32 = 1 << 0;
const SYST_TICKINT: u32 = 1 << 1;
const SYST_CORE_CLOCK: u32 = 1 << 2;

/// The board that the feature has chosen.
#[derive(Debug)]
pub struct Here;

/// Makes a program of `firmware` the program of this board, with a panic handler of its own.
#[macro_export]
macro_rules! entry {
    ($name:ident) => {
        use $crate::cortex_m_rt;

        #[cortex_m_rt::entry]
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
        // It counts down to 0, which takes a tick too.
        registers::SYST_RVR.write(PERIOD - 1);
    }

    fn pend() {
        SCB::set_pendst();
        asm::dsb();
        asm::isb();
    }

    fn alarm() {
        registers::SYST_CVR.write(0);
        registers::SYST_CSR.write(SYST_ENABLE | SYST_TICKINT | SYST_CORE_CLOCK);
    }

    fn silence() {
        registers::SYST_CSR.write(0);
    }

    /// The timer goes on by itself. It tells of one alarm, even if more were due while interrupts were held back.
    fn alarm_again() -> u64 {
        1
    }

    fn wait() {
        asm::dsb();
        asm::wfi();
    }

    fn listen(interrupts: Interrupts) {
        serial::listen(interrupts);
        for irq in serial::IRQS {
            registers::NVIC_ISER[irq / 32].write(1 << (irq % 32));
        }
    }

    fn receive() -> Option<u8> {
        serial::receive()
    }

    fn can_send() -> bool {
        serial::can_send()
    }

    fn send(byte: u8) {
        serial::send(byte);
    }
}

#[exception]
fn SysTick() {
    firmware::on_alarm::<Here>();
}
