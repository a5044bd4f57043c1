//! The ring with sockets, from the outside.

use std::{
    env, fs,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use batchloop_core::{Capacity, Driver, Handle, Machine, Step, Turn, point};
use proptest::prelude::*;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::ioctl_fionread,
    net::SendFlags,
};

use super::buffers;
use crate::{Multiplexer, Polled, Received, Registry, Stream};

struct State {
    stream: Stream,
    received: Vec<u8>,
    ended: bool,
    runs: u32,
}

/// Takes what comes, unless it is told to leave it.
fn entry(cx: &mut Turn<'_, State>, takes: bool) {
    let new = cx.arrivals();
    cx.stage(point!("receive"), new).advance(|state, me| {
        state.runs += 1;
        state.stream.note(me);
        let mut room = [0; 1000];
        if !takes {
            return Step::Wait;
        }
        loop {
            match state.stream.receive(&mut room) {
                Ok(Received::Bytes(received)) => {
                    state.received.extend_from_slice(&room[..received]);
                }
                Ok(Received::Nothing) => break,
                Ok(Received::End) | Err(_) => {
                    state.ended = true;
                    break;
                }
            }
        }
        Step::Wait
    });
}

struct Fixture {
    machine: Machine<State>,
    driver: Driver<State>,
    registry: Registry,
    multiplexer: Multiplexer,
}

/// What a sleep may take where something should end it: a wait that nothing ends is a failure.
const PATIENCE: Duration = Duration::from_secs(20);

impl Fixture {
    /// None where the tester says that there is no io_uring.
    fn new() -> Option<Self> {
        Self::receiving(true)
    }

    /// With receives that go on if the kernel can do it, or without.
    fn receiving(goes_on: bool) -> Option<Self> {
        if env::var_os("BATCHLOOP_WITHOUT_URING").is_some() {
            return None;
        }
        let machine = Machine::heap(Capacity::slots(100));
        let mut multiplexer = Multiplexer::with_uring()
            .unwrap_or_else(|error| panic!("{error}; see BATCHLOOP_WITHOUT_URING in the README"));
        multiplexer.ring().shared.lock().is_multishot &= goes_on;
        Some(Fixture {
            machine,
            driver: machine.driver().unwrap(),
            registry: multiplexer.add(machine).unwrap(),
            multiplexer,
        })
    }

    fn connect(&mut self) -> (Handle<State>, UnixStream) {
        let (socket, peer) = UnixStream::pair().unwrap();
        let slot = self.machine.reserve().unwrap();
        let mut stream = Stream::new(socket);
        let state = slot.handle();
        self.registry.attach(&mut stream, state.token()).unwrap();
        slot.commit(State {
            stream,
            received: Vec::new(),
            ended: false,
            runs: 0,
        });
        (state, peer)
    }

    /// Sleeps until there is something to do, and does it.
    fn round(&mut self, takes: bool) -> Polled {
        let patience = Instant::now() + PATIENCE;
        let polled = self.round_until(takes, Some(patience));
        assert!(Instant::now() < patience, "nothing ends the sleep");
        polled
    }

    /// As `round`, where there may be nothing to do.
    fn brief_round(&mut self) -> Polled {
        self.round_until(true, Some(Instant::now() + Duration::from_millis(10)))
    }

    fn round_until(&mut self, takes: bool, deadline: Option<Instant>) -> Polled {
        let drivers = [self.driver.watch()];
        let polled = self.multiplexer.poll(&drivers, deadline).unwrap();
        self.driver.turn(|cx| entry(cx, takes)).unwrap();
        polled
    }

    fn look<R>(&self, state: Handle<State>, look: impl FnOnce(&mut State) -> R) -> R {
        let mut answer = None;
        let looked = self.machine.signal(state, |state| {
            answer = Some(look(state));
            batchloop_core::Reaction::Ignore
        });
        assert!(looked.is_ok());
        answer.unwrap()
    }
}

fn numbers(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n ^ n >> 8 ^ n >> 16) as u8).collect()
}

#[test]
fn what_comes_is_received_in_order_to_its_end() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let (state, mut peer) = fixture.connect();
    let bytes = numbers(3 << 20);
    let sent = bytes.clone();
    let sender = thread::spawn(move || peer.write_all(&sent).unwrap());
    while !fixture.look(state, |state| state.ended) {
        fixture.round(true);
    }
    sender.join().unwrap();
    assert!(fixture.look(state, |state| state.received == bytes));
}

#[test]
fn what_nobody_takes_is_bounded_and_not_lost() {
    for goes_on in [false, true] {
        if let Some(fixture) = Fixture::receiving(goes_on) {
            nobody_takes(fixture);
        }
    }
}

fn nobody_takes(mut fixture: Fixture) {
    let (state, mut peer) = fixture.connect();
    let (other, mut talker) = fixture.connect();
    let bytes = numbers(1 << 20);
    // What is taken comes message by message.
    for word in 1..=2 {
        peer.write_all(&bytes[word - 1..word]).unwrap();
        while fixture.look(state, |state| state.received.len()) < word {
            fixture.round(true);
        }
    }
    let taken = 2;
    peer.set_nonblocking(true).unwrap();
    // What is not taken begins with few of them.
    let mut sent = taken + 100;
    peer.write_all(&bytes[taken..sent]).unwrap();
    fixture.round(false);
    // Until the kernel takes no more, though the ring waits again and again: each time for a word of the other.
    let mut full = 0;
    while full < 10 && sent < bytes.len() {
        match peer.write(&bytes[sent..]) {
            Ok(more) => (sent, full) = (sent + more, 0),
            Err(_) => full += 1,
        }
        talker.write_all(b"x").unwrap();
        fixture.round(false);
    }
    assert!(sent < bytes.len(), "it is not all received");
    let in_socket = fixture.look(state, |state| ioctl_fionread(&state.stream).unwrap());
    let in_ring = sent - taken - in_socket as usize;
    assert!(in_ring <= buffers::SIZE, "{in_ring} bytes");
    let words = fixture.look(other, |state| state.runs);
    assert!(words > 0, "the others go on");
    peer.set_nonblocking(false).unwrap();
    let rest = bytes[sent..].to_vec();
    let sender = thread::spawn(move || peer.write_all(&rest).unwrap());
    fixture.machine.wake(state).unwrap();
    while !fixture.look(state, |state| state.ended) {
        fixture.round(true);
    }
    sender.join().unwrap();
    assert!(fixture.look(state, |state| state.received == bytes));
}

/// How many operations are queued while so many messages of 64 bytes come and are answered, one by one.
fn operations_for(fixture: &mut Fixture, messages: usize) -> usize {
    let (state, mut peer) = fixture.connect();
    fixture.brief_round();
    fixture.brief_round();
    let before = fixture.multiplexer.ring().operations.queued;
    for message in 1..=messages {
        peer.write_all(&[7; 64]).unwrap();
        while fixture.look(state, |state| state.received.len()) < message * 64 {
            fixture.round(true);
        }
        fixture.look(state, |state| state.stream.send(&[8; 64]).unwrap());
        fixture.round_until(true, Some(Instant::now()));
        peer.read_exact(&mut [0; 64]).unwrap();
    }
    fixture.multiplexer.ring().operations.queued - before
}

#[test]
fn a_message_and_its_answer_are_one_operation_or_two() {
    let Some(mut fixture) = Fixture::receiving(true) else {
        return;
    };
    // The first message is received alone. Then a receive brings 65 messages, which are more than 4 KiB, beside a watch.
    let expected = match fixture.multiplexer.ring().shared.lock().is_multishot {
        true => 200 + 1 + 4,
        false => 2 * 200,
    };
    assert_eq!(operations_for(&mut fixture, 200), expected);
    let mut fixture = Fixture::receiving(false).unwrap();
    assert_eq!(operations_for(&mut fixture, 200), 2 * 200);
}

#[test]
fn receives_go_on_where_the_kernel_is_known_to_do_it() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|number| number.parse().ok());
    let release: [Option<u32>; 2] = [number(), number()];
    if release >= [Some(6), Some(17)] {
        assert!(fixture.multiplexer.ring().shared.lock().is_multishot);
    }
}

#[test]
fn an_end_that_comes_with_the_last_bytes_is_not_missed() {
    for goes_on in [false, true] {
        let Some(mut fixture) = Fixture::receiving(goes_on) else {
            return;
        };
        let (local, mut peer) = fixture.connect();
        let (remote, mut client) = connect_by_tcp(&mut fixture);
        // Their receives are under way.
        fixture.brief_round();
        fixture.brief_round();
        peer.write_all(b"last").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        client.write_all(b"last").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        for state in [local, remote] {
            while !fixture.look(state, |state| state.ended) {
                fixture.round(true);
            }
            fixture.look(state, |state| assert_eq!(state.received, b"last"));
        }
    }
}

#[test]
fn what_is_sent_arrives_though_the_state_has_ended() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let (state, mut peer) = fixture.connect();
    let mut bytes = numbers(2 << 20);
    let sent = fixture.look(state, |state| state.stream.send(&bytes).unwrap());
    assert!(sent < bytes.len(), "more than the socket takes");
    bytes.truncate(sent);
    fixture.machine.release(state).unwrap();
    assert_eq!(fixture.multiplexer.lingering(), 1);
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).unwrap();
        bytes
    });
    // The sleep without a deadline ends with the last one.
    while fixture.multiplexer.lingering() > 0 {
        fixture.round(true);
    }
    assert_eq!(reader.join().unwrap(), bytes);
}

#[test]
fn the_slots_next_tenant_hears_nothing_of_the_one_before() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let (first, mut peer) = fixture.connect();
    peer.write_all(b"hello").unwrap();
    fixture.brief_round();
    fixture.brief_round();
    // What comes now is seen when the state is no more.
    peer.write_all(b"for the first").unwrap();
    fixture.machine.release(first).unwrap();
    let (second, mut its_peer) = fixture.connect();
    assert_eq!(first.slot(), second.slot());
    its_peer.write_all(b"for the second").unwrap();
    while fixture.look(second, |state| state.received.is_empty()) {
        fixture.round(true);
    }
    assert_eq!(
        fixture.look(second, |state| state.received.clone()),
        b"for the second"
    );
    // The first one's connection is closed as soon as its receive has ended.
    fixture.brief_round();
    assert_eq!(peer.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn a_send_that_does_not_fit_is_taken_in_part_and_room_is_told() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let (state, peer) = fixture.connect();
    let bytes = numbers(2 << 20);
    let mut peer = peer.try_clone().unwrap();
    let length = bytes.len();
    let reader = thread::spawn(move || {
        let mut bytes = vec![0; length];
        peer.read_exact(&mut bytes).unwrap();
        bytes
    });
    let mut sent = 0;
    while sent < bytes.len() {
        let more = fixture.look(state, |state| state.stream.send(&bytes[sent..]).unwrap());
        sent += more;
        if sent < bytes.len() {
            let again = fixture.look(state, |state| state.stream.send(&bytes[sent..]).unwrap());
            assert_eq!(again, 0, "it took what fits");
            fixture.round(true);
        }
    }
    // The rest is under way.
    fixture.look(state, |state| state.stream.end().unwrap());
    while !reader.is_finished() {
        fixture.brief_round();
    }
    assert!(reader.join().unwrap() == bytes);
}

#[test]
fn other_threads_send_while_the_ring_sleeps() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let (state, peer) = fixture.connect();
    fixture.brief_round();
    let bytes = numbers(1000);
    let expected = bytes.clone();
    let (mut stream, _unused) = {
        let (socket, other) = UnixStream::pair().unwrap();
        (Stream::new(socket), other)
    };
    fixture.look(state, |state| {
        std::mem::swap(&mut state.stream, &mut stream)
    });
    let sender = thread::spawn(move || {
        for piece in bytes.chunks(10) {
            // The ring's thread is asleep by now, more often than not.
            thread::sleep(Duration::from_millis(1));
            assert_eq!(stream.send(piece).unwrap(), piece.len());
        }
        stream
    });
    let reader = thread::spawn(move || {
        let mut received = vec![0; 1000];
        (&peer).read_exact(&mut received).unwrap();
        (&peer).write_all(b"x").unwrap();
        received
    });
    // Nothing but these sends ends the sleep, until the reader has it all.
    while !reader.is_finished() {
        fixture.round(false);
    }
    assert_eq!(reader.join().unwrap(), expected);
    drop(sender.join().unwrap());
}

#[test]
fn a_stream_outlives_its_multiplexer_and_says_so() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let (state, mut peer) = fixture.connect();
    fixture.look(state, |state| state.stream.send(b"last").unwrap());
    drop(fixture.multiplexer);
    let mut last = [0; 4];
    peer.read_exact(&mut last).unwrap();
    assert_eq!(&last, b"last");
    let machine = fixture.machine;
    let answer = machine.signal(state, |state| {
        assert!(state.stream.send(b"x").is_err());
        assert!(state.stream.receive(&mut [0]).is_err());
        batchloop_core::Reaction::Ignore
    });
    assert!(answer.is_ok());
}

#[derive(Clone, Debug)]
enum Act {
    PeerSends(usize),
    PeerReceives(usize),
    Sends(usize),
    Receives(usize),
    Rounds,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let bytes = || prop_oneof![1..100_usize, 1..100_000_usize];
    let act = prop_oneof![
        bytes().prop_map(Act::PeerSends),
        bytes().prop_map(Act::PeerReceives),
        bytes().prop_map(Act::Sends),
        bytes().prop_map(Act::Receives),
        Just(Act::Rounds),
    ];
    prop::collection::vec(act, 1..60)
}

fn all() -> &'static [u8] {
    static ALL: OnceLock<Vec<u8>> = OnceLock::new();
    ALL.get_or_init(|| numbers(8 << 20))
}

/// Both directions of a connection, as its two ends see them.
struct Talk {
    fixture: Fixture,
    state: Handle<State>,
    peer: UnixStream,
    all: &'static [u8],
    /// What has gone in, and what has come out: from the peer, and to it.
    there: [usize; 2],
    back: [usize; 2],
}

impl Talk {
    fn receiving(goes_on: bool) -> Option<Self> {
        let mut fixture = Fixture::receiving(goes_on)?;
        let (state, peer) = fixture.connect();
        peer.set_nonblocking(true).unwrap();
        Some(Talk {
            fixture,
            state,
            peer,
            all: all(),
            there: [0; 2],
            back: [0; 2],
        })
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::PeerSends(bytes) => {
                let from = self.there[0];
                let sent = self.peer.write(&self.all[from..from + bytes]);
                self.there[0] += sent.unwrap_or(0);
            }
            Act::PeerReceives(bytes) => {
                let mut room = vec![0; bytes];
                let received = self.peer.read(&mut room).unwrap_or(0);
                assert_eq!(room[..received], self.all[self.back[1]..][..received]);
                self.back[1] += received;
            }
            Act::Sends(bytes) => {
                let from = self.back[0];
                let bytes = &self.all[from..from + bytes];
                let sent = self
                    .fixture
                    .look(self.state, |state| state.stream.send(bytes));
                self.back[0] += sent.unwrap();
            }
            Act::Receives(bytes) => {
                let mut room = vec![0; bytes];
                let received = self
                    .fixture
                    .look(self.state, |state| state.stream.receive(&mut room));
                if let Received::Bytes(received) = received.unwrap() {
                    assert_eq!(room[..received], self.all[self.there[1]..][..received]);
                    self.there[1] += received;
                }
            }
            Act::Rounds => {
                let now = Some(Instant::now());
                self.fixture.round_until(false, now);
            }
        }
    }

    /// All that has gone in comes out, with no more than the ordinary rounds.
    fn finish(&mut self) {
        let patience = Instant::now() + PATIENCE;
        while self.there[0] > self.there[1] || self.back[0] > self.back[1] {
            assert!(
                Instant::now() < patience,
                "{:?} {:?}",
                self.there,
                self.back
            );
            self.act(&Act::Rounds);
            self.act(&Act::Receives(1 << 20));
            self.act(&Act::PeerReceives(1 << 20));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn both_directions_are_streams_of_bytes(acts in acts(), goes_on: bool) {
        let Some(mut talk) = Talk::receiving(goes_on) else {
            return Ok(());
        };
        acts.iter().for_each(|act| talk.act(act));
        talk.finish();
    }
}

#[test]
fn the_ring_is_one_descriptor_for_another_loop() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let (state, mut peer) = fixture.connect();
    let settle = |fixture: &mut Fixture| loop {
        fixture.driver.turn(|cx| entry(cx, true)).unwrap();
        let drivers = [fixture.driver.watch()];
        if fixture.multiplexer.poll_hosted(&drivers).unwrap() {
            return;
        }
    };
    let is_readable = |fixture: &Fixture, patience: Duration| {
        let mut fds = [PollFd::new(&fixture.multiplexer, PollFlags::IN)];
        let patience = Timespec {
            tv_sec: patience.as_secs() as i64,
            tv_nsec: patience.subsec_nanos().into(),
        };
        poll(&mut fds, Some(&patience)).unwrap() > 0
    };
    for round in 1..=3 {
        settle(&mut fixture);
        // A notice of what was collected already may come late.
        while is_readable(&fixture, Duration::from_millis(20)) {
            settle(&mut fixture);
        }
        peer.write_all(b"x").unwrap();
        assert!(is_readable(&fixture, PATIENCE));
        settle(&mut fixture);
        assert_eq!(fixture.look(state, |state| state.received.len()), round);
        // So is a wake from elsewhere.
        let waker = fixture.machine.waker(state);
        thread::spawn(move || waker.wake()).join().unwrap().unwrap();
        assert!(is_readable(&fixture, PATIENCE));
    }
}

#[test]
fn a_ring_with_something_to_do_does_not_let_another_loop_sleep() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let (state, mut peer) = fixture.connect();
    assert!(
        !fixture.multiplexer.ring().prepare_sleep(),
        "a receive is queued"
    );
    fixture.brief_round();
    fixture.brief_round();
    assert!(fixture.multiplexer.ring().prepare_sleep());
    fixture.look(state, |state| state.stream.send(b"x").unwrap());
    assert!(
        !fixture.multiplexer.ring().prepare_sleep(),
        "a send is queued"
    );
    fixture.brief_round();
    assert!(fixture.multiplexer.ring().prepare_sleep());
    // Its notice may have been taken just before it was looked for.
    peer.write_all(b"x").unwrap();
    assert!(
        !fixture.multiplexer.ring().prepare_sleep(),
        "something has come"
    );
    fixture.round(true);
    fixture.brief_round();
    assert!(fixture.multiplexer.ring().prepare_sleep());
}

/// The thread sleeps on the one descriptor, as another library's loop would.
#[test]
fn the_sleep_in_another_loop_ends() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let (state, mut peer) = fixture.connect();
    let waker = fixture.machine.waker(state);
    let run_until = |fixture: &mut Fixture, is_so: &dyn Fn(&State) -> bool| {
        loop {
            fixture.driver.turn(|cx| entry(cx, true)).unwrap();
            if fixture.look(state, |state| is_so(state)) {
                return;
            }
            let drivers = [fixture.driver.watch()];
            if fixture.multiplexer.poll_hosted(&drivers).unwrap() {
                let mut fds = [PollFd::new(&fixture.multiplexer, PollFlags::IN)];
                let patience = Timespec {
                    tv_sec: PATIENCE.as_secs() as i64,
                    tv_nsec: 0,
                };
                assert_eq!(poll(&mut fds, Some(&patience)).unwrap(), 1);
            }
        }
    };
    for round in 0..100 {
        peer.write_all(b"x").unwrap();
        run_until(&mut fixture, &|state| state.received.len() > round);
        let runs = fixture.look(state, |state| state.runs);
        let waking = thread::spawn(move || waker.wake().unwrap());
        run_until(&mut fixture, &|state| state.runs > runs);
        waking.join().unwrap();
    }
}

/// As `Fixture::connect`, over TCP, where an end and a reset are two things.
fn connect_by_tcp(fixture: &mut Fixture) -> (Handle<State>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    let (state, _) = fixture.connect();
    let mut stream = Stream::new(socket);
    fixture.registry.attach(&mut stream, state.token()).unwrap();
    fixture.look(state, |state| state.stream = stream);
    (state, peer)
}

/// Sends until the ring takes no more. Returns how much that was.
fn send_until_full(fixture: &mut Fixture, state: Handle<State>) -> usize {
    let (mut sent, mut full) = (0, 0);
    // The kernel may find room a little later. What it has no room for then is the ring's.
    while full < 20 {
        let more = fixture.look(state, |state| {
            let flags = SendFlags::DONTWAIT;
            rustix::net::send(&state.stream, &all()[sent..], flags).unwrap_or(0)
        });
        sent += more;
        full = if more == 0 { full + 1 } else { 0 };
        fixture.brief_round();
    }
    let more = fixture.look(state, |state| state.stream.send(&all()[sent..]).unwrap());
    assert!(more > 0);
    sent + more
}

#[test]
fn whoever_takes_nothing_for_too_long_is_reset() {
    for is_under_way in [false, true] {
        if let Some(fixture) = Fixture::new() {
            takes_nothing(fixture, is_under_way);
        }
    }
}

/// The last bytes are being sent when their state ends, or only then.
fn takes_nothing(mut fixture: Fixture, is_under_way: bool) {
    let (state, mut peer) = connect_by_tcp(&mut fixture);
    let sent = send_until_full(&mut fixture, state);
    if is_under_way {
        fixture.brief_round();
        fixture.brief_round();
    }
    fixture.machine.release(state).unwrap();
    assert_eq!(fixture.multiplexer.lingering(), 1);
    while fixture.multiplexer.lingering() > 0 {
        fixture.round(true);
    }
    let mut received = Vec::new();
    let end = peer.read_to_end(&mut received).unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    assert!(received.len() < sent && all().starts_with(&received));
}

/// All attempts together take less time than this one needs.
#[test]
fn whoever_takes_little_at_a_time_gets_all_of_it() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let (state, mut peer) = connect_by_tcp(&mut fixture);
    let sent = send_until_full(&mut fixture, state);
    fixture.machine.release(state).unwrap();
    let reader = thread::spawn(move || {
        let mut received = Vec::new();
        let mut room = vec![0; sent / 40];
        loop {
            thread::sleep(Duration::from_millis(25));
            match peer.read(&mut room).unwrap() {
                0 => return received,
                more => received.extend_from_slice(&room[..more]),
            }
        }
    });
    while !reader.is_finished() {
        fixture.brief_round();
    }
    assert!(reader.join().unwrap() == all()[..sent]);
    assert_eq!(fixture.multiplexer.lingering(), 0);
}

#[test]
fn what_a_dropped_multiplexer_still_has_is_no_end() {
    for is_released in [false, true] {
        let Some(mut fixture) = Fixture::new() else {
            return;
        };
        let (state, mut peer) = connect_by_tcp(&mut fixture);
        let sent = send_until_full(&mut fixture, state);
        if is_released {
            fixture.machine.release(state).unwrap();
        }
        let machine = fixture.machine;
        drop(fixture.multiplexer);
        if !is_released {
            machine.release(state).unwrap();
        }
        let mut received = Vec::new();
        let end = peer.read_to_end(&mut received).unwrap_err();
        assert_eq!(end.kind(), ErrorKind::ConnectionReset);
        assert!(received.len() < sent);
    }
}

#[test]
fn connections_without_a_user_are_counted_until_they_are_closed() {
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let mut clients: Vec<_> = (0..3).map(|_| connect_by_tcp(&mut fixture)).collect();
    for (state, _) in &clients {
        send_until_full(&mut fixture, *state);
    }
    for (gone, (state, _)) in clients.iter().enumerate() {
        fixture.machine.release(*state).unwrap();
        assert_eq!(fixture.multiplexer.lingering(), gone + 1);
    }
    // One that owes nothing is over at once, or as soon as its receive has ended.
    let (state, _peer) = fixture.connect();
    fixture.machine.release(state).unwrap();
    while fixture.multiplexer.lingering() > 3 {
        fixture.brief_round();
    }
    drop(clients.pop());
    while fixture.multiplexer.lingering() > 2 {
        fixture.round(true);
    }
}
