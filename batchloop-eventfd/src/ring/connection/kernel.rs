//! What the kernel should do for a connection, and what it has done.

use std::mem;

use batchloop_core::Events;
use rustix::io::Errno;

use super::{Connection, End, Flight, Manner, Operation, Owner};
use crate::ring::buffers::{Buffers, Lent};

/// How much memory an idle connection keeps for its next message, in each of its two buffers for sending.
const IDLE: usize = 1024;

/// How often in a row an abandoned connection may send nothing for the time of one attempt, until it is reset.
const ATTEMPTS: u8 = 6;

/// What the kernel should do.
impl Connection {
    fn is_attached(&self) -> bool {
        matches!(self.owner, Owner::Attached(_))
    }

    /// No more than one buffer is received before it is taken, as epoll leaves all else in the socket.
    fn should_receive(&self) -> bool {
        self.is_attached() && !self.has_received_more() && !self.held.receiving
    }

    fn should_watch(&self) -> bool {
        let is_over = self.end.is_some() && self.is_last && self.owes() == 0;
        let is_broken = self.broken.is_some() || matches!(self.end, Some(End::Broken(_)));
        self.is_attached()
            && self.has_received_more()
            && !(is_over || is_broken || self.is_troubled)
    }

    fn should_send(&self) -> bool {
        let may_send = self.broken.is_none() && !self.held.sending;
        self.sending == Flight::Landed && self.owes() > 0 && may_send
    }

    /// Whether there is something to do as soon as a send is known to have ended that has.
    fn waits_for_quick(&self) -> bool {
        let waits = self.is_last || self.is_awaited || !self.unsent.is_empty();
        self.sending == Flight::Quick && waits
    }

    /// Whether [`plan`](Self::plan) may have something to say, or it is over.
    pub(crate) fn has_plans(&self) -> bool {
        let may_start = self.receiving == Flight::Landed && self.should_receive()
            || self.watching == Flight::Landed && self.should_watch();
        let may_stop = self.receiving == Flight::Up && !self.is_attached()
            || self.watching == Flight::Up && !self.should_watch();
        let sends = self.should_send() || self.waits_for_quick();
        self.is_abandoned() || may_start || may_stop || sends
    }

    /// What the kernel should do now. Each is said once.
    pub(crate) fn plan(&mut self, mut queue: impl FnMut(Operation<'_>)) {
        match self.receiving {
            Flight::Landed if self.should_receive() => {
                let at_once = mem::take(&mut self.has_more);
                queue(Operation::Receive { at_once });
                self.receiving = Flight::Up;
            }
            Flight::Up if !self.is_attached() => {
                queue(Operation::StopReceiving);
                self.receiving = Flight::Ending;
            }
            _ => {}
        }
        match self.watching {
            Flight::Landed if self.should_watch() => {
                let readable = self.end.is_none();
                queue(Operation::Watch { readable });
                self.watching = Flight::Up;
            }
            Flight::Up if !self.should_watch() => {
                queue(Operation::StopWatching);
                self.watching = Flight::Ending;
            }
            _ => {}
        }
        match self.sending {
            Flight::Landed if self.should_send() => self.plan_sending(queue),
            // From now on it sends in another manner.
            Flight::Up if self.is_abandoned() => {
                queue(Operation::StopSending);
                self.sending = Flight::Ending;
            }
            _ => {}
        }
    }

    fn plan_sending(&mut self, mut queue: impl FnMut(Operation<'_>)) {
        if self.sent == self.leaving.len() {
            self.sent = 0;
            empty(&mut self.leaving);
            mem::swap(&mut self.leaving, &mut self.unsent);
        }
        let bytes = &self.leaving[self.sent..];
        let manner = match () {
            () if self.is_abandoned() => Manner::Hasty,
            () if self.is_slow => Manner::Patient,
            () if self.is_awaited || self.is_last => Manner::Reported,
            () => Manner::Quick,
        };
        queue(Operation::Send { bytes, manner });
        self.sending = match manner {
            Manner::Quick => Flight::Quick,
            Manner::Reported | Manner::Patient => Flight::Up,
            // It ends by itself.
            Manner::Hasty => Flight::Ending,
        };
    }
}

/// What the kernel has done.
impl Connection {
    /// A receive has ended. Returns what its state should know.
    pub(crate) fn received(
        &mut self,
        outcome: Result<u32, Errno>,
        lent: Option<Lent>,
        has_more: bool,
        buffers: &mut Buffers,
    ) -> Events {
        self.receiving = Flight::Landed;
        self.has_more = has_more && self.is_attached();
        if let Some(lent) = lent {
            if self.is_abandoned() || lent.len() == 0 {
                buffers.give_back(lent);
            } else {
                self.lent = Some(lent);
            }
        }
        self.end = match outcome {
            Ok(0) => Some(self.ordinary_end()),
            Ok(_) => return Events::READABLE,
            // All buffers were in use.
            Err(Errno::NOBUFS) => {
                self.has_more = true;
                return Events::NONE;
            }
            // It was asked to stop, perhaps: it is started anew when there is a reason.
            Err(Errno::CANCELED | Errno::AGAIN | Errno::INTR) => {
                return Events::NONE;
            }
            Err(error) => Some(End::Broken(error)),
        };
        Events::READABLE | Events::CLOSED
    }

    /// A watch has seen something, or has ended. Returns what its state should know.
    pub(crate) fn watched(&mut self, outcome: Result<Events, Errno>, goes_on: bool) -> Events {
        if !goes_on {
            self.watching = Flight::Landed;
        }
        let is_asked = matches!(outcome, Err(Errno::CANCELED | Errno::INTR));
        let seen = outcome.unwrap_or(Events::NONE);
        // One that cannot be watched is not watched again.
        self.is_troubled |= seen.contains(Events::WRITABLE) || outcome.is_err() && !is_asked;
        // The socket says what it is, when what came before has been taken.
        self.has_more |= self.is_troubled;
        seen
    }

    /// A send has ended. Returns what its state should know.
    pub(crate) fn sent(&mut self, outcome: Result<u32, Errno>) -> Events {
        self.sending = Flight::Landed;
        match outcome {
            Ok(sent) => {
                self.sent += sent as usize;
                self.fruitless = 0;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::CANCELED) if self.is_abandoned() && self.fruitless < ATTEMPTS => {
                self.fruitless += 1;
            }
            Err(error) => self.broken = Some(error),
        }
        self.is_slow = self.sent < self.leaving.len();
        if self.is_slow {
            // It may be there for long.
            self.leaving = self.leaving[self.sent..].to_vec();
            self.sent = 0;
        }
        if self.sent == self.leaving.len() {
            self.sent = 0;
            empty(&mut self.leaving);
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
    pub(crate) fn sent_quickly(&mut self) -> Events {
        match self.sending {
            Flight::Quick => self.sent(Ok((self.leaving.len() - self.sent) as u32)),
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
