//! A socket that is used by system calls, and what is known of its readiness between two edges.

use std::{
    io, mem,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Weak},
};

use batchloop_core::Events;
use rustix::{
    event::epoll,
    io::{Errno, retry_on_intr},
    net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt::socket_error},
};

use crate::ground::{
    mark::Mark,
    readiness::{interest, urgent},
    received::Received,
};

#[derive(Clone, Debug)]
pub(super) struct Direct {
    socket: Arc<OwnedFd>,
    /// The epoll instance that it is registered with.
    epoll: Weak<OwnedFd>,
    may_receive: bool,
    may_send: bool,
    /// The peer has ended its sending; what it sent may still be in the socket.
    is_ending: bool,
    /// How many reports of urgent data there had been when the socket was last known to be empty.
    urgent: u32,
    /// An error that was taken from the socket.
    broken: Option<Errno>,
}

impl Direct {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Direct {
            socket: Arc::new(socket),
            epoll: Weak::new(),
            may_receive: false,
            may_send: true,
            is_ending: false,
            urgent: urgent(),
            broken: None,
        }
    }

    pub(super) fn attach_to_epoll(&mut self, new: &Arc<OwnedFd>, mark: Mark) -> io::Result<()> {
        let flags = interest(Events::READABLE | Events::WRITABLE);
        match epoll::add(&**new, &*self.socket, mark.to_data(), flags) {
            // Then the kernel reports anew what is ready.
            Err(Errno::EXIST) => epoll::modify(&**new, &*self.socket, mark.to_data(), flags)?,
            added => added?,
        }
        if !Weak::ptr_eq(&self.epoll, &Arc::downgrade(new)) {
            self.leave_epoll();
        }
        self.epoll = Arc::downgrade(new);
        Ok(())
    }

    pub(super) fn leave_epoll(&mut self) {
        if let Some(old) = mem::take(&mut self.epoll).upgrade() {
            // It may have been removed.
            let _ = epoll::delete(&*old, &*self.socket);
        }
    }

    /// Nothing is known of its readiness.
    #[cfg(io_uring)]
    pub(super) fn may_be_ready(&mut self) {
        (self.may_receive, self.may_send) = (true, true);
    }

    #[cfg(io_uring)]
    pub(super) fn socket(&self) -> &Arc<OwnedFd> {
        &self.socket
    }

    pub(super) fn note(&mut self, events: Events) {
        self.may_receive |= events.contains(Events::READABLE);
        self.may_send |= events.contains(Events::WRITABLE);
        self.is_ending |= events.contains(Events::CLOSED);
    }

    pub(super) fn receive(&mut self, room: &mut [u8]) -> io::Result<Received> {
        if !self.may_receive || room.is_empty() {
            return Ok(Received::Nothing);
        }
        let wanted = room.len();
        match retry_on_intr(|| recv(&*self.socket, &mut *room, RecvFlags::empty())) {
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

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_sound()?;
        let mut sent = 0;
        while self.may_send && sent < bytes.len() {
            match retry_on_intr(|| send(&*self.socket, &bytes[sent..], SendFlags::NOSIGNAL)) {
                Ok(more) => sent += more,
                Err(Errno::AGAIN) => self.may_send = false,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    pub(super) fn end(&self) -> io::Result<()> {
        Ok(shutdown(&*self.socket, Shutdown::Write)?)
    }

    pub(super) fn check(&mut self) -> io::Result<()> {
        if self.broken.is_none() {
            self.broken = socket_error(&*self.socket)?.err();
        }
        self.is_sound()
    }

    /// Fails if an error has been taken from the socket.
    pub(super) fn is_sound(&self) -> io::Result<()> {
        self.broken.map_or(Ok(()), |error| Err(error.into()))
    }

    pub(super) fn may_receive(&self) -> bool {
        self.may_receive
    }
}

impl AsFd for Direct {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{
        io::{Read, Write},
        net,
        os::unix::net::UnixStream,
    };

    use rustix::event::{PollFd, PollFlags, epoll::EventFlags, poll};

    use super::*;
    use crate::ground::readiness::translate;

    fn pair() -> (Direct, UnixStream) {
        let (socket, peer) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        (Direct::new(socket.into()), peer)
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

    #[test]
    fn no_room_receives_nothing_and_knows_nothing_new() {
        let (mut stream, mut peer) = pair();
        peer.write_all(b"a").unwrap();
        stream.note(Events::READABLE);
        assert_eq!(stream.receive(&mut []).unwrap(), Received::Nothing);
        assert!(stream.may_receive());
        assert_eq!(stream.receive(&mut [0]).unwrap(), Received::Bytes(1));
        assert!(stream.may_receive(), "the room was filled");
        assert_eq!(stream.receive(&mut [0]).unwrap(), Received::Nothing);
        assert!(!stream.may_receive());
    }

    #[test]
    fn readiness_in_one_direction_is_none_in_the_other() {
        let (mut stream, mut peer) = pair();
        peer.write_all(b"ab").unwrap();
        stream.note(Events::WRITABLE);
        assert!(!stream.may_receive());
        stream.note(Events::CLOSED);
        assert!(!stream.may_receive(), "what is readable is said as well");
        stream.note(Events::READABLE);
        stream.note(Events::NONE);
        assert_eq!(stream.receive(&mut [0; 4]).unwrap(), Received::Bytes(2));
        assert!(stream.may_receive(), "an end is behind it");
    }

    #[test]
    fn a_receive_may_have_come_to_a_mark_of_urgent_data() {
        let (mut stream, mut peer) = pair();
        peer.write_all(b"a").unwrap();
        stream.note(Events::READABLE);
        translate(EventFlags::PRI);
        assert_eq!(stream.receive(&mut [0; 4]).unwrap(), Received::Bytes(1));
        assert!(stream.may_receive(), "there may be more behind the mark");
        assert_eq!(stream.receive(&mut [0; 4]).unwrap(), Received::Nothing);
        peer.write_all(b"b").unwrap();
        stream.note(Events::READABLE);
        assert_eq!(stream.receive(&mut [0; 4]).unwrap(), Received::Bytes(1));
        assert!(!stream.may_receive(), "there has been no mark since");
    }

    #[test]
    fn an_error_that_was_looked_for_is_told_to_all_that_comes_after() {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        let waits = [PollFd::new(&socket, PollFlags::IN)];
        resets_at_its_end(&peer);
        let mut stream = Direct::new(socket.try_clone().unwrap().into());
        stream.check().unwrap();
        drop(peer);
        poll(&mut { waits }, None).unwrap();
        stream.note(Events::READABLE | Events::WRITABLE | Events::CLOSED);
        for _ in 0..2 {
            let error = stream.check().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            let error = stream.send(b"x").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            let error = stream.receive(&mut [0; 4]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
    }

    fn resets_at_its_end(socket: &net::TcpStream) {
        use rustix::net::sockopt::set_socket_linger;
        set_socket_linger(socket, Some(std::time::Duration::ZERO)).unwrap();
    }

    #[test]
    fn the_end_of_the_sending_is_seen_by_the_peer() {
        let (stream, mut peer) = pair();
        stream.end().unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
}
