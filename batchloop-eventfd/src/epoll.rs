//! The kernel's side: waiting, and what its flags mean.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use crate::sync::plain::{AtomicU32, Ordering};
use batchloop_core::Events;
use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, Event, EventFlags},
    },
    io::Errno,
};

/// How long to wait for something to happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    Not,
    Until(Instant),
    ForEver,
}

impl Wait {
    pub(crate) fn until(deadline: Option<Instant>) -> Self {
        deadline.map_or(Wait::ForEver, Wait::Until)
    }

    fn left(self) -> Option<Duration> {
        match self {
            Wait::Not => Some(Duration::ZERO),
            Wait::Until(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            Wait::ForEver => None,
        }
    }
}

/// Waits for events, and puts them behind those that are in `events`. A signal handler that has run ends the wait: the
/// program may want to look at what it left. What is there by then is collected all the same: a deadline that has passed
/// must not come before what was in time.
pub(crate) fn wait(epoll: &OwnedFd, events: &mut Vec<Event>, wait: Wait) -> io::Result<()> {
    let left = wait.left();
    let answer = match epoll::wait(epoll, spare_capacity(events), left.map(exact).as_ref()) {
        // A kernel before 5.11, which counts in milliseconds.
        Err(Errno::NOSYS | Errno::INVAL) => {
            epoll::wait(epoll, spare_capacity(events), left.map(rounded_up).as_ref())
        }
        answer => answer,
    };
    let answer = match answer {
        Err(Errno::INTR) => {
            let at_once = rounded_up(Duration::ZERO);
            epoll::wait(epoll, spare_capacity(events), Some(&at_once))
        }
        answer => answer,
    };
    match answer {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn exact(left: Duration) -> Timespec {
    Timespec {
        tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    }
}

fn rounded_up(left: Duration) -> Timespec {
    /// About 24 days: what an old kernel can wait for at once.
    const LONGEST: u64 = i32::MAX as u64 / 1000;
    let milliseconds = left.subsec_nanos().div_ceil(1_000_000);
    exact(
        Duration::from_secs(left.as_secs().min(LONGEST - 1))
            + Duration::from_millis(milliseconds.into()),
    )
}

/// What is asked for a descriptor: these events, and to hear of the other side's end.
pub(crate) fn interest(events: Events) -> EventFlags {
    let mut flags = EventFlags::RDHUP | EventFlags::ET;
    let reads = events.contains(Events::READABLE);
    flags.set(EventFlags::IN | EventFlags::PRI, reads);
    flags.set(EventFlags::OUT, events.contains(Events::WRITABLE));
    flags
}

/// How many reports of urgent data there have been: see [`urgent`].
static URGENT: AtomicU32 = AtomicU32::new(0);

/// How many reports of urgent data there have been, in all of the program.
///
/// A receive stops at the mark that urgent data leaves in a stream, even though more is behind it. The kernel says in
/// its report of readiness that there is a mark, before anything is received up to it. So a stream that has seen the
/// count change knows that a receive which did not fill its room may have come to a mark.
pub(crate) fn urgent() -> u32 {
    // ORDERING: Relaxed; the partner is in `translate`, and the event that is posted after it carries the count along.
    URGENT.load(Ordering::Relaxed)
}

/// A hang-up or an error is also a readiness in both directions: the next read or write says what it is.
pub(crate) fn translate(flags: EventFlags) -> Events {
    let mut events = Events::NONE;
    let broken = flags.intersects(EventFlags::HUP | EventFlags::ERR);
    if broken || flags.contains(EventFlags::RDHUP) {
        events = events | Events::CLOSED;
    }
    if broken || flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::PRI) {
        events = events | Events::READABLE;
    }
    if flags.contains(EventFlags::PRI) {
        // ORDERING: Relaxed; the partner is in `urgent`.
        URGENT.fetch_add(1, Ordering::Relaxed);
    }
    if broken || flags.contains(EventFlags::OUT) {
        events = events | Events::WRITABLE;
    }
    events
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_wait_for_whole_milliseconds_and_not_less() {
        assert_eq!(rounded_up(Duration::from_nanos(1)).tv_nsec, 1_000_000);
        assert_eq!(rounded_up(Duration::from_millis(7)).tv_nsec, 7_000_000);
        assert_eq!(rounded_up(Duration::MAX).tv_sec, 2_147_483);
    }

    #[test]
    fn an_end_in_one_direction_leaves_the_other_alone() {
        let ended = translate(EventFlags::IN | EventFlags::RDHUP);
        assert_eq!(ended, Events::READABLE | Events::CLOSED);
        let broken = translate(EventFlags::ERR);
        assert!(broken.contains(Events::READABLE | Events::WRITABLE | Events::CLOSED));
    }
}
