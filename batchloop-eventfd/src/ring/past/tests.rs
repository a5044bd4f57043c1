//! What a stream still has of rings that it has left, without a kernel.

use std::{io, os::unix::net::UnixStream};

use batchloop_core::slab::Token;
use rustix::io::Errno;

use super::*;
use crate::{
    ground::{bell::OneRing, event_fd::EventFd, mark::Mark},
    ring::{
        connection::Arrival,
        connections::{Connections, SharedConnections},
    },
};

const MARK: Mark = Mark::State(0, Token::from_u64(1));

fn connections() -> Arc<SharedConnections> {
    let bell = OneRing::new(EventFd::new().unwrap());
    Arc::new(SharedConnections::new(Box::leak(Box::new(bell))))
}

struct Fixture {
    connections: Arc<SharedConnections>,
    attached: Option<Attached>,
    past: Past,
    _peer: UnixStream,
}

impl Fixture {
    /// A stream whose receive is under way.
    fn new() -> Self {
        let connections = connections();
        let (socket, peer) = UnixStream::pair().unwrap();
        let socket = Arc::new(socket.into());
        let attached = Attached::new(&connections, socket, MARK, false).unwrap();
        let mut fixture = Fixture {
            connections,
            attached: Some(attached),
            past: Past::default(),
            _peer: peer,
        };
        assert_eq!(fixture.plan(), 1);
        fixture
    }

    /// How many operations are planned.
    fn plan(&mut self) -> usize {
        let mut planned = 0;
        self.connections.lock().plan(|_, _, _| planned += 1);
        planned
    }

    fn attached(&self) -> &Attached {
        self.attached.as_ref().unwrap()
    }

    fn leave(&mut self) {
        let attached = self.attached.take().unwrap();
        self.past.add(attached);
    }

    /// The receive ends with these bytes, or for this reason.
    fn end_receive(&mut self, outcome: Result<&[u8], Errno>) {
        let mut connections = self.connections.lock();
        let lent = outcome
            .ok()
            .map(|bytes| connections.buffers.filled(0, bytes));
        let name = self
            .past
            .rings
            .first()
            .unwrap_or_else(|| self.attached())
            .name();
        let arrival = Arrival {
            outcome: outcome.map(|bytes| bytes.len() as u32),
            lent,
            has_more: false,
            goes_on: false,
        };
        drop(connections);
        self.connections
            .work(|connections| connections.received(name, arrival));
    }

    fn end_send(&mut self, outcome: Result<u32, Errno>) {
        let name = self.past.rings[0].name();
        self.connections
            .work(|connections| connections.sent(name, outcome));
    }

    fn receive(&mut self) -> Option<io::Result<Received>> {
        self.past.receive(&mut [0; 100])
    }

    fn has_nothing(&mut self) -> bool {
        self.receive().is_none()
    }

    fn waits(&mut self) -> bool {
        matches!(self.receive(), Some(Ok(Received::Nothing)))
    }
}

#[test]
fn a_connection_is_of_its_ring_and_usable_while_that_is_there() {
    let fixture = Fixture::new();
    assert!(fixture.attached().is_of(&fixture.connections));
    assert!(!fixture.attached().is_of(&connections()));
    fixture.attached().is_usable().unwrap();
    fixture.connections.work(Connections::strand);
    let gone = fixture.attached().is_usable().unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::NotConnected);
    assert!(fixture.attached().may_receive(), "it says so to a receive");
}

#[test]
fn what_has_been_received_is_taken_and_then_there_is_nothing() {
    let mut fixture = Fixture::new();
    fixture.end_receive(Ok(b"abc"));
    fixture.leave();
    assert_eq!(fixture.past.may_receive(), Some(true));
    let received = fixture.receive().unwrap().unwrap();
    assert_eq!(received, Received::Bytes(3));
    assert_eq!(fixture.past.may_receive(), None);
    assert!(!fixture.past.is_empty());
    assert!(fixture.has_nothing());
    assert!(fixture.past.is_empty(), "it is forgotten");
}

#[test]
fn what_a_receive_under_way_brings_is_waited_for() {
    let mut fixture = Fixture::new();
    fixture.leave();
    assert_eq!(fixture.past.may_receive(), Some(false));
    assert!(fixture.waits());
    assert_eq!(fixture.plan(), 1, "the receive is stopped");
    fixture.end_receive(Ok(b"late"));
    assert_eq!(fixture.past.may_receive(), Some(true));
    assert!(matches!(fixture.receive(), Some(Ok(Received::Bytes(4)))));
    assert!(fixture.has_nothing());
}

#[test]
fn an_end_that_a_ring_has_received_is_the_end() {
    let mut fixture = Fixture::new();
    fixture.end_receive(Ok(b""));
    fixture.leave();
    assert_eq!(fixture.past.may_receive(), Some(true));
    for _ in 0..2 {
        assert!(matches!(fixture.receive(), Some(Ok(Received::End))));
    }
}

#[test]
fn what_is_being_sent_keeps_a_ring_in_mind() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.attached().send(b"abc").unwrap(), Some(3));
    fixture.leave();
    assert!(!fixture.past.has_sent().unwrap());
    fixture.past.end().unwrap().unwrap();
    assert_eq!(fixture.plan(), 2);
    fixture.end_receive(Err(Errno::CANCELED));
    assert!(fixture.has_nothing());
    assert!(!fixture.past.is_empty(), "it has something to send");
    fixture.end_send(Ok(3));
    assert!(fixture.past.end().is_none());
    assert!(fixture.past.has_sent().unwrap());
    assert!(fixture.past.is_empty());
}

#[test]
fn an_error_of_a_send_is_told_unless_the_pipe_is_broken() {
    for (error, is_told) in [(Errno::CONNRESET, true), (Errno::PIPE, false)] {
        let mut fixture = Fixture::new();
        fixture.attached().send(b"abc").unwrap();
        fixture.leave();
        fixture.plan();
        fixture.end_send(Err(error));
        assert!(fixture.waits(), "what comes is first");
        fixture.end_receive(Err(Errno::CANCELED));
        let told = fixture.receive();
        assert_eq!(told.is_some(), is_told, "{told:?}");
        assert!(fixture.past.check().is_err());
        assert!(fixture.past.has_sent().is_err());
        assert!(fixture.past.end().unwrap().is_err());
        assert!(!fixture.past.is_empty());
    }
}

#[test]
fn what_is_not_taken_keeps_a_ring_in_mind() {
    let mut fixture = Fixture::new();
    fixture.end_receive(Ok(b"abc"));
    fixture.leave();
    assert!(fixture.past.has_sent().unwrap());
    assert!(matches!(fixture.receive(), Some(Ok(Received::Bytes(3)))));
}

#[test]
fn a_stream_is_usable_while_its_last_ring_is_there() {
    let mut fixture = Fixture::new();
    fixture.leave();
    fixture.past.is_usable().unwrap();
    fixture.connections.work(Connections::strand);
    let gone = fixture.past.is_usable().unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::NotConnected);
    Past::default().is_usable().unwrap();
}

#[test]
fn a_new_ring_begins_when_the_old_one_has_let_go() {
    let mut old = Fixture::new();
    old.attached().send(b"abc").unwrap();
    old.leave();
    let new = connections();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let attached = Attached::new(&new, Arc::new(socket.into()), MARK, true).unwrap();
    old.past.lead_to_ring(&attached).unwrap();
    let plans = |new: &SharedConnections| {
        let mut planned = 0;
        new.lock().plan(|_, _, _| planned += 1);
        planned
    };
    assert_eq!(old.plan(), 2);
    assert_eq!(plans(&new), 0);
    old.end_receive(Err(Errno::CANCELED));
    assert_eq!(plans(&new), 1, "it receives");
    attached.send(b"def").unwrap();
    assert_eq!(plans(&new), 0, "what is sent waits");
    old.end_send(Ok(3));
    assert_eq!(plans(&new), 1);
}

#[test]
fn a_state_on_epoll_is_told_when_the_ring_lets_go() {
    let mut old = Fixture::new();
    old.leave();
    let herald = Arc::new(EventFd::new().unwrap());
    old.past.lead_to_epoll(Arc::clone(&herald)).unwrap();
    old.plan();
    let _ = herald.drain();
    old.end_receive(Err(Errno::CANCELED));
    assert!(herald.drain() > 0);
}

#[test]
fn a_stream_in_its_ring_is_asked_and_told() {
    let mut fixture = Fixture::new();
    assert!(!fixture.attached().may_receive());
    fixture.end_receive(Ok(b"abc"));
    assert!(fixture.attached().may_receive());
    let received = fixture.attached().receive(&mut [0; 9]).unwrap();
    assert_eq!(received, Some(Received::Bytes(3)));
    assert!(!fixture.attached().may_receive());
    fixture.attached().send(b"abc").unwrap();
    fixture.attached().end().unwrap();
    assert!(fixture.attached().send(b"more").is_err());
    fixture.attached().check().unwrap();
    fixture.end_receive(Err(Errno::CONNRESET));
    let error = fixture.attached().check().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(format!("{:?}", fixture.attached()).ends_with("of a ring"));
    // One that leaves is asked by the stream, which then goes another way.
    fixture.attached().leave(None).unwrap();
    assert!(fixture.attached().may_receive());
    assert_eq!(fixture.attached().send(b"x").unwrap(), None);
}

#[test]
fn a_stream_that_is_dropped_leaves_its_connection_to_the_ring() {
    let mut fixture = Fixture::new();
    fixture.attached = None;
    assert_eq!(fixture.connections.lock().abandoned(), 1);
}
