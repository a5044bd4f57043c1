//! Sends back whatever its clients send, to any number of them.
//!
//! ```text
//! cargo run --release --example echo -- 127.0.0.1:7777
//! cargo run --release --example echo -- 127.0.0.1:0 --slots 10000
//! ```
//!
//! Bytes go back as they come, so lines of any length do, and none is kept whole in memory. A client that does not
//! read is not read from either. `--slots` clients (128 if it is not given) are served at once: beyond that, or
//! beyond the limit of open files, the others wait in the kernel's queue until one leaves. SIGINT or SIGTERM stops
//! accepting, sends what is still owed, for at most 5 seconds, and ends with a summary; a second one ends at once.
//! SIGUSR1 prints every client and where it waits.
//!
//! Begin with `entry`.

use std::{
    error::Error,
    io::{self, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use batchloop_core::{Capacity, Machine, Me, Step, Turn, point};
use batchloop_eventfd::{Multiplexer, Producer, Registry};
use batchloop_std::{dump_all, register};
use rustix::{
    io::Errno,
    net::{SocketFlags, accept_with, listen},
    process::{Resource, getrlimit, setrlimit},
};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

/// How long the last clients get for reading what is owed to them.
const DRAIN: Duration = Duration::from_secs(5);

/// How soon accepting is tried again where the system has no descriptor left, if no client of ours leaves before.
const RETRY: Duration = Duration::from_secs(1);

/// How much one client may send and receive before the others have their turn.
const ROUNDS: usize = 16;

/// How many clients the kernel may keep waiting.
const BACKLOG: i32 = 4096;

/// The state of one client.
struct Client {
    socket: TcpStream,
    /// What was received and could not be sent back yet.
    owed: Vec<u8>,
}

/// The entry point.
fn entry(cx: &mut Turn<'_, Client>, server: &mut Server) {
    // The slab is the limit: while it is full, clients wait in the kernel.
    while server.is_accepting()
        && let Ok(slot) = cx.reserve()
        && let Some(socket) = server.accept()
    {
        let owed = Vec::new();
        slot.commit(Client { socket, owed });
    }
    let new = cx.arrivals();

    let registered = new.advance(|client, me| server.register(client, me));
    let done = cx
        .stage(point!("echo"), registered)
        .advance(|client, me| server.echo(client, me));

    done.advance(|_, _| {
        server.clients_left();
        Step::Release
    });
}

/// What the entry point works on beside the states.
struct Server {
    listener: TcpListener,
    arrivals: Producer,
    signals: UnixStream,
    signalled: Producer,
    registry: Registry,
    machine: Machine<Client>,
    buffer: Box<[u8]>,
    /// Set while there is no descriptor for another client.
    retry: Option<Instant>,
    warned: bool,
    /// Set once we are told to end.
    drain: Option<Instant>,
    clients: u64,
    bytes: u64,
}

impl Server {
    fn is_accepting(&self) -> bool {
        self.arrivals.is_ready() && self.retry.is_none() && self.drain.is_none()
    }

    fn accept(&mut self) -> Option<TcpStream> {
        loop {
            match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => {
                    self.clients += 1;
                    return Some(socket.into());
                }
                Err(Errno::AGAIN) => {
                    self.arrivals.exhausted();
                    return None;
                }
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    if !self.warned {
                        note("too many open files; clients wait until one leaves");
                        self.warned = true;
                    }
                    self.retry = Some(Instant::now() + RETRY);
                    return None;
                }
                // That client has gone before we came to it; the next one may be there.
                Err(_) => {}
            }
        }
    }

    fn register(&mut self, client: &mut Client, me: Me<Client>) -> Step {
        match self.registry.add(&client.socket, me.token()) {
            Ok(()) => Step::Next,
            Err(error) => {
                note(&format!("a client is turned away: {error}"));
                Step::Release
            }
        }
    }

    fn echo(&mut self, client: &mut Client, me: Me<Client>) -> Step {
        for _ in 0..ROUNDS {
            match self.exchange(client) {
                Ok(0) => return Step::Next,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let nothing_owed = client.owed.is_empty();
                    return match self.drain {
                        Some(_) if nothing_owed => Step::Next,
                        _ => Step::Wait,
                    };
                }
                // The client has gone without a farewell.
                Err(_) => return Step::Next,
            }
        }
        // There may be more, and nobody else would say so: edges are reported once.
        let _ = me.waker().wake();
        Step::Wait
    }

    /// Sends what is owed, or else receives something and sends it back. Answers 0 at the client's end.
    fn exchange(&mut self, client: &mut Client) -> io::Result<usize> {
        if client.owed.is_empty() {
            let received = client.socket.read(&mut self.buffer)?;
            let mut rest = &self.buffer[..received];
            while !rest.is_empty() {
                match client.socket.write(rest) {
                    Ok(sent) => rest = &rest[sent..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            client.owed.extend_from_slice(rest);
            self.bytes += (received - rest.len()) as u64;
            return Ok(received);
        }
        let sent = client.socket.write(&client.owed)?;
        client.owed.drain(..sent);
        if client.owed.is_empty() {
            client.owed = Vec::new();
        }
        self.bytes += sent as u64;
        Ok(sent)
    }

    fn clients_left(&mut self) {
        if self.retry.take().is_some() {
            // Its descriptor is free when this turn is over, and the waiting client is nobody's state yet.
            self.arrivals_again();
        }
    }

    fn arrivals_again(&self) {
        self.machine.counter().ring();
    }

    /// Handles what came by signal. Answers whether to end at once.
    fn is_told_to_end(&mut self, machine: Machine<Client>) -> bool {
        if !self.signalled.is_ready() {
            return false;
        }
        self.signalled.exhausted();
        let mut signals = [0; 16];
        while let Ok(count @ 1..) = self.signals.read(&mut signals) {
            if self.drain.is_some() || count > 1 {
                return true;
            }
            self.drain = Some(Instant::now() + DRAIN);
            // Those who wait for their client to say something must look again.
            for client in machine.handles() {
                let _ = machine.wake(client);
            }
        }
        false
    }

    fn deadline(&self) -> Option<Instant> {
        self.drain.or(self.retry)
    }

    fn run(mut self, mut multiplexer: Multiplexer) -> Result<(), Box<dyn Error>> {
        let machine = self.machine;
        let mut driver = machine.driver()?;
        loop {
            driver.turn(|cx| entry(cx, &mut self))?;
            let now = Instant::now();
            let drained = self.drain.is_some() && machine.live() == 0;
            if drained || self.drain.is_some_and(|until| now >= until) {
                break;
            }
            let deadline = self.deadline();
            multiplexer.poll(&[driver.watch()], deadline)?;
            if self.retry.is_some_and(|when| Instant::now() >= when) {
                self.retry = None;
            }
            if self.is_told_to_end(machine) {
                break;
            }
        }
        note(&format!(
            "{} clients, {} bytes sent back, {} cut off",
            self.clients,
            self.bytes,
            machine.live()
        ));
        Ok(())
    }
}

/// Says one line on standard error, and goes on if nobody can hear it there.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "echo: {}", text.replace('\n', "\\n"));
}

/// Prints what the whole system is doing, whenever SIGUSR1 comes, on a thread of its own: nobody waits for it.
fn dump_on_signal() -> io::Result<()> {
    let (mut signals, sender) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGUSR1, sender)?;
    let dumping = move || {
        while let Ok(1..) = signals.read(&mut [0]) {
            // Nobody may hear it there.
            let _ = write!(io::stderr(), "{}", dump_all());
        }
    };
    thread::Builder::new().name("dump".into()).spawn(dumping)?;
    Ok(())
}

fn start(address: &str, slots: usize) -> Result<(), Box<dyn Error>> {
    let machine: Machine<Client> = Machine::heap(Capacity::slots(slots).points(1).scopes(0));
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    listener.set_nonblocking(true)?;
    listen(&listener, BACKLOG)?;
    let mut multiplexer = Multiplexer::new()?;
    let registry = multiplexer.add(machine)?;
    let _registered = register("clients", machine)?;
    dump_on_signal()?;
    let (signals, sender) = UnixStream::pair()?;
    signals.set_nonblocking(true)?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, sender.try_clone()?)?;
    }
    writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
    let server = Server {
        arrivals: multiplexer.add_producer(&listener)?,
        signalled: multiplexer.add_producer(&signals)?,
        listener,
        signals,
        registry,
        machine,
        buffer: vec![0; 64 * 1024].into(),
        retry: None,
        warned: false,
        drain: None,
        clients: 0,
        bytes: 0,
    };
    server.run(multiplexer)
}

/// A client costs a descriptor, so this process takes as many as it may.
fn raise_limit_of_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it the server holds fewer clients at once; the others wait.
    let _ = setrlimit(Resource::Nofile, limit);
}

const USAGE: &str = "usage: echo ADDRESS:PORT [--slots N]";

fn options() -> Result<Option<(String, usize)>, Box<dyn Error>> {
    use lexopt::{Arg, ValueExt};
    let mut parser = lexopt::Parser::from_env();
    let mut address = None;
    let mut slots = 128;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("slots") => {
                slots = parser.value()?.parse()?;
                if !(1..=1 << 24).contains(&slots) {
                    return Err("--slots must be from 1 to 16777216".into());
                }
            }
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(value) if address.is_none() => address = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let address = address.ok_or(USAGE)?;
    Ok(Some((address, slots)))
}

fn main() -> ExitCode {
    let outcome = options().and_then(|options| match options {
        None => Ok(writeln!(io::stdout(), "{USAGE}")?),
        Some((address, slots)) => {
            raise_limit_of_files();
            start(&address, slots)
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&error.to_string());
            ExitCode::from(2)
        }
    }
}
