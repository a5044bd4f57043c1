//! What is under way for one connection, on both sides of the kernel's border. It knows no ring: it says what to queue,
//! and is told what has ended.

use std::{collections::VecDeque, io, mem, os::fd::OwnedFd, sync::Arc};

use batchloop_core::Events;
use rustix::{
    io::Errno,
    net::{Shutdown, shutdown},
};

use super::buffers::{Buffers, Lent};
use crate::{registry::Mark, stream::Received};

/// How many bytes wait here for whoever does not take them, before receiving pauses. Those that are on their way then
/// come too.
const UNREAD: usize = 32 * 1024;

/// How many bytes wait here for the kernel to send them.
const UNSENT: usize = 64 * 1024;

/// How many bytes a socket nearly always has room for.
const SMALL: usize = 16 * 1024;

/// How much memory an idle connection keeps for its next message, in each of its three buffers.
const IDLE: usize = 1024;

/// What is to be queued for the kernel.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Operation<'c> {
    /// Receive into the ring's buffers, again and again.
    Receive,
    /// Receive no more.
    StopReceiving,
    /// Send all of these bytes.
    Send { bytes: &'c [u8], manner: Manner },
    /// Say when a send that is under way has had enough time.
    Hurry,
    /// Give up sending.
    StopSending,
}

/// How to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    /// Nobody waits for the end of it, which is near.
    Quiet,
    Ordinary,
    /// The connection has no user any more: do not wait for ever for the other side to take it.
    Hasty,
}

/// An operation of the kernel that may be under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flight {
    Landed,
    Up,
    /// It was asked to end.
    Ending,
}

/// How long an abandoned connection may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Haste {
    None,
    /// A limit is set.
    Some,
    /// The time is over.
    Over,
}

/// How the other side ended its sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Ordinary,
    Broken(Errno),
}

pub(crate) struct Connection {
    pub(crate) socket: Arc<OwnedFd>,
    /// Whose connection it is.
    pub(crate) mark: Mark,
    /// Whether it is in the list of those that have plans.
    pub(crate) is_planning: bool,
    receiving: Flight,
    /// Bytes that were there before their buffers had to go back, and how many of them are consumed.
    kept: Vec<u8>,
    consumed: usize,
    /// What came later.
    lent: VecDeque<Lent>,
    end: Option<End>,
    sending: Flight,
    /// What the kernel is sending. Nobody changes it meanwhile: K3.
    leaving: Vec<u8>,
    sent: usize,
    /// What comes after it.
    unsent: Vec<u8>,
    broken: Option<Errno>,
    /// Somebody could not send all, and waits for room.
    is_awaited: bool,
    /// Nothing more will be sent.
    is_last: bool,
    /// Its stream has been dropped.
    is_abandoned: bool,
    haste: Haste,
}

impl Connection {
    pub(crate) fn new(socket: Arc<OwnedFd>, mark: Mark) -> Self {
        Connection {
            socket,
            mark,
            is_planning: false,
            receiving: Flight::Landed,
            kept: Vec::new(),
            consumed: 0,
            lent: VecDeque::new(),
            end: None,
            sending: Flight::Landed,
            leaving: Vec::new(),
            sent: 0,
            unsent: Vec::new(),
            broken: None,
            is_awaited: false,
            is_last: false,
            is_abandoned: false,
            haste: Haste::None,
        }
    }

    fn unread(&self) -> usize {
        self.kept.len() - self.consumed + self.lent.iter().map(Lent::len).sum::<usize>()
    }

    fn owes(&self) -> usize {
        self.leaving.len() - self.sent + self.unsent.len()
    }

    /// Whether there is something to take, or to know.
    pub(crate) fn may_receive(&self) -> bool {
        self.unread() > 0 || self.end.is_some()
    }

    pub(crate) fn receive(
        &mut self,
        room: &mut [u8],
        buffers: &mut Buffers,
    ) -> io::Result<Received> {
        if room.is_empty() {
            return Ok(Received::Nothing);
        }
        let mut filled = self.take_kept(room);
        while filled < room.len()
            && let Some(first) = self.lent.front_mut()
        {
            let bytes = buffers.bytes(first);
            let fits = bytes.len().min(room.len() - filled);
            room[filled..filled + fits].copy_from_slice(&bytes[..fits]);
            filled += fits;
            first.consume(fits);
            if first.len() == 0 {
                self.lent
                    .pop_front()
                    .into_iter()
                    .for_each(|empty| buffers.give_back(empty));
            }
        }
        match self.end {
            _ if filled > 0 => Ok(Received::Bytes(filled)),
            None => Ok(Received::Nothing),
            Some(End::Ordinary) => Ok(Received::End),
            Some(End::Broken(error)) => Err(error.into()),
        }
    }

    fn take_kept(&mut self, room: &mut [u8]) -> usize {
        let kept = &self.kept[self.consumed..];
        let fits = kept.len().min(room.len());
        room[..fits].copy_from_slice(&kept[..fits]);
        self.consumed += fits;
        if self.consumed == self.kept.len() {
            self.consumed = 0;
            empty(&mut self.kept);
        }
        fits
    }

    /// The kernel needs its buffers: what was not taken moves to memory of its own.
    pub(crate) fn keep(&mut self, buffers: &mut Buffers) {
        for lent in self.lent.drain(..) {
            self.kept.extend_from_slice(buffers.bytes(&lent));
            buffers.give_back(lent);
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(error) = self.broken {
            return Err(error.into());
        }
        if self.is_last && !bytes.is_empty() {
            return Err(Errno::PIPE.into());
        }
        let fits = bytes.len().min(UNSENT - self.owes());
        self.unsent.extend_from_slice(&bytes[..fits]);
        self.is_awaited |= fits < bytes.len();
        Ok(fits)
    }

    /// Says that nothing more will be sent, once what was taken is.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.is_last = true;
        self.finish_sending()
    }

    fn finish_sending(&self) -> io::Result<()> {
        if self.is_last && self.owes() == 0 {
            shutdown(&*self.socket, Shutdown::Write)?;
        }
        Ok(())
    }

    /// Nobody takes what is here any more; what is owed is still sent.
    pub(crate) fn abandon(&mut self, buffers: &mut Buffers) {
        self.is_abandoned = true;
        self.lent.drain(..).for_each(|lent| buffers.give_back(lent));
    }

    /// Whether nothing is under way any more, nor will be.
    pub(crate) fn is_over(&self) -> bool {
        let landed = [self.receiving, self.sending] == [Flight::Landed; 2];
        self.is_abandoned && landed && (self.owes() == 0 || self.broken.is_some())
    }

    fn should_receive(&self) -> bool {
        !self.is_abandoned && self.end.is_none() && self.unread() < UNREAD
    }

    fn should_send(&self) -> bool {
        self.sending == Flight::Landed && self.owes() > 0 && self.broken.is_none()
    }

    /// Whether [`plan`](Self::plan) may have something to say, or it is over.
    pub(crate) fn has_plans(&self) -> bool {
        let is_receiving = self.receiving != Flight::Landed;
        self.is_abandoned || self.should_send() || self.should_receive() != is_receiving
    }

    /// What the kernel should do now. Each is said once.
    pub(crate) fn plan(&mut self, mut queue: impl FnMut(Operation<'_>)) {
        match self.receiving {
            Flight::Landed if self.should_receive() => {
                queue(Operation::Receive);
                self.receiving = Flight::Up;
            }
            Flight::Up if !self.should_receive() => {
                queue(Operation::StopReceiving);
                self.receiving = Flight::Ending;
            }
            _ => {}
        }
        if self.should_send() {
            if self.sent == self.leaving.len() {
                self.sent = 0;
                empty(&mut self.leaving);
                mem::swap(&mut self.leaving, &mut self.unsent);
            }
            let bytes = &self.leaving[self.sent..];
            let manner = match () {
                () if self.is_abandoned => Manner::Hasty,
                () if self.is_awaited || self.is_last || bytes.len() > SMALL => Manner::Ordinary,
                () => Manner::Quiet,
            };
            queue(Operation::Send { bytes, manner });
            self.sending = Flight::Up;
            self.haste = match manner {
                Manner::Hasty => Haste::Some,
                _ => Haste::None,
            };
        } else if self.is_abandoned && self.sending == Flight::Up && self.haste == Haste::None {
            queue(Operation::Hurry);
            self.haste = Haste::Some;
        }
        match self.haste {
            Haste::Over if self.sending == Flight::Up => {
                queue(Operation::StopSending);
                self.sending = Flight::Ending;
            }
            _ => {}
        }
    }

    /// A receive has brought something, or has ended. Answers what its state should know.
    pub(crate) fn received(
        &mut self,
        outcome: Result<u32, Errno>,
        buffer: Option<u16>,
        goes_on: bool,
        buffers: &mut Buffers,
    ) -> Events {
        if !goes_on {
            self.receiving = Flight::Landed;
        }
        if let Some(number) = buffer {
            let lent = buffers.taken(number, *outcome.as_ref().unwrap_or(&0));
            if self.is_abandoned || lent.len() == 0 {
                buffers.give_back(lent);
            } else {
                self.lent.push_back(lent);
            }
        }
        match outcome {
            Ok(0) => self.end = Some(End::Ordinary),
            Ok(_) => return Events::READABLE,
            // All buffers were in use, or it was asked to stop: it is started anew when there is a reason.
            Err(Errno::NOBUFS | Errno::CANCELED | Errno::AGAIN | Errno::INTR) => {
                return Events::NONE;
            }
            Err(error) => self.end = Some(End::Broken(error)),
        }
        Events::READABLE | Events::CLOSED
    }

    /// A send has ended.
    pub(crate) fn sent(&mut self, outcome: Result<u32, Errno>) -> Events {
        let gave_up = self.sending == Flight::Ending;
        self.sending = Flight::Landed;
        match outcome {
            Ok(sent) => {
                self.sent += sent as usize;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => self.broken = Some(error),
        }
        if gave_up {
            self.broken = self.broken.or(Some(Errno::CANCELED));
        }
        if self.owes() == 0 {
            self.sent = 0;
            empty(&mut self.leaving);
            // A connection that has ended meanwhile says so to whoever receives.
            let _ = self.finish_sending();
        }
        if self.broken.is_some() {
            return Events::WRITABLE | Events::READABLE | Events::CLOSED;
        }
        match mem::take(&mut self.is_awaited) {
            true => Events::WRITABLE,
            false => Events::NONE,
        }
    }

    /// Time is over for whoever does not take what is sent to it.
    pub(crate) fn give_up(&mut self) {
        self.haste = Haste::Over;
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }
}

/// Empties a buffer, and keeps little of its memory.
fn empty(bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.shrink_to(IDLE);
}
