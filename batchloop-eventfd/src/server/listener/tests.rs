use std::{
    fs,
    net::TcpStream,
    os::fd::{AsFd, AsRawFd},
};

use batchloop_core::{Capacity, Driver, Machine, Step, point};

use super::*;

struct Fixture {
    machine: Machine<Stream>,
    driver: Driver<Stream>,
    multiplexer: Multiplexer,
    registry: Registry,
    listener: Listener,
    address: SocketAddr,
}

impl Fixture {
    fn new(slots: usize) -> Self {
        let machine = Machine::heap(Capacity::slots(slots));
        let mut multiplexer = Multiplexer::new().unwrap();
        let registry = multiplexer.add(machine).unwrap();
        let listener = Listener::bind(&mut multiplexer, "127.0.0.1:0").unwrap();
        Fixture {
            machine,
            driver: machine.driver().unwrap(),
            multiplexer,
            registry,
            address: listener.local_addr().unwrap(),
            listener,
        }
    }

    /// A client that waits, as the kernel has told.
    fn client(&mut self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        self.multiplexer.poll(&[], Some(Instant::now())).unwrap();
        assert!(self.listener.waiting.is_ready());
        client
    }

    /// A turn that accepts as far as there is room. `room` says how many clients get some.
    fn turn(&mut self, room: usize) {
        let mut room = room;
        let (listener, registry) = (&mut self.listener, &self.registry);
        let turn = self.driver.turn(|cx| {
            let room = || {
                room = room.checked_sub(1).ok_or(Errno::MFILE)?;
                Ok(Some(()))
            };
            listener.accept_with(cx, registry, room, |stream, _, ()| stream);
            let new = cx.arrivals();
            cx.stage(point!("wait"), new).advance(|_, _| Step::Wait);
        });
        turn.unwrap();
    }

    /// Turns until nothing calls for another one.
    fn settle(&mut self, room: usize) {
        self.turn(room);
        for _ in 0..10 {
            if !self.driver.watch().is_due() {
                return;
            }
            self.turn(room);
        }
        panic!("it is busy for nothing");
    }

    fn state(&self) -> Handle<Stream> {
        let handles = self.machine.handles();
        handles.into_iter().next().expect("one lives")
    }
}

#[test]
fn a_turn_accepts_so_many_and_the_next_one_the_rest() {
    let mut fixture = Fixture::new(100);
    let _clients: Vec<_> = (0..AT_ONCE + 2).map(|_| fixture.client()).collect();
    fixture.turn(100);
    assert_eq!(fixture.listener.accepted().clients, AT_ONCE as u64);
    fixture.settle(100);
    assert_eq!(fixture.listener.accepted().clients, AT_ONCE as u64 + 2);
    assert!(!fixture.listener.waiting.is_ready());
}

#[test]
fn those_who_wait_behind_others_that_are_turned_away_are_not_forgotten() {
    let mut fixture = Fixture::new(100);
    let _clients: Vec<_> = (0..AT_ONCE + 2).map(|_| fixture.client()).collect();
    fixture.multiplexer = Multiplexer::new().unwrap();
    fixture.turn(100);
    assert_eq!(fixture.listener.accepted().turned_away, AT_ONCE as u64);
    // No state calls for another turn, and no edge tells of those who were there already.
    assert!(fixture.driver.watch().is_due());
    fixture.turn(100);
    assert_eq!(fixture.listener.accepted().turned_away, AT_ONCE as u64 + 2);
    assert!(!fixture.driver.watch().is_due());
}

#[test]
fn a_slot_that_is_given_back_ends_the_wait_for_one() {
    let mut fixture = Fixture::new(1);
    let _served = fixture.client();
    fixture.settle(100);
    let _waiting = [fixture.client(), fixture.client()];
    fixture.settle(100);
    fixture.settle(100);
    let expected = Accepted {
        clients: 1,
        no_slot: 1,
        ..Accepted::default()
    };
    assert_eq!(
        fixture.listener.accepted(),
        expected,
        "one wait, however many look"
    );
    assert_eq!(fixture.listener.deadline(), None);
    fixture.machine.release(fixture.state()).unwrap();
    assert!(fixture.driver.watch().is_due());
    fixture.settle(100);
    let expected = Accepted {
        clients: 2,
        no_slot: 2,
        ..Accepted::default()
    };
    assert_eq!(fixture.listener.accepted(), expected);
}

#[test]
fn a_state_that_ends_ends_the_wait_for_a_descriptor() {
    let mut fixture = Fixture::new(100);
    let _served = [fixture.client(), fixture.client(), fixture.client()];
    fixture.settle(100);
    // Without such a wait, nobody need know.
    fixture.machine.release(fixture.state()).unwrap();
    assert!(!fixture.driver.watch().is_due());
    let _waiting = fixture.client();
    fixture.turn(0);
    assert!(!fixture.driver.watch().is_due());
    assert_eq!(fixture.listener.accepted().no_descriptor, 1);
    assert_eq!(fixture.listener.accepted().clients, 3);
    let deadline = fixture.listener.deadline().unwrap();
    let left = deadline.saturating_duration_since(Instant::now());
    assert!(Duration::ZERO < left && left <= RETRY);
    // One ends, and another one takes its descriptor.
    let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    fixture.machine.release(fixture.state()).unwrap();
    assert!(fixture.driver.watch().is_due());
    fixture.machine.allocate(Stream::new(socket)).unwrap();
    fixture.settle(100);
    assert_eq!(fixture.listener.accepted().clients, 3);
    fixture.machine.release(fixture.state()).unwrap();
    assert!(fixture.driver.watch().is_due());
    fixture.settle(100);
    assert_eq!(fixture.listener.accepted().clients, 4);
    assert_eq!(fixture.listener.deadline(), None);
}

#[test]
fn a_lack_of_descriptors_is_looked_at_again_when_it_is_time() {
    let mut fixture = Fixture::new(100);
    let _waiting = fixture.client();
    fixture.settle(0);
    let now = Instant::now();
    fixture.listener.pause = Some(Pause::NoDescriptor(0, now));
    fixture.settle(100);
    assert_eq!(fixture.listener.accepted().clients, 1);
}

#[test]
fn a_client_that_cannot_be_registered_is_turned_away() {
    let mut fixture = Fixture::new(100);
    let _client = fixture.client();
    fixture.multiplexer = Multiplexer::new().unwrap();
    fixture.settle(100);
    let expected = Accepted {
        turned_away: 1,
        ..Accepted::default()
    };
    assert_eq!(fixture.listener.accepted(), expected);
    assert_eq!(fixture.machine.live(), 0);
}

#[test]
fn a_listener_that_has_stopped_accepts_nobody_and_waits_for_nothing() {
    let mut fixture = Fixture::new(100);
    let _client = fixture.client();
    fixture.settle(0);
    assert!(fixture.listener.deadline().is_some());
    fixture.listener.stop();
    assert_eq!(fixture.listener.deadline(), None);
    fixture.listener.pause = None;
    fixture.settle(100);
    assert_eq!(fixture.listener.accepted().clients, 0);
}

#[test]
fn what_goes_wrong_with_one_client_is_known() {
    for error in [Errno::CONNABORTED, Errno::INTR, Errno::PROTO, Errno::PERM] {
        assert!(is_the_clients(error));
    }
    for error in [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::NOBUFS,
        Errno::AGAIN,
    ] {
        assert!(!is_the_clients(error));
    }
}

#[test]
fn clients_sockets_do_not_block_and_are_closed_on_exec() {
    let mut fixture = Fixture::new(100);
    let _client = fixture.client();
    let (listener, registry) = (&mut fixture.listener, &fixture.registry);
    let turn = fixture.driver.turn(|cx| {
        listener.accept(cx, registry, |stream| stream);
        cx.arrivals()
            .for_each(|stream, _| {
                let descriptor = stream.as_fd().as_raw_fd();
                let known = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap();
                let flags = known.lines().find_map(|line| line.strip_prefix("flags:"));
                let flags = u32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
                let [nonblock, cloexec] = [0o4000, 0o2_000_000];
                assert_eq!(flags & (nonblock | cloexec), nonblock | cloexec);
            })
            .release();
    });
    turn.unwrap();
    assert_eq!(fixture.listener.accepted().clients, 1);
}
