//! When a thread that is about to sleep pauses first, so that more comes together.

use std::time::{Duration, Instant};

/// How many waits that bring several events go by, until a pause is tried again.
const REST: u32 = 256;

/// How many pauses in a row must not have been worth it, until there are no more.
///
/// More than one, because batches grow over some rounds to what they can be: clients that are answered together ask together.
const DOUBTS: u32 = 8;

/// Judges pauses by the work that they bring together.
///
/// A pause is worth it if the work after it takes at least as long: then the thread is busy half of the time, and
/// clients wait for other clients' answers rather than for the pause. Only trying shows it, since clients that
/// wait for their answers send nothing meanwhile. So pauses are tried now and then, where events come by twos, and kept
/// up for as long as they are worth it.
#[derive(Debug)]
pub(super) struct PausePolicy {
    /// None is made if it is zero.
    pause: Duration,
    rest: u32,
    doubts: u32,
    last: Option<Brought>,
    /// What an event takes, as far as is known.
    each: Duration,
}

/// What the last wait brought.
#[derive(Clone, Copy, Debug)]
struct Brought {
    at: Instant,
    events: u32,
    /// How long it took to come together, if there was a pause.
    paused: Option<Duration>,
}

impl PausePolicy {
    pub(super) fn new(pause: Duration) -> Self {
        PausePolicy {
            pause,
            rest: REST,
            doubts: 0,
            last: None,
            each: Duration::ZERO,
        }
    }

    /// Whether there may be a pause before the next wait. Then there is a look first, and what it finds is
    /// [judged](Self::judge).
    pub(super) fn is_on(&self) -> bool {
        !self.pause.is_zero() && self.rest == 0
    }

    /// When all that the last wait brought is worked on: judges it, and says how long to pause where so many events are
    /// there already, if at all.
    pub(super) fn judge(&mut self, now: Instant, events: usize) -> Option<Duration> {
        if let Some(last) = self.last.take() {
            let work = now.saturating_duration_since(last.at);
            if last.events > 0 {
                self.each = work / last.events;
            }
            if let Some(paused) = last.paused {
                self.doubts = if work < paused { self.doubts + 1 } else { 0 };
            }
            if self.doubts == DOUBTS {
                *self = PausePolicy::new(self.pause);
                return None;
            }
        }
        let suffices = self.each.saturating_mul(count(events)) >= self.pause;
        (!suffices).then_some(self.pause)
    }

    /// What has come where there might be a pause, and how long that took if there was one.
    pub(super) fn end(&mut self, at: Instant, events: usize, paused: Option<Duration>) {
        self.last = Some(Brought {
            at,
            events: count(events),
            paused,
        });
    }

    /// What has come where there might be none.
    pub(super) fn note(&mut self, events: usize) {
        if events > 1 {
            self.rest = self.rest.saturating_sub(1);
        }
    }
}

fn count(events: usize) -> u32 {
    u32::try_from(events).unwrap_or(u32::MAX)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_micros(60);

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// One that has rested.
    fn rested() -> PausePolicy {
        let mut policy = PausePolicy::new(PAUSE);
        for _ in 0..REST {
            assert!(!policy.is_on());
            policy.note(2);
        }
        assert!(policy.is_on());
        policy
    }

    /// A pause that brings events, and the work after it. Returns whether there was one.
    fn round(policy: &mut PausePolicy, now: &mut Instant, events: usize, work: u64) -> bool {
        let pause = match policy.is_on() {
            true => policy.judge(*now, 0),
            false => None,
        };
        if let Some(pause) = pause {
            *now += pause;
            policy.end(*now, events, Some(pause));
            *now += micros(work);
        }
        pause.is_some()
    }

    #[test]
    fn single_events_and_no_time_make_no_pauses() {
        let mut single = PausePolicy::new(PAUSE);
        let mut never = PausePolicy::new(Duration::ZERO);
        for _ in 0..10 * REST {
            assert!(!single.is_on());
            assert!(!never.is_on());
            single.note(1);
            never.note(100);
        }
    }

    #[test]
    fn pauses_go_on_while_the_work_takes_as_long() {
        let mut policy = rested();
        let mut now = Instant::now();
        for _ in 0..100 {
            assert!(round(&mut policy, &mut now, 12, 60));
        }
    }

    #[test]
    fn pauses_end_after_some_that_were_not_worth_it() {
        let mut policy = rested();
        let mut now = Instant::now();
        // One that is worth it makes up for those before it.
        for _ in 0..DOUBTS - 1 {
            assert!(round(&mut policy, &mut now, 11, 59));
        }
        assert!(round(&mut policy, &mut now, 12, 60));
        for _ in 0..DOUBTS {
            assert!(round(&mut policy, &mut now, 11, 59));
        }
        assert!(!round(&mut policy, &mut now, 11, 59));
        for _ in 1..REST {
            policy.note(2);
        }
        assert!(!round(&mut policy, &mut now, 11, 59), "it rests");
        policy.note(2);
        assert!(round(&mut policy, &mut now, 11, 59));
    }

    #[test]
    fn enough_work_needs_no_pause() {
        let mut policy = rested();
        let mut now = Instant::now();
        assert_eq!(policy.judge(now, 1000), Some(PAUSE), "nothing is known");
        round(&mut policy, &mut now, 10, 100);
        assert_eq!(policy.judge(now, 6), None);
        assert_eq!(policy.judge(now, 5), Some(PAUSE));
        // Work without a pause is no doubt.
        for _ in 0..2 * DOUBTS {
            policy.end(now, 6, None);
            now += micros(50);
            assert_eq!(policy.judge(now, 7), Some(PAUSE));
        }
    }

    #[test]
    fn a_wait_that_brought_nothing_says_nothing_of_what_an_event_takes() {
        let mut policy = rested();
        let mut now = Instant::now();
        round(&mut policy, &mut now, 10, 100);
        assert_eq!(policy.judge(now, 6), None);
        policy.end(now, 0, None);
        assert_eq!(policy.judge(now + micros(100), 6), None);
        assert_eq!(policy.judge(now, 5), Some(PAUSE));
    }
}
