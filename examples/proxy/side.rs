//! One side of a pair, and how bytes come from one to the other.

use std::{
    io,
    time::{Duration, Instant},
};

use batchloop_core::{Handle, Waker};
use batchloop_eventfd::{Received, Stream};
use rustix::net::sockopt::set_socket_linger;

use crate::upstream::Dialling;

/// How much one side may receive before the others have their turn.
const ROUNDS: usize = 16;

/// A client, or the upstream of one.
pub(crate) struct Side {
    pub(crate) stream: Stream,
    /// Until it is connected.
    pub(crate) dialling: Option<Dialling>,
    /// The other side of the pair.
    pub(crate) peer: Handle<Side>,
    /// Wakes it.
    waker: Waker,
    /// What the peer received and this side could not send yet. The peer receives nothing more meanwhile.
    owed: Vec<u8>,
    receiving: Direction,
    pub(crate) sending: Direction,
    /// When bytes last came from here, or went there.
    pub(crate) moved: Instant,
}

/// How far one direction of a stream has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Open,
    /// What is owed is the last.
    Ending,
    Ended,
    /// The stream was found to be broken by the peer; its own closure says so.
    Broken,
}

impl Side {
    pub(crate) fn new(stream: Stream, peer: Handle<Side>, waker: Waker, now: Instant) -> Self {
        Side {
            stream,
            dialling: None,
            peer,
            waker,
            owed: Vec::new(),
            receiving: Direction::Open,
            sending: Direction::Open,
            moved: now,
        }
    }

    /// One that is still to be connected.
    pub(crate) fn dialling(mut self, dialling: Dialling) -> Self {
        self.dialling = Some(dialling);
        self
    }

    /// Whether the peer, if it has gone, has gone in peace: it has got all, and left all that it had to say.
    pub(crate) fn has_farewell(&self) -> bool {
        self.receiving == Direction::Ended && self.sending != Direction::Open
    }

    /// Lets the stream end in a reset, so that what was sent is not taken for the whole.
    pub(crate) fn reset(&self) {
        // Where it has ended already, there is nothing to reset.
        let _ = set_socket_linger(&self.stream, Some(Duration::ZERO));
    }

    /// Whether both directions have come to their end.
    pub(crate) fn is_over(&self) -> bool {
        [self.receiving, self.sending] == [Direction::Ended; 2]
    }

    /// Sends what the peer has left here, and its end. A stream that is found to be broken stays so.
    pub(crate) fn deliver(&mut self, now: Instant) -> io::Result<()> {
        if self.sending == Direction::Broken {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let sent = self.send_owed(now);
        if sent.is_err() {
            self.sending = Direction::Broken;
        }
        sent
    }

    fn send_owed(&mut self, now: Instant) -> io::Result<()> {
        if !self.owed.is_empty() {
            let sent = self.stream.send(&self.owed)?;
            if sent > 0 {
                self.moved = now;
            }
            self.owed.drain(..sent);
            if !self.owed.is_empty() {
                return Ok(());
            }
            self.owed = Vec::new();
            // It may receive again.
            let _ = self.waker.wake();
        }
        if self.sending == Direction::Ending {
            self.stream.end()?;
            self.sending = Direction::Ended;
        }
        Ok(())
    }

    /// Receives what there is and hands it to the peer, as long as the peer can send it on; counts how many bytes that
    /// are. Returns whether there may be more for another turn.
    pub(crate) fn hand_over(
        &mut self,
        peer: &mut Side,
        room: &mut [u8],
        now: Instant,
        bytes: &mut u64,
    ) -> io::Result<bool> {
        for _ in 0..ROUNDS {
            let directions = [self.receiving, peer.sending];
            if directions != [Direction::Open; 2] || !peer.owed.is_empty() {
                // Nothing is received that would tell of a reset.
                self.stream.check()?;
                return Ok(false);
            }
            match self.stream.receive(room)? {
                Received::Bytes(received) => {
                    *bytes += received as u64;
                    self.moved = now;
                    peer.take(&room[..received]);
                }
                Received::Nothing => return Ok(false),
                // To ask after a reset is to be told of an end that is none.
                Received::End if self.sending == Direction::Broken => return Ok(false),
                Received::End => {
                    self.receiving = Direction::Ended;
                    peer.sending = Direction::Ending;
                }
            }
        }
        Ok(true)
    }

    /// Sends as much as fits and keeps the rest.
    fn take(&mut self, bytes: &[u8]) {
        let sent = match self.dialling {
            None => self.stream.send(bytes),
            Some(_) => Ok(0),
        };
        match sent {
            Ok(sent) => self.owed.extend_from_slice(&bytes[sent..]),
            Err(_) => self.sending = Direction::Broken,
        }
    }
}

/// Whatever a side ends by, its peer learns of it.
impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.waker.wake();
    }
}
