//! A machine whose states have streams, on either backend.

use std::{
    env,
    io::{self, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use batchloop_core::{Capacity, Driver, Events, Handle, Machine, Reaction, Step, Turn, point};
use batchloop_eventfd::{Multiplexer, Received, Registry, Stream};

/// What a test that hangs fails after.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) stream: Option<Stream>,
    /// Whether it leaves what has come where it is.
    pub(crate) is_idle: bool,
    pub(crate) received: Vec<u8>,
    pub(crate) ended: Option<io::Result<()>>,
    pub(crate) to_send: Vec<u8>,
    pub(crate) runs: u32,
    pub(crate) seen: Option<Events>,
}

impl State {
    pub(crate) fn run(&mut self, seen: Events) {
        self.runs += 1;
        self.seen = Some(self.seen.map_or(seen, |before| before | seen));
        let Some(stream) = &mut self.stream else {
            return;
        };
        stream.note(seen);
        if self.is_idle {
            return;
        }
        match stream.send(&self.to_send) {
            Ok(sent) => drop(self.to_send.drain(..sent)),
            Err(error) => self.ended = Some(Err(error)),
        }
        let mut room = [0; 1000];
        while self.ended.is_none() {
            match stream.receive(&mut room) {
                Ok(Received::Bytes(bytes)) => self.received.extend_from_slice(&room[..bytes]),
                Ok(Received::Nothing) => break,
                Ok(Received::End) => self.ended = Some(Ok(())),
                Err(error) => self.ended = Some(Err(error)),
            }
        }
    }
}

pub(crate) fn entry(cx: &mut Turn<'_, State>) {
    let new = cx.arrivals();
    cx.stage(point!("run"), new).advance(|state, me| {
        state.run(me.take_events());
        Step::Wait
    });
}

/// A thread's worth: a machine and its multiplexer.
pub(crate) struct Place {
    pub(crate) machine: Machine<State>,
    pub(crate) driver: Driver<State>,
    pub(crate) registry: Registry,
    pub(crate) multiplexer: Multiplexer,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Backend {
    Epoll,
    Ring,
}

impl Backend {
    pub(crate) fn all() -> Vec<Backend> {
        let has_ring = cfg!(feature = "uring") && env::var_os("BATCHLOOP_WITHOUT_URING").is_none();
        let backends = [Backend::Epoll, Backend::Ring];
        backends[..1 + usize::from(has_ring)].to_vec()
    }

    pub(crate) fn multiplexer(self) -> Multiplexer {
        match self {
            #[cfg(feature = "uring")]
            Backend::Ring => Multiplexer::with_uring().expect("see BATCHLOOP_WITHOUT_URING"),
            _ => Multiplexer::new().unwrap(),
        }
    }
}

pub(crate) fn pairs() -> Vec<[Backend; 2]> {
    let all = Backend::all();
    let pairs = all
        .iter()
        .flat_map(|from| all.iter().map(|to| [*from, *to]));
    pairs.collect()
}

/// Each without and with messages before.
pub(crate) fn each_way<T: Copy>(all: Vec<T>) -> impl Iterator<Item = (T, bool)> {
    all.into_iter()
        .flat_map(|one| [false, true].map(|has_talked| (one, has_talked)))
}

impl Place {
    pub(crate) fn new(backend: Backend) -> Self {
        let machine = Machine::heap(Capacity::slots(10));
        let mut multiplexer = backend.multiplexer();
        Place {
            machine,
            driver: machine.driver().unwrap(),
            registry: multiplexer.add(machine).unwrap(),
            multiplexer,
        }
    }

    pub(crate) fn state(&self) -> Handle<State> {
        self.machine.allocate(State::default()).unwrap()
    }

    /// A state with a stream, and the other end of that.
    pub(crate) fn connected(&self) -> (Handle<State>, TcpStream) {
        let (mut stream, peer) = pair();
        let state = self.state();
        self.registry.attach(&mut stream, state.token()).unwrap();
        self.look(state, |state| state.stream = Some(stream));
        (state, peer)
    }

    /// As `connected`, or when some messages have come already: then a ring receives in another way.
    pub(crate) fn connection(&mut self, has_talked: bool) -> (Handle<State>, TcpStream) {
        let (state, mut peer) = self.connected();
        if has_talked {
            for said in 1..=3 {
                peer.write_all(b"x").unwrap();
                run_until(&mut [self], "it hears", |places| {
                    places[0].look(state, |state| state.received.len()) == said
                });
            }
            rounds(&mut [self]);
        }
        self.look(state, |state| {
            state.received.clear();
            state.seen = None;
        });
        (state, peer)
    }

    /// Looks at a state without waking it.
    pub(crate) fn look<R>(&self, state: Handle<State>, look: impl FnOnce(&mut State) -> R) -> R {
        let mut answer = None;
        let looked = self.machine.signal(state, |state| {
            answer = Some(look(state));
            Reaction::Ignore
        });
        assert!(looked.is_ok());
        answer.unwrap()
    }

    pub(crate) fn take(&self, state: Handle<State>) -> Stream {
        self.look(state, |state| state.stream.take()).unwrap()
    }

    pub(crate) fn round(&mut self) {
        let soon = Some(Instant::now() + Duration::from_millis(2));
        self.driver.turn(entry).unwrap();
        self.multiplexer.poll(&[self.driver.watch()], soon).unwrap();
        self.driver.turn(entry).unwrap();
    }
}

pub(crate) fn pair() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (Stream::new(socket), peer)
}

/// Lets the places run until something is so.
pub(crate) fn run_until(
    places: &mut [&mut Place],
    what: &str,
    mut is_so: impl FnMut(&[&mut Place]) -> bool,
) {
    let end = Instant::now() + PATIENCE;
    while !is_so(places) {
        assert!(Instant::now() < end, "{what}");
        places.iter_mut().for_each(|place| place.round());
    }
}

pub(crate) fn rounds(places: &mut [&mut Place]) {
    for _ in 0..5 {
        places.iter_mut().for_each(|place| place.round());
    }
}

pub(crate) fn numbers(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n ^ n >> 8 ^ n >> 16) as u8).collect()
}
