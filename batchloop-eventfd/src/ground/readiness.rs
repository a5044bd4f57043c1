//! What the kernel's flags of readiness mean.

use batchloop_core::Events;
use rustix::event::epoll::EventFlags;

use crate::ground::sync::plain::{AtomicU32, Ordering};

/// What is asked for a descriptor: these events, and to hear of the peer's end.
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
    fn an_end_in_one_direction_leaves_the_other_alone() {
        let ended = translate(EventFlags::IN | EventFlags::RDHUP);
        assert_eq!(ended, Events::READABLE | Events::CLOSED);
        let broken = translate(EventFlags::ERR);
        assert!(broken.contains(Events::READABLE | Events::WRITABLE | Events::CLOSED));
    }

    #[test]
    fn what_is_asked_for_is_what_is_wanted_and_the_end() {
        let always = EventFlags::RDHUP | EventFlags::ET;
        let reads = EventFlags::IN | EventFlags::PRI;
        let cases = [
            (Events::NONE, always),
            (Events::READABLE, always | reads),
            (Events::WRITABLE, always | EventFlags::OUT),
            (
                Events::READABLE | Events::WRITABLE,
                always | reads | EventFlags::OUT,
            ),
        ];
        for (wanted, flags) in cases {
            assert_eq!(interest(wanted), flags);
        }
    }

    #[test]
    fn each_flag_is_the_readiness_that_it_means() {
        let all = Events::READABLE | Events::WRITABLE | Events::CLOSED;
        let cases = [
            (EventFlags::empty(), Events::NONE),
            (EventFlags::IN, Events::READABLE),
            (EventFlags::OUT, Events::WRITABLE),
            (EventFlags::RDHUP, Events::READABLE | Events::CLOSED),
            (EventFlags::HUP, all),
            (EventFlags::ERR, all),
        ];
        for (flags, events) in cases {
            assert_eq!(translate(flags), events, "{flags:?}");
        }
        let before = urgent();
        assert_eq!(translate(EventFlags::PRI), Events::READABLE);
        assert_ne!(urgent(), before);
    }
}
