//! The system timer as a counter of instructions.

use cortex_m::{
    asm,
    peripheral::{Peripherals, SYST, syst::SystClkSource},
};

/// The timer counts down from here.
const TOP: u32 = 0xFF_FFFF;

/// So many instructions take a known time.
const CALIBRATION: u32 = 20_000_000;

/// Enough that a tick more or less does not show.
const ROUNDS: u32 = 500;

/// Knows how many instructions a tick is.
pub(crate) struct Clock {
    hundredths_a_tick: u64,
}

fn ticks(work: impl FnOnce()) -> u32 {
    let before = SYST::get_current();
    work();
    before.wrapping_sub(SYST::get_current()) & TOP
}

impl Clock {
    pub(crate) fn new() -> Self {
        if let Some(mut peripherals) = Peripherals::take() {
            peripherals.SYST.set_clock_source(SystClkSource::Core);
            peripherals.SYST.set_reload(TOP);
            peripherals.SYST.clear_current();
            peripherals.SYST.enable_counter();
        }
        // `delay` is a loop of two instructions: a subtraction and a branch.
        let ticks = ticks(|| asm::delay(CALIBRATION / 2));
        Clock {
            hundredths_a_tick: 100 * u64::from(CALIBRATION) / u64::from(ticks),
        }
    }

    /// How many instructions the work takes, in hundredths, when it is done again and again.
    pub(crate) fn each_hundredths(&self, mut work: impl FnMut()) -> u64 {
        work();
        let ticks = ticks(|| (0..ROUNDS).for_each(|_| work()));
        u64::from(ticks) * self.hundredths_a_tick / u64::from(ROUNDS)
    }
}
