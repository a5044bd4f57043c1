//! What a driver does between two turns.

use crate::{ground::sync::spin_loop, sleep::watch::Watch};

/// What a turn leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There is work for another turn: something changed during this one, or a batch was full.
    More,
    /// Nothing to do until the counter moves.
    Quiet,
}

/// How a driver spends the time between two turns; see [`Driver::run`](crate::Driver::run).
///
/// ```
/// # use batchloop_core::*;
/// # mod cortex_m {
/// #     pub static SLEPT: std::sync::OnceLock<()> = std::sync::OnceLock::new();
/// #     pub fn wfi() { SLEPT.set(()).unwrap(); }
/// # }
/// /// Sleeps until the next interrupt. (One that comes between the look and the sleep is kept by masking interrupts
/// /// around both.)
/// struct Wfi;
///
/// impl Idle for Wfi {
///     fn idle(&mut self, watch: &Watch, progress: Progress) {
///         if progress == Progress::Quiet {
///             watch.sleep(cortex_m::wfi);
///         }
///     }
/// }
/// # let machine: Machine<u8> = Machine::heap(Capacity::slots(4));
/// # machine.driver().unwrap().run(Wfi, |cx| if cortex_m::SLEPT.get().is_some() { cx.stop() }).unwrap();
/// ```
pub trait Idle {
    /// Called after each turn. With [`Progress::Quiet`] it may sleep, by [`Watch::sleep`], until something has changed;
    /// with [`Progress::More`] it should return at once. Returning early is always right.
    fn idle(&mut self, watch: &Watch, progress: Progress);
}

impl<I: Idle> Idle for &mut I {
    fn idle(&mut self, watch: &Watch, progress: Progress) {
        (**self).idle(watch, progress);
    }
}

/// Spins, twice as long after each quiet turn up to a limit.
///
/// For programs whose core has nothing else to do. It looks at the counter after each round, so a change ends the
/// spin within one round.
///
/// ```
/// # use batchloop_core::*;
/// let machine: Machine<u32> = Machine::heap(Capacity::slots(4));
/// machine.allocate(3)?;
/// machine.driver()?.run(Backoff::new(), |cx| {
///     cx.arrivals().advance(|rounds, _| match rounds.checked_sub(1) {
///         Some(left) => { *rounds = left; Step::Again }
///         None => Step::Release,
///     });
///     if cx.machine().live() == 0 {
///         cx.stop();
///     }
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Backoff {
    exponent: u32,
    limit: u32,
}

impl Backoff {
    /// The longest spin is 2¹⁰ rounds: a few microseconds, about what a sleep and wake through a kernel would cost.
    pub const LIMIT: u32 = 10;

    /// Starts with a spin of one round.
    pub const fn new() -> Self {
        Backoff {
            exponent: 0,
            limit: Self::LIMIT,
        }
    }

    /// Whether the next spin is the longest one; a caller that can sleep should now.
    pub const fn is_spent(&self) -> bool {
        self.exponent >= self.limit
    }

    /// Starts again with the shortest spin.
    pub fn reset(&mut self) {
        self.exponent = 0;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

impl Idle for Backoff {
    fn idle(&mut self, watch: &Watch, progress: Progress) {
        if progress == Progress::More {
            self.reset();
            return;
        }
        for _ in 0..1_u32 << self.exponent {
            if watch.has_moved() {
                self.reset();
                return;
            }
            spin_loop();
        }
        self.exponent = (self.exponent + 1).min(self.limit);
    }
}
