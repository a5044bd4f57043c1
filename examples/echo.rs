//! Sends back whatever its clients send, to any number of them.
//!
//! ```text
//! cargo run --release --example echo -- 127.0.0.1:7777
//! cargo run --release --example echo -- 127.0.0.1:0 --slots 10000 --backend uring
//! ```
//!
//! Bytes go back as they come, so lines of any length do, and none is kept whole in memory. A client that does not
//! read is not read from either. `--slots` clients (128 if it is not given) are served at once: beyond that, or
//! beyond the limit of open files, the others wait in the kernel's queue until one leaves. SIGINT or SIGTERM stops
//! accepting, sends what is still owed, for at most `--grace` seconds (5), and ends with a summary; a second one ends at
//! once. SIGUSR1 prints every client and where it waits.
//!
//! Begin with `entry`.

use std::{error::Error, io, process::ExitCode, time::Duration};

use batchloop_core::{Capacity, Machine, Me, Step, Turn, point};
use batchloop_eventfd::{Listener, Multiplexer, Received, Registry, Shutdown, Stream};
use batchloop_examples::{
    Backend, SLOTS, dump_on_signal, finish, note, number, print, raise_limit_of_files, seconds,
};
use batchloop_std::register;

/// How much one client may send and receive before the others have their turn.
const ROUNDS: usize = 16;

/// The state of one client.
struct Client {
    stream: Stream,
    /// What was received and could not be sent back yet.
    owed: Vec<u8>,
}

impl Client {
    fn new(stream: Stream) -> Self {
        let owed = Vec::new();
        Client { stream, owed }
    }
}

/// What the entry point works on beside the states.
struct Server {
    listener: Listener,
    registry: Registry,
    shutdown: Shutdown,
    buffer: Box<[u8]>,
    bytes: u64,
}

/// The entry point.
fn entry(cx: &mut Turn<'_, Client>, server: &mut Server) {
    // The slab is the limit: while it is full, clients wait in the kernel.
    server.listener.accept(cx, &server.registry, Client::new);
    let new = cx.arrivals();

    let done = cx
        .stage(point!("echo"), new)
        .advance(|client, me| server.echo(client, me));

    done.release();
}

impl Server {
    fn echo(&mut self, client: &mut Client, me: Me<Client>) -> Step {
        client.stream.note(me);
        for _ in 0..ROUNDS {
            match self.exchange(client) {
                Ok(Received::Bytes(_)) => {}
                Ok(Received::Nothing) => {
                    return match self.shutdown.has_begun() && client.owed.is_empty() {
                        true => Step::Next,
                        false => Step::Wait,
                    };
                }
                // Without a farewell, it may be.
                Ok(Received::End) | Err(_) => return Step::Next,
            }
        }
        // There may be more, and nothing else would say so: edges are reported once.
        Step::Again
    }

    /// Sends what is owed; if nothing is any more, receives something and sends it back.
    fn exchange(&mut self, client: &mut Client) -> io::Result<Received> {
        if !client.owed.is_empty() {
            let sent = client.stream.send(&client.owed)?;
            self.bytes += sent as u64;
            client.owed.drain(..sent);
            if !client.owed.is_empty() {
                return Ok(Received::Nothing);
            }
            client.owed = Vec::new();
        }
        let received = client.stream.receive(&mut self.buffer)?;
        if let Received::Bytes(received) = received {
            let bytes = &self.buffer[..received];
            let sent = client.stream.send(bytes)?;
            self.bytes += sent as u64;
            client.owed.extend_from_slice(&bytes[sent..]);
        }
        Ok(received)
    }

    fn run(
        mut self,
        machine: Machine<Client>,
        mut multiplexer: Multiplexer,
    ) -> Result<(), Box<dyn Error>> {
        let mut driver = machine.driver()?;
        let mut warned = false;
        loop {
            driver.turn(|cx| entry(cx, &mut self))?;
            let left = machine.live() + multiplexer.lingering();
            if self.shutdown.is_over(left) {
                break;
            }
            if !warned && self.listener.accepted().no_descriptor > 0 {
                note("echo", "too many open files; clients wait until one leaves");
                warned = true;
            }
            let deadlines = [self.shutdown.deadline(), self.listener.deadline()];
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
        note(
            "echo",
            &format!(
                "{} clients, {} bytes sent back, {} cut off",
                self.listener.accepted().clients,
                self.bytes,
                machine.live()
            ),
        );
        Ok(())
    }
}

fn start(options: &Options) -> Result<(), Box<dyn Error>> {
    let Options {
        address,
        slots,
        grace,
        backend,
    } = options;
    let machine: Machine<Client> = Machine::heap(Capacity::slots(*slots).points(1).scopes(0));
    let mut multiplexer = backend.multiplexer()?;
    let registry = multiplexer.add(machine)?;
    let listener = Listener::bind(&mut multiplexer, address.as_str())
        .map_err(|error| format!("{address}: {error}"))?;
    let _registered = register("clients", machine)?;
    dump_on_signal()?;
    let shutdown = Shutdown::new(&mut multiplexer, *grace)?;
    print(format_args!("listening on {}", listener.local_addr()?))?;
    let server = Server {
        listener,
        registry,
        shutdown,
        buffer: vec![0; 64 * 1024].into(),
        bytes: 0,
    };
    server.run(machine, multiplexer)
}

const USAGE: &str =
    "usage: echo ADDRESS:PORT [--slots N] [--grace SECONDS] [--backend epoll|uring]";

struct Options {
    address: String,
    slots: usize,
    /// How long the last clients get for reading what is owed to them.
    grace: Duration,
    backend: Backend,
}

fn options() -> Result<Option<Options>, Box<dyn Error>> {
    use lexopt::{Arg, ValueExt};
    let mut parser = lexopt::Parser::from_env();
    let mut address = None;
    let mut slots = 128;
    let mut grace = Duration::from_secs(5);
    let mut backend = Backend::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("slots") => slots = number(&mut parser, "--slots", 1..=SLOTS)?,
            Arg::Long("grace") => grace = seconds(&mut parser, "--grace")?,
            Arg::Long("backend") => backend = parser.value()?.parse()?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(value) if address.is_none() => address = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let address = address.ok_or(USAGE)?;
    Ok(Some(Options {
        address,
        slots,
        grace,
        backend,
    }))
}

fn main() -> ExitCode {
    let outcome = options().and_then(|options| match options {
        None => Ok(print(USAGE)?),
        Some(options) => {
            raise_limit_of_files();
            start(&options)
        }
    });
    finish("echo", outcome)
}
