//! Any number of drivers, their file descriptors and one bell, in one wait.
//!
//! This layer decides when the thread sleeps and pauses, and posts what has happened to states and producers. How it waits
//! is the backend's; what is sent and received, the streams'.

mod pause;
pub(crate) mod polled;
pub(crate) mod producer;
pub(crate) mod registry;

use std::{
    fmt, io,
    num::NonZeroU64,
    os::fd::{AsFd, BorrowedFd},
    thread,
    time::{Duration, Instant},
};

use batchloop_core::{
    Access, Events, Machine, Stale, Watch, Workload, Workloads, slab::Token, sleep::Announced,
};
use rustix::{
    event::epoll::{self, EventFlags},
    thread::set_current_timer_slack,
};

use crate::{
    backend::Backend,
    ground::{bell::OneRing, event_fd::EventFd, mark::Mark, wait::Wait},
};
use pause::PausePolicy;
use polled::Polled;
use producer::{Producer, Producers};
use registry::Registry;

/// How long descriptors go unlooked at while there is work.
///
/// A look with nothing to see costs about 0.3 µs, so this is 1 % of the time for it, and a delay that is no longer than
/// some tens of requests take.
const BUSY: Duration = Duration::from_micros(30);

/// Waits for the file descriptors of any machines' states, for producers, and for changes from other threads.
///
/// A thread has one, and any number of drivers: the machines may be of different types. Its loop gives each driver a
/// turn and then polls, so all get on alike: a turn is bounded by its batches, whatever other drivers do. A driver
/// whose watch is not due may be left out of a round.
///
/// ```
/// # use batchloop_core::{Capacity, Machine, Step, Turn};
/// # use batchloop_eventfd::Multiplexer;
/// # fn listen(cx: &mut Turn<'_, u8>) { cx.arrivals().release() }
/// # fn call(cx: &mut Turn<'_, u16>) { cx.arrivals().release() }
/// # let listening = Machine::heap(Capacity::slots(4));
/// # let calling = Machine::heap(Capacity::slots(4));
/// let mut multiplexer = Multiplexer::new()?;
/// let clients = multiplexer.add(listening)?;
/// let servers = multiplexer.add(calling)?;
/// let (mut listener, mut caller) = (listening.driver()?, calling.driver()?);
/// # listening.allocate(1)?;
/// # calling.allocate(1)?;
/// loop {
///     listener.turn(|cx| listen(cx))?;
///     caller.turn(|cx| call(cx))?;
///     // Before the sleep, which the end of a state does not end.
///     if listening.live() + calling.live() == 0 {
///         break;
///     }
///     multiplexer.poll(&[listener.watch(), caller.watch()], None)?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "poller")]
#[doc(alias = "reactor")]
pub struct Multiplexer {
    backend: Backend,
    bell: &'static OneRing<EventFd>,
    machines: Vec<Box<dyn Member>>,
    producers: Producers,
    /// The sleep that the thread is in, or is about to enter.
    announced: Vec<Announced>,
    /// When a busy thread last looked at its descriptors; `None` once it has slept.
    looked: Option<Instant>,
    pause_policy: PausePolicy,
    total: Polled,
}

/// A machine, whatever its type.
trait Member {
    fn post(&self, token: Token, events: Events) -> Result<(), Stale>;
}

impl<T: 'static, A: Access> Member for Machine<T, A> {
    fn post(&self, token: Token, events: Events) -> Result<(), Stale> {
        self.post_token(token, events)
    }
}

impl Multiplexer {
    /// A multiplexer with its bell.
    ///
    /// The bell lives as long as the program, as machines do: a waker may ring it at any time, so its
    /// descriptor is never closed.
    ///
    /// # Errors
    ///
    /// The kernel's, where there are too many descriptors.
    pub fn new() -> io::Result<Self> {
        Self::waiting_with(|_| Backend::on_epoll())
    }

    fn waiting_with(
        make: impl FnOnce(&'static OneRing<EventFd>) -> io::Result<Backend>,
    ) -> io::Result<Self> {
        let bell: &_ = Box::leak(Box::new(OneRing::new(EventFd::new()?)));
        let backend = make(bell)?;
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&**backend.epoll(), bell.bell(), Mark::BELL.to_data(), flags)?;
        Ok(Multiplexer {
            backend,
            bell,
            machines: Vec::new(),
            producers: Producers::default(),
            announced: Vec::new(),
            looked: None,
            pause_policy: PausePolicy::new(Duration::ZERO),
            total: Polled::default(),
        })
    }

    /// A multiplexer whose attached streams go through an io_uring: the operations of a whole turn, and the wait for
    /// more, are one system call. All else is as with [`new`](Self::new).
    ///
    /// The ring has 2 MiB of buffers for receiving. For each stream, up to 64 KiB that are sent wait in its memory (16 KiB
    /// if the peer does not take them), and 8 KiB that were received and are not taken; what comes then stays in the
    /// socket. A stream that is dropped is closed
    /// when what it has sent is with the kernel, and is reset if the peer takes nothing for about a minute;
    /// [`lingering`](Self::lingering) counts them. When the multiplexer is dropped, it submits what is left and waits for
    /// nothing. All attached streams are at their end then, and those that have something left are reset, so that the
    /// peer does not take what it got for the whole.
    ///
    /// # Errors
    ///
    /// Where the kernel has no io_uring, forbids it, or is older than Linux 6.1, and on other architectures than x86-64
    /// and AArch64 ([`io::ErrorKind::Unsupported`]): an error that says which. The program
    /// may go on with [`new`](Self::new).
    #[cfg(feature = "uring")]
    pub fn with_uring() -> io::Result<Self> {
        Self::waiting_with(Backend::on_uring)
    }

    /// Lets the thread pause before it sleeps, so that more comes together: fewer waits and larger batches, for answers
    /// that come later by the pause at most. Without this, or with no time at all, there is none.
    ///
    /// It is for servers with many clients that ask, wait for the answer and ask again; some tens of µs are right where
    /// a request takes a few. The thread pauses only if it would sleep otherwise and no deadline is that near, and only
    /// while the work that comes together meanwhile takes at least as long. Whether it does is tried after 256 waits
    /// that brought several events each; so few clients are hardly held up, nor a thread that has enough to do. A
    /// pause cannot be cut short, not even by a wake from another thread.
    ///
    /// Call it on the thread that polls: that thread's timers become exact to the µs, where the kernel otherwise allows
    /// itself 50. A loop that hosts this one ([`poll_hosted`](Self::poll_hosted)) sleeps itself, and makes no pauses.
    pub fn set_pause(&mut self, pause: Duration) {
        self.pause_policy = PausePolicy::new(pause);
        if !pause.is_zero() {
            // Where the kernel refuses, pauses are longer, and judged as long as they are.
            let _ = set_current_timer_slack(NonZeroU64::new(1000));
        }
    }

    /// Takes a machine in: changes from elsewhere end the thread's sleep, and events of descriptors that are registered
    /// with the answer reach the machine's states. Up to 255 machines, each with up to 2²⁴ slots.
    ///
    /// Of a [`Shared`](batchloop_core::Shared) machine, other threads may serve some [`Workload`]s, and this one
    /// [`Workload::IO`] at least: the change counters that have their bells already are left alone, and the drivers that
    /// are [polled](Self::poll) are those of the others. So a server computes on threads of its own; the page of this
    /// crate shows one.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if another thread sleeps until something changes for [`Workload::IO`], as where
    /// the machine is in a multiplexer already; [`io::ErrorKind::InvalidInput`] beyond the limits.
    pub fn add<T, A: Access>(&mut self, machine: Machine<T, A>) -> io::Result<Registry> {
        let limits = [
            (
                self.machines.len() >= Mark::MACHINES,
                "the multiplexer has 255 machines already",
            ),
            (
                machine.capacity() > Mark::SLOTS,
                "the machine has over 2^24 slots",
            ),
        ];
        if let Some((_, limit)) = limits.iter().find(|(over, _)| *over) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, *limit));
        }
        let bell = self.bell;
        if machine.set_bell_for(Workload::IO, bell).is_err() {
            let why = match machine.counter().is_rung_by(bell) {
                true => "the machine is already in this multiplexer",
                false => "the machine is already in another multiplexer, or served without one",
            };
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        for workload in Workloads::ALL.iter() {
            // Those that have a bell are served elsewhere, or are served here with IO.
            let _ = machine.set_bell_for(workload, bell);
        }
        let number = self.machines.len() as u8;
        self.machines.push(Box::new(machine));
        Ok(Registry::new(self.backend.remote(), number))
    }

    /// Registers a descriptor that belongs to no state: a listener, a pipe that signals come through. When it becomes
    /// readable, the wait ends and the [`Producer`] is ready.
    ///
    /// # Errors
    ///
    /// As [`Registry::add`].
    pub fn add_producer(&mut self, fd: impl AsFd) -> io::Result<Producer> {
        let (number, producer) = self.producers.add();
        let flags = EventFlags::IN | EventFlags::ET;
        let mark = Mark::Producer(number).to_data();
        epoll::add(&**self.backend.epoll(), fd, mark, flags)?;
        Ok(producer)
    }

    /// Collects what has happened, after a turn of each driver.
    ///
    /// If no driver's [`Watch`] is due, it sleeps until a descriptor is ready, a change counter moves, a signal handler
    /// has run, or the deadline is there. Otherwise it does not wait; a thread that never runs out of work
    /// polls its descriptors every 30 µs, without a system call in between.
    ///
    /// A change for a driver that is left out of `drivers` does not end the sleep.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] instead of a sleep if a driver's machine has not been [added](Self::add), or if the
    /// driver serves a workload that other threads serve: it would be slept through. The kernel's; none is expected while
    /// the multiplexer's own descriptors are open.
    pub fn poll(&mut self, drivers: &[Watch], deadline: Option<Instant>) -> io::Result<Polled> {
        if self.announce(drivers)? {
            let polled = self.sleep(deadline);
            self.announced.clear();
            self.looked = None;
            return polled;
        }
        if self.is_time_to_look() {
            self.backend.wait(Wait::Not)?;
        }
        Ok(self.deliver())
    }

    /// Waits, with a pause before if that is worth it.
    fn sleep(&mut self, deadline: Option<Instant>) -> io::Result<Polled> {
        if !self.pause_policy.is_on() {
            self.backend.wait(Wait::until(deadline))?;
            let polled = self.deliver_awake();
            self.pause_policy.note(polled.delivered);
            return Ok(polled);
        }
        self.backend.wait(Wait::Not)?;
        let has_found = !self.backend.is_quiet();
        let found = if has_found {
            self.deliver_awake()
        } else {
            Polled::default()
        };
        let begun = Instant::now();
        let pause = self.pause_policy.judge(begun, found.delivered);
        let ends_before = |pause: &Duration, deadline: Instant| {
            begun.checked_add(*pause).is_some_and(|end| end < deadline)
        };
        let pause = pause.filter(|pause| deadline.is_none_or(|by| ends_before(pause, by)));
        if let Some(pause) = pause {
            thread::sleep(pause);
        }
        if !has_found {
            self.backend.wait(Wait::until(deadline))?;
        } else if pause.is_some() {
            self.backend.wait(Wait::Not)?;
        }
        let polled = found + self.deliver_awake();
        let ended = Instant::now();
        let paused = pause.map(|_| ended - begun);
        self.pause_policy.end(ended, polled.delivered, paused);
        Ok(polled)
    }

    /// Delivers what has come. By then the thread must be known to be awake: else what it posts rings its own bell.
    fn deliver_awake(&mut self) -> Polled {
        self.announced.clear();
        self.deliver()
    }

    /// As [`poll`](Self::poll), for a thread that sleeps elsewhere, in another library's loop: collects what has happened
    /// and never waits. Returns whether the thread may sleep.
    ///
    /// If so, the sleep is announced until the next call, and [`as_fd`](AsFd::as_fd) becomes readable as soon as there
    /// is something to do: a new edge, for loops that wait for edges. Deadlines are that loop's.
    ///
    /// If not, the drivers are to have another turn before the thread sleeps; between the two, the other loop may do what
    /// else it has. So this is the loop to write, whatever `sleep` is: for tokio it is `AsyncFd::readable` within
    /// `timeout_at`, and its readiness is cleared right after it, never between `poll_hosted` and the next sleep.
    ///
    /// ```
    /// # use std::{io, os::fd::AsFd, time::{Duration, Instant}};
    /// # use batchloop_core::{Capacity, Events, Machine, Step, Turn, point};
    /// # use batchloop_eventfd::{Deadlines, Multiplexer};
    /// # use rustix::event::{PollFd, PollFlags, Timespec, poll};
    /// # fn sleep(fd: impl AsFd, deadline: Option<Instant>) -> io::Result<()> {
    /// #     let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    /// #     let left = left.map(|left| Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() });
    /// #     poll(&mut [PollFd::new(&fd, PollFlags::IN)], left.as_ref())?;
    /// #     Ok(())
    /// # }
    /// # fn entry(cx: &mut Turn<'_, u8>, deadlines: &mut Deadlines) {
    /// #     let new = cx.arrivals().for_each(|_, me| {
    /// #         deadlines.arm(me.token(), Instant::now() + Duration::from_millis(5));
    /// #     });
    /// #     cx.stage(point!("wait"), new).advance(|_, me| match me.take(Events::DEADLINE) {
    /// #         Events::DEADLINE => Step::Release,
    /// #         _ => Step::Wait,
    /// #     });
    /// # }
    /// # let machine: Machine<u8> = Machine::heap(Capacity::slots(1));
    /// # machine.allocate(1)?;
    /// # let mut driver = machine.driver()?;
    /// # let mut multiplexer = Multiplexer::new()?;
    /// # multiplexer.add(machine)?;
    /// # let mut deadlines = Deadlines::heap(1, Duration::from_millis(1));
    /// loop {
    ///     deadlines.expire(Instant::now(), &machine);
    ///     driver.turn(|cx| entry(cx, &mut deadlines))?;
    ///     if machine.live() == 0 {
    ///         break;
    ///     }
    ///     if multiplexer.poll_hosted(&[driver.watch()])? {
    ///         // Until it is readable, or the deadline is there.
    ///         sleep(&multiplexer, deadlines.next())?;
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    pub fn poll_hosted(&mut self, drivers: &[Watch]) -> io::Result<bool> {
        self.backend.enable_notify()?;
        let asleep = self.announce(drivers)?;
        if asleep {
            self.looked = None;
        }
        if asleep || self.is_time_to_look() {
            self.backend.wait(Wait::Not)?;
        }
        // What is left in the kernel makes no new edge. So the thread sleeps when it has seen that there is none.
        if !self.backend.is_quiet() {
            self.deliver_awake();
            return Ok(false);
        }
        Ok(asleep && self.backend.prepare_sleep())
    }

    /// Says that the thread is about to sleep, in place of what was said before. Returns whether it may.
    fn announce(&mut self, drivers: &[Watch]) -> io::Result<bool> {
        self.announced.clear();
        if drivers.iter().any(Watch::is_due) {
            return Ok(false);
        }
        if !drivers.iter().all(|driver| driver.is_rung_by(self.bell)) {
            let why = "changes for a driver do not end the sleep: its machine is in no or another multiplexer, or other \
                       threads serve one of its workloads";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        self.bell.renew();
        self.announced
            .extend(drivers.iter().map_while(Watch::announce));
        let may_sleep = self.announced.len() == drivers.len();
        if !may_sleep {
            self.announced.clear();
        }
        Ok(may_sleep)
    }

    fn is_time_to_look(&mut self) -> bool {
        let now = Instant::now();
        let looked = *self.looked.get_or_insert(now);
        let is_time = now.duration_since(looked) >= BUSY;
        if is_time {
            self.looked = Some(now);
        }
        is_time
    }

    fn deliver(&mut self) -> Polled {
        let mut polled = Polled::default();
        let (machines, producers) = (&self.machines, &self.producers);
        self.backend.deliver(|mark, events| match mark {
            Mark::State(machine, token) => {
                let machine = machines.get(usize::from(machine));
                match machine.map_or(Err(Stale), |machine| machine.post(token, events)) {
                    Ok(()) => polled.delivered += 1,
                    Err(Stale) => polled.stale += 1,
                }
            }
            Mark::BELL => polled.rung = true,
            Mark::Producer(number) => {
                if producers.make_ready(number) {
                    polled.producers += 1;
                }
            }
        });
        self.total = self.total + polled;
        polled
    }

    /// How many streams have been dropped and are not closed yet, because the kernel has not taken all that they sent.
    /// None without an io_uring.
    ///
    /// A program that ends should wait for them, as it does for the states that live:
    /// `shutdown.is_over(machine.live() + multiplexer.lingering())`.
    pub fn lingering(&self) -> usize {
        self.backend.lingering()
    }

    #[cfg(all(test, io_uring))]
    pub(crate) fn ring(&mut self) -> &mut crate::ring::Ring {
        self.backend.ring()
    }

    /// What all waits together have brought.
    pub fn total(&self) -> Polled {
        self.total
    }
}

/// The one descriptor of the whole, for another loop to wait for: readable while there is something to collect.
impl AsFd for Multiplexer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.backend.as_fd()
    }
}

impl fmt::Debug for Multiplexer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplexer")
            .field("machines", &self.machines.len())
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
