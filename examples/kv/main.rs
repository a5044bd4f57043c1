//! A key-value server that speaks the protocol of Redis (RESP2), for `redis-cli`, `redis-benchmark` and the like.
//!
//! ```text
//! cargo run --release --example kv -- 127.0.0.1:6379
//! cargo run --release --example kv -- 127.0.0.1:0 --slots 10000 --max-memory 100000000 --backend uring
//! ```
//!
//! It knows strings: GET, SET (EX, PX, EXAT, PXAT, NX, XX, GET, KEEPTTL), SETNX, GETSET, APPEND, STRLEN, MGET, MSET, DEL,
//! UNLINK, EXISTS, TYPE, INCR, DECR, INCRBY, DECRBY, EXPIRE and PEXPIRE (NX, XX, GT, LT), TTL, PTTL, PERSIST, KEYS,
//! DBSIZE, FLUSHALL; and PING, ECHO, INFO, COMMAND, CONFIG GET, SELECT 0, CLIENT SETNAME, QUIT. Nothing is written to disk.
//!
//! # Limits
//!
//! `--slots` clients (1000) are served at once; others wait in the kernel's queue. A word has up to 16 MiB, a request up
//! to 2²⁰ words and 64 MiB, an answer up to 64 MiB, and a pattern up to 1024 bytes. Beyond that there is an error, as Redis
//! words it where it has one, and nothing is changed. A client that does not read its answers is not listened to, once
//! 256 KiB of them wait.
//!
//! `--max-memory` bytes (1 GiB if it is not given) are for all that clients make the server keep: keys and values with
//! their tables, requests that are not whole, and answers that are not taken. They are counted as they are allocated, and
//! INFO has the figures. What would be more is refused with `-OOM`: a request without memory is skipped, its client is told
//! and stays; an answer is refused before it is made. Requests and answers may go 1 MiB beyond the limit, and each client
//! 4 KiB, so that a full store can still be read and emptied. A client that takes nothing is cut off where no more of its
//! answers can be kept. What the allocator does not give back to the kernel is not counted.
//!
//! # Fairness
//!
//! A command that has much to do does a part of it in each turn, and the others have theirs in between; so has SIGTERM. Hence
//! such a command is not atomic: MGET, MSET, DEL, UNLINK and EXISTS with very many words see what others do meanwhile, and
//! are seen half done; KEYS answers each key that is there all the while once, and one that comes or goes meanwhile once or
//! not at all. MSET still sets all its keys or, where there is no memory for them, none. Keys that expire together are
//! forgotten some at a time, though none of them is found any more. FLUSHALL empties the store at once, and is answered when
//! its memory is given back.
//!
//! Where many clients keep it busy, it lets requests come together for `--pause` microseconds (60; 0 for never) before it
//! would sleep. SIGINT or SIGTERM ends it: no client is accepted any more, and those that are there get their last answers.
//!
//! # HTTP
//!
//! A web page can make a browser send a request to this server, with commands in its body. So the connection ends at a line
//! that begins with `POST` or `Host:`, as with Redis, and at any other that is a request line of HTTP and no command; a line
//! on standard error says so, one a second at most.
//!
//! Begin with `entry`; what a request is stands in `request.rs`, what it does in `commands.rs` and the files that it names,
//! what goes on for several turns in `many.rs`, and what is counted in `memory.rs`.

mod about;
mod client;
mod commands;
mod complaints;
mod glob;
mod many;
mod memory;
mod options;
mod reply;
mod request;
mod store;
mod strings;
mod table;
mod times;

use std::{
    error::Error,
    io, mem,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use batchloop_core::{Capacity, Machine, Me, Step, Turn, point};
use batchloop_eventfd::{Listener, Multiplexer, Received, Registry, Shutdown};
use batchloop_examples::{Backend, dump_on_signal, finish, note, print, raise_limit_of_files};
use batchloop_std::register;

use client::Client;
use commands::{Database, OUT_OF_MEMORY, Outcome};
use complaints::Complaints;
use memory::ALWAYS;
use options::Options;
use reply::Replies;
use request::Parsed;

/// How long the last clients get for reading what is owed to them.
const DRAIN: Duration = Duration::from_secs(5);

/// How often one client may send before the others have their turn.
const ROUNDS: usize = 8;

/// How many bytes are received at once.
const ROOM: usize = 64 * 1024;

/// How many bytes of answers may wait, before further requests do.
const OWED: usize = 256 * 1024;

/// How much is done in a turn for clients that ask for much, about in nanoseconds; and the least that one of them gets.
const WORK: isize = 200_000;
const LEAST: isize = 10_000;

/// What the entry point works on beside the states.
struct Server {
    listener: Listener,
    registry: Registry,
    shutdown: Shutdown,
    database: Database,
    backend: Backend,
    /// For what is received, and for the answers to it.
    room: Vec<u8>,
    replies: Replies,
    complaints: Complaints,
    /// How many clients have used up their share of this turn's work, and that share.
    busy: isize,
    share: isize,
}

/// The entry point.
fn entry(cx: &mut Turn<'_, Client>, server: &mut Server) {
    // The slab is the limit: while it is full, clients wait in the kernel.
    let backend = server.backend;
    let client = |stream| Client::new(stream, backend);
    server.listener.accept(cx, &server.registry, client);
    let new = cx.arrivals();

    let leaving = cx
        .stage(point!("request"), new)
        .advance(|client, me| server.serve(client, me));

    let gone = cx
        .stage(point!("last answers"), leaving)
        .advance(|client, me| {
            client.stream.note(me);
            match client.settle() {
                Ok(false) => Step::Wait,
                Ok(true) | Err(_) => {
                    client.forget(&mut server.database.store.memory);
                    Step::Next
                }
            }
        });

    gone.release();
}

impl Server {
    fn serve(&mut self, client: &mut Client, me: Me<Client>) -> Step {
        client.stream.note(me);
        self.database.store.work = self.share;
        let step = self.serve_rounds(client);
        if self.database.store.work <= 0 {
            self.busy += 1;
        }
        if step == Step::Next {
            client.leave();
        }
        client.count(&mut self.database.store.memory);
        step
    }

    fn serve_rounds(&mut self, client: &mut Client) -> Step {
        for _ in 0..ROUNDS {
            match self.step(client) {
                Ok(Received::Bytes(_)) if client.leaves => return Step::Next,
                Ok(Received::Bytes(_)) => {}
                Ok(Received::Nothing) => {
                    let is_idle = !client.is_owed();
                    return match self.shutdown.has_begun() && is_idle {
                        true => Step::Next,
                        false => Step::Wait,
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                    let text = "it does not take its answers, and no memory is left for them";
                    self.complaints.say(&client.stream, text);
                    return Step::Next;
                }
                // Without a farewell, it may be.
                Ok(Received::End) | Err(_) => return Step::Next,
            }
            if self.database.store.work <= 0 {
                break;
            }
        }
        // There may be more, and nothing else would say so.
        Step::Again
    }

    /// Works on what is there, or else receives more. Nothing is received while answers wait.
    fn step(&mut self, client: &mut Client) -> io::Result<Received> {
        if !client.settle()? {
            return Ok(Received::Nothing);
        }
        if client.has_more {
            let input = mem::take(&mut client.input);
            let done = self.answer_all(client, &input)?;
            client.keep(input, done);
            return Ok(Received::Bytes(done));
        }
        // Where memory is short, little is received that might have to be kept.
        let size = match self.database.store.memory.left() < ROOM {
            true => ALWAYS,
            false => ROOM,
        };
        let mut room = mem::take(&mut self.room);
        let received = client.stream.receive(&mut room[..size]);
        let done = match received {
            Ok(Received::Bytes(length)) => self.take(client, &room[..length]),
            _ => Ok(()),
        };
        self.room = room;
        done?;
        received
    }

    /// Works on what has just come, together with what came before.
    fn take(&mut self, client: &mut Client, bytes: &[u8]) -> io::Result<()> {
        if client.input.is_empty() {
            let mut done = self.answer_all(client, bytes)?;
            let rest = bytes.len() - done;
            if rest == 0 {
                return Ok(());
            }
            if !client.has_more && !client.may_keep(rest, &self.database.store.memory) {
                done += client.request.give_up();
                done += self.answer_all(client, &bytes[done..])?;
            }
            client.input = bytes[done..].to_vec();
            return Ok(());
        }
        let mut input = mem::take(&mut client.input);
        if !client.make_room(&mut input, bytes.len(), &self.database.store.memory) {
            input.drain(..client.request.give_up());
        }
        input.extend_from_slice(bytes);
        let done = self.answer_all(client, &input)?;
        client.keep(input, done);
        Ok(())
    }

    /// Runs the whole requests, as long as not too many answers wait and there is time, and sends their answers together.
    /// Returns how many bytes the requests had.
    fn answer_all(&mut self, client: &mut Client, bytes: &[u8]) -> io::Result<usize> {
        let store = &mut self.database.store;
        client.count_without_job(&mut store.memory);
        let most = OWED.min(store.memory.left()).max(ALWAYS);
        let mut done = 0;
        client.has_more = false;
        while !client.leaves {
            if self.replies.bytes.len() > most || self.database.store.work <= 0 {
                client.has_more = true;
                break;
            }
            let rest = &bytes[done..];
            let parsed = match client.job {
                // It is whole, and not finished.
                Some(_) => Ok(Parsed::Whole(client.whole)),
                None => client.request.parse(rest),
            };
            match parsed {
                Ok(Parsed::Part) => break,
                Ok(Parsed::Skipped(length)) => {
                    done += length;
                    break;
                }
                Ok(Parsed::Whole(length)) => {
                    match self.run_one(client, rest) {
                        Outcome::Waits => {
                            client.whole = length;
                            client.has_more = true;
                            break;
                        }
                        Outcome::Leaves | Outcome::IsForeign => client.leaves = true,
                        Outcome::Stays => {}
                    }
                    client.request.clear();
                    done += length;
                }
                Err(malformed) => {
                    self.replies.error(malformed.to_string().as_bytes());
                    client.leaves = true;
                }
            }
        }
        let answered = client.answer(&mut self.replies.bytes, &self.database.store.memory);
        self.replies.bytes.clear();
        self.replies.bytes.shrink_to(2 * OWED);
        answered.map(|()| done)
    }

    fn run_one(&mut self, client: &mut Client, bytes: &[u8]) -> Outcome {
        if client.request.is_given_up() {
            self.replies.error(OUT_OF_MEMORY);
            return Outcome::Stays;
        }
        let words = client.request.words(bytes);
        let outcome = self.database.run(words, &mut self.replies, &mut client.job);
        if outcome == Outcome::IsForeign {
            let text = "it speaks HTTP; a browser may have been led here";
            self.complaints.say(&client.stream, text);
        }
        outcome
    }

    /// Forgets keys whose time has come, and shares out the work of the next turn.
    fn keep_time(&mut self, live: usize) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.database.clients = live;
        self.database.store.now = since.map_or(0, |since| since.as_millis() as u64);
        self.database.store.forget();
        self.share = (WORK / self.busy.max(1)).max(LEAST);
        self.busy = 0;
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
                // States that wait for their client to ask something must look again.
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
        backend: options.backend,
        room: vec![0; ROOM],
        replies: Replies::default(),
        complaints: Complaints::default(),
        busy: 0,
        share: WORK,
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
