//! A stream's end of a connection.

use std::{
    fmt, io,
    os::fd::OwnedFd,
    sync::{Arc, Weak},
};

use rustix::io::Errno;

use super::{
    buffers::Buffers,
    connection::Connection,
    connections::SharedConnections,
    name::Name,
    successor::{Directions, Inherit, Successor},
};
use crate::ground::{gone::gone, mark::Mark, received::Received};

/// A stream's end of a connection.
pub(crate) struct Attached {
    shared: Arc<SharedConnections>,
    name: Name,
}

impl Attached {
    /// A new connection of a ring, which waits until the past has released the socket if there is one.
    pub(crate) fn new(
        shared: &Arc<SharedConnections>,
        socket: Arc<OwnedFd>,
        mark: Mark,
        waits: bool,
    ) -> io::Result<Self> {
        let held = match waits {
            true => Directions::BOTH,
            false => Directions::NONE,
        };
        let connection = Connection::new(socket, mark, held);
        let name = shared.work(|connections| connections.usable()?.insert(connection))?;
        Ok(Attached {
            shared: Arc::clone(shared),
            name,
        })
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn name(&self) -> Name {
        self.name
    }

    pub(super) fn as_successor(&self) -> Successor {
        let connections: Weak<dyn Inherit> = Arc::<SharedConnections>::downgrade(&self.shared);
        Successor::Ring(connections, self.name)
    }

    /// Whether it is a connection of this ring.
    pub(crate) fn is_of(&self, shared: &Arc<SharedConnections>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// Works on the connection. It is the ring's until the stream is dropped.
    fn work<R>(
        &self,
        work: impl FnOnce(&mut Connection, &mut Buffers) -> io::Result<R>,
    ) -> io::Result<R> {
        self.shared.work(|connections| {
            let answer = connections.usable()?.with(self.name, work);
            answer.unwrap_or_else(|| Err(gone()))
        })
    }

    /// As `work`, for what the ring still has of a connection that it has let go of, even if it has been dropped.
    fn work_on_rest<R>(
        &self,
        work: impl FnOnce(&mut Connection, &mut Buffers) -> io::Result<R>,
    ) -> io::Result<R> {
        let answer = (self.shared).work(|connections| connections.with(self.name, work));
        answer.unwrap_or_else(|| Err(gone()))
    }

    /// Belongs to another state from now on, which is told what is there.
    pub(crate) fn take_up(&self, mark: Mark) -> io::Result<()> {
        self.shared.work(|connections| {
            connections.usable()?.take_up(self.name, mark);
            Ok(())
        })
    }

    /// Fails if the ring has been dropped.
    pub(crate) fn is_usable(&self) -> io::Result<()> {
        self.work(|_, _| Ok(()))
    }

    /// The stream goes elsewhere, and the ring lets go of the socket.
    pub(super) fn leave(&self, successor: Option<Successor>) -> io::Result<()> {
        self.shared.work(|connections| {
            connections.usable()?.leave(self.name, successor);
            Ok(())
        })
    }

    /// Receives what the ring has received before it let go of the socket. None if it has nothing any more.
    pub(super) fn pull(&self, room: &mut [u8]) -> Option<io::Result<Received>> {
        let look = self.work_on_rest(|connection, buffers| {
            let received = connection.receive(room, buffers)?;
            if received != Received::Nothing {
                return Ok(Some(received));
            }
            let is_broken = connection
                .broken()
                .filter(|error| *error != Errno::PIPE)
                .is_some();
            match connection.has_received() {
                true if is_broken => connection.check().map(|()| None),
                true => Ok(None),
                false => Ok(Some(Received::Nothing)),
            }
        });
        look.transpose()
    }

    /// Whether [`pull`](Self::pull) may bring something before the next event. None if it never will.
    pub(super) fn may_pull(&self) -> Option<bool> {
        let look = self.work_on_rest(|connection, _| {
            let is_through = connection.has_received() && !connection.may_receive();
            Ok((!is_through).then(|| connection.may_receive()))
        });
        look.unwrap_or(Some(true))
    }

    pub(super) fn has_sent(&self) -> io::Result<bool> {
        self.work_on_rest(|connection, _| {
            connection.check()?;
            Ok(connection.has_sent())
        })
    }

    /// Whether the ring has nothing of the connection any more.
    pub(super) fn is_through(&self) -> bool {
        let look = self.work_on_rest(|connection, _| {
            let has_received = connection.has_received() && !connection.may_receive();
            Ok(has_received && connection.has_sent() && connection.broken().is_none())
        });
        look.unwrap_or(false)
    }

    /// None if it has been taken from the ring.
    pub(crate) fn receive(&self, room: &mut [u8]) -> io::Result<Option<Received>> {
        self.work(|connection, buffers| match connection.is_leaving() {
            true => Ok(None),
            false => connection.receive(room, buffers).map(Some),
        })
    }

    /// None if it has been taken from the ring.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        self.work(|connection, _| match connection.is_leaving() {
            true => Ok(None),
            false => connection.send(bytes).map(Some),
        })
    }

    pub(crate) fn end(&self) -> io::Result<()> {
        self.work(|connection, _| connection.end())
    }

    pub(crate) fn check(&self) -> io::Result<()> {
        self.work(|connection, _| connection.check())
    }

    /// As `check`, where the connection has left its ring.
    pub(super) fn check_rest(&self) -> io::Result<()> {
        self.work_on_rest(|connection, _| connection.check())
    }

    pub(crate) fn may_receive(&self) -> bool {
        let look =
            self.work(|connection, _| Ok(connection.may_receive() || connection.is_leaving()));
        look.unwrap_or(true)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        (self.shared).work(|connections| connections.abandon(self.name));
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of a ring", self.name)
    }
}
