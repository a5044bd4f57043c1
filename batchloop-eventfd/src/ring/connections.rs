//! All connections of a ring, which its thread and their streams share.

use std::{
    fmt, io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use batchloop_core::{Bell, Events};
use rustix::io::Errno;

use super::{
    buffers::Buffers,
    connection::{Connection, Operation},
};
use crate::{bell::OneRing, event_fd::EventFd, registry::Mark, stream::Received};

/// How many there may be: a name has 24 bits for it.
const LIMIT: usize = 1 << 24;

/// What a completion is of: a connection in its place, for the kernel to carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    place: u32,
    generation: u32,
}

impl Name {
    /// In the low 56 bits.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.place) << 32 | u64::from(self.generation)
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Name {
            place: (bits >> 32) as u32 & 0xff_ffff,
            generation: bits as u32,
        }
    }
}

/// Where a connection may be.
#[derive(Default)]
struct Place {
    generation: u32,
    connection: Option<Connection>,
}

/// Where they are.
#[derive(Default)]
struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
}

impl Table {
    fn get(&mut self, name: Name) -> Option<&mut Connection> {
        let place = self.places.get_mut(name.place as usize)?;
        let connection = place.connection.as_mut();
        connection.filter(|_| place.generation == name.generation)
    }

    fn insert(&mut self, connection: Connection) -> io::Result<Name> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.places.len() < LIMIT => {
                self.places.push(Place::default());
                (self.places.len() - 1) as u32
            }
            None => return Err(io::Error::other("over 2^24 connections")),
        };
        let at = &mut self.places[place as usize];
        at.connection = Some(connection);
        let generation = at.generation;
        Ok(Name { place, generation })
    }

    fn remove(&mut self, name: Name) {
        let place = &mut self.places[name.place as usize];
        place.connection = None;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(name.place);
    }
}

pub(crate) struct Connections {
    table: Table,
    pub(crate) buffers: Buffers,
    /// Those that have something to be queued for the kernel.
    planning: Vec<Name>,
    /// Those that have buffers of the kernel.
    lent: Vec<Name>,
    /// Whether a connection without a user has ended since plans were made: somebody may wait for the last of them.
    pub(crate) has_ended: bool,
    /// Whether the ring's thread has gone to sleep, or is about to.
    pub(crate) sleeps: bool,
    /// Whether the ring is no more.
    pub(crate) is_gone: bool,
}

impl Connections {
    fn insert(&mut self, connection: Connection) -> io::Result<Name> {
        let name = self.table.insert(connection)?;
        self.with(name, |_, _| ());
        Ok(name)
    }

    /// Works on a connection, if it is still there, and notes that it may have plans now. One that is over is closed.
    fn with<R>(
        &mut self,
        name: Name,
        work: impl FnOnce(&mut Connection, &mut Buffers) -> R,
    ) -> Option<R> {
        let connection = self.table.get(name)?;
        let answer = work(connection, &mut self.buffers);
        if connection.is_over() {
            self.table.remove(name);
            self.has_ended = true;
        } else if connection.has_plans() && !mem::replace(&mut connection.is_planning, true) {
            self.planning.push(name);
        }
        Some(answer)
    }

    /// Whether something is to be queued for the kernel.
    pub(crate) fn has_plans(&self) -> bool {
        !self.planning.is_empty()
    }

    /// Hands out all that is to be queued for the kernel, and takes the buffers back that it had lent.
    pub(crate) fn plan(&mut self, mut queue: impl FnMut(Name, RawFd, Operation<'_>)) {
        self.has_ended = false;
        for name in self.lent.drain(..) {
            if let Some(connection) = self.table.get(name) {
                connection.keep(&mut self.buffers);
            }
        }
        for name in self.planning.drain(..) {
            let Some(connection) = self.table.get(name) else {
                continue;
            };
            connection.is_planning = false;
            let fd = connection.socket.as_raw_fd();
            connection.plan(|operation| queue(name, fd, operation));
        }
    }

    /// Passes on that a receive has brought something, or has ended. Answers whose it is, and what to say there.
    pub(crate) fn received(
        &mut self,
        name: Name,
        outcome: Result<u32, Errno>,
        buffer: Option<u16>,
        goes_on: bool,
    ) -> Option<(Mark, Events)> {
        if buffer.is_some() {
            self.lent.push(name);
        }
        self.with(name, |connection, buffers| {
            let events = connection.received(outcome, buffer, goes_on, buffers);
            (connection.mark, events)
        })
    }

    /// Passes on that a send has ended.
    pub(crate) fn sent(
        &mut self,
        name: Name,
        outcome: Result<u32, Errno>,
    ) -> Option<(Mark, Events)> {
        self.with(name, |connection, _| {
            (connection.mark, connection.sent(outcome))
        })
    }

    /// Passes on that there was enough time.
    pub(crate) fn give_up(&mut self, name: Name) -> Option<(Mark, Events)> {
        self.with(name, |connection, _| {
            connection.give_up();
            (connection.mark, Events::NONE)
        })
    }

    /// Connections without a user, whose rest is being sent.
    pub(crate) fn abandoned(&self) -> usize {
        let connections = self
            .table
            .places
            .iter()
            .filter_map(|place| place.connection.as_ref());
        connections
            .filter(|connection| connection.is_abandoned())
            .count()
    }
}

/// The connections, for whoever works on one of them. The lock is held for a copy of some bytes, and never while the
/// thread sleeps.
pub(crate) struct Shared {
    connections: Mutex<Connections>,
    bell: &'static OneRing<EventFd>,
}

impl Shared {
    pub(crate) fn new(bell: &'static OneRing<EventFd>) -> Self {
        Shared {
            connections: Mutex::new(Connections {
                table: Table::default(),
                buffers: Buffers::new(),
                planning: Vec::new(),
                lent: Vec::new(),
                has_ended: false,
                sleeps: false,
                is_gone: false,
            }),
            bell,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Connections> {
        // Nothing that holds it panics half-way.
        let lock = self.connections.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the connections, and wakes the ring's thread if there is something new to queue.
    fn work<R>(&self, work: impl FnOnce(&mut Connections) -> R) -> R {
        let mut connections = self.lock();
        let answer = work(&mut connections);
        let calls = connections.sleeps && connections.has_plans();
        drop(connections);
        if calls {
            self.bell.ring();
        }
        answer
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// A stream's end of a connection.
pub(crate) struct Attached {
    shared: Arc<Shared>,
    name: Name,
    socket: Arc<OwnedFd>,
}

impl Attached {
    pub(crate) fn new(shared: &Arc<Shared>, socket: Arc<OwnedFd>, mark: Mark) -> io::Result<Self> {
        let connection = Connection::new(Arc::clone(&socket), mark);
        let name = shared.work(|connections| match connections.is_gone {
            true => Err(gone()),
            false => connections.insert(connection),
        })?;
        Ok(Attached {
            shared: Arc::clone(shared),
            name,
            socket,
        })
    }

    /// Works on the connection. It is the ring's until the stream is dropped.
    fn work<R>(
        &self,
        work: impl FnOnce(&mut Connection, &mut Buffers) -> io::Result<R>,
    ) -> io::Result<R> {
        self.shared.work(|connections| {
            if connections.is_gone {
                return Err(gone());
            }
            let answer = connections.with(self.name, work);
            answer.unwrap_or_else(|| Err(gone()))
        })
    }

    pub(crate) fn receive(&self, room: &mut [u8]) -> io::Result<Received> {
        self.work(|connection, buffers| connection.receive(room, buffers))
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.work(|connection, _| connection.send(bytes))
    }

    pub(crate) fn end(&self) -> io::Result<()> {
        self.work(|connection, _| connection.end())
    }

    pub(crate) fn may_receive(&self) -> bool {
        let look = self.work(|connection, _| Ok(connection.may_receive()));
        look.unwrap_or(true)
    }
}

fn gone() -> io::Error {
    let why = "the multiplexer of this connection is no more";
    io::Error::new(io::ErrorKind::NotConnected, why)
}

impl Drop for Attached {
    fn drop(&mut self) {
        let abandoned = self.work(|connection, buffers| {
            connection.abandon(buffers);
            Ok(())
        });
        // Without a ring, there is nothing to give up.
        drop(abandoned);
    }
}

impl AsFd for Attached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of a ring", self.socket)
    }
}
