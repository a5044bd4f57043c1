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
//! upstream too; the others wait in the kernel's queue. The upstream's name is looked up once, at the start. Its addresses
//! are tried one after the other, and share `--connect` seconds (10); the next client begins with the one that was there.
//! A pair in which nothing moves has `--idle` seconds (300). The proxy's own address is no upstream.
//!
//! SIGINT or SIGTERM stops accepting, lets the pairs go on for at most 5 seconds, and ends with a summary; a second one
//! ends at once. SIGUSR1 prints every client with its upstream below it.
//!
//! Begin with the entry points, `clients` and `upstreams`; `side.rs` has what a pair does with its bytes, `upstream.rs` how
//! an upstream is reached.

mod options;
mod side;
mod upstream;

use std::{
    error::Error,
    io,
    os::fd::OwnedFd,
    process::ExitCode,
    time::{Duration, Instant},
};

use batchloop_core::{
    Capacity, Events, Machine, Me, Reaction, Step, Turn, machine::Reservation, point,
};
use batchloop_eventfd::{Deadlines, Listener, Multiplexer, Registry, Shutdown, Stream};
use batchloop_examples::{dump_on_signal, finish, note, print, raise_limit_of_files};
use batchloop_std::register;
use rustix::{io::Errno, net::sockopt::set_tcp_nodelay};

use crate::{
    options::{Options, USAGE, options},
    side::{Direction, Side},
    upstream::{Dialling, Failure, Link, Upstream, is_lack, lack, name_of_lack},
};

/// How long pairs may go on when the end has begun.
const DRAIN: Duration = Duration::from_secs(5);

/// How exact time-outs are: those that lie closer together come together.
const RESOLUTION: Duration = Duration::from_millis(10);

/// How many different warnings are given.
const WARNINGS: usize = 16;

/// What the entry points work on beside the states.
struct Proxy {
    listener: Listener,
    shutdown: Shutdown,
    clients: Half,
    upstreams: Half,
    upstream: Upstream,
    /// How long nothing may move in a pair.
    patience: Duration,
    buffer: Box<[u8]>,
    now: Instant,
    unreachable: u64,
    timed_out: u64,
    broken: u64,
    /// What has been said and need not be said again.
    warnings: Vec<String>,
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

/// How far a side has got with passing on.
enum Relayed {
    /// All that there is has been passed on, or its peer cannot take more.
    All,
    /// There may be more for another turn.
    Part,
    PeerGone,
}

/// What a client needs beside its own slot.
struct Room {
    slot: Reservation<Side>,
    /// Why there is none that another client's leaving would open, if there is none.
    way: Result<(OwnedFd, Dialling), Errno>,
}

/// The entry point of the clients.
fn clients(cx: &mut Turn<'_, Side>, proxy: &mut Proxy) {
    proxy.accept(cx);
    let new = cx.arrivals().for_each(|client, me| {
        let idle = client.moved + proxy.patience;
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
    fn new(
        options: &Options,
        multiplexer: &mut Multiplexer,
        listener: Listener,
        mut upstream: Upstream,
    ) -> Result<Self, Box<dyn Error>> {
        let capacity = Capacity::slots(options.slots).points(2).scopes(0);
        upstream.keep_spare();
        Ok(Proxy {
            listener,
            shutdown: Shutdown::new(multiplexer, DRAIN)?,
            clients: Half::new(multiplexer, capacity)?,
            upstreams: Half::new(multiplexer, capacity.parents(true))?,
            upstream,
            patience: options.idle,
            buffer: vec![0; options.buffer].into(),
            now: Instant::now(),
            unreachable: 0,
            timed_out: 0,
            broken: 0,
            warnings: Vec::new(),
        })
    }

    fn accept(&mut self, cx: &Turn<'_, Side>) {
        let (clients, upstreams) = (self.clients.machine, self.upstreams.machine);
        let (upstream, now) = (&self.upstream, self.now);
        let (mut lacks, mut without_a_way) = (None, Vec::new());
        let room = || {
            let Ok(slot) = upstreams.reserve() else {
                return Ok(None);
            };
            let way = upstream.first(now);
            match way {
                Err(error) if is_lack(error) => Err(lacks.insert(error).to_owned().into()),
                _ => Ok(Some(Room { slot, way })),
            }
        };
        let before = self.listener.accepted();
        self.listener
            .accept_with(cx, &self.clients.registry, room, |stream, client, room| {
                let peer = room.slot.handle();
                match room.way {
                    Ok((socket, dialling)) => {
                        let socket = Stream::new(socket);
                        let child = Side::new(socket, client, clients.waker(client), now);
                        room.slot
                            .commit_child(child.dialling(dialling), clients.lineage(client))
                            .expect("the machine has parents");
                    }
                    // The client finds that its peer has gone.
                    Err(error) => without_a_way.push(error),
                }
                Side::new(stream, peer, upstreams.waker(peer), now)
            });
        for error in without_a_way {
            self.give_up(Failure::Kernel(error));
        }
        if self.listener.accepted().no_descriptor > before.no_descriptor {
            let lacks = name_of_lack(lacks.unwrap_or_else(lack));
            self.warn(format!("{lacks}; clients wait until one leaves"));
        }
    }

    /// A client goes when its upstream has gone: so a pair has one deadline, and neither is left behind.
    fn serve(&mut self, client: &mut Side, me: Me<Side>) -> Step {
        if !me.take(Events::DEADLINE).is_empty() && self.is_idle(client, me) {
            self.timed_out += 1;
            return cut(client);
        }
        let upstreams = self.upstreams.machine;
        match (self.clients).relay(client, me, upstreams, &mut self.buffer, self.now) {
            Ok(Relayed::Part) => Step::Again,
            Ok(Relayed::All) => Step::Wait,
            Ok(Relayed::PeerGone) if client.is_over() => Step::Release,
            Ok(Relayed::PeerGone) if client.has_farewell() => Step::Wait,
            Ok(Relayed::PeerGone) => cut(client),
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
        let until = moved + self.patience;
        let is_idle = until <= self.now;
        if !is_idle {
            self.clients.deadlines.arm(me.token(), until);
        }
        is_idle
    }

    fn dial(&mut self, upstream: &mut Side, me: Me<Side>) -> Step {
        match self.begin(upstream, me) {
            Err(failure) if !self.go_on(upstream, me, failure) => Step::Release,
            _ => Step::Next,
        }
    }

    fn answered(&mut self, upstream: &mut Side, me: Me<Side>) -> Step {
        let Some(dialling) = upstream.dialling.filter(|_| !me.is_orphan(1)) else {
            return Step::Release;
        };
        let events = me.take(Events::WRITABLE | Events::CLOSED | Events::DEADLINE);
        if events.is_empty() {
            return Step::Wait;
        }
        let registry = &self.upstreams.registry;
        let failure = match self.upstream.outcome(&upstream.stream, dialling) {
            Ok(Some(link)) => self.open(upstream, me, link).err(),
            Ok(None) if events.contains(Events::DEADLINE) => Some(Failure::TimedOut),
            Ok(None) => {
                let again = registry.listen_again(&upstream.stream, me.token(), Events::WRITABLE);
                match again {
                    Ok(()) => return Step::Wait,
                    Err(error) => Some(error.into()),
                }
            }
            Err(failure) => Some(failure),
        };
        match failure {
            None => Step::Next,
            Some(failure) if self.go_on(upstream, me, failure) => Step::Wait,
            Some(_) => Step::Release,
        }
    }

    /// Begins to connect.
    fn begin(&mut self, upstream: &mut Side, me: Me<Side>) -> Result<(), Failure> {
        let Some(dialling) = upstream.dialling else {
            return Ok(());
        };
        let patience = self
            .upstream
            .connect(&upstream.stream, dialling, self.now)?;
        let registry = &self.upstreams.registry;
        registry.add_once(&upstream.stream, me.token(), Events::WRITABLE)?;
        self.upstreams.deadlines.arm(me.token(), patience);
        Ok(())
    }

    /// Goes on to the next address. Returns whether there is one; if not, that was it.
    fn go_on(&mut self, upstream: &mut Side, me: Me<Side>, mut failure: Failure) -> bool {
        while let Some(dialling) = &mut upstream.dialling
            && let Some(socket) = self.upstream.next(dialling)
        {
            upstream.stream = Stream::new(socket);
            self.upstream.keep_spare();
            match self.begin(upstream, me) {
                Ok(()) => return true,
                Err(error) => failure = error,
            }
        }
        self.give_up(failure);
        false
    }

    fn give_up(&mut self, failure: Failure) {
        match failure {
            Failure::TimedOut => self.timed_out += 1,
            _ => self.unreachable += 1,
        }
        if failure.is_noteworthy() {
            self.warn(format!("{}: {failure}", self.upstream.name));
        }
    }

    /// Says something once.
    fn warn(&mut self, text: String) {
        if self.warnings.len() < WARNINGS && !self.warnings.contains(&text) {
            note("proxy", &text);
            self.warnings.push(text);
        }
    }

    fn open(&mut self, upstream: &mut Side, me: Me<Side>, link: Link) -> Result<(), Failure> {
        self.upstreams.deadlines.cancel(me.token());
        let registry = &self.upstreams.registry;
        registry.remove(&upstream.stream)?;
        match link {
            Link::Whole => {
                set_tcp_nodelay(&upstream.stream, true)?;
                registry.attach(&mut upstream.stream, me.token())?;
            }
            // All that there will be is there.
            Link::Broken => {
                upstream.sending = Direction::Broken;
                upstream.stream.note(Events::READABLE | Events::CLOSED);
            }
        }
        upstream.dialling = None;
        Ok(())
    }

    fn pass_back(&mut self, upstream: &mut Side, me: Me<Side>) -> Step {
        let clients = self.clients.machine;
        match (self.upstreams).relay(upstream, me, clients, &mut self.buffer, self.now) {
            Ok(_) if upstream.is_over() => Step::Release,
            Ok(Relayed::Part) => Step::Again,
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
        loop {
            self.now = Instant::now();
            self.clients.expire(self.now);
            self.upstreams.expire(self.now);
            serving.turn(|cx| clients(cx, &mut self))?;
            dialling.turn(|cx| upstreams(cx, &mut self))?;
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

    /// Passes on what one of the sides has to give and to get.
    fn relay(
        &mut self,
        side: &mut Side,
        me: Me<Side>,
        peers: Machine<Side>,
        room: &mut [u8],
        now: Instant,
    ) -> io::Result<Relayed> {
        side.stream.note(me);
        let delivered = side.deliver(now);
        // Even if it is broken: what came before is the peer's.
        let mut handed = Ok(false);
        let bytes = &mut self.bytes;
        let is_met = peers
            .signal(side.peer, |peer| {
                let before = peer.sending;
                handed = side.hand_over(peer, room, now, bytes);
                match peer.sending == before {
                    true => Reaction::Ignore,
                    false => Reaction::Wake,
                }
            })
            .is_ok();
        if handed? {
            return Ok(Relayed::Part);
        }
        delivered?;
        Ok(match is_met {
            true => Relayed::All,
            false => Relayed::PeerGone,
        })
    }

    fn expire(&mut self, now: Instant) {
        self.deadlines.expire(now, &self.machine);
    }
}

fn start(options: &Options) -> Result<(), Box<dyn Error>> {
    let listen = options.listen.as_str();
    let mut multiplexer = options.backend.multiplexer()?;
    let listener =
        Listener::bind(&mut multiplexer, listen).map_err(|error| format!("{listen}: {error}"))?;
    let own = listener.local_addr()?;
    let upstream = Upstream::find(&options.upstream, own, options.connect)?;
    let proxy = Proxy::new(options, &mut multiplexer, listener, upstream)?;
    let _registered = [
        register("clients", proxy.clients.machine)?,
        register("upstreams", proxy.upstreams.machine)?,
    ];
    dump_on_signal()?;
    print(format_args!("listening on {own}"))?;
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

#[cfg(test)]
mod tests;
