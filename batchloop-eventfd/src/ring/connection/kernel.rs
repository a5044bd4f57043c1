//! What the kernel should do for a connection, and what it has done.

use std::mem;

use batchloop_core::Events;
use rustix::io::Errno;

use super::{Arrival, Connection, End, InFlight, Owner};
use crate::ring::{
    buffers::{self, Buffers},
    operation::{Operation, SendMode, Watched},
};

/// How much memory an idle connection keeps for its next message, in each of its two buffers for sending.
const IDLE: usize = 1024;

/// How often in a row an abandoned connection may send nothing for the time of one attempt, until it is reset.
const ATTEMPTS: u8 = 6;

/// What the kernel should do.
impl Connection {
    fn is_attached(&self) -> bool {
        matches!(self.owner, Owner::Attached(_))
    }

    /// No more than a buffer holds is received before all of it is taken, as epoll leaves all else in the socket.
    fn should_receive(&self) -> bool {
        self.is_attached() && !self.has_received_more() && !self.held.receiving
    }

    /// A receive that is done once is begun each time with a look at the socket. One that goes on is not, and the kernel may
    /// let it bring the last bytes without the end or the error behind them.
    fn should_stop_receiving(&self) -> bool {
        let has_more_to_say = self.is_ending || self.is_troubled;
        self.receiving == InFlight::Yes
            && (!self.is_attached() || self.is_multishot && has_more_to_say)
    }

    /// What a watch should tell of that no receive does.
    fn should_watch(&self) -> Option<Watched> {
        let is_over = self.end.is_some() && self.is_last && self.owes() == 0;
        if !self.is_attached() || is_over || self.broken.is_some() || self.is_troubled {
            return None;
        }
        match self.receiving {
            _ if self.end.is_some() => Some(Watched::Errors),
            InFlight::No if self.has_received_more() => Some(Watched::Arrivals),
            InFlight::Yes if self.is_multishot => Some(Watched::Ends),
            _ => None,
        }
    }

    /// Whether what is watched is not what should be. Where only errors are wanted, any watch tells of them.
    fn should_stop_watching(&self) -> bool {
        let suffices = match self.should_watch() {
            Some(Watched::Errors) => true,
            wanted => wanted == Some(self.watched),
        };
        self.watching == InFlight::Yes && !suffices
    }

    fn should_send(&self) -> bool {
        let may_send = self.broken.is_none() && !self.held.sending;
        self.sending == InFlight::No && self.owes() > 0 && may_send
    }

    /// Whether there is something to do as soon as what is queued is submitted, which ends the send.
    fn waits_for_submission(&self) -> bool {
        let waits = self.is_last || self.is_awaited || !self.unsent.is_empty();
        self.sending == InFlight::Unreported && waits
    }

    /// Whether [`plan`](Self::plan) may have something to say, or it is over.
    pub(in crate::ring) fn has_plans(&self) -> bool {
        let may_start = self.receiving == InFlight::No && self.should_receive()
            || self.watching == InFlight::No && self.should_watch().is_some();
        let may_stop = self.should_stop_receiving() || self.should_stop_watching();
        let sends = self.should_send() || self.waits_for_submission();
        self.is_abandoned() || may_start || may_stop || sends
    }

    /// What the kernel should do now. Each is said once.
    pub(in crate::ring) fn plan(
        &mut self,
        is_multishot: bool,
        mut queue: impl FnMut(Operation<'_>),
    ) {
        if self.receiving == InFlight::No && self.should_receive() {
            // A connection may be for one message; then it would not pay.
            let is_lasting = self.is_lasting && !self.is_ending && !self.is_troubled;
            self.is_multishot = is_multishot && is_lasting;
            queue(Operation::Receive {
                at_once: mem::take(&mut self.has_more),
                multishot: self.is_multishot,
            });
            self.receiving = InFlight::Yes;
        } else if self.should_stop_receiving() {
            queue(Operation::StopReceiving);
            self.receiving = InFlight::Cancelling;
        }
        match self.should_watch() {
            Some(what) if self.watching == InFlight::No => {
                queue(Operation::Watch(what));
                self.watched = what;
                self.watching = InFlight::Yes;
            }
            _ if self.should_stop_watching() => {
                queue(Operation::StopWatching);
                self.watching = InFlight::Cancelling;
            }
            _ => {}
        }
        match self.sending {
            InFlight::No if self.should_send() => self.plan_sending(queue),
            // From now on it sends in another mode.
            InFlight::Yes if self.is_abandoned() => {
                queue(Operation::StopSending);
                self.sending = InFlight::Cancelling;
            }
            _ => {}
        }
    }

    fn plan_sending(&mut self, mut queue: impl FnMut(Operation<'_>)) {
        if self.leaving.is_empty() {
            mem::swap(&mut self.leaving, &mut self.unsent);
        }
        let mode = match () {
            () if self.is_abandoned() => SendMode::Timed,
            () if self.is_slow => SendMode::Waiting,
            () if self.is_awaited || self.is_last => SendMode::Reported,
            () => SendMode::Unreported,
        };
        let bytes = &self.leaving;
        queue(Operation::Send { bytes, mode });
        self.sending = match mode {
            SendMode::Unreported => InFlight::Unreported,
            SendMode::Reported | SendMode::Waiting => InFlight::Yes,
            // It ends by itself.
            SendMode::Timed => InFlight::Cancelling,
        };
    }
}

/// What the kernel has done.
impl Connection {
    /// A receive has brought something, or has ended. Returns what its state should know.
    pub(in crate::ring) fn received(&mut self, arrival: Arrival, buffers: &mut Buffers) -> Events {
        if !arrival.goes_on {
            self.receiving = InFlight::No;
        }
        let is_full = match self.is_multishot {
            true => arrival.outcome.is_ok() && !arrival.goes_on,
            false => arrival.outcome == Ok(buffers::SIZE as u32),
        };
        self.has_more = (is_full || arrival.has_more) && self.is_attached();
        if let Some(lent) = arrival.lent {
            if self.is_abandoned() || lent.len() == 0 {
                buffers.give_back(lent);
            } else {
                // What came before is in front of it.
                self.keep(buffers);
                self.lent = Some(lent);
            }
        }
        match arrival.outcome {
            Ok(0) => self.end = Some(self.ordinary_end()),
            Ok(_) => {
                self.is_lasting = true;
                return Events::READABLE;
            }
            // All buffers were in use.
            Err(Errno::NOBUFS) => {
                self.has_more = true;
                return Events::NONE;
            }
            // It was asked to stop, perhaps: it is started anew when there is a reason.
            Err(Errno::CANCELED | Errno::AGAIN | Errno::INTR) => {
                return Events::NONE;
            }
            Err(error) => {
                self.end = Some(End::Broken(error));
                self.broken = self.broken.or(Some(error));
                return Events::READABLE | Events::WRITABLE | Events::CLOSED;
            }
        }
        Events::READABLE | Events::CLOSED
    }

    /// A watch has seen something, or has ended. Returns what its state should know.
    pub(in crate::ring) fn watched(
        &mut self,
        outcome: Result<Events, Errno>,
        goes_on: bool,
    ) -> Events {
        if !goes_on {
            self.watching = InFlight::No;
        }
        let is_asked = matches!(outcome, Err(Errno::CANCELED | Errno::INTR));
        let seen = outcome.unwrap_or(Events::NONE);
        // One that cannot be watched is not watched again.
        self.is_troubled |= seen.contains(Events::WRITABLE) || outcome.is_err() && !is_asked;
        self.is_ending |= seen.contains(Events::CLOSED);
        // The socket says what it is, when what came before has been taken.
        self.has_more |= self.is_troubled;
        match self.watched {
            // The receive tells of it.
            Watched::Ends if !self.is_troubled => Events::NONE,
            _ => seen,
        }
    }

    /// A send has ended. Returns what its state should know.
    pub(in crate::ring) fn sent(&mut self, outcome: Result<u32, Errno>) -> Events {
        self.sending = InFlight::No;
        let mut sent = 0;
        match outcome {
            Ok(bytes) => {
                sent = bytes as usize;
                self.failed_attempts = 0;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::CANCELED) if self.is_abandoned() && self.failed_attempts < ATTEMPTS => {
                self.failed_attempts += 1;
            }
            Err(error) => self.broken = Some(error),
        }
        self.is_slow = sent < self.leaving.len();
        match self.is_slow {
            // It may be there for long.
            true if sent > 0 => self.leaving = self.leaving[sent..].to_vec(),
            true => {}
            false => empty(&mut self.leaving),
        }
        // A connection that has ended meanwhile says so to its next receive.
        let _ = self.finish_sending();
        if self.broken.is_some() {
            return Events::WRITABLE | Events::READABLE | Events::CLOSED;
        }
        match mem::take(&mut self.is_awaited) {
            true => Events::WRITABLE,
            false => Events::NONE,
        }
    }

    /// What was submitted has ended. Returns what its state should know.
    pub(in crate::ring) fn sent_unreported(&mut self) -> Events {
        match self.sending {
            InFlight::Unreported => self.sent(Ok(self.leaving.len() as u32)),
            _ => Events::NONE,
        }
    }
}

/// Empties a buffer, and keeps it if it is small. A large one that was made small would leave a hole behind it.
fn empty(bytes: &mut Vec<u8>) {
    match bytes.capacity() {
        ..=IDLE => bytes.clear(),
        _ => *bytes = Vec::new(),
    }
}
