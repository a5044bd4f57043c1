//! One driver, its file descriptors and its bell, in one wait.

use std::{
    fmt, io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use batchloop_core::{Driver, Events, Machine, Progress, Token};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    io::Errno,
};

use crate::{
    event_fd::EventFd,
    registry::{NOT_A_STATE, Registry},
};

/// How many events one system call reports at most. More are reported by the next one.
const EVENTS_AT_ONCE: usize = 1024;

/// The bell's mark. Producers are numbered below it.
const BELL: u64 = NOT_A_STATE | 0x7fff_ffff;

/// What a wait brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Polled {
    /// Events that were posted to states.
    pub delivered: usize,
    /// Events for states that have ended: dropped.
    pub stale: usize,
    /// Producers that became ready.
    pub producers: usize,
    /// Whether the bell was rung.
    pub rung: bool,
}

/// Waits for the file descriptors of one machine's states, and for changes from other threads.
///
/// The machine is [`Local`](batchloop_core::Local): the thread that polls is the one that runs its driver.
pub struct Poller<T: 'static> {
    machine: Machine<T>,
    registry: Registry,
    events: Vec<epoll::Event>,
    total: Polled,
}

impl<T> Poller<T> {
    /// A poller for the machine, and the bell for its change counter.
    ///
    /// The bell lives as long as the program, as the machine does: whoever holds a waker may ring it at any time, so
    /// its descriptor is never closed.
    ///
    /// # Errors
    ///
    /// The kernel's, where there are too many descriptors; [`io::ErrorKind::AlreadyExists`] if the machine has a bell.
    pub fn new(machine: Machine<T>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = EventFd::new()?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &bell, epoll::EventData::new_u64(BELL), flags)?;
        let bell: &'static EventFd = Box::leak(Box::new(bell));
        machine
            .counter()
            .set_bell(bell)
            .map_err(|taken| io::Error::new(io::ErrorKind::AlreadyExists, taken))?;
        Ok(Poller {
            machine,
            registry: Registry::new(epoll),
            events: Vec::with_capacity(EVENTS_AT_ONCE),
            total: Polled::default(),
        })
    }

    /// Where the states' descriptors are registered. It does not know the machine's type, so a sub-machine that opens
    /// descriptors can have it and still be compiled once.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Collects what has happened, after a turn of this driver with this outcome.
    ///
    /// After [`Progress::More`] it does not wait. After [`Progress::Quiet`] it sleeps until a descriptor is ready, the
    /// change counter moves, a signal handler has run, or the deadline is there.
    ///
    /// # Errors
    ///
    /// The kernel's; none is expected while the poller's own descriptors are open.
    pub fn poll(
        &mut self,
        driver: &Driver<T>,
        progress: Progress,
        deadline: Option<Instant>,
    ) -> io::Result<Polled> {
        let slept = match progress {
            Progress::More => None,
            Progress::Quiet => {
                let (epoll, events) = (self.registry.epoll(), &mut self.events);
                driver.watch().sleep(|| {
                    let now = Instant::now();
                    wait(
                        epoll,
                        events,
                        deadline.map(|deadline| deadline - now.min(deadline)),
                    )
                })
            }
        };
        match slept {
            Some(answer) => answer?,
            None => wait(
                self.registry.epoll(),
                &mut self.events,
                Some(Duration::ZERO),
            )?,
        }
        Ok(self.deliver())
    }

    fn deliver(&mut self) -> Polled {
        let mut polled = Polled::default();
        for event in &self.events {
            let data = event.data.u64();
            if data & NOT_A_STATE == 0 {
                let events = translate(event.flags);
                match self.machine.post_token(Token::from_u64(data), events) {
                    Ok(()) => polled.delivered += 1,
                    Err(batchloop_core::Stale) => polled.stale += 1,
                }
            } else if data == BELL {
                polled.rung = true;
            } else if self.registry.make_ready((data ^ NOT_A_STATE) as usize) {
                polled.producers += 1;
            }
        }
        self.events.clear();
        if polled.producers > 0 {
            self.machine.counter().ring();
        }
        self.total.delivered += polled.delivered;
        self.total.stale += polled.stale;
        self.total.producers += polled.producers;
        self.total.rung |= polled.rung;
        polled
    }

    /// The machine that it polls for.
    pub fn machine(&self) -> Machine<T> {
        self.machine
    }

    /// What all waits together have brought.
    pub fn total(&self) -> Polled {
        self.total
    }
}

/// The events that wait in `events` are old: the vector is cleared before each call.
fn wait(epoll: &OwnedFd, events: &mut Vec<epoll::Event>, left: Option<Duration>) -> io::Result<()> {
    let answer = match epoll::wait(epoll, spare_capacity(events), left.map(exact).as_ref()) {
        // A kernel before 5.11, which counts in milliseconds.
        Err(Errno::NOSYS | Errno::INVAL) => {
            epoll::wait(epoll, spare_capacity(events), left.map(rounded_up).as_ref())
        }
        answer => answer,
    };
    match answer {
        Ok(_) => Ok(()),
        // A signal handler ran; the program may want to look at what it left.
        Err(Errno::INTR) => Ok(()),
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

/// A hang-up or an error is also a readiness in both directions: the next read or write says what it is.
fn translate(flags: epoll::EventFlags) -> Events {
    use epoll::EventFlags;
    let mut events = Events::NONE;
    let broken = flags.intersects(EventFlags::HUP | EventFlags::ERR);
    if broken {
        events = events | Events::CLOSED;
    }
    if broken || flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::PRI) {
        events = events | Events::READABLE;
    }
    if broken || flags.contains(EventFlags::OUT) {
        events = events | Events::WRITABLE;
    }
    events
}

impl<T> fmt::Debug for Poller<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("machine", &self.machine)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
