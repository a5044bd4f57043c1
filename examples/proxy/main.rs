//! Passes on what its clients send to another server, and what that answers.
//!
//! ```text
//! cargo run --release --example echo -- 127.0.0.1:7777
//! cargo run --release --example proxy -- 127.0.0.1:8888 127.0.0.1:7777
//! ```
//!
//! A client and its upstream are a pair of states in two machines, which share a thread and a multiplexer. The client is
//! the parent. Each hands what it has received to the other, and what that cannot send at once, at most `--buffer` bytes
//! (64 KiB), it owes; meanwhile nothing more is received for it. Each direction ends for itself. Where one side is
//! broken, or its time is over, the other is reset.
//!
//! `--slots` clients (128) are served at once. A client is accepted when there is a slot and a descriptor for its
//! upstream too; the others wait in the kernel's queue. An upstream that does not answer has `--connect` seconds (10), a
//! pair in which nothing moves `--idle` seconds (300). The upstream's name is looked up once, at the start.
//!
//! SIGINT or SIGTERM stops accepting, lets the pairs go on for at most 5 seconds, and ends with a summary; a second one
//! ends at once. SIGUSR1 prints every client with its upstream below it.
//!
//! Begin with the entry points, `clients` and `upstreams`; `side.rs` has what a pair does with its bytes.

mod options;
mod side;

use std::{
    error::Error,
    io,
    net::{SocketAddr, ToSocketAddrs},
    os::fd::OwnedFd,
    process::ExitCode,
    time::{Duration, Instant},
};

use batchloop_core::{Capacity, Events, Machine, Me, Reaction, Reservation, Step, Turn, point};
use batchloop_eventfd::{Deadlines, Listener, Multiplexer, Registry, Shutdown, Stream};
use batchloop_examples::{dump_on_signal, finish, note, print, raise_limit_of_files};
use batchloop_std::register;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketFlags, SocketType, connect, socket_with,
        sockopt::{set_tcp_nodelay, socket_error},
    },
};

use crate::{
    options::{Options, USAGE, options},
    side::Side,
};

/// How long pairs may go on when the end has begun.
const DRAIN: Duration = Duration::from_secs(5);

/// How exact time-outs are: those that lie closer together come together.
const RESOLUTION: Duration = Duration::from_millis(10);

/// What the entry points work on beside the states.
struct Proxy {
    listener: Listener,
    shutdown: Shutdown,
    clients: Half,
    upstreams: Half,
    upstream: SocketAddr,
    /// How long an upstream may take to answer, and a pair to move.
    patience: [Duration; 2],
    buffer: Box<[u8]>,
    now: Instant,
    unreachable: u64,
    timed_out: u64,
    broken: u64,
}

/// A machine and what belongs to it.
struct Half {
    machine: Machine<Side>,
    registry: Registry,
    /// Of clients that are idle, and of upstreams that do not answer.
    deadlines: Deadlines<'static>,
    /// How many bytes its sides have sent us.
    bytes: u64,
}

/// What a client needs beside its own slot.
struct Room {
    slot: Reservation<Side>,
    socket: OwnedFd,
}

/// The entry point of the clients.
fn clients(cx: &mut Turn<'_, Side>, proxy: &mut Proxy) {
    proxy.accept(cx);
    let new = cx.arrivals().for_each(|client, me| {
        let idle = client.moved + proxy.patience[1];
        proxy.clients.deadlines.arm(me.token(), idle);
    });
    cx.stage(point!("pass on"), new)
        .advance(|client, me| proxy.serve(client, me));
}

/// The entry point of the upstreams.
fn upstreams(cx: &mut Turn<'_, Side>, proxy: &mut Proxy) {
    let dialled = cx
        .arrivals()
        .advance(|upstream, me| proxy.dial(upstream, me));
    let connected = cx
        .stage(point!("connect"), dialled)
        .advance(|upstream, me| proxy.answered(upstream, me));
    cx.stage(point!("pass back"), connected)
        .advance(|upstream, me| match me.is_orphan(1) {
            true => cut(upstream),
            false => proxy.pass_back(upstream, me),
        });
}

/// Ends a side whose pair has failed.
fn cut(side: &Side) -> Step {
    side.reset();
    Step::Release
}

impl Proxy {
    fn accept(&mut self, cx: &Turn<'_, Side>) {
        let (clients, upstreams) = (self.clients.machine, self.upstreams.machine);
        let now = self.now;
        let family = match self.upstream {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let room = || {
            let Ok(slot) = upstreams.reserve() else {
                return Ok(None);
            };
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = socket_with(family, SocketType::STREAM, flags, None)?;
            Ok(Some(Room { slot, socket }))
        };
        self.listener
            .accept_with(cx, &self.clients.registry, room, |stream, client, room| {
                let upstream = room.slot.handle();
                let socket = Stream::new(room.socket);
                let child = Side::new(socket, client, clients.waker(client), now);
                room.slot
                    .commit_child(child, clients.lineage(client))
                    .expect("the machine has parents");
                Side::new(stream, upstream, upstreams.waker(upstream), now).connected()
            });
    }

    /// A client goes when its upstream has gone: so a pair has one deadline, and nobody is left behind.
    fn serve(&mut self, client: &mut Side, me: Me<Side>) -> Step {
        if me.events().contains(Events::DEADLINE) && self.is_idle(client, me) {
            self.timed_out += 1;
            return cut(client);
        }
        let upstreams = self.upstreams.machine;
        match (self.clients).relay(client, me, upstreams, &mut self.buffer, self.now) {
            Ok(true) => Step::Wait,
            Ok(false) if client.is_over() => Step::Release,
            Ok(false) if client.has_farewell() => Step::Wait,
            Ok(false) => cut(client),
            Err(_) => {
                self.broken += 1;
                cut(client)
            }
        }
    }

    /// The deadline is not moved with each byte: when it has come, it is seen what has moved since.
    fn is_idle(&mut self, client: &Side, me: Me<Side>) -> bool {
        let mut moved = client.moved;
        let look = |upstream: &mut Side| {
            moved = moved.max(upstream.moved);
            Reaction::Ignore
        };
        // The upstream may have gone, and the client not have read all.
        let _ = self.upstreams.machine.signal(client.peer, look);
        let until = moved + self.patience[1];
        let is_idle = until <= self.now;
        if !is_idle {
            self.clients.deadlines.arm(me.token(), until);
        }
        is_idle
    }

    fn dial(&mut self, upstream: &mut Side, me: Me<Side>) -> Step {
        let dialled = match connect(&upstream.stream, &self.upstream) {
            Ok(()) | Err(Errno::INPROGRESS) => {
                let registry = &self.upstreams.registry;
                registry.add_once(&upstream.stream, me.token(), Events::WRITABLE)
            }
            Err(error) => Err(error.into()),
        };
        if dialled.is_err() {
            self.unreachable += 1;
            return Step::Release;
        }
        let patience = self.now + self.patience[0];
        self.upstreams.deadlines.arm(me.token(), patience);
        Step::Next
    }

    fn answered(&mut self, upstream: &mut Side, me: Me<Side>) -> Step {
        if me.is_orphan(1) {
            return Step::Release;
        }
        if !me.events().contains(Events::WRITABLE) {
            if !me.events().contains(Events::DEADLINE) {
                return Step::Wait;
            }
            self.timed_out += 1;
            return Step::Release;
        }
        if self.open(upstream, me).is_err() {
            self.unreachable += 1;
            return Step::Release;
        }
        Step::Next
    }

    fn open(&mut self, upstream: &mut Side, me: Me<Side>) -> io::Result<()> {
        socket_error(&upstream.stream)??;
        set_tcp_nodelay(&upstream.stream, true)?;
        self.upstreams.deadlines.cancel(me.token());
        let registry = &self.upstreams.registry;
        registry.remove(&upstream.stream)?;
        registry.attach(&mut upstream.stream, me.token())?;
        upstream.is_connected = true;
        Ok(())
    }

    fn pass_back(&mut self, upstream: &mut Side, me: Me<Side>) -> Step {
        let clients = self.clients.machine;
        match (self.upstreams).relay(upstream, me, clients, &mut self.buffer, self.now) {
            Ok(_) if upstream.is_over() => Step::Release,
            Ok(_) => Step::Wait,
            Err(_) => {
                self.broken += 1;
                cut(upstream)
            }
        }
    }

    fn live(&self) -> usize {
        self.clients.machine.live() + self.upstreams.machine.live()
    }

    fn deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.shutdown.deadline(),
            self.listener.deadline(),
            self.clients.deadlines.next(),
            self.upstreams.deadlines.next(),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn run(mut self, mut multiplexer: Multiplexer) -> Result<(), Box<dyn Error>> {
        let mut serving = self.clients.machine.driver()?;
        let mut dialling = self.upstreams.machine.driver()?;
        let mut has_warned = false;
        loop {
            self.now = Instant::now();
            self.clients.expire(self.now);
            self.upstreams.expire(self.now);
            serving.turn(|cx| clients(cx, &mut self))?;
            dialling.turn(|cx| upstreams(cx, &mut self))?;
            if !has_warned && self.listener.accepted().no_descriptor > 0 {
                note(
                    "proxy",
                    "too many open files; clients wait until one leaves",
                );
                has_warned = true;
            }
            if self.shutdown.is_over(self.live() + multiplexer.lingering()) {
                break;
            }
            multiplexer.poll(&[serving.watch(), dialling.watch()], self.deadline())?;
            if self.shutdown.begins() {
                self.listener.stop();
            }
        }
        self.end();
        Ok(())
    }

    /// Says how it went. What is cut off must not look as if it were whole.
    fn end(&self) {
        let machine = self.clients.machine;
        let cut_off = machine.live();
        for half in [&self.clients, &self.upstreams] {
            for handle in half.machine.handles() {
                let _ = half.machine.signal(handle, |side| {
                    side.reset();
                    Reaction::Ignore
                });
            }
        }
        note(
            "proxy",
            &format!(
                "{} clients, {} bytes there, {} bytes back, {} unreachable, {} timed out, {} broken, {cut_off} cut off",
                self.listener.accepted().clients,
                self.clients.bytes,
                self.upstreams.bytes,
                self.unreachable,
                self.timed_out,
                self.broken,
            ),
        );
    }
}

impl Half {
    fn new(multiplexer: &mut Multiplexer, capacity: Capacity) -> io::Result<Self> {
        let machine = Machine::heap(capacity);
        Ok(Half {
            machine,
            registry: multiplexer.add(machine)?,
            deadlines: Deadlines::heap(machine.capacity(), RESOLUTION),
            bytes: 0,
        })
    }

    /// Passes on what one of the sides has to give and to get. Answers whether its peer is still there.
    fn relay(
        &mut self,
        side: &mut Side,
        me: Me<Side>,
        peers: Machine<Side>,
        room: &mut [u8],
        now: Instant,
    ) -> io::Result<bool> {
        side.stream.note(me.events());
        side.deliver(now)?;
        let mut handed = Ok((0, false));
        let met = peers.signal(side.peer, |peer| {
            let before = peer.sending;
            handed = side.hand_over(peer, room, now);
            match peer.sending == before {
                true => Reaction::Ignore,
                false => Reaction::Wake,
            }
        });
        let is_met = met.is_ok();
        let (bytes, has_more) = handed?;
        self.bytes += bytes as u64;
        if has_more {
            let _ = me.waker().wake();
        }
        Ok(is_met)
    }

    fn expire(&mut self, now: Instant) {
        self.deadlines.expire(now, &self.machine);
    }
}

fn start(options: &Options) -> Result<(), Box<dyn Error>> {
    let upstream = &options.upstream;
    let upstream = upstream
        .to_socket_addrs()
        .map_err(|error| format!("{upstream}: {error}"))?
        .next()
        .ok_or_else(|| format!("{upstream}: no address"))?;
    let listen = options.listen.as_str();
    let mut multiplexer = options.backend.multiplexer()?;
    let capacity = Capacity::slots(options.slots).points(2).scopes(0);
    let clients = Half::new(&mut multiplexer, capacity)?;
    let upstreams = Half::new(&mut multiplexer, capacity.parents(true))?;
    let listener =
        Listener::bind(&mut multiplexer, listen).map_err(|error| format!("{listen}: {error}"))?;
    let _registered = [
        register("clients", clients.machine)?,
        register("upstreams", upstreams.machine)?,
    ];
    dump_on_signal()?;
    let shutdown = Shutdown::new(&mut multiplexer, DRAIN)?;
    print(format_args!("listening on {}", listener.local_addr()?))?;
    let proxy = Proxy {
        listener,
        shutdown,
        clients,
        upstreams,
        upstream,
        patience: [options.connect, options.idle],
        buffer: vec![0; options.buffer].into(),
        now: Instant::now(),
        unreachable: 0,
        timed_out: 0,
        broken: 0,
    };
    proxy.run(multiplexer)
}

fn main() -> ExitCode {
    let outcome = options().and_then(|options| match options {
        None => Ok(print(USAGE)?),
        Some(options) => {
            raise_limit_of_files();
            start(&options)
        }
    });
    finish("proxy", outcome)
}
