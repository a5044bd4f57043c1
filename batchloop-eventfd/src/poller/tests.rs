use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    thread,
};

use batchloop_core::{Batch, Capacity, Handle, Step, Turn, point};

use super::*;

struct State {
    socket: UnixStream,
    runs: u32,
    seen: Events,
}

fn entry(cx: &mut Turn<'_, State>) {
    let new: Batch<'_, State> = cx.arrivals();
    cx.stage(point!("wait"), new).advance(|state, me| {
        state.runs += 1;
        state.seen = me.events();
        Step::Wait
    });
}

struct Fixture {
    machine: Machine<State>,
    driver: Driver<State>,
    poller: Poller<State>,
}

impl Fixture {
    fn new() -> Self {
        let machine = Machine::heap(Capacity::slots(8));
        Fixture {
            machine,
            driver: machine.driver().unwrap(),
            poller: Poller::new(machine).unwrap(),
        }
    }

    fn state(&mut self) -> (Handle<State>, UnixStream) {
        let (socket, peer) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let state = State {
            socket: socket.try_clone().unwrap(),
            runs: 0,
            seen: Events::NONE,
        };
        let handle = self.machine.allocate(state).unwrap();
        self.poller.registry().add(&socket, handle.token()).unwrap();
        (handle, peer)
    }

    fn turn(&mut self) -> Progress {
        self.driver.turn(entry).unwrap()
    }

    fn poll(&mut self, progress: Progress, deadline: Option<Instant>) -> Polled {
        self.poller.poll(&self.driver, progress, deadline).unwrap()
    }

    fn look<R>(&self, handle: Handle<State>, look: impl FnOnce(&mut State) -> R) -> R {
        let mut answer = None;
        let looked = self.machine.signal(handle, |state| {
            answer = Some(look(state));
            batchloop_core::Reaction::Ignore
        });
        assert!(looked.is_ok());
        answer.unwrap()
    }
}

#[test]
fn readiness_arrives_as_events() {
    let mut fixture = Fixture::new();
    let (handle, mut peer) = fixture.state();
    let progress = fixture.turn();
    // A new socket can be written to at once.
    assert_eq!(fixture.poll(progress, None).delivered, 1);
    assert_eq!(fixture.turn(), Progress::Quiet);
    assert_eq!(fixture.look(handle, |state| state.seen), Events::WRITABLE);
    peer.write_all(b"x").unwrap();
    assert_eq!(fixture.poll(Progress::Quiet, None).delivered, 1);
    let _ = fixture.turn();
    let seen = fixture.look(handle, |state| state.seen);
    assert!(seen.contains(Events::READABLE), "{seen:?}");
    drop(peer);
    let _ = fixture.poll(Progress::Quiet, None);
    let _ = fixture.turn();
    let seen = fixture.look(handle, |state| state.seen);
    assert!(seen.contains(Events::READABLE | Events::CLOSED), "{seen:?}");
}

#[test]
fn an_event_for_a_state_that_has_ended_is_counted_and_dropped() {
    let mut fixture = Fixture::new();
    let (first, mut peer) = fixture.state();
    // This duplicate keeps the registration when the state has gone.
    let duplicate = fixture.look(first, |state| state.socket.try_clone().unwrap());
    let _ = fixture.turn();
    let _ = fixture.poll(Progress::More, None);
    fixture.machine.release(first).unwrap();
    let (second, _peer) = fixture.state();
    assert_eq!(first.slot(), second.slot());
    let _ = fixture.turn();
    let _ = fixture.poll(Progress::More, None);
    let _ = fixture.turn();
    let runs = fixture.look(second, |state| state.runs);
    peer.write_all(b"x").unwrap();
    let polled = fixture.poll(Progress::Quiet, None);
    assert_eq!((polled.delivered, polled.stale), (0, 1));
    let _ = fixture.turn();
    assert_eq!(fixture.look(second, |state| state.runs), runs);
    drop(duplicate);
}

#[test]
fn a_wake_from_another_thread_ends_the_sleep() {
    let mut fixture = Fixture::new();
    let (handle, _peer) = fixture.state();
    let _ = fixture.turn();
    let _ = fixture.poll(Progress::More, None);
    let mut progress = fixture.turn();
    let waker = fixture.machine.waker(handle);
    const WAKES: u32 = 1000;
    let runs = fixture.look(handle, |state| state.runs);
    let (go, gone) = std::sync::mpsc::channel();
    let other = thread::spawn(move || {
        for () in gone {
            waker.wake().unwrap();
        }
    });
    for round in 1..=WAKES {
        go.send(()).unwrap();
        while fixture.look(handle, |state| state.runs) < runs + round {
            let _ = fixture.poll(progress, None);
            progress = fixture.turn();
        }
    }
    drop(go);
    other.join().unwrap();
}

#[test]
fn a_producer_is_ready_until_it_says_otherwise() {
    let mut fixture = Fixture::new();
    let (mut source, mut peer) = UnixStream::pair().unwrap();
    let producer = fixture.poller.registry().add_producer(&source).unwrap();
    assert!(!producer.is_ready());
    peer.write_all(b"x").unwrap();
    let progress = fixture.turn();
    assert_eq!(fixture.poll(progress, None).producers, 1);
    assert!(producer.is_ready());
    source.read_exact(&mut [0]).unwrap();
    producer.exhausted();
    assert!(!producer.is_ready());
    peer.write_all(b"y").unwrap();
    while !producer.is_ready() {
        let progress = fixture.turn();
        let _ = fixture.poll(progress, None);
    }
}

#[test]
fn a_deadline_ends_the_sleep() {
    let mut fixture = Fixture::new();
    let progress = fixture.turn();
    assert_eq!(progress, Progress::Quiet);
    let deadline = Instant::now() + Duration::from_micros(1500);
    assert_eq!(fixture.poll(progress, Some(deadline)), Polled::default());
    assert!(Instant::now() >= deadline);
    // A deadline that has passed does not wait at all.
    assert_eq!(fixture.poll(progress, Some(deadline)), Polled::default());
}

#[test]
fn old_kernels_wait_for_whole_milliseconds_and_not_less() {
    assert_eq!(rounded_up(Duration::from_nanos(1)).tv_nsec, 1_000_000);
    assert_eq!(rounded_up(Duration::from_millis(7)).tv_nsec, 7_000_000);
    assert_eq!(rounded_up(Duration::MAX).tv_sec, 2_147_483);
}

#[test]
fn a_machine_has_one_bell() {
    let fixture = Fixture::new();
    let again = Poller::new(fixture.machine).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
}
