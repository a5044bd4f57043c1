//! Cortex-M: what its boards share.
#![no_std]

use cortex_m::{
    asm,
    peripheral::{Peripherals, SCB, syst::SystClkSource},
};
use cortex_m_rt::exception;
use firmware::Board;

#[doc(hidden)]
pub use {cortex_m_rt, firmware};

/// Ticks of the alarm: some milliseconds on all boards.
const PERIOD: u32 = 0x1_0000;

/// The board that the feature has chosen.
#[derive(Debug)]
pub struct Here;

/// Makes a program of `firmware` the program of this board.
#[macro_export]
macro_rules! program {
    ($name:ident) => {
        use $crate::cortex_m_rt;

        #[cortex_m_rt::entry]
        fn main() -> ! {
            <$crate::Here as $crate::firmware::Board>::start();
            $crate::firmware::$name::<$crate::Here>()
        }

        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::firmware::panicked(info)
        }
    };
}

impl Board for Here {
    fn start() {
        let Some(mut peripherals) = Peripherals::take() else {
            return;
        };
        peripherals.SYST.set_clock_source(SystClkSource::Core);
        peripherals.SYST.set_reload(PERIOD);
        peripherals.SYST.enable_interrupt();
    }

    fn pend() {
        SCB::set_pendst();
        asm::isb();
    }

    fn alarm() {}

    fn wait() {
        asm::dsb();
        asm::wfi();
    }
}

#[exception]
fn SysTick() {
    firmware::on_interrupt();
}
