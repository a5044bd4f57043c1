//! Signals as a producer, and what the ones that end a program do.

use std::{
    fmt, io,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{FORBIDDEN, SIGINT, SIGTERM},
    iterator::{backend::SignalDelivery, exfiltrator::SignalOnly},
};

use crate::{multiplexer::Multiplexer, multiplexer::producer::Producer};

/// Signals that end a sleep and are handled in the loop, as ordinary work, and not in a handler.
///
/// Several of the same kind that come together count as one.
pub struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    arrived: Producer,
}

impl Signals {
    /// Takes these signals, by number, from now on; they do nothing else any more.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for a signal that no program may handle; the kernel's.
    pub fn new(multiplexer: &mut Multiplexer, signals: &[i32]) -> io::Result<Self> {
        let possible = |signal: &i32| (1..=64).contains(signal) && !FORBIDDEN.contains(signal);
        if !signals.iter().all(possible) {
            let why = "one of the signals cannot be handled";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let (receiver, sender) = UnixStream::pair()?;
        let arrived = multiplexer.add_producer(&receiver)?;
        let delivery = SignalDelivery::with_pipe(receiver, sender, SignalOnly, signals)?;
        Ok(Signals { delivery, arrived })
    }

    /// Those that have come since it was last asked.
    pub fn pending(&mut self) -> impl Iterator<Item = i32> + use<> {
        let arrived = self.arrived.is_ready();
        self.arrived.exhausted();
        arrived
            .then(|| self.delivery.pending())
            .into_iter()
            .flatten()
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signals")
    }
}

/// The graceful end of a server: SIGINT or SIGTERM asks for it, then the clients that are connected have some time to finish. A
/// second signal ends at once.
///
/// ```no_run
/// use std::time::Duration;
/// use batchloop_core::{Capacity, Machine, Turn};
/// use batchloop_eventfd::{Listener, Multiplexer, Shutdown, Stream};
///
/// # fn entry(_: &mut Turn<'_, Stream>, _: &mut Listener) {}
/// let machine: Machine<Stream> = Machine::heap(Capacity::slots(100));
/// let mut multiplexer = Multiplexer::new()?;
/// let registry = multiplexer.add(machine)?;
/// let mut listener = Listener::bind(&mut multiplexer, "127.0.0.1:8080")?;
/// let mut shutdown = Shutdown::new(&mut multiplexer, Duration::from_secs(5))?;
/// let mut driver = machine.driver()?;
/// loop {
///     driver.turn(|cx| entry(cx, &mut listener))?;
///     // Before the sleep, which would go on after the last client has left.
///     if shutdown.is_over(machine.live()) {
///         break;
///     }
///     let deadline = [shutdown.deadline(), listener.deadline()].into_iter().flatten().min();
///     multiplexer.poll(&[driver.watch()], deadline)?;
///     if shutdown.begins() {
///         listener.stop();
///         // States that only wait for their client must look again, and leave.
///         machine.handles().for_each(|client| drop(machine.wake(client)));
///     }
/// }
/// // Each state that is cut off is named, with the point where it was.
/// eprint!("{}", machine.dump());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Shutdown {
    signals: Signals,
    grace: Duration,
    has_begun: bool,
    until: Option<Instant>,
}

impl Shutdown {
    /// Takes SIGINT and SIGTERM; after one of them, `grace` is the time to finish.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn new(multiplexer: &mut Multiplexer, grace: Duration) -> io::Result<Self> {
        Ok(Shutdown {
            signals: Signals::new(multiplexer, &[SIGINT, SIGTERM])?,
            grace,
            has_begun: false,
            until: None,
        })
    }

    /// Looks for signals. Returns `true` once: when the end begins.
    pub fn begins(&mut self) -> bool {
        let now = Instant::now();
        let count = self.signals.pending().count();
        let had_begun = self.has_begun;
        if count > 0 {
            let grace = if had_begun || count > 1 {
                Duration::ZERO
            } else {
                self.grace
            };
            self.has_begun = true;
            self.until = now.checked_add(grace);
        }
        self.has_begun && !had_begun
    }

    /// Whether the end has begun: nothing new should.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether to end now: the end has begun, and no state lives or the time is over.
    ///
    /// To be asked between the turn, in which the last one may leave, and the sleep: a state that ends rings nothing.
    pub fn is_over(&self, live: usize) -> bool {
        let is_late = || self.until.is_some_and(|until| Instant::now() >= until);
        self.has_begun && (live == 0 || is_late())
    }

    /// When the time is over; `None` before it begins, and where the clock does not go that far.
    pub fn deadline(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
