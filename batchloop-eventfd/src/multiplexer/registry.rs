//! Which file descriptors of a machine's states a multiplexer listens to.

use std::{io, os::fd::AsFd};

use batchloop_core::{Events, slab::Token};
use rustix::{
    event::epoll::{self, EventFlags},
    io::Errno,
};

use crate::{
    backend::Remote,
    ground::{mark::Mark, readiness::interest},
    stream::Stream,
};

/// Where the file descriptors of one machine's states are registered.
///
/// [`Multiplexer::add`](crate::Multiplexer::add) makes it. It does not know the machine's type, so a sub-machine that
/// opens descriptors can have it and still be compiled once. Copies are of the same one, and may go to other threads.
///
/// A token of another machine is taken for one of this machine: the event then wakes the wrong state, spuriously, or
/// none.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The multiplexer's.
    backend: Remote,
    machine: u8,
}

impl Registry {
    pub(crate) fn new(backend: Remote, machine: u8) -> Self {
        Registry { backend, machine }
    }

    /// Registers a state's stream, which is connected: with the multiplexer's io_uring if it has one, or else as
    /// [`add`](Self::add) does.
    ///
    /// A stream that is attached already is handed over: to another state, another machine, or another multiplexer. From
    /// now on its events go to the new state, which is also told what is ready by now. What has been received and not
    /// taken, and what has been sent and is not with the kernel, goes along. The state that had the stream may still see
    /// events that were posted before.
    ///
    /// A stream that leaves an io_uring is used by its new owner as soon as the old multiplexer has been polled, which
    /// ends the operations that are under way there. Until then the stream receives nothing and takes nothing to send,
    /// and then an event tells. If it leaves for another io_uring, what it sends meanwhile waits there.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add), and [`io::ErrorKind::NotConnected`] if this multiplexer, or the one whose io_uring the
    /// stream is attached to, has been dropped. Then the stream is where it was.
    pub fn attach(&self, stream: &mut Stream, state: Token) -> io::Result<()> {
        self.backend.attach(stream, self.mark(state))
    }

    /// As [`attach`](Self::attach), for a stream that is registered nowhere.
    pub(crate) fn attach_new(&self, stream: &mut Stream, state: Token) -> io::Result<()> {
        self.backend.attach_new(stream, self.mark(state))
    }

    /// Registers a state's file descriptor, edge-triggered in both directions, until it is closed.
    ///
    /// The state is [`Me::token`](batchloop_core::Me::token). The descriptor must be non-blocking, and be closed no
    /// later than the state ends; a duplicate of it that stays open keeps the registration, whose events are then
    /// stale.
    ///
    /// # Errors
    ///
    /// The kernel's: no memory, too many registrations, or a descriptor that cannot be polled, such as a file. One that
    /// is registered with this multiplexer already: [`io::ErrorKind::AlreadyExists`]. A multiplexer that has been dropped:
    /// [`io::ErrorKind::NotConnected`].
    pub fn add(&self, fd: impl AsFd, state: Token) -> io::Result<()> {
        self.register(fd, state, interest(Events::READABLE | Events::WRITABLE))
    }

    /// As [`add`](Self::add), for one event: afterwards nothing more is reported until
    /// [`listen_again`](Self::listen_again).
    ///
    /// For states that several workers share, so that one of them at a time hears of a descriptor. `events` are those to
    /// wait for, readable or writable or both; the peer's end is always one.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_once(&self, fd: impl AsFd, state: Token, events: Events) -> io::Result<()> {
        self.register(fd, state, interest(events) | EventFlags::ONESHOT)
    }

    /// Waits for one more event of a descriptor that was registered with [`add_once`](Self::add_once). What is so
    /// already is reported too.
    ///
    /// # Errors
    ///
    /// The kernel's: no memory, or a descriptor that is not registered. A multiplexer that has been dropped.
    pub fn listen_again(&self, fd: impl AsFd, state: Token, events: Events) -> io::Result<()> {
        let flags = interest(events) | EventFlags::ONESHOT;
        let mark = self.mark(state).to_data();
        epoll::modify(&*self.backend.epoll()?, fd, mark, flags)?;
        Ok(())
    }

    /// Ends a registration before its descriptor is closed: to give the descriptor to another part of the program, say.
    ///
    /// A [`Stream`] that was attached keeps what has been received, and what it has sent is still sent; it may be attached
    /// again. If it was attached to an io_uring, the multiplexer must be polled once more before the descriptor is read or
    /// written elsewhere.
    ///
    /// # Errors
    ///
    /// The kernel's: a descriptor that is not registered. A multiplexer that has been dropped.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        let epoll = self.backend.epoll()?;
        if !self.backend.detach(fd.as_fd()) {
            epoll::delete(&*epoll, fd)?;
        }
        Ok(())
    }

    fn register(&self, fd: impl AsFd, state: Token, flags: EventFlags) -> io::Result<()> {
        let epoll = self.backend.epoll()?;
        if self.backend.has_attached(fd.as_fd()) {
            return Err(Errno::EXIST.into());
        }
        epoll::add(&*epoll, fd, self.mark(state).to_data(), flags)?;
        Ok(())
    }

    fn mark(&self, state: Token) -> Mark {
        Mark::State(self.machine, state)
    }
}
