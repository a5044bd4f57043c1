//! A stream socket that knows what its edges have said.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use batchloop_core::{Access, Events, Me};
use rustix::{
    io::{Errno, retry_on_intr},
    net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown},
};

use crate::{
    registry::Mark,
    ring::{Attached, Shared},
};

/// What a look at a stream brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now: an edge will tell.
    Nothing,
    /// The other side has ended its sending.
    End,
}

/// A non-blocking stream socket, and what is known of its readiness between two edges.
///
/// An edge-triggered descriptor is used until it would block, and the cheapest way to know that it would is not to ask:
/// a receive that did not fill its room has emptied the socket, unless the other side's end came with it, which the
/// edge has said. So an exchange of a request and an answer costs two system calls, and an end is not missed.
///
/// A closure that uses the stream lets it take its events first, by [`note`](Self::note), and then uses it until it returns
/// [`Received::Nothing`], or sends less than it was given. A closure that does not use the stream leaves them: they stay
/// posted until one does. See the crate's example.
///
/// Where a multiplexer has an io_uring, a stream that is [attached](crate::Registry::attach) goes through it, in the same
/// way for the program. What is sent is then under way when the driver's turn is over.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    may_receive: bool,
    may_send: bool,
    /// The other side has ended its sending; what it sent may still be in the socket.
    is_ending: bool,
}

#[derive(Debug)]
enum Socket {
    Direct(Arc<OwnedFd>),
    Attached(Attached),
}

impl Stream {
    /// A connected socket that does not block, such as [`Listener`](crate::Listener) makes.
    ///
    /// Nothing is received before the first edge, which comes when the socket is registered, if there is something.
    pub fn new(socket: impl Into<OwnedFd>) -> Self {
        Stream {
            socket: Socket::Direct(Arc::new(socket.into())),
            may_receive: false,
            may_send: true,
            is_ending: false,
        }
    }

    /// Goes through a ring from now on.
    pub(crate) fn attach(&mut self, ring: &Arc<Shared>, mark: Mark) -> io::Result<()> {
        if let Socket::Direct(socket) = &self.socket {
            self.socket = Socket::Attached(Attached::new(ring, Arc::clone(socket), mark)?);
        }
        Ok(())
    }

    /// Takes note of what has happened to the socket: of a closure's `me` it takes the events of descriptors and leaves the
    /// deadline.
    ///
    /// Events as such, as [`Me::events`](batchloop_core::Me::events) returns them, will do too. But they stay posted, and
    /// the stream is asked once more than needed.
    #[inline]
    pub fn note(&mut self, posted: impl Posted) {
        let events = posted.taken();
        self.may_receive |= events.contains(Events::READABLE);
        self.may_send |= events.contains(Events::WRITABLE);
        self.is_ending |= events.contains(Events::CLOSED);
    }

    /// Receives what there is, as far as there is room. Room of no bytes receives nothing.
    ///
    /// # Errors
    ///
    /// The kernel's, such as a reset; the connection is at its end.
    pub fn receive(&mut self, room: &mut [u8]) -> io::Result<Received> {
        let socket = match &self.socket {
            Socket::Direct(socket) => socket,
            Socket::Attached(connection) => return connection.receive(room),
        };
        if !self.may_receive || room.is_empty() {
            return Ok(Received::Nothing);
        }
        let wanted = room.len();
        match retry_on_intr(|| recv(socket, &mut *room, RecvFlags::empty())) {
            Ok((0, _)) => Ok(Received::End),
            Ok((received, _)) => {
                self.may_receive = received == wanted || self.is_ending;
                Ok(Received::Bytes(received))
            }
            Err(Errno::AGAIN) => {
                self.may_receive = false;
                Ok(Received::Nothing)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends as much as fits; answers how much that was. If it is less than was given, an edge tells when there is room.
    ///
    /// # Errors
    ///
    /// The kernel's, such as a reset; the connection is at its end.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let socket = match &self.socket {
            Socket::Direct(socket) => socket,
            Socket::Attached(connection) => return connection.send(bytes),
        };
        let mut sent = 0;
        while self.may_send && sent < bytes.len() {
            match retry_on_intr(|| send(socket, &bytes[sent..], SendFlags::NOSIGNAL)) {
                Ok(more) => sent += more,
                Err(Errno::AGAIN) => self.may_send = false,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    /// Says that nothing more will be sent; the other direction stays open.
    ///
    /// # Errors
    ///
    /// The kernel's: the connection has ended already.
    pub fn end(&self) -> io::Result<()> {
        match &self.socket {
            Socket::Direct(socket) => Ok(shutdown(socket, Shutdown::Write)?),
            Socket::Attached(connection) => connection.end(),
        }
    }

    /// Whether [`receive`](Self::receive) may bring something before the next edge.
    pub fn may_receive(&self) -> bool {
        match &self.socket {
            Socket::Direct(_) => self.may_receive,
            Socket::Attached(connection) => connection.may_receive(),
        }
    }
}

/// Where a [`Stream`] takes its events from: a closure's [`Me`], or [`Events`] that are known already. This trait is
/// sealed.
pub trait Posted: sealed::Sealed {
    #[doc(hidden)]
    fn taken(self) -> Events;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for batchloop_core::Events {}
    impl<U, A: batchloop_core::Access> Sealed for batchloop_core::Me<U, A> {}
}

impl Posted for Events {
    fn taken(self) -> Events {
        self
    }
}

impl<U, A: Access> Posted for Me<U, A> {
    fn taken(self) -> Events {
        self.take(Events::READABLE | Events::WRITABLE | Events::CLOSED)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Direct(socket) => socket.as_fd(),
            Socket::Attached(connection) => connection.as_fd(),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{io::Write, net, os::unix::net::UnixStream};

    use super::*;

    fn pair() -> (Stream, UnixStream) {
        let (socket, peer) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        (Stream::new(socket), peer)
    }

    #[test]
    fn a_receive_that_leaves_room_has_emptied_the_socket() {
        let (mut stream, mut peer) = pair();
        let mut room = [0; 4];
        peer.write_all(b"abcdef").unwrap();
        assert_eq!(stream.receive(&mut room).unwrap(), Received::Nothing);
        stream.note(Events::READABLE);
        assert_eq!(stream.receive(&mut room).unwrap(), Received::Bytes(4));
        assert!(stream.may_receive());
        assert_eq!(stream.receive(&mut room).unwrap(), Received::Bytes(2));
        assert!(!stream.may_receive());
    }

    #[test]
    fn an_end_behind_the_last_bytes_is_not_missed() {
        let (mut stream, mut peer) = pair();
        let mut room = [0; 4];
        peer.write_all(b"ab").unwrap();
        peer.shutdown(net::Shutdown::Write).unwrap();
        stream.note(Events::READABLE | Events::CLOSED);
        assert_eq!(stream.receive(&mut room).unwrap(), Received::Bytes(2));
        assert_eq!(stream.receive(&mut room).unwrap(), Received::End);
        assert_eq!(stream.receive(&mut room).unwrap(), Received::End);
        assert_eq!(stream.send(b"still").unwrap(), 5);
    }

    #[test]
    fn a_full_socket_is_left_alone_until_its_edge() {
        let (mut stream, peer) = pair();
        let bytes = vec![7; 1 << 20];
        let sent = stream.send(&bytes).unwrap();
        assert!(sent < bytes.len());
        drop(peer);
        assert_eq!(stream.send(&bytes).unwrap(), 0, "it was not asked");
        stream.note(Events::WRITABLE);
        assert!(stream.send(&bytes).is_err());
    }
}
