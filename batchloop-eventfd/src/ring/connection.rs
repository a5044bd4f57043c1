//! What is under way for one connection, on both sides of the kernel's border. It knows no ring: it says what to queue,
//! and is told what has ended.

mod kernel;

use std::{io, mem, os::fd::OwnedFd, sync::Arc, time::Duration};

use batchloop_core::Events;
use rustix::{
    io::{Errno, retry_on_intr},
    net::{
        RecvFlags, SendFlags, Shutdown, recv, send, shutdown,
        sockopt::{set_socket_linger, socket_error},
    },
};

use super::{
    buffers::{Buffers, Lent},
    operation::Watched,
    successor::{Directions, Successor},
};
use crate::ground::{mark::Mark, received::Received};

/// How many bytes wait here for the kernel to send them.
const UNSENT: usize = 64 * 1024;

/// How many, where the peer does not take them as they come; more than that is sent at once where nothing waits.
const SLOW: usize = 16 * 1024;

/// What a receive has brought.
pub(super) struct Arrival {
    pub(super) outcome: Result<u32, Errno>,
    pub(super) lent: Option<Lent>,
    /// The socket is known to have more.
    pub(super) has_more: bool,
    /// The receive has not ended.
    pub(super) goes_on: bool,
}

/// Whether an operation of the kernel is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum InFlight {
    No,
    /// It will have ended when it is submitted.
    Unreported,
    Yes,
    /// It was asked to end, or ends by itself.
    Cancelling,
}

/// How the peer ended its sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Ordinary,
    Broken(Errno),
}

/// Whose connection it is.
#[derive(Debug)]
enum Owner {
    /// A stream that is attached, and its state.
    Attached(Mark),
    /// A stream that has been taken away from this ring. What is under way here comes to its end first.
    Leaving(Option<Successor>),
    /// Its stream has been dropped.
    Dropped(Option<Successor>),
}

pub(super) struct Connection {
    pub(super) socket: Arc<OwnedFd>,
    owner: Owner,
    /// Whether it is in the list of those that have plans.
    pub(super) is_planning: bool,
    receiving: InFlight,
    /// The receive that is under way, or was last, goes on.
    is_multishot: bool,
    /// Something has been received before.
    is_lasting: bool,
    /// A buffer of the kernel, with something that is not consumed.
    lent: Option<Lent>,
    /// Bytes whose buffer had to go back, and how many of them are consumed: never all.
    kept: Vec<u8>,
    consumed: usize,
    /// More is in the socket, as the kernel said with what came last.
    has_more: bool,
    end: Option<End>,
    watching: InFlight,
    watched: Watched,
    /// The peer has ended its sending; the end is behind what comes.
    is_ending: bool,
    /// The socket has an error, or has ended in both directions.
    is_troubled: bool,
    sending: InFlight,
    /// What the kernel is sending. Nothing changes it meanwhile: K3.
    leaving: Vec<u8>,
    /// What comes after it.
    unsent: Vec<u8>,
    broken: Option<Errno>,
    /// A send did not fit, and its state waits for room.
    is_awaited: bool,
    /// Not everything fitted at once.
    is_slow: bool,
    /// Nothing more will be sent.
    is_last: bool,
    /// How many attempts in a row have sent nothing.
    failed_attempts: u8,
    /// What another ring has not released yet.
    held: Directions,
    /// What the successor has been told.
    released: Directions,
}

impl Connection {
    pub(super) fn new(socket: Arc<OwnedFd>, mark: Mark, held: Directions) -> Self {
        Connection {
            socket,
            owner: Owner::Attached(mark),
            is_planning: false,
            receiving: InFlight::No,
            is_multishot: false,
            is_lasting: false,
            lent: None,
            kept: Vec::new(),
            consumed: 0,
            has_more: false,
            end: None,
            watching: InFlight::No,
            watched: Watched::Errors,
            is_ending: false,
            is_troubled: false,
            sending: InFlight::No,
            leaving: Vec::new(),
            unsent: Vec::new(),
            broken: None,
            is_awaited: false,
            is_slow: false,
            is_last: false,
            failed_attempts: 0,
            held,
            released: Directions::NONE,
        }
    }

    /// The state that it belongs to.
    pub(super) fn mark(&self) -> Option<Mark> {
        match self.owner {
            Owner::Attached(mark) => Some(mark),
            _ => None,
        }
    }

    pub(super) fn is_abandoned(&self) -> bool {
        matches!(self.owner, Owner::Dropped(_))
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.owner, Owner::Leaving(_))
    }

    fn owes(&self) -> usize {
        self.leaving.len() + self.unsent.len()
    }

    /// Whether something has been received that is to be taken, or known.
    fn has_received_more(&self) -> bool {
        !self.kept.is_empty() || self.lent.is_some() || self.end.is_some()
    }

    /// Whether the socket is to be asked, because it has more than was received.
    fn may_ask(&self) -> bool {
        self.has_more && self.end.is_none() && self.receiving == InFlight::No
    }

    /// Whether there is something to take, or to know.
    pub(super) fn may_receive(&self) -> bool {
        self.has_received_more() || self.may_ask()
    }

    pub(super) fn receive(
        &mut self,
        room: &mut [u8],
        buffers: &mut Buffers,
    ) -> io::Result<Received> {
        if room.is_empty() {
            return Ok(Received::Nothing);
        }
        let mut filled = self.take_kept(room);
        if let Some(mut lent) = self.lent.take() {
            let bytes = buffers.bytes(&lent);
            let fits = bytes.len().min(room.len() - filled);
            room[filled..filled + fits].copy_from_slice(&bytes[..fits]);
            filled += fits;
            lent.consume(fits);
            match lent.len() {
                0 => buffers.give_back(lent),
                _ => self.lent = Some(lent),
            }
        }
        if filled == 0 && self.may_ask() {
            filled = self.ask(room);
        }
        match self.end {
            _ if filled > 0 => Ok(Received::Bytes(filled)),
            None => Ok(Received::Nothing),
            Some(End::Ordinary) => Ok(Received::End),
            Some(End::Broken(error)) => Err(error.into()),
        }
    }

    /// Receives from the socket, where more came at once than a buffer of the ring holds. So "nothing" means that the
    /// socket was empty, as on epoll.
    fn ask(&mut self, room: &mut [u8]) -> usize {
        let wanted = room.len();
        let outcome = retry_on_intr(|| recv(&*self.socket, &mut *room, RecvFlags::DONTWAIT));
        let outcome = outcome.map(|(received, _)| received);
        let is_short = outcome != Ok(wanted);
        self.has_more = !is_short || self.is_troubled && outcome.is_ok();
        match outcome {
            Ok(0) => self.end = Some(self.ordinary_end()),
            Ok(received) => return received,
            Err(Errno::AGAIN) => {}
            Err(error) => {
                self.end = Some(End::Broken(error));
                self.broken = self.broken.or(Some(error));
            }
        }
        0
    }

    /// The end of what comes, unless a send has taken an error from the socket.
    fn ordinary_end(&self) -> End {
        match self.broken {
            Some(error) if error != Errno::PIPE => End::Broken(error),
            _ => End::Ordinary,
        }
    }

    fn take_kept(&mut self, room: &mut [u8]) -> usize {
        let kept = &self.kept[self.consumed..];
        let fits = kept.len().min(room.len());
        room[..fits].copy_from_slice(&kept[..fits]);
        self.consumed += fits;
        if self.consumed == self.kept.len() {
            self.consumed = 0;
            self.kept = Vec::new();
        }
        fits
    }

    /// The kernel needs its buffers: what was not taken moves to memory of its own.
    pub(super) fn keep(&mut self, buffers: &mut Buffers) {
        if let Some(lent) = self.lent.take() {
            let bytes = buffers.bytes(&lent);
            self.kept.reserve_exact(bytes.len());
            self.kept.extend_from_slice(bytes);
            buffers.give_back(lent);
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(error) = self.broken {
            return Err(error.into());
        }
        if self.is_last && !bytes.is_empty() {
            return Err(Errno::PIPE.into());
        }
        let mut sent = 0;
        let may_send = self.sending == InFlight::No && !self.held.sending;
        if bytes.len() > SLOW && self.owes() == 0 && may_send {
            sent = self.send_at_once(bytes)?;
            self.is_slow = sent < bytes.len();
        }
        let rest = &bytes[sent..];
        let fits = rest.len().min(self.room());
        self.unsent.extend_from_slice(&rest[..fits]);
        self.is_awaited |= fits < rest.len();
        Ok(sent + fits)
    }

    /// Sends what fits from where it is: many bytes are worth a system call more than a copy.
    fn send_at_once(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let mut sent = 0;
        while sent < bytes.len() {
            match retry_on_intr(|| send(&*self.socket, &bytes[sent..], flags)) {
                Ok(more) => sent += more,
                Err(Errno::AGAIN) => break,
                Err(error) => {
                    self.broken = Some(error);
                    return Err(error.into());
                }
            }
        }
        Ok(sent)
    }

    /// How many bytes more it takes to send.
    fn room(&self) -> usize {
        let limit = match self.is_slow {
            true => SLOW,
            false => UNSENT,
        };
        limit.saturating_sub(self.owes())
    }

    /// Says that nothing more will be sent, once what was taken is.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.is_last = true;
        self.finish_sending()
    }

    fn finish_sending(&self) -> io::Result<()> {
        if self.is_last && self.owes() == 0 && !self.held.sending {
            shutdown(&*self.socket, Shutdown::Write)?;
        }
        Ok(())
    }

    /// Fails if the connection is known to be broken. An error that is still in the socket is taken from there.
    pub(super) fn check(&mut self) -> io::Result<()> {
        if let Some(End::Broken(error)) = self.end {
            return Err(error.into());
        }
        if self.broken.is_none() && self.is_troubled {
            self.broken = socket_error(&*self.socket)?.err();
        }
        self.broken.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Belongs to another state from now on. Returns what that should know.
    pub(super) fn take_up(&mut self, mark: Mark) -> Events {
        self.owner = Owner::Attached(mark);
        self.released = Directions::NONE;
        let mut ready = Events::NONE;
        if self.may_receive() {
            ready = ready | Events::READABLE;
        }
        if self.room() > 0 {
            self.is_awaited = false;
            ready = ready | Events::WRITABLE;
        }
        if self.end.is_some() || self.is_troubled || self.broken.is_some() {
            ready = ready | Events::READABLE | Events::WRITABLE | Events::CLOSED;
        }
        ready
    }

    /// Its stream is taken away from this ring: what is under way ends, and the successor is told.
    pub(super) fn leave(&mut self, successor: Option<Successor>) {
        self.owner = Owner::Leaving(successor);
        self.has_more = false;
        self.released = Directions::NONE;
    }

    /// What the ring has released of a connection that leaves, if its successor has not been told.
    pub(super) fn release(&mut self) -> Option<(Successor, Directions)> {
        let (Owner::Leaving(successor) | Owner::Dropped(successor)) = &self.owner else {
            return None;
        };
        let release = Directions {
            receiving: self.receiving == InFlight::No && !self.held.receiving,
            sending: self.has_sent() || self.broken.is_some(),
        };
        let is_new = mem::replace(&mut self.released, release) != release;
        successor.clone().filter(|_| is_new).zip(Some(release))
    }

    /// Whether all bytes are with the kernel, also those of the rings before.
    pub(super) fn has_sent(&self) -> bool {
        self.owes() == 0 && !self.held.sending
    }

    /// Whether nothing more will be received here, beside what is there.
    pub(super) fn has_received(&self) -> bool {
        self.receiving == InFlight::No && !self.held.receiving
    }

    /// The error that a send found.
    pub(super) fn broken(&self) -> Option<Errno> {
        self.broken
    }

    /// The ring before has let go of the socket, in these directions.
    pub(super) fn inherit(&mut self, release: Directions, broken: Option<Errno>) {
        self.held.receiving &= !release.receiving;
        self.held.sending &= !release.sending;
        self.broken = self.broken.or(broken);
        // A connection that has ended meanwhile says so to its next receive.
        let _ = self.finish_sending();
    }

    /// Nothing takes what is here any more; what is owed is still sent.
    pub(super) fn abandon(&mut self, buffers: &mut Buffers) {
        let successor = match &mut self.owner {
            Owner::Leaving(successor) => successor.take(),
            _ => None,
        };
        self.owner = Owner::Dropped(successor);
        self.lent
            .take()
            .into_iter()
            .for_each(|lent| buffers.give_back(lent));
        self.kept = Vec::new();
        self.consumed = 0;
    }

    /// Whether nothing is under way any more, nor will be.
    pub(super) fn is_over(&self) -> bool {
        let flights = [self.receiving, self.watching, self.sending];
        let landed = flights == [InFlight::No; 3];
        self.is_abandoned() && landed && (self.owes() == 0 || self.broken.is_some())
    }

    /// Lets the connection end in a reset if the peer will not get all that was sent: what it has must not look
    /// whole.
    pub(super) fn close(&mut self) {
        if self.owes() > 0 {
            self.broken = self.broken.or(Some(Errno::CANCELED));
            // A socket that cannot be reset has no other way to tell.
            let _ = set_socket_linger(&*self.socket, Some(Duration::ZERO));
        }
    }

    /// The ring has been dropped: nothing that is under way or owed comes to its end.
    pub(super) fn strand(&mut self) {
        self.close();
        if self.receiving != InFlight::No {
            self.end = self.end.or(Some(End::Broken(Errno::CANCELED)));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
