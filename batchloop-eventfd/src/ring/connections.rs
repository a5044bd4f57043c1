//! All connections of a ring, which its thread and their streams share.

use std::{
    collections::HashMap,
    fmt, io, mem,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use batchloop_core::{Bell, Events};
use rustix::io::Errno;

use super::{
    buffers::Buffers,
    connection::{Arrival, Connection},
    name::Name,
    operation::{Operation, SendMode},
    successor::{Directions, Inherit, Successor},
};
use crate::ground::{bell::OneRing, event_fd::EventFd, gone::gone, mark::Mark};

/// How many there may be: a name has 24 bits for it.
const LIMIT: usize = match cfg!(test) {
    false => 1 << 24,
    true => 100,
};

/// Where a connection may be.
#[derive(Default)]
struct Row {
    generation: u32,
    connection: Option<Connection>,
}

/// Where they are.
#[derive(Default)]
struct Table {
    rows: Vec<Row>,
    free: Vec<u32>,
}

impl Table {
    fn get(&mut self, name: Name) -> Option<&mut Connection> {
        let row = self.rows.get_mut(name.row as usize)?;
        let connection = row.connection.as_mut();
        connection.filter(|_| row.generation == name.generation)
    }

    fn insert(&mut self, connection: Connection) -> io::Result<Name> {
        let row = match self.free.pop() {
            Some(row) => row,
            None if self.rows.len() < LIMIT => {
                self.rows.push(Row::default());
                (self.rows.len() - 1) as u32
            }
            None => {
                let why = "the io_uring has 2^24 connections already";
                return Err(io::Error::other(why));
            }
        };
        let at = &mut self.rows[row as usize];
        at.connection = Some(connection);
        let generation = at.generation;
        Ok(Name::new(row, generation))
    }

    /// All of them.
    fn names(&self) -> Vec<Name> {
        let rows = (0..).zip(&self.rows);
        let taken = rows.filter(|(_, row)| row.connection.is_some());
        let names = taken.map(|(number, row)| Name::new(number, row.generation));
        names.collect()
    }

    fn remove(&mut self, name: Name) {
        let row = &mut self.rows[name.row as usize];
        row.connection = None;
        row.generation = row.generation.wrapping_add(1);
        self.free.push(name.row);
    }
}

/// What a state should know of its connection.
pub(crate) type MarkedEvents = (Mark, Events);

pub(super) struct Connections {
    table: Table,
    pub(super) buffers: Buffers,
    /// The attached ones, by their descriptors.
    by_fd: HashMap<RawFd, Name>,
    /// Those that have something to be queued for the kernel.
    planning: Vec<Name>,
    /// Those that have a buffer of the kernel.
    lent: Vec<Name>,
    /// Those whose send has ended when it is submitted.
    unreported: Vec<Name>,
    /// What states should know that no completion tells.
    events: Vec<MarkedEvents>,
    /// What other rings or states should know.
    releases: Vec<(Successor, Directions, Option<Errno>)>,
    /// How many have no user.
    abandoned: usize,
    /// Whether a connection without a user has ended since plans were made: the program may wait for the last of them.
    pub(super) has_ended: bool,
    /// Whether the ring's thread has gone to sleep, or is about to.
    pub(super) sleeps: bool,
    /// Whether receives may go on.
    pub(super) is_multishot: bool,
    /// Whether the ring has been dropped.
    is_gone: bool,
}

impl Connections {
    /// Fails if the ring has been dropped.
    pub(super) fn usable(&mut self) -> io::Result<&mut Self> {
        match self.is_gone {
            true => Err(gone()),
            false => Ok(self),
        }
    }

    pub(super) fn insert(&mut self, connection: Connection) -> io::Result<Name> {
        let fd = connection.socket.as_raw_fd();
        let name = self.table.insert(connection)?;
        self.by_fd.insert(fd, name);
        self.with(name, |_, _| ());
        Ok(name)
    }

    /// Works on a connection, if it is still there, and notes that it may have plans now. One that is over is closed.
    pub(super) fn with<R>(
        &mut self,
        name: Name,
        work: impl FnOnce(&mut Connection, &mut Buffers) -> R,
    ) -> Option<R> {
        let connection = self.table.get(name)?;
        let answer = work(connection, &mut self.buffers);
        let release = connection.release();
        let release = release.map(|(to, directions)| (to, directions, connection.broken()));
        self.releases.extend(release);
        if connection.is_over() {
            connection.close();
            self.table.remove(name);
            self.abandoned -= 1;
            self.has_ended = true;
        } else if connection.has_plans() && !mem::replace(&mut connection.is_planning, true) {
            self.planning.push(name);
        }
        Some(answer)
    }

    /// Whether the ring's thread has something to do.
    pub(super) fn has_work(&self) -> bool {
        !self.planning.is_empty() || !self.events.is_empty()
    }

    /// What states should know that no completion tells.
    pub(super) fn events(&mut self) -> impl Iterator<Item = MarkedEvents> + '_ {
        self.events.drain(..)
    }

    /// Hands out all that is to be queued for the kernel, and takes the buffers back that it had lent.
    pub(super) fn plan(&mut self, mut queue: impl FnMut(Name, RawFd, Operation<'_>)) {
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
            connection.plan(self.is_multishot, |operation| {
                let mode = match operation {
                    Operation::Send { mode, .. } => Some(mode),
                    _ => None,
                };
                self.unreported
                    .extend((mode == Some(SendMode::Unreported)).then_some(name));
                queue(name, fd, operation);
            });
        }
    }

    /// Passes on what a receive has brought.
    pub(super) fn received(&mut self, name: Name, arrival: Arrival) -> Option<MarkedEvents> {
        if arrival.lent.is_some() {
            self.lent.push(name);
        }
        self.tell(name, |connection, buffers| {
            connection.received(arrival, buffers)
        })
    }

    /// Passes on that a send has ended.
    pub(super) fn sent(&mut self, name: Name, outcome: Result<u32, Errno>) -> Option<MarkedEvents> {
        self.tell(name, |connection, _| connection.sent(outcome))
    }

    /// Passes on that what was queued has been submitted.
    pub(super) fn submitted(&mut self) {
        for name in mem::take(&mut self.unreported) {
            let events = self.tell(name, |connection, _| connection.sent_unreported());
            self.events.extend(events);
        }
    }

    /// Passes on that a watch has seen something, or has ended.
    pub(super) fn watched(
        &mut self,
        name: Name,
        outcome: Result<Events, Errno>,
        goes_on: bool,
    ) -> Option<MarkedEvents> {
        self.tell(name, |connection, _| connection.watched(outcome, goes_on))
    }

    /// Works on a connection. Returns whose it is and what to say there, if there is anything.
    fn tell(
        &mut self,
        name: Name,
        work: impl FnOnce(&mut Connection, &mut Buffers) -> Events,
    ) -> Option<MarkedEvents> {
        let (mark, events) = self.with(name, |connection, buffers| {
            let events = work(connection, buffers);
            (connection.mark(), events)
        })?;
        mark.zip((!events.is_empty()).then_some(events))
    }

    /// The ring before has let go of a connection, in these directions.
    fn inherit(&mut self, name: Name, directions: Directions, broken: Option<Errno>) {
        let events = self.tell(name, |connection, _| {
            connection.inherit(directions, broken);
            Events::READABLE | Events::WRITABLE
        });
        self.events.extend(events);
    }

    /// Takes an attached connection from its stream, by its descriptor.
    fn remove(&mut self, fd: RawFd) -> bool {
        let name = self.by_fd.remove(&fd);
        name.is_some_and(|name| {
            let left = self.with(name, |connection, _| connection.leave(None));
            left.is_some()
        })
    }

    /// A connection belongs to another state from now on, which is told what is there.
    pub(super) fn take_up(&mut self, name: Name, mark: Mark) {
        let taken = self.with(name, |connection, _| {
            (connection.take_up(mark), connection.socket.as_raw_fd())
        });
        if let Some((ready, fd)) = taken {
            self.events.push((mark, ready));
            self.by_fd.insert(fd, name);
        }
    }

    /// The stream of a connection goes elsewhere.
    pub(super) fn leave(&mut self, name: Name, successor: Option<Successor>) {
        self.forget_fd(name);
        self.with(name, |connection, _| connection.leave(successor));
    }

    /// The stream of a connection has been dropped.
    pub(super) fn abandon(&mut self, name: Name) {
        self.forget_fd(name);
        if self.table.get(name).is_some() {
            self.abandoned += 1;
            self.with(name, Connection::abandon);
        }
    }

    fn forget_fd(&mut self, name: Name) {
        let connection = self.table.get(name);
        let fd = connection.map(|connection| connection.socket.as_raw_fd());
        if let Some(fd) = fd
            && self.by_fd.get(&fd) == Some(&name)
        {
            self.by_fd.remove(&fd);
        }
    }

    /// Connections without a user, whose rest is being sent.
    pub(super) fn abandoned(&self) -> usize {
        self.abandoned
    }

    /// The ring has been dropped, and has nothing under way: what is owed cannot be sent any more.
    pub(super) fn strand(&mut self) {
        self.is_gone = true;
        for name in self.table.names() {
            self.with(name, |connection, _| connection.strand());
        }
    }
}

/// The connections, for the ring's thread and the streams. The lock is held for a copy of some bytes, and never while the
/// thread sleeps.
pub(crate) struct SharedConnections {
    connections: Mutex<Connections>,
    bell: &'static OneRing<EventFd>,
}

impl SharedConnections {
    pub(super) fn new(bell: &'static OneRing<EventFd>) -> Self {
        SharedConnections {
            connections: Mutex::new(Connections {
                table: Table::default(),
                buffers: Buffers::new(),
                by_fd: HashMap::new(),
                planning: Vec::new(),
                lent: Vec::new(),
                unreported: Vec::new(),
                events: Vec::new(),
                releases: Vec::new(),
                abandoned: 0,
                has_ended: false,
                sleeps: false,
                is_multishot: false,
                is_gone: false,
            }),
            bell,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Connections> {
        // Nothing that holds it panics half-way.
        let lock = self.connections.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the connections, and wakes the ring's thread if it has something new to do.
    pub(super) fn work<R>(&self, work: impl FnOnce(&mut Connections) -> R) -> R {
        let mut connections = self.lock();
        let answer = work(&mut connections);
        let calls = connections.sleeps && connections.has_work();
        let releases = mem::take(&mut connections.releases);
        drop(connections);
        if calls {
            self.bell.ring();
        }
        // Without this lock, since it takes that of another ring, or this one again.
        for (successor, directions, broken) in releases {
            successor.tell(directions, broken);
        }
        answer
    }

    /// Whether a descriptor belongs to an attached stream.
    pub(crate) fn has(&self, fd: BorrowedFd<'_>) -> bool {
        self.lock().by_fd.contains_key(&fd.as_raw_fd())
    }

    /// Takes an attached connection from its stream. Returns whether there is such a one.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> bool {
        self.work(|connections| connections.remove(fd.as_raw_fd()))
    }
}

impl Inherit for SharedConnections {
    fn inherit(&self, name: Name, released: Directions, broken: Option<Errno>) {
        self.work(|connections| connections.inherit(name, released, broken));
    }
}

impl fmt::Debug for SharedConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedConnections")
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
