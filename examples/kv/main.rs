//! A key-value server that speaks the protocol of Redis (RESP2), for `redis-cli`, `redis-benchmark` and the like.
//!
//! ```text
//! cargo run --release --example kv -- 127.0.0.1:6379
//! cargo run --release --example kv -- 127.0.0.1:0 --slots 10000 --max-memory 100000000 --backend uring
//! ```
//!
//! It knows strings: GET, SET (EX, PX, EXAT, PXAT, NX, XX, GET, KEEPTTL), SETNX, GETSET, APPEND, STRLEN, MGET, MSET, DEL,
//! UNLINK, EXISTS, TYPE, INCR, DECR, INCRBY, DECRBY, EXPIRE, PEXPIRE, TTL, PTTL, PERSIST, KEYS, DBSIZE, FLUSHALL; and
//! PING, ECHO, INFO, COMMAND, CONFIG GET, SELECT 0, CLIENT SETNAME, QUIT. Nothing is written to disk.
//!
//! A word has up to 16 MiB, a request up to 2²⁰ words and 64 MiB, and an answer up to 64 MiB; keys and values together
//! have up to `--max-memory` bytes (1 GiB if it is not given). Beyond that, there is an error as Redis words it, and
//! nothing is changed. A client that does not read its answers is not listened to, once 256 KiB of them wait. `--slots`
//! clients (1000) are served at once; others wait in the kernel's queue. Where many clients keep it busy, it lets requests
//! come together for `--pause` microseconds (60; 0 for never) before it would sleep. SIGINT or SIGTERM ends it: no client is
//! accepted any more, and those who are there get their last answers.
//!
//! Begin with `entry`; what a request is stands in `request.rs`, what it does in `commands.rs`.

mod about;
mod commands;
mod glob;
mod options;
mod reply;
mod request;
mod store;

use std::{
    error::Error,
    io, mem,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use batchloop_core::{Capacity, Machine, Me, Step, Turn, point};
use batchloop_eventfd::{Listener, Multiplexer, Received, Registry, Shutdown, Stream};
use batchloop_examples::{dump_on_signal, finish, note, print, raise_limit_of_files};
use batchloop_std::register;

use commands::{Database, Outcome};
use options::Options;
use reply::Replies;
use request::{Parsed, Request};

/// How long the last clients get for reading what is owed to them.
const DRAIN: Duration = Duration::from_secs(5);

/// How often one client may send before the others have their turn.
const ROUNDS: usize = 8;

/// How many bytes are received at once.
const ROOM: usize = 64 * 1024;

/// How many bytes of answers may wait, before further requests do.
const OWED: usize = 256 * 1024;

/// The state of one client.
struct Client {
    stream: Stream,
    /// What has come and is not worked on, because it is no whole request, or because answers wait.
    input: Vec<u8>,
    /// How far the first request of it is read.
    request: Request,
    /// Whether there may be a whole request in `input`.
    has_more: bool,
    /// Answers that could not be sent yet.
    owed: Vec<u8>,
    sent: usize,
    leaves: bool,
}

impl Client {
    fn new(stream: Stream) -> Self {
        Client {
            stream,
            input: Vec::new(),
            request: Request::default(),
            has_more: false,
            owed: Vec::new(),
            sent: 0,
            leaves: false,
        }
    }

    /// Sends answers, and keeps what does not go.
    fn answer(&mut self, replies: &[u8]) -> io::Result<()> {
        let sent = match self.owed.is_empty() {
            true => self.stream.send(replies)?,
            false => 0,
        };
        self.owed.extend_from_slice(&replies[sent..]);
        Ok(())
    }

    /// Sends what is owed. Answers whether that was all.
    fn settle(&mut self) -> io::Result<bool> {
        if self.owed.is_empty() {
            return Ok(true);
        }
        self.sent += self.stream.send(&self.owed[self.sent..])?;
        let is_all = self.sent == self.owed.len();
        if is_all {
            self.owed = Vec::new();
            self.sent = 0;
        }
        Ok(is_all)
    }
}

/// What the entry point works on beside the states.
struct Server {
    listener: Listener,
    registry: Registry,
    shutdown: Shutdown,
    database: Database,
    /// For what is received, and for the answers to it.
    room: Vec<u8>,
    replies: Replies,
}

/// The entry point.
fn entry(cx: &mut Turn<'_, Client>, server: &mut Server) {
    // The slab is the limit: while it is full, clients wait in the kernel.
    server.listener.accept(cx, &server.registry, Client::new);
    let new = cx.arrivals();

    let leaving = cx
        .stage(point!("request"), new)
        .advance(|client, me| server.serve(client, me));

    let gone = cx
        .stage(point!("last answers"), leaving)
        .advance(|client, me| {
            client.stream.note(me.events());
            match client.settle() {
                Ok(false) => Step::Wait,
                Ok(true) | Err(_) => Step::Next,
            }
        });

    gone.release();
}

impl Server {
    fn serve(&mut self, client: &mut Client, me: Me<Client>) -> Step {
        client.stream.note(me.events());
        for _ in 0..ROUNDS {
            match self.step(client) {
                Ok(Received::Bytes(_)) if client.leaves => return Step::Next,
                Ok(Received::Bytes(_)) => {}
                Ok(Received::Nothing) => {
                    let is_idle = client.owed.is_empty();
                    return match self.shutdown.has_begun() && is_idle {
                        true => Step::Next,
                        false => Step::Wait,
                    };
                }
                // Without a farewell, it may be.
                Ok(Received::End) | Err(_) => return Step::Next,
            }
        }
        // There may be more, and nobody else would say so.
        let _ = me.waker().wake();
        Step::Wait
    }

    /// Answers what is there, or else receives more. Nothing is received while answers wait.
    fn step(&mut self, client: &mut Client) -> io::Result<Received> {
        if !client.settle()? {
            return Ok(Received::Nothing);
        }
        if client.has_more {
            let mut input = mem::take(&mut client.input);
            let done = self.answer_all(client, &input)?;
            input.drain(..done);
            client.input = input;
            return Ok(Received::Bytes(done));
        }
        let mut room = mem::take(&mut self.room);
        let received = client.stream.receive(&mut room);
        let done = match received {
            Ok(Received::Bytes(length)) => self.take(client, &room[..length]),
            _ => Ok(()),
        };
        self.room = room;
        done?;
        received
    }

    /// Answers what has just come, together with what came before.
    fn take(&mut self, client: &mut Client, bytes: &[u8]) -> io::Result<()> {
        if client.input.is_empty() {
            let done = self.answer_all(client, bytes)?;
            client.input.extend_from_slice(&bytes[done..]);
            return Ok(());
        }
        let mut input = mem::take(&mut client.input);
        input.extend_from_slice(bytes);
        let done = self.answer_all(client, &input)?;
        input.drain(..done);
        if !input.is_empty() {
            client.input = input;
        }
        Ok(())
    }

    /// Runs the whole requests, as long as not too many answers wait, and sends their answers together. Answers how many
    /// bytes the requests had.
    fn answer_all(&mut self, client: &mut Client, bytes: &[u8]) -> io::Result<usize> {
        let mut done = 0;
        client.has_more = false;
        while !client.leaves {
            if self.replies.0.len() > OWED {
                client.has_more = true;
                break;
            }
            let rest = &bytes[done..];
            match client.request.parse(rest) {
                Ok(Parsed::Part) => break,
                Ok(Parsed::Whole(length)) => {
                    let words = client.request.words(rest);
                    let outcome = self.database.run(words, &mut self.replies);
                    client.leaves = outcome == Outcome::Leaves;
                    client.request.clear();
                    done += length;
                }
                Err(malformed) => {
                    self.replies.error(malformed.to_string().as_bytes());
                    client.leaves = true;
                }
            }
        }
        let answered = client.answer(&self.replies.0);
        self.replies.0.clear();
        self.replies.0.shrink_to(2 * OWED);
        answered.map(|()| done)
    }

    /// Forgets keys whose time has come.
    fn keep_time(&mut self, live: usize) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.database.clients = live;
        self.database.store.now = since.map_or(0, |since| since.as_millis() as u64);
        self.database.store.expire();
    }

    /// When to look again though nothing happens.
    fn deadline(&self) -> Option<Instant> {
        let store = &self.database.store;
        let left = store
            .next_expiry()
            .map(|expires| expires.saturating_sub(store.now));
        let expiry = left.and_then(|left| Instant::now().checked_add(Duration::from_millis(left)));
        let deadlines = [expiry, self.shutdown.deadline(), self.listener.deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn run(
        mut self,
        machine: Machine<Client>,
        mut multiplexer: Multiplexer,
    ) -> Result<(), Box<dyn Error>> {
        let mut driver = machine.driver()?;
        loop {
            self.keep_time(machine.live());
            driver.turn(|cx| entry(cx, &mut self))?;
            let left = machine.live() + multiplexer.lingering();
            if self.shutdown.is_over(left) {
                break;
            }
            multiplexer.poll(&[driver.watch()], self.deadline())?;
            if self.shutdown.begins() {
                self.listener.stop();
                // Those who wait for their client to ask something must look again.
                for client in machine.handles() {
                    let _ = machine.wake(client);
                }
            }
        }
        note(
            "kv",
            &format!(
                "{} clients, {} commands, {} keys, {} cut off",
                self.listener.accepted().clients,
                self.database.commands,
                self.database.store.len(),
                machine.live()
            ),
        );
        Ok(())
    }
}

fn start(options: &Options) -> Result<(), Box<dyn Error>> {
    let address = options.address.as_str();
    let machine: Machine<Client> =
        Machine::heap(Capacity::slots(options.slots).points(2).scopes(0));
    let mut multiplexer = options.backend.multiplexer()?;
    multiplexer.set_pause(options.pause);
    let registry = multiplexer.add(machine)?;
    let listener =
        Listener::bind(&mut multiplexer, address).map_err(|error| format!("{address}: {error}"))?;
    let _registered = register("clients", machine)?;
    dump_on_signal()?;
    let shutdown = Shutdown::new(&mut multiplexer, DRAIN)?;
    let listens = listener.local_addr()?;
    print(format_args!("listening on {listens}"))?;
    let server = Server {
        listener,
        registry,
        shutdown,
        database: Database::new(options.max_memory, listens.port()),
        room: vec![0; ROOM],
        replies: Replies::default(),
    };
    server.run(machine, multiplexer)
}

fn main() -> ExitCode {
    let outcome = options::parse().and_then(|options| match options {
        None => Ok(print(options::USAGE)?),
        Some(options) => {
            raise_limit_of_files();
            start(&options)
        }
    });
    finish("kv", outcome)
}
