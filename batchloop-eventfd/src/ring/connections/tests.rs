//! The connections of a ring, without a kernel.

use std::{
    os::{fd::AsFd, unix::net::UnixStream},
    sync::Arc,
};

use batchloop_core::slab::Token;

use super::*;
use crate::ring::{attached::Attached, connection::Arrival};

const MARK: Mark = Mark::State(1, Token::from_u64(2));
const OTHER: Mark = Mark::State(3, Token::from_u64(4));

struct Fixture {
    connections: Arc<SharedConnections>,
    peers: Vec<UnixStream>,
}

impl Fixture {
    fn new() -> Self {
        let bell = Box::leak(Box::new(OneRing::new(EventFd::new().unwrap())));
        Fixture {
            connections: Arc::new(SharedConnections::new(bell)),
            peers: Vec::new(),
        }
    }

    fn socket(&mut self) -> UnixStream {
        let (socket, peer) = UnixStream::pair().unwrap();
        self.peers.push(peer);
        socket
    }

    fn try_attach(&mut self, socket: UnixStream) -> io::Result<Attached> {
        Attached::new(&self.connections, Arc::new(socket.into()), MARK, false)
    }

    fn attach(&mut self) -> Attached {
        let socket = self.socket();
        self.try_attach(socket).unwrap()
    }

    /// What is planned, and for which connection.
    fn plan(&self) -> Vec<(Name, String)> {
        let mut planned = Vec::new();
        let plan =
            |name, _, operation: Operation<'_>| planned.push((name, format!("{operation:?}")));
        self.connections.lock().plan(plan);
        planned
    }

    /// The receive ends, for no reason of the connection's.
    fn end_receive(&self, name: Name) -> Option<MarkedEvents> {
        let arrival = Arrival {
            outcome: Err(Errno::CANCELED),
            lent: None,
            has_more: false,
            goes_on: false,
        };
        self.connections
            .work(|connections| connections.received(name, arrival))
    }

    /// How often the bell was rung.
    fn rings(&self) -> u64 {
        self.connections.bell.renew();
        self.connections.bell.bell().drain()
    }
}

#[test]
fn names_come_back_as_they_went_and_leave_room_for_the_kind() {
    for (row, generation) in [
        (0, 0),
        (1, 2),
        (0xff_ffff, u32::MAX),
        (0x12_3456, 0x789a_bcde),
    ] {
        let name = Name::new(row, generation);
        assert!(name.to_bits() < 1 << 56);
        assert_eq!(Name::from_bits(name.to_bits() | 0xff << 56), name);
    }
    assert_ne!(Name::new(1, 0).to_bits(), Name::new(0, 1).to_bits());
}

#[test]
fn there_are_so_many_connections_and_those_that_have_ended_make_room() {
    let mut fixture = Fixture::new();
    let mut attached: Vec<_> = (0..LIMIT).map(|_| fixture.attach()).collect();
    let socket = fixture.socket();
    let error = fixture.try_attach(socket).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the io_uring has 2^24 connections already"
    );
    let ended = attached.swap_remove(7).name();
    let new = fixture.attach().name();
    assert_ne!(new, ended);
    let mut connections = fixture.connections.lock();
    assert!(connections.with(ended, |_, _| ()).is_none(), "it has ended");
    assert_eq!(connections.table.names().len(), LIMIT - 1);
}

#[test]
fn what_is_planned_is_planned_once_and_for_whom_it_is() {
    let mut fixture = Fixture::new();
    assert!(!fixture.connections.lock().has_work());
    let (first, second) = (fixture.attach(), fixture.attach());
    assert!(fixture.connections.lock().has_work());
    let planned: Vec<_> = fixture.plan().into_iter().map(|(name, _)| name).collect();
    assert_eq!(planned, [first.name(), second.name()]);
    assert!(!fixture.connections.lock().has_work());
    assert!(fixture.plan().is_empty());
    second.send(b"x").unwrap();
    second.send(b"y").unwrap();
    let planned = fixture.plan();
    assert_eq!(planned.len(), 1);
    assert_eq!(planned[0].0, second.name());
}

#[test]
fn a_ring_that_sleeps_is_woken_for_what_is_new() {
    let mut fixture = Fixture::new();
    let attached = fixture.attach();
    assert_eq!(fixture.rings(), 0, "it is awake");
    fixture.plan();
    fixture.connections.lock().sleeps = true;
    attached.check().unwrap();
    assert_eq!(fixture.rings(), 0, "there is nothing to do");
    attached.send(b"x").unwrap();
    assert_eq!(fixture.rings(), 1);
    // What a state should know is also something.
    fixture.plan();
    fixture
        .connections
        .work(|connections| connections.submitted());
    fixture.rings();
    attached.take_up(OTHER).unwrap();
    assert_eq!(fixture.rings(), 1);
    let mut connections = fixture.connections.lock();
    let told: Vec<_> = connections.events().collect();
    assert_eq!(told, [(OTHER, Events::WRITABLE)]);
    assert!(!connections.has_work());
}

#[test]
fn states_are_told_of_what_concerns_them_and_of_nothing_else() {
    let mut fixture = Fixture::new();
    let attached = fixture.attach();
    let name = attached.name();
    fixture.plan();
    let tell = |outcome| {
        fixture
            .connections
            .work(|connections| connections.sent(name, outcome))
    };
    attached.send(b"x").unwrap();
    fixture.plan();
    assert_eq!(tell(Ok(1)), None, "all was sent");
    let all = Events::READABLE | Events::WRITABLE | Events::CLOSED;
    assert_eq!(tell(Err(Errno::PIPE)), Some((MARK, all)));
    let seen = fixture
        .connections
        .work(|connections| connections.watched(name, Ok(Events::READABLE), true));
    assert_eq!(seen, Some((MARK, Events::READABLE)));
    assert_eq!(fixture.end_receive(name), None);
    // Another ring has let go of it.
    let both = Events::READABLE | Events::WRITABLE;
    fixture.connections.inherit(name, Directions::BOTH, None);
    let told: Vec<_> = fixture.connections.lock().events().collect();
    assert_eq!(told, [(MARK, both)]);
    drop(attached);
    assert_eq!(tell(Err(Errno::PIPE)), None, "no state is left");
}

#[test]
fn sends_that_are_not_reported_have_ended_when_they_are_submitted() {
    let mut fixture = Fixture::new();
    let attached = fixture.attach();
    fixture.plan();
    while attached.send(&[0; 8192]).unwrap() == Some(8192) {}
    // A state waits for room, so that the send would be reported: as if it had waited later.
    fixture.plan();
    fixture.connections.lock().submitted();
    assert_eq!(
        fixture.connections.lock().events().count(),
        0,
        "it is reported"
    );
    let other = fixture.attach();
    fixture.plan();
    fixture.connections.lock().submitted();
    other.send(&[0; 8192]).unwrap();
    fixture.plan();
    while other.send(&[0; 8192]).unwrap() == Some(8192) {}
    fixture.connections.lock().submitted();
    let told: Vec<_> = fixture.connections.lock().events().collect();
    assert_eq!(told, [(MARK, Events::WRITABLE)]);
}

#[test]
fn connections_without_a_stream_are_counted_until_they_are_over() {
    let mut fixture = Fixture::new();
    let first = fixture.attach();
    let second = fixture.attach();
    let names = [first.name(), second.name()];
    fixture.plan();
    assert_eq!(fixture.connections.lock().abandoned(), 0);
    drop((first, second));
    assert_eq!(fixture.connections.lock().abandoned(), 2);
    fixture.plan();
    fixture.end_receive(names[0]);
    assert_eq!(fixture.connections.lock().abandoned(), 1);
    assert!(fixture.connections.lock().has_ended);
    fixture.plan();
    assert!(!fixture.connections.lock().has_ended, "it is told once");
    fixture.end_receive(names[1]);
    assert_eq!(fixture.connections.lock().abandoned(), 0);
}

#[test]
fn a_descriptor_is_that_of_the_stream_that_has_it_now() {
    let mut fixture = Fixture::new();
    let socket = fixture.socket();
    let fd = socket.try_clone().unwrap();
    let socket = Arc::new(socket.into());
    let connections = Arc::clone(&fixture.connections);
    let attach = || Attached::new(&connections, Arc::clone(&socket), MARK, false).unwrap();
    let first = attach();
    assert!(connections.has(socket.as_fd()));
    assert!(!connections.has(fd.as_fd()), "it is another one");
    assert!(!connections.remove(fd.as_fd()));
    // It leaves, and comes back while the ring has something of it.
    first.leave(None).unwrap();
    assert!(!connections.has(socket.as_fd()));
    let second = attach();
    drop(first);
    assert!(connections.has(socket.as_fd()));
    assert_eq!(
        second.receive(&mut [0; 9]).unwrap(),
        Some(crate::Received::Nothing)
    );
    assert!(connections.remove(socket.as_fd()));
    assert!(!connections.remove(socket.as_fd()));
    assert_eq!(
        second.receive(&mut [0; 9]).unwrap(),
        None,
        "it was taken away"
    );
    // A state that takes it up has it again.
    second.take_up(OTHER).unwrap();
    assert!(connections.has(socket.as_fd()));
    drop(second);
    assert!(!connections.has(socket.as_fd()));
}

#[test]
fn a_ring_that_is_dropped_tells_all_its_streams() {
    let mut fixture = Fixture::new();
    let attached = [fixture.attach(), fixture.attach()];
    fixture.plan();
    fixture.connections.work(Connections::strand);
    for attached in &attached {
        let gone = attached.receive(&mut [0; 9]).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotConnected);
        let left = attached.pull(&mut [0; 9]).unwrap().unwrap_err();
        assert_eq!(left.raw_os_error(), Some(Errno::CANCELED.raw_os_error()));
    }
    let socket = fixture.socket();
    let gone = fixture.try_attach(socket).unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::NotConnected);
    assert_eq!(format!("{:?}", fixture.connections), "SharedConnections");
}
