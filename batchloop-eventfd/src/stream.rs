//! A stream socket that knows what its edges have said.

use std::{
    io, mem,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Weak},
};

use batchloop_core::{Access, Bell, Events, Me};
use rustix::{
    event::epoll::{self, EventFlags},
    io::{Errno, retry_on_intr},
    net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt::socket_error},
};

use crate::{
    epoll::{interest, urgent},
    event_fd::EventFd,
    mark::Mark,
    received::Received,
    ring::{Attached, Past, Shared},
};

/// A non-blocking stream socket, and what is known of its readiness between two edges.
///
/// An edge-triggered descriptor is used until it would block, and the cheapest way to know that it would is not to ask:
/// a receive that did not fill its room has emptied the socket, unless the other side's end or urgent data came with it,
/// which the edge has said. So an exchange of a request and an answer costs two system calls, and nothing is missed.
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
    /// Rings that it was attached to before, and that still have something of it.
    past: Past,
    /// The epoll instance that it was attached to.
    epoll: Weak<OwnedFd>,
    may_receive: bool,
    may_send: bool,
    /// The other side has ended its sending; what it sent may still be in the socket.
    is_ending: bool,
    /// How many reports of urgent data there had been when the socket was last known to be empty.
    urgent: u32,
    /// An error that was taken from the socket.
    broken: Option<Errno>,
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
            past: Past::default(),
            epoll: Weak::new(),
            may_receive: false,
            may_send: true,
            is_ending: false,
            urgent: urgent(),
            broken: None,
        }
    }

    /// Goes through a ring from now on.
    pub(crate) fn attach_to_ring(&mut self, ring: &Arc<Shared>, mark: Mark) -> io::Result<()> {
        if let Socket::Attached(old) = &self.socket
            && old.is_of(ring)
        {
            return Ok(());
        }
        self.is_usable()?;
        let is_first = self.is_in_no_ring();
        let new = Attached::new(ring, self.descriptor(), mark, !is_first)?;
        self.leave_epoll();
        if let Socket::Attached(old) = mem::replace(&mut self.socket, Socket::Attached(new)) {
            self.past.add(old);
        }
        match &self.socket {
            Socket::Attached(new) if !is_first => self.past.lead_to_ring(new),
            _ => Ok(()),
        }
    }

    /// Lets its state know what is ready in a ring, as epoll does when a descriptor is registered.
    pub(crate) fn tell(&self, mark: Mark) -> io::Result<()> {
        match &self.socket {
            Socket::Attached(attached) => attached.take_up(mark),
            Socket::Direct(_) => Ok(()),
        }
    }

    /// Is registered with epoll from now on.
    pub(crate) fn attach_to_epoll(&mut self, new: &Arc<OwnedFd>, mark: Mark) -> io::Result<()> {
        self.is_usable()?;
        let herald = match self.is_in_no_ring() {
            true => None,
            false => Some(herald(new, mark)?),
        };
        let socket = self.descriptor();
        let flags = interest(Events::READABLE | Events::WRITABLE);
        match epoll::add(&**new, &*socket, mark.to_data(), flags) {
            // Then the kernel reports anew what is ready.
            Err(Errno::EXIST) => epoll::modify(&**new, &*socket, mark.to_data(), flags)?,
            added => added?,
        }
        if !Weak::ptr_eq(&self.epoll, &Arc::downgrade(new)) {
            self.leave_epoll();
        }
        self.epoll = Arc::downgrade(new);
        self.detach();
        herald.map_or(Ok(()), |herald| self.past.lead_to_epoll(herald))
    }

    fn is_in_no_ring(&self) -> bool {
        matches!(self.socket, Socket::Direct(_)) && self.past.is_empty()
    }

    /// Fails if a ring that it depends on has been dropped.
    fn is_usable(&self) -> io::Result<()> {
        match &self.socket {
            Socket::Direct(_) => self.past.is_usable(),
            Socket::Attached(attached) => attached.is_usable(),
        }
    }

    fn descriptor(&self) -> Arc<OwnedFd> {
        match &self.socket {
            Socket::Direct(socket) => Arc::clone(socket),
            Socket::Attached(attached) => attached.descriptor(),
        }
    }

    fn leave_epoll(&mut self) {
        if let Some(old) = mem::take(&mut self.epoll).upgrade() {
            // It may have been removed.
            let _ = epoll::delete(&*old, self.as_fd());
        }
    }

    /// Goes through no ring from now on, as soon as the ring has let go of it.
    fn detach(&mut self) {
        let socket = Socket::Direct(self.descriptor());
        if let Socket::Attached(old) = mem::replace(&mut self.socket, socket) {
            self.past.add(old);
            (self.may_receive, self.may_send) = (true, true);
        }
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
        if !self.past.is_empty()
            && let Some(answer) = self.past.receive(room)
        {
            return answer;
        }
        match &self.socket {
            Socket::Direct(_) => self.receive_directly(room),
            Socket::Attached(attached) => match attached.receive(room)? {
                Some(received) => Ok(received),
                None => {
                    self.detach();
                    self.receive(room)
                }
            },
        }
    }

    fn receive_directly(&mut self, room: &mut [u8]) -> io::Result<Received> {
        if !self.may_receive || room.is_empty() {
            return Ok(Received::Nothing);
        }
        let wanted = room.len();
        match retry_on_intr(|| recv(&self.socket, &mut *room, RecvFlags::empty())) {
            Ok((0, _)) => match self.broken {
                Some(error) => Err(error.into()),
                None => Ok(Received::End),
            },
            Ok((received, _)) => {
                let may_be_urgent = self.urgent != urgent();
                self.may_receive = received == wanted || self.is_ending || may_be_urgent;
                Ok(Received::Bytes(received))
            }
            Err(Errno::AGAIN) => {
                self.may_receive = false;
                self.urgent = urgent();
                Ok(Received::Nothing)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends as much as fits, and returns how much that was. If it is less than was given, an edge tells when there is
    /// room.
    ///
    /// # Errors
    ///
    /// The kernel's, such as a reset; the connection is at its end.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.socket {
            Socket::Direct(_) => self.send_directly(bytes),
            Socket::Attached(attached) => match attached.send(bytes)? {
                Some(sent) => Ok(sent),
                None => {
                    self.detach();
                    self.send_directly(bytes)
                }
            },
        }
    }

    fn send_directly(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(error) = self.broken {
            return Err(error.into());
        }
        if !self.past.is_empty() && !self.past.has_sent()? {
            return Ok(0);
        }
        let mut sent = 0;
        while self.may_send && sent < bytes.len() {
            match retry_on_intr(|| send(&self.socket, &bytes[sent..], SendFlags::NOSIGNAL)) {
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
            Socket::Direct(socket) => self
                .past
                .end()
                .unwrap_or_else(|| Ok(shutdown(socket, Shutdown::Write)?)),
            Socket::Attached(attached) => attached.end(),
        }
    }

    /// Fails if the connection is broken, such as by a reset, though nothing is received or sent.
    ///
    /// For a state that does neither for the moment, and was told of an event.
    ///
    /// # Errors
    ///
    /// What a receive, after all that has come before, or a send would fail with.
    pub fn check(&mut self) -> io::Result<()> {
        self.past.check()?;
        match &self.socket {
            Socket::Direct(socket) => {
                if self.broken.is_none() {
                    self.broken = socket_error(socket)?.err();
                }
                self.broken.map_or(Ok(()), |error| Err(error.into()))
            }
            Socket::Attached(attached) => attached.check(),
        }
    }

    /// Whether [`receive`](Self::receive) may bring something before the next edge.
    pub fn may_receive(&self) -> bool {
        let past = self.past.may_receive();
        past.unwrap_or_else(|| match &self.socket {
            Socket::Direct(_) => self.may_receive,
            Socket::Attached(attached) => attached.may_receive(),
        })
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
            Socket::Attached(attached) => attached.as_fd(),
        }
    }
}

/// Tells a state, by epoll, of what rings have for it. It has something to tell from the beginning.
fn herald(epoll: &OwnedFd, mark: Mark) -> io::Result<Arc<EventFd>> {
    let herald = EventFd::new()?;
    herald.ring();
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
    epoll::add(epoll, &herald, mark.to_data(), flags)?;
    Ok(Arc::new(herald))
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
