//! Deadlines of states, in the clock's time.

use std::{
    fmt,
    time::{Duration, Instant},
};

use batchloop_core::{Access, Machine, Timer, Timers, slab::Token};

/// Deadlines of the states of one machine, one for each at most: core's [`Timers`] with a clock.
///
/// Deadlines are rounded up to whole steps of the resolution, so none comes early. A coarse resolution (some
/// milliseconds for time-outs) lets deadlines that lie close together come together, in one wake-up.
///
/// A loop sleeps until [`next`](Self::next) and then calls [`expire`](Self::expire):
///
/// ```
/// use std::time::{Duration, Instant};
/// use batchloop_core::{Capacity, Events, Machine, Step, point};
/// use batchloop_eventfd::{Deadlines, Multiplexer};
///
/// let machine: Machine<&str> = Machine::heap(Capacity::slots(10));
/// let mut driver = machine.driver()?;
/// let mut multiplexer = Multiplexer::new()?;
/// multiplexer.add(machine)?;
/// let mut deadlines = Deadlines::heap(machine.capacity(), Duration::from_millis(1));
/// machine.allocate("patient")?;
///
/// while machine.live() > 0 {
///     driver.turn(|cx| {
///         let new = cx.arrivals().for_each(|_, me| {
///             deadlines.arm(me.token(), Instant::now() + Duration::from_millis(5));
///         });
///         let over = cx.stage(point!("wait"), new).advance(|_, me| {
///             match me.take(Events::DEADLINE) {
///                 Events::DEADLINE => Step::Next,
///                 _ => Step::Wait,
///             }
///         });
///         over.release();
///     })?;
///     if machine.live() > 0 {
///         multiplexer.poll(&[driver.watch()], deadlines.next())?;
///         deadlines.expire(Instant::now(), &machine);
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Deadlines<'s> {
    timers: Timers<'s>,
    start: Instant,
    /// In nanoseconds.
    resolution: u64,
}

impl Deadlines<'static> {
    /// Deadlines for a machine with this many slots, in memory that is never given back, as a machine's is not.
    ///
    /// # Panics
    ///
    /// If the resolution is zero, or over 500 years.
    pub fn heap(slots: usize, resolution: Duration) -> Self {
        Deadlines::new(vec![Timer::IDLE; slots].leak(), resolution)
    }
}

impl<'s> Deadlines<'s> {
    /// Deadlines for a machine with as many slots as there are timers.
    ///
    /// # Panics
    ///
    /// If the resolution is zero, or over 500 years.
    pub fn new(timers: &'s mut [Timer], resolution: Duration) -> Self {
        let nanoseconds = u64::try_from(resolution.as_nanos()).unwrap_or(0);
        assert!(
            nanoseconds > 0,
            "the resolution is not between 1 ns and 500 years"
        );
        Deadlines {
            timers: Timers::new(timers, 0),
            start: Instant::now(),
            resolution: nanoseconds,
        }
    }

    /// Nanoseconds from the start; 292 years from then, time stands still.
    fn since_start(&self, when: Instant) -> u64 {
        let since = when.saturating_duration_since(self.start).as_nanos();
        since.min(i64::MAX as u128) as u64
    }

    /// Sets the deadline of a state, in place of the one that it had. One in the past is due at once.
    ///
    /// # Panics
    ///
    /// If the state's slot is beyond the timers: the storage is for a smaller machine.
    #[track_caller]
    pub fn arm(&mut self, state: Token, when: Instant) {
        let tick = self.since_start(when).div_ceil(self.resolution);
        self.timers.arm(state, tick);
    }

    /// Takes the deadline of a state back. Returns whether it had one. A state that ends need not.
    pub fn cancel(&mut self, state: Token) -> bool {
        self.timers.cancel(state)
    }

    /// When to call [`expire`](Self::expire) next: at the earliest deadline; `None` while there are none.
    pub fn next(&self) -> Option<Instant> {
        let nanoseconds = self.timers.next()?.checked_mul(self.resolution)?;
        self.start.checked_add(Duration::from_nanos(nanoseconds))
    }

    /// Wakes the states whose deadlines have come, with [`Events::DEADLINE`](batchloop_core::Events::DEADLINE); returns
    /// how many still lived.
    pub fn expire<T, A: Access>(&mut self, now: Instant, machine: &Machine<T, A>) -> usize {
        self.expire_at_most(usize::MAX, now, machine)
    }

    /// As [`expire`](Self::expire), and goes no further than this many deadlines: see [`Timers::expire_at_most`].
    pub fn expire_at_most<T, A: Access>(
        &mut self,
        most: usize,
        now: Instant,
        machine: &Machine<T, A>,
    ) -> usize {
        let tick = self.since_start(now) / self.resolution;
        self.timers.expire_at_most(most, tick, machine)
    }
}

impl fmt::Debug for Deadlines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deadlines({:?} of {} ns)", self.timers, self.resolution)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use batchloop_core::{Capacity, Events, Step};

    use super::*;

    #[test]
    fn no_deadline_comes_early_and_all_of_a_step_come_together() {
        let machine: Machine<u32> = Machine::heap(Capacity::slots(3));
        let mut driver = machine.driver().unwrap();
        let mut storage = [const { Timer::IDLE }; 3];
        let mut deadlines = Deadlines::new(&mut storage, Duration::from_millis(10));
        let start = deadlines.start;
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        for milliseconds in [11, 20, 21] {
            let state = machine.allocate(0).unwrap();
            deadlines.arm(state.token(), at(milliseconds));
        }
        assert_eq!(deadlines.next(), Some(at(20)));
        assert_eq!(deadlines.expire(at(19), &machine), 0);
        assert_eq!(deadlines.expire_at_most(1, at(20), &machine), 1);
        assert_eq!(deadlines.next(), Some(at(20)), "another one is due");
        assert_eq!(deadlines.expire(at(20), &machine), 1);
        assert_eq!(deadlines.next(), Some(at(30)));
        assert_eq!(deadlines.expire(at(31), &machine), 1);
        assert_eq!(deadlines.next(), None);
        let mut told = 0;
        let turn = driver.turn(|cx| {
            cx.arrivals().advance(|_, me| {
                if me.take_events() == Events::DEADLINE {
                    told += 1;
                }
                Step::Release
            });
        });
        assert_eq!((turn.is_ok(), told), (true, 3));
    }

    #[test]
    fn a_deadline_that_is_too_far_for_the_clock_never_comes() {
        let machine: Machine<u32> = Machine::heap(Capacity::slots(1));
        let state = machine.allocate(0).unwrap();
        let mut deadlines = Deadlines::heap(1, Duration::from_nanos(1));
        let centuries = Duration::from_secs(300 * 366 * 86_400);
        deadlines.arm(state.token(), Instant::now() + centuries);
        assert_eq!(deadlines.expire(Instant::now(), &machine), 0);
        assert!(deadlines.cancel(state.token()));
        assert!(!deadlines.cancel(state.token()));
        let text = format!("{deadlines:?}");
        assert!(text.ends_with(" of 1 ns)"), "{text}");
    }

    #[test]
    fn a_resolution_that_is_none_is_refused() {
        for resolution in [Duration::ZERO, Duration::from_secs(600 * 366 * 86_400)] {
            let refused = std::panic::catch_unwind(|| Deadlines::heap(1, resolution));
            let panic = refused.expect_err("it is refused");
            let text = panic.downcast_ref::<&str>().copied();
            assert_eq!(
                text,
                Some("the resolution is not between 1 ns and 500 years")
            );
        }
    }
}
