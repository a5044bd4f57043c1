//! Serves the files of a directory over HTTP/1.1, to any number of clients.
//!
//! ```text
//! cargo run --release --example http -- 127.0.0.1:8080 .
//! cargo run --release --example http -- 127.0.0.1:8080 /srv/www --slots 10000 --backend uring
//! curl -i http://127.0.0.1:8080/README.md
//! ```
//!
//! GET and HEAD, ranges, dates as conditions, connections that go on, requests one behind the other. A directory is its
//! `index.html`. Nothing outside of the directory is served, wherever symbolic links lead.
//!
//! A client has `--timeout` seconds (30 if it is not given) for the head of a request and for its body, may say
//! nothing for as long between two requests, and may as long take nothing of an answer. Files are read in pieces, when
//! the socket takes them: a client that does not read costs a slot and its two descriptors, and no buffer. Reading is part
//! of the loop, so it is for files that are in memory, or on a disk that is faster than the clients.
//!
//! `--slots` clients (1024 if it is not given) are served at once, or as many as the limit of open files allows; the
//! others wait in the kernel's queue until one leaves. SIGINT or SIGTERM stops accepting, finishes the answers that
//! are under way, for at most 5 seconds, and ends with a summary; a second one ends at once. SIGUSR1 prints every
//! client and where it waits.
//!
//! Begin with `entry`.

mod answer;
mod authority;
mod body;
mod conditions;
mod date;
mod fields;
mod options;
mod request;
mod root;
mod status;

use std::{
    error::Error,
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use batchloop_core::{Capacity, Events, Machine, Me, Step, Turn, point};
use batchloop_eventfd::{Deadlines, Listener, Multiplexer, Received, Registry, Shutdown, Stream};
use batchloop_examples::{dump_on_signal, finish, note, print, raise_limit_of_files};
use batchloop_std::register;

use answer::{Answer, Present};
use options::Options;
use request::{MAX_HEAD, Request, empty_lines};
use root::Root;
use status::Status;

/// How long the last clients get for reading what is owed to them.
const DRAIN: Duration = Duration::from_secs(5);

/// How long a client gets for closing, at most, once it has been told that the connection ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// Time-outs may be late by this much; those that lie so close together come together.
const RESOLUTION: Duration = Duration::from_millis(10);

/// How many pieces one client may send or receive before the others have their turn.
const ROUNDS: usize = 8;

/// How much of a file is read at once.
const PIECE: usize = 64 * 1024;

/// The state of one client.
struct Client {
    stream: Stream,
    /// What was received and belongs to no request yet.
    input: Vec<u8>,
    /// From the end of its head until it is answered.
    request: Option<Box<Request>>,
    answer: Answer,
}

impl Client {
    fn new(stream: Stream) -> Self {
        Client {
            stream,
            input: Vec::new(),
            request: None,
            answer: Answer::default(),
        }
    }

    /// Whether some of a request has come. Half an empty line is nothing yet.
    fn has_begun(&self) -> bool {
        !matches!(self.input[..], [] | [b'\r'])
    }
}

/// Drops the beginning of what was received; where nothing is left, no memory is needed for it.
fn forget(input: &mut Vec<u8>, length: usize) {
    input.drain(..length);
    if input.is_empty() {
        *input = Vec::new();
    }
}

/// What the entry point works on beside the states.
struct Server {
    listener: Listener,
    registry: Registry,
    shutdown: Shutdown,
    deadlines: Deadlines<'static>,
    root: Root,
    timeout: Duration,
    buffer: Box<[u8]>,
    now: Instant,
    present: Present,
    sums: Sums,
}

#[derive(Default)]
struct Sums {
    requests: u64,
    bytes: u64,
    timed_out: u64,
}

/// The entry point.
fn entry(cx: &mut Turn<'_, Client>, server: &mut Server) {
    // The slab is the limit: while it is full, clients wait in the kernel.
    server.listener.accept(cx, &server.registry, Client::new);
    let new = cx.arrivals().for_each(|_, me| server.allow(me));

    let head = point!("head");
    let asked = cx
        .stage(head, new)
        .advance(|client, me| server.receive_head(client, me));

    let answered = cx
        .stage(point!("body to skip"), asked)
        .advance(|client, me| server.skip_body(client, me))
        .for_each(|client, _| server.answer(client));

    let served = cx
        .stage(point!("send"), answered)
        .advance(|client, me| server.send(client, me));

    let (staying, leaving) = served.partition(|client, me| {
        server.allow(me);
        client.answer.keep
    });
    cx.again(head, staying);

    let told = leaving.for_each(|client, me| server.say_farewell(client, me));
    cx.stage(point!("farewell"), told)
        .advance(|client, me| server.await_farewell(client, me))
        .release();
}

impl Server {
    /// From now on, a client has the time that each has.
    fn allow(&mut self, me: Me<Client>) {
        self.deadlines.arm(me.token(), self.now + self.timeout);
    }

    fn receive_head(&mut self, client: &mut Client, me: Me<Client>) -> Step {
        client.stream.note(me);
        let had_begun = client.has_begun();
        let mut is_empty = false;
        for _ in 0..ROUNDS {
            let empty = empty_lines(&client.input);
            forget(&mut client.input, empty);
            let seconds = self.present.seconds;
            if let Some((length, request)) = Request::parse(&client.input, seconds) {
                forget(&mut client.input, length);
                if !request.body.is_over() {
                    self.allow(me);
                }
                client.request = Some(Box::new(request));
                return Step::Next;
            }
            // There is room: what fills it is a request, or refused.
            let room = MAX_HEAD - client.input.len();
            match client.stream.receive(&mut self.buffer[..room]) {
                Ok(Received::Bytes(length)) => {
                    client.input.extend_from_slice(&self.buffer[..length]);
                }
                Ok(Received::Nothing) => {
                    is_empty = true;
                    break;
                }
                // A client that has not said it all gets no answer.
                Ok(Received::End) | Err(_) => return Step::Release,
            }
        }
        if client.has_begun() && !had_begun {
            self.allow(me);
        } else if self.is_too_late(me) {
            if !client.has_begun() {
                return Step::Release;
            }
            let refused = Request::refused(Status::RequestTimeout, &client.input);
            client.request = Some(Box::new(refused));
            return Step::Next;
        }
        if !is_empty {
            return Step::Again;
        }
        match client.has_begun() || !self.shutdown.has_begun() {
            true => Step::Wait,
            false => Step::Release,
        }
    }

    /// Receives the body, as far as it has one, for the sake of what comes behind it.
    fn skip_body(&mut self, client: &mut Client, me: Me<Client>) -> Step {
        client.stream.note(me);
        let Some(request) = &mut client.request else {
            return Step::Release;
        };
        for _ in 0..ROUNDS {
            match request.body.skip(&client.input) {
                Ok(length) => forget(&mut client.input, length),
                Err(status) => {
                    request.refuse(status);
                    return Step::Next;
                }
            }
            if request.body.is_over() {
                return Step::Next;
            }
            match client.stream.receive(&mut self.buffer[..MAX_HEAD]) {
                Ok(Received::Bytes(length)) => {
                    client.input.extend_from_slice(&self.buffer[..length]);
                }
                Ok(Received::Nothing) if self.is_too_late(me) => {
                    request.refuse(Status::RequestTimeout);
                    return Step::Next;
                }
                Ok(Received::Nothing) => return Step::Wait,
                Ok(Received::End) | Err(_) => return Step::Release,
            }
        }
        // There is more to do for this client, when the others have had their share.
        Step::Again
    }

    fn answer(&mut self, client: &mut Client) {
        if let Some(request) = client.request.take() {
            self.sums.requests += 1;
            let keep = !self.shutdown.has_begun();
            client.answer = Answer::to(&request, &self.root, &self.present, keep);
        }
    }

    fn send(&mut self, client: &mut Client, me: Me<Client>) -> Step {
        let may_send = has_room(me.events());
        client.stream.note(me);
        let answer = &mut client.answer;
        if answer.is_blocked && !may_send {
            return match self.is_too_late(me) {
                true => Step::Release,
                false => Step::Wait,
            };
        }
        for _ in 0..ROUNDS {
            let sending = answer.fill(&mut self.buffer).and_then(|length| {
                let sent = client.stream.send(&self.buffer[..length])?;
                Ok((sent, sent < length))
            });
            // A file that has become shorter ends the connection, for the length has been promised.
            let Ok((sent, is_blocked)) = sending else {
                return Step::Release;
            };
            self.sums.bytes += sent as u64;
            answer.sent(sent);
            if answer.is_sent() {
                return Step::Next;
            }
            answer.is_blocked = is_blocked;
            if is_blocked {
                self.allow(me);
                return Step::Wait;
            }
        }
        Step::Again
    }

    /// Ends the sending. To close now would take back what the client has not read yet, if there is more from it.
    fn say_farewell(&mut self, client: &mut Client, me: Me<Client>) {
        // If it has gone already, the next look tells.
        let _ = client.stream.end();
        client.input = Vec::new();
        let time = self.timeout.min(FAREWELL);
        self.deadlines.arm(me.token(), self.now + time);
    }

    fn await_farewell(&mut self, client: &mut Client, me: Me<Client>) -> Step {
        client.stream.note(me);
        if !me.take(Events::DEADLINE).is_empty() {
            return Step::Next;
        }
        for _ in 0..ROUNDS {
            match client.stream.receive(&mut self.buffer) {
                Ok(Received::Bytes(_)) => {}
                Ok(Received::Nothing) => return Step::Wait,
                Ok(Received::End) | Err(_) => return Step::Next,
            }
        }
        Step::Again
    }

    /// Whether the time of a client that has nothing to be done for is over.
    fn is_too_late(&mut self, me: Me<Client>) -> bool {
        if me.take(Events::DEADLINE).is_empty() {
            return false;
        }
        self.sums.timed_out += 1;
        true
    }

    fn look_at_clock(&mut self) {
        self.now = Instant::now();
        let seconds = seconds_since_1970();
        if seconds != self.present.seconds {
            self.present = Present::at(seconds);
        }
    }

    fn run(
        mut self,
        machine: Machine<Client>,
        mut multiplexer: Multiplexer,
    ) -> Result<(), Box<dyn Error>> {
        let mut driver = machine.driver()?;
        let mut warned = false;
        loop {
            self.look_at_clock();
            self.deadlines.expire(self.now, &machine);
            driver.turn(|cx| entry(cx, &mut self))?;
            let left = machine.live() + multiplexer.lingering();
            if self.shutdown.is_over(left) {
                break;
            }
            if !warned && self.listener.accepted().no_descriptor > 0 {
                note("http", "too many open files; clients wait until one leaves");
                warned = true;
            }
            let deadlines = [
                self.shutdown.deadline(),
                self.listener.deadline(),
                self.deadlines.next(),
            ];
            let deadline = deadlines.into_iter().flatten().min();
            multiplexer.poll(&[driver.watch()], deadline)?;
            if self.shutdown.begins() {
                self.listener.stop();
                // States that wait for their client to say something must look again.
                for client in machine.handles() {
                    let _ = machine.wake(client);
                }
            }
        }
        let Sums {
            requests,
            bytes,
            timed_out,
        } = self.sums;
        let clients = self.listener.accepted().clients;
        let live = machine.live();
        note(
            "http",
            &format!(
                "{clients} clients, {requests} requests, {bytes} bytes sent, {timed_out} timed out, {live} cut off"
            ),
        );
        Ok(())
    }
}

/// Whether an edge says that sending may get further, or fail.
fn has_room(events: Events) -> bool {
    events.contains(Events::WRITABLE) || events.contains(Events::CLOSED)
}

fn seconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// As many slots as are asked for and the limit of open files allows: each client costs its socket and a file.
fn affordable(slots: usize) -> Result<usize, Box<dyn Error>> {
    /// For standard input and output, the directory, the listener, epoll, and the pipes of signals.
    const OTHERS: usize = 20;
    let files = raise_limit_of_files();
    let most = files.saturating_sub(OTHERS) / 2;
    if most == 0 {
        return Err(format!("a limit of {files} open files is too low").into());
    }
    if most < slots {
        note(
            "http",
            &format!("{files} open files are enough for {most} clients at once"),
        );
    }
    Ok(slots.min(most))
}

fn start(options: &Options) -> Result<(), Box<dyn Error>> {
    let Options {
        address,
        directory,
        slots,
        timeout,
        backend,
    } = options;
    let root =
        Root::open(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let slots = affordable(*slots)?;
    let machine: Machine<Client> = Machine::heap(Capacity::slots(slots).points(4).scopes(0));
    let mut multiplexer = backend.multiplexer()?;
    let registry = multiplexer.add(machine)?;
    let listener = Listener::bind(&mut multiplexer, address.as_str())
        .map_err(|error| format!("{address}: {error}"))?;
    let _registered = register("clients", machine)?;
    dump_on_signal()?;
    let shutdown = Shutdown::new(&mut multiplexer, DRAIN)?;
    print(format_args!("listening on {}", listener.local_addr()?))?;
    let server = Server {
        listener,
        registry,
        shutdown,
        deadlines: Deadlines::heap(slots, RESOLUTION),
        root,
        timeout: *timeout,
        buffer: vec![0; PIECE].into(),
        now: Instant::now(),
        present: Present::at(seconds_since_1970()),
        sums: Sums::default(),
    };
    server.run(machine, multiplexer)
}

fn main() -> ExitCode {
    let outcome = options::parse().and_then(|options| match options {
        None => Ok(print(options::USAGE)?),
        Some(options) => start(&options),
    });
    finish("http", outcome)
}
