//! A connection without a ring: what it would have the kernel do, and what it makes of what the kernel has done.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use batchloop_core::slab::Token;

use super::*;

const MARK: Mark = Mark::State(0, Token::from_u64(1));

/// A connection, the other side of it, and the buffers that the kernel would fill.
struct Fixture {
    connection: Connection,
    peer: UnixStream,
    buffers: Buffers,
    filled: u16,
}

impl Fixture {
    fn new() -> Self {
        Self::held(Directions::NONE)
    }

    fn held(held: Directions) -> Self {
        let (socket, peer) = UnixStream::pair().unwrap();
        peer.set_nonblocking(true).unwrap();
        Fixture {
            connection: Connection::new(Arc::new(socket.into()), MARK, held),
            peer,
            buffers: Buffers::new(),
            filled: 0,
        }
    }

    /// What is queued, in the words of `Operation`.
    fn plan(&mut self) -> Vec<String> {
        let mut planned = Vec::new();
        let has_plans = self.connection.has_plans();
        self.connection
            .plan(true, |operation| planned.push(format!("{operation:?}")));
        assert!(has_plans || planned.is_empty(), "{planned:?} are not told");
        planned
    }

    /// Nothing is planned, nor thought to be.
    fn is_idle(&mut self) -> bool {
        !self.connection.has_plans() && self.plan().is_empty()
    }

    fn arrive(&mut self, bytes: &[u8], goes_on: bool) -> Events {
        let lent = self.buffers.filled(self.filled, bytes);
        self.filled += 1;
        let arrival = Arrival {
            outcome: Ok(bytes.len() as u32),
            lent: Some(lent),
            has_more: false,
            goes_on,
        };
        self.connection.received(arrival, &mut self.buffers)
    }

    /// The receive ends, and has brought nothing.
    fn end_receive(&mut self, outcome: Result<u32, Errno>) -> Events {
        let arrival = Arrival {
            outcome,
            lent: None,
            has_more: false,
            goes_on: false,
        };
        self.connection.received(arrival, &mut self.buffers)
    }

    fn receive(&mut self, room: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; room];
        match self.connection.receive(&mut bytes, &mut self.buffers)? {
            Received::Bytes(received) => bytes.truncate(received),
            Received::Nothing => bytes.clear(),
            Received::End => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(bytes)
    }

    /// What the other side has got by now.
    fn seen(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 20];
        let seen = self.peer.read(&mut bytes).unwrap_or(0);
        bytes.truncate(seen);
        bytes
    }
}

const RECEIVE: &str = "Receive { at_once: false, multishot: false }";
const RECEIVE_ON: &str = "Receive { at_once: false, multishot: true }";

#[test]
fn a_quiet_connection_is_received_from_twice() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.plan(), [RECEIVE]);
    fixture.arrive(b"first", false);
    assert!(fixture.connection.may_receive());
    assert_eq!(fixture.receive(100).unwrap(), b"first");
    // There may be more messages.
    assert_eq!(fixture.plan(), [RECEIVE_ON, "Watch(Ends)"]);
    for _ in 0..100 {
        assert_eq!(fixture.arrive(b"message", true), Events::READABLE);
        assert_eq!(fixture.receive(100).unwrap(), b"message");
        assert!(!fixture.connection.may_receive());
        assert!(fixture.is_idle());
    }
    fixture.arrive(b"last of 8 KiB", false);
    assert_eq!(fixture.receive(100).unwrap(), b"last of 8 KiB");
    assert!(fixture.connection.may_receive(), "there may be more");
    assert_eq!(fixture.receive(100).unwrap(), b"");
    assert_eq!(fixture.plan(), [RECEIVE_ON]);
}

/// One that receives on.
fn lasting() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.plan();
    fixture.arrive(b"first", false);
    fixture.receive(100).unwrap();
    assert_eq!(fixture.plan(), [RECEIVE_ON, "Watch(Ends)"]);
    fixture
}

#[test]
fn an_end_that_a_receive_does_not_bring_is_received_anew() {
    // The kernel tells of the end before what the receive has brought, and perhaps will bring.
    let mut fixture = lasting();
    let end = Events::READABLE | Events::CLOSED;
    assert_eq!(fixture.connection.watched(Ok(end), true), Events::NONE);
    assert_eq!(fixture.arrive(b"last", true), Events::READABLE);
    assert_eq!(fixture.receive(100).unwrap(), b"last");
    assert_eq!(fixture.plan(), ["StopReceiving", "StopWatching"]);
    assert!(fixture.is_idle());
    assert_eq!(fixture.end_receive(Err(Errno::CANCELED)), Events::NONE);
    assert_eq!(fixture.plan(), [RECEIVE]);
    assert_eq!(fixture.end_receive(Ok(0)), end);
    // Or it brings the end in time.
    let mut fixture = lasting();
    fixture.connection.watched(Ok(end), true);
    assert_eq!(fixture.end_receive(Ok(0)), end);
    assert!(fixture.is_idle(), "the watch goes on, for errors");
}

#[test]
fn an_error_that_a_receive_does_not_bring_is_told() {
    let mut fixture = lasting();
    fixture.arrive(b"last", true);
    let all = Events::READABLE | Events::WRITABLE | Events::CLOSED;
    assert_eq!(fixture.connection.watched(Ok(all), true), all);
    assert_eq!(fixture.plan(), ["StopReceiving", "StopWatching"]);
    assert_eq!(fixture.receive(100).unwrap(), b"last");
    fixture.end_receive(Err(Errno::CANCELED));
    fixture.connection.watched(Err(Errno::CANCELED), false);
    assert_eq!(
        fixture.plan(),
        ["Receive { at_once: true, multishot: false }"]
    );
}

#[test]
fn what_comes_before_something_is_taken_is_behind_it() {
    let mut fixture = Fixture::new();
    fixture.plan();
    fixture.arrive(b"ab", true);
    fixture.arrive(b"cd", true);
    assert_eq!(fixture.receive(1).unwrap(), b"a");
    fixture.arrive(b"ef", true);
    // The kernel needs its buffers.
    fixture.connection.keep(&mut fixture.buffers);
    fixture.arrive(b"gh", false);
    assert_eq!(fixture.receive(4).unwrap(), b"bcde");
    assert_eq!(fixture.receive(4).unwrap(), b"fgh");
    assert_eq!(fixture.receive(4).unwrap(), b"");
}

#[test]
fn a_connection_that_is_not_received_from_is_watched() {
    let mut fixture = lasting();
    fixture.arrive(b"first", true);
    assert!(fixture.is_idle(), "the receive goes on");
    fixture.arrive(b"second", false);
    assert_eq!(fixture.plan(), ["StopWatching"]);
    assert!(fixture.is_idle());
    let ended = fixture.connection.watched(Err(Errno::CANCELED), false);
    assert_eq!(ended, Events::NONE);
    assert_eq!(fixture.plan(), ["Watch(Arrivals)"]);
    assert!(fixture.is_idle());
    // More has come: an edge, as on epoll.
    let seen = fixture.connection.watched(Ok(Events::READABLE), true);
    assert_eq!(seen, Events::READABLE);
    assert!(fixture.is_idle());
    assert_eq!(fixture.receive(100).unwrap(), b"firstsecond");
    assert_eq!(fixture.receive(100).unwrap(), b"");
    assert_eq!(fixture.plan(), [RECEIVE_ON, "StopWatching"]);
    assert!(fixture.is_idle());
    fixture.connection.watched(Err(Errno::CANCELED), false);
    assert_eq!(fixture.plan(), ["Watch(Ends)"]);
}

#[test]
fn an_end_is_known_after_what_came_before_and_errors_are_watched_for() {
    let mut fixture = Fixture::new();
    fixture.plan();
    fixture.arrive(b"last", true);
    assert_eq!(
        fixture.end_receive(Ok(0)),
        Events::READABLE | Events::CLOSED
    );
    assert_eq!(fixture.plan(), ["Watch(Errors)"]);
    assert_eq!(fixture.receive(100).unwrap(), b"last");
    let end = fixture.receive(100).unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    assert!(fixture.connection.may_receive(), "the end is to be known");
    // Nothing is expected any more, once nothing is to be sent.
    fixture.connection.end().unwrap();
    assert_eq!(fixture.plan(), ["StopWatching"]);
    fixture.connection.watched(Err(Errno::CANCELED), false);
    assert!(fixture.is_idle());
}

#[test]
fn a_reset_is_known_after_what_came_before_and_to_the_next_send() {
    let mut fixture = Fixture::new();
    fixture.plan();
    fixture.arrive(b"last", false);
    fixture.plan();
    let seen = Events::READABLE | Events::WRITABLE | Events::CLOSED;
    assert_eq!(fixture.connection.watched(Ok(seen), true), seen);
    assert_eq!(fixture.plan(), ["StopWatching"]);
    assert_eq!(fixture.receive(100).unwrap(), b"last");
    assert!(fixture.connection.may_receive(), "the socket knows more");
    let mut reset = Fixture::new();
    reset.plan();
    assert_eq!(reset.end_receive(Err(Errno::CONNRESET)), seen);
    let error = reset.connection.send(b"x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let error = reset.receive(100).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let error = reset.connection.check().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(reset.is_idle());
}

#[test]
fn a_receive_that_could_not_begin_begins_again() {
    let mut fixture = Fixture::new();
    for (outcome, again) in [
        (Errno::NOBUFS, "Receive { at_once: true, multishot: false }"),
        (Errno::AGAIN, RECEIVE),
        (Errno::INTR, RECEIVE),
        (Errno::CANCELED, RECEIVE),
    ] {
        fixture.plan();
        assert_eq!(fixture.end_receive(Err(outcome)), Events::NONE);
        assert_eq!(fixture.plan(), [again]);
    }
}

#[test]
fn small_sends_go_one_after_the_other_and_are_not_reported() {
    let mut fixture = Fixture::new();
    fixture.plan();
    assert_eq!(fixture.connection.send(b"one").unwrap(), 3);
    let first = [r#"Send { bytes: [111, 110, 101], mode: Unreported }"#];
    assert_eq!(fixture.plan(), first);
    assert!(fixture.is_idle());
    assert_eq!(fixture.connection.send(b"two").unwrap(), 3);
    assert!(fixture.connection.has_plans(), "as soon as it is submitted");
    assert_eq!(fixture.connection.sent_unreported(), Events::NONE);
    let second = [r#"Send { bytes: [116, 119, 111], mode: Unreported }"#];
    assert_eq!(fixture.plan(), second);
    assert_eq!(fixture.connection.sent_unreported(), Events::NONE);
    assert_eq!(
        fixture.connection.sent_unreported(),
        Events::NONE,
        "none is under way"
    );
    assert!(fixture.is_idle());
    assert!(fixture.connection.has_sent());
}

#[test]
fn a_send_that_did_not_fit_is_sent_patiently_and_tells_of_room() {
    let mut fixture = Fixture::new();
    fixture.plan();
    // Small enough to be copied, so that none goes at once.
    for _ in 0..4 {
        assert_eq!(fixture.connection.send(&[1; SLOW]).unwrap(), SLOW);
    }
    assert_eq!(fixture.connection.send(&[2; 10]).unwrap(), 0, "it is full");
    let planned = fixture.plan();
    assert!(
        planned[0].ends_with("mode: Reported }"),
        "a state waits for room"
    );
    // In part.
    assert_eq!(fixture.connection.sent(Ok(1000)), Events::WRITABLE);
    assert_eq!(
        fixture.connection.send(&[2; 10]).unwrap(),
        0,
        "more than 16 KiB are owed"
    );
    let planned = fixture.plan();
    assert!(planned[0].ends_with("mode: Waiting }"));
    let rest = 4 * SLOW as u32 - 1000;
    assert_eq!(fixture.connection.sent(Ok(rest)), Events::WRITABLE);
    assert_eq!(fixture.connection.send(&[2; 10]).unwrap(), 10);
    let planned = fixture.plan();
    assert!(
        planned[0].ends_with("mode: Unreported }"),
        "it is fast again"
    );
}

#[test]
fn a_slow_connection_without_a_user_is_given_so_many_attempts() {
    let mut fixture = Fixture::new();
    fixture.plan();
    fixture.connection.send(b"last words").unwrap();
    fixture.plan();
    // It did not fit: the next send waits for room.
    assert_eq!(fixture.connection.sent(Err(Errno::AGAIN)), Events::NONE);
    assert!(fixture.plan()[0].ends_with("mode: Waiting }"));
    assert!(fixture.is_idle(), "there is time while there is a user");
    fixture.connection.abandon(&mut fixture.buffers);
    // It must not wait for ever.
    assert_eq!(fixture.plan(), ["StopReceiving", "StopSending"]);
    assert!(fixture.plan().is_empty());
    fixture.end_receive(Err(Errno::CANCELED));
    let mut attempts = 0;
    loop {
        assert!(!fixture.connection.is_over());
        fixture.connection.sent(Err(Errno::CANCELED));
        if fixture.connection.is_over() {
            break;
        }
        assert!(fixture.plan()[0].ends_with("mode: Timed }"));
        assert!(fixture.plan().is_empty(), "it ends by itself");
        attempts += 1;
    }
    assert_eq!(attempts, 6);
    fixture.connection.close();
    assert!(fixture.connection.broken().is_some());
}

#[test]
fn an_attempt_that_sends_something_is_the_first_of_six_again() {
    let mut fixture = Fixture::new();
    fixture.plan();
    fixture.connection.send(&[1; 100]).unwrap();
    fixture.connection.abandon(&mut fixture.buffers);
    assert_eq!(fixture.plan().len(), 2);
    fixture.end_receive(Err(Errno::CANCELED));
    for _ in 0..20 {
        for _ in 0..5 {
            fixture.connection.sent(Err(Errno::CANCELED));
            assert!(fixture.plan()[0].ends_with("mode: Timed }"));
        }
        fixture.connection.sent(Ok(1));
        assert!(fixture.plan()[0].ends_with("mode: Timed }"));
    }
    fixture.connection.sent(Ok(80));
    assert!(fixture.connection.is_over());
}

#[test]
fn the_end_of_the_sending_waits_for_what_is_to_be_sent() {
    let mut fixture = Fixture::new();
    fixture.plan();
    fixture.connection.send(b"last").unwrap();
    fixture.connection.end().unwrap();
    assert!(fixture.connection.send(b"more").is_err());
    assert_eq!(fixture.connection.send(b"").unwrap(), 0);
    assert!(fixture.plan()[0].ends_with("mode: Reported }"));
    let mut byte = [0];
    assert!(fixture.peer.read(&mut byte).is_err(), "nothing has ended");
    assert_eq!(fixture.connection.sent(Ok(4)), Events::NONE);
    assert_eq!(fixture.peer.read(&mut byte).unwrap(), 0);
}

#[test]
fn many_bytes_go_at_once_and_what_does_not_fit_waits() {
    let mut fixture = Fixture::new();
    fixture.plan();
    let bytes = vec![7; 2 << 20];
    let sent = fixture.connection.send(&bytes).unwrap();
    assert!(sent < bytes.len());
    let mut seen = 0;
    assert!(sent > SLOW);
    loop {
        match fixture.seen().len() {
            0 => break,
            more => seen += more,
        }
    }
    assert_eq!(sent - seen, SLOW, "so much is kept of what did not fit");
    assert!(fixture.plan()[0].ends_with("mode: Waiting }"));
    assert_eq!(fixture.connection.sent(Ok(SLOW as u32)), Events::WRITABLE);
}

#[test]
fn what_a_ring_before_holds_is_left_alone_until_it_is_released() {
    let mut fixture = Fixture::held(Directions::BOTH);
    assert!(fixture.is_idle());
    assert_eq!(fixture.connection.send(&[1; SLOW + 1]).unwrap(), SLOW + 1);
    assert!(fixture.is_idle());
    assert!(fixture.seen().is_empty(), "even many bytes wait");
    assert!(!fixture.connection.has_received() && !fixture.connection.has_sent());
    let receiving = Directions {
        receiving: true,
        sending: false,
    };
    fixture.connection.inherit(receiving, None);
    assert_eq!(fixture.plan(), [RECEIVE]);
    fixture.connection.inherit(Directions::BOTH, None);
    assert!(fixture.plan()[0].starts_with("Send"));
    let mut broken = Fixture::held(Directions::BOTH);
    broken
        .connection
        .inherit(Directions::BOTH, Some(Errno::CONNRESET));
    let error = broken.connection.send(b"x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_connection_that_leaves_tells_its_successor_what_it_has_let_go_of_once() {
    let told = |fixture: &mut Fixture| fixture.connection.release().map(|(_, what)| what);
    let mut fixture = Fixture::new();
    fixture.plan();
    fixture.connection.send(b"x").unwrap();
    fixture.plan();
    let herald = Arc::new(crate::ground::event_fd::EventFd::new().unwrap());
    let successor = Successor::Epoll(herald);
    assert_eq!(told(&mut fixture), None);
    fixture.connection.leave(Some(successor));
    assert_eq!(told(&mut fixture), None, "both are under way");
    assert_eq!(fixture.plan(), ["StopReceiving"]);
    fixture.connection.sent_unreported();
    let sending = Directions {
        receiving: false,
        sending: true,
    };
    assert_eq!(told(&mut fixture), Some(sending));
    assert_eq!(told(&mut fixture), None);
    // What comes meanwhile is kept.
    fixture.arrive(b"late", true);
    assert_eq!(told(&mut fixture), None);
    fixture.end_receive(Err(Errno::CANCELED));
    assert_eq!(told(&mut fixture), Some(Directions::BOTH));
    assert_eq!(fixture.receive(100).unwrap(), b"late");
    assert!(fixture.is_idle());
}

#[test]
fn a_new_owner_is_told_what_is_there() {
    let mut fixture = Fixture::new();
    fixture.plan();
    assert_eq!(fixture.connection.take_up(MARK), Events::WRITABLE);
    fixture.arrive(b"x", true);
    let both = Events::READABLE | Events::WRITABLE;
    assert_eq!(fixture.connection.take_up(MARK), both);
    for _ in 0..4 {
        fixture.connection.send(&[1; SLOW]).unwrap();
    }
    assert_eq!(
        fixture.connection.take_up(MARK),
        Events::READABLE,
        "it is full"
    );
    fixture.end_receive(Ok(0));
    assert_eq!(fixture.connection.take_up(MARK), both | Events::CLOSED);
}

#[test]
fn the_socket_is_asked_only_where_it_may_have_more_and_nothing_is_under_way() {
    let mut fixture = lasting();
    fixture.peer.write_all(b"in the socket").unwrap();
    let lent = fixture.buffers.filled(200, b"x");
    let arrival = |outcome, lent, goes_on| Arrival {
        outcome,
        lent,
        has_more: true,
        goes_on,
    };
    let first = arrival(Ok(1), Some(lent), true);
    fixture.connection.received(first, &mut fixture.buffers);
    assert_eq!(fixture.receive(100).unwrap(), b"x");
    assert!(!fixture.connection.may_receive(), "the receive goes on");
    assert_eq!(fixture.receive(100).unwrap(), b"");
    let lent = fixture.buffers.filled(201, b"y");
    let last = arrival(Ok(1), Some(lent), false);
    fixture.connection.received(last, &mut fixture.buffers);
    assert_eq!(fixture.receive(100).unwrap(), b"y");
    // Room that is filled may not be all; room that is not, is.
    assert_eq!(fixture.receive(4).unwrap(), b"in t");
    assert!(fixture.connection.may_receive());
    assert_eq!(fixture.receive(100).unwrap(), b"he socket");
    assert!(!fixture.connection.may_receive());
    // After an end, whatever else is told, there is nothing to ask for.
    fixture.peer.write_all(b"more").unwrap();
    fixture.plan();
    fixture.end_receive(Ok(0));
    let trouble = Events::READABLE | Events::WRITABLE;
    fixture.connection.watched(Ok(trouble), true);
    let end = fixture.receive(100).unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_socket_in_trouble_is_asked_until_it_has_said_why() {
    let mut fixture = Fixture::new();
    fixture.plan();
    fixture.arrive(b"x", false);
    fixture.plan();
    fixture.peer.write_all(b"rest").unwrap();
    let trouble = Events::READABLE | Events::WRITABLE;
    fixture.connection.watched(Ok(trouble), true);
    assert_eq!(fixture.receive(100).unwrap(), b"x");
    assert_eq!(fixture.receive(100).unwrap(), b"rest");
    assert!(fixture.connection.may_receive(), "it has not said why");
    assert_eq!(fixture.receive(100).unwrap(), b"");
    assert!(!fixture.connection.may_receive());
}

#[test]
fn an_end_behind_an_error_of_a_send_is_that_error_unless_the_pipe_is_broken() {
    for (error, expected) in [
        (Errno::PIPE, io::ErrorKind::UnexpectedEof),
        (Errno::CONNRESET, io::ErrorKind::ConnectionReset),
    ] {
        let mut fixture = Fixture::new();
        fixture.plan();
        fixture.connection.send(b"x").unwrap();
        fixture.plan();
        let told = fixture.connection.sent(Err(error));
        assert_eq!(told, Events::READABLE | Events::WRITABLE | Events::CLOSED);
        fixture.end_receive(Ok(0));
        assert_eq!(fixture.receive(100).unwrap_err().kind(), expected);
        let sent = fixture.connection.send(b"x").unwrap_err();
        assert_eq!(sent.raw_os_error(), Some(error.raw_os_error()));
    }
}

#[test]
fn an_error_that_is_known_is_not_taken_from_the_socket_again() {
    let mut fixture = Fixture::new();
    fixture.plan();
    fixture.connection.check().unwrap();
    fixture.connection.send(b"x").unwrap();
    fixture.plan();
    fixture.connection.sent(Err(Errno::PIPE));
    let trouble = Events::READABLE | Events::WRITABLE;
    fixture.connection.watched(Ok(trouble), true);
    for _ in 0..2 {
        let error = fixture.connection.check().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

#[test]
fn many_bytes_that_fit_at_once_leave_the_connection_fast() {
    let mut fixture = Fixture::new();
    fixture.plan();
    let bytes = vec![7; SLOW + 1];
    assert_eq!(fixture.connection.send(&bytes).unwrap(), bytes.len());
    assert_eq!(fixture.seen().len(), bytes.len());
    assert!(fixture.is_idle());
    for _ in 0..4 {
        assert_eq!(fixture.connection.send(&[1; SLOW]).unwrap(), SLOW);
    }
    assert!(fixture.plan()[0].ends_with("mode: Unreported }"));
}

#[test]
fn any_trouble_is_told_to_a_new_owner() {
    let all = Events::READABLE | Events::WRITABLE | Events::CLOSED;
    let mut troubled = Fixture::new();
    let trouble = Events::READABLE | Events::WRITABLE;
    troubled.connection.watched(Ok(trouble), true);
    assert_eq!(troubled.connection.take_up(MARK), all);
    let mut broken = Fixture::new();
    broken.connection.sent(Err(Errno::PIPE));
    assert_eq!(broken.connection.take_up(MARK), all);
}

#[test]
fn whose_it_is_and_whether_it_leaves_is_known() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.connection.mark(), Some(MARK));
    assert!(!fixture.connection.is_leaving());
    fixture.connection.leave(None);
    assert_eq!(fixture.connection.mark(), None);
    assert!(fixture.connection.is_leaving());
    fixture.connection.abandon(&mut fixture.buffers);
    assert!(!fixture.connection.is_leaving());
}

#[test]
fn a_connection_whose_stream_is_dropped_while_it_leaves_tells_its_successor_all_the_same() {
    let mut fixture = Fixture::new();
    fixture.plan();
    assert!(!fixture.connection.has_received());
    let herald = Arc::new(crate::ground::event_fd::EventFd::new().unwrap());
    fixture.connection.leave(Some(Successor::Epoll(herald)));
    fixture.plan();
    fixture.connection.release();
    fixture.connection.abandon(&mut fixture.buffers);
    fixture.end_receive(Err(Errno::CANCELED));
    assert!(fixture.connection.has_received());
    let (_, released) = fixture.connection.release().unwrap();
    assert_eq!(released, Directions::BOTH);
    assert!(fixture.connection.is_over());
}

#[test]
fn what_comes_for_nobody_goes_back_to_the_kernel() {
    let mut fixture = lasting();
    fixture.arrive(b"not taken", true);
    fixture.connection.abandon(&mut fixture.buffers);
    assert!(fixture.connection.lent.is_none());
    fixture.arrive(b"late", true);
    assert!(fixture.connection.lent.is_none());
    let mut ended = Fixture::new();
    ended.plan();
    ended.arrive(b"", false);
    assert!(ended.connection.lent.is_none(), "an end has no bytes");
}

#[test]
fn only_a_connection_that_owes_something_is_reset() {
    let mut fixture = Fixture::new();
    fixture.connection.close();
    assert_eq!(fixture.connection.broken(), None);
    fixture.connection.send(b"x").unwrap();
    fixture.connection.close();
    assert_eq!(fixture.connection.broken(), Some(Errno::CANCELED));
}

#[test]
fn a_ring_that_is_dropped_ends_what_it_was_receiving() {
    let mut idle = Fixture::new();
    idle.connection.strand();
    assert_eq!(idle.receive(100).unwrap(), b"");
    let mut fixture = Fixture::new();
    fixture.plan();
    fixture.connection.send(b"x").unwrap();
    fixture.connection.strand();
    let error = fixture.receive(100).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::CANCELED.raw_os_error()));
    assert_eq!(fixture.connection.broken(), Some(Errno::CANCELED));
}

#[test]
fn what_waits_for_a_send_that_is_not_reported_goes_on_when_it_is_submitted() {
    let mut ends = Fixture::new();
    ends.plan();
    ends.connection.send(b"last").unwrap();
    ends.plan();
    assert!(ends.is_idle());
    ends.connection.end().unwrap();
    assert!(ends.connection.has_plans());
    let mut fills = Fixture::new();
    fills.plan();
    for _ in 0..4 {
        fills.connection.send(&[1; SLOW]).unwrap();
    }
    fills.plan();
    assert!(fills.is_idle());
    assert_eq!(fills.connection.send(b"x").unwrap(), 0);
    assert!(fills.connection.has_plans());
    assert_eq!(fills.connection.sent_unreported(), Events::WRITABLE);
    assert!(fills.is_idle());
}

#[test]
fn small_buffers_for_sending_are_kept_and_large_ones_go() {
    let mut fixture = Fixture::new();
    fixture.connection.send(&[1; 100]).unwrap();
    fixture.plan();
    fixture.connection.sent_unreported();
    let capacity = |fixture: &Fixture| fixture.connection.leaving.capacity();
    assert!((100..=1024).contains(&capacity(&fixture)));
    for _ in 0..2 {
        fixture.connection.send(&[1; SLOW]).unwrap();
        fixture.plan();
        fixture.connection.sent_unreported();
    }
    assert_eq!(capacity(&fixture), 0);
}
