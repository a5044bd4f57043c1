//! A server that is one task of a tokio runtime, beside ordinary ones.
//!
//! ```text
//! cargo run --release --example hosted -- 127.0.0.1:7777
//! cargo run --release --example hosted -- 127.0.0.1:0 --clients 100 --rounds 1000
//! ```
//!
//! The server sends back whatever its clients send, and lets no client stay that says nothing for `--idle` seconds (60), or
//! does not read. `--clients` tasks (4) of the same runtime are clients of it, for `--rounds` round trips each (1000);
//! when they are through, one line says so, and the server goes on. All of it is one thread. SIGINT or SIGTERM, for
//! which other tasks wait, ends it with a summary. SIGUSR1 prints every client of the server.
//!
//! Begin with `host`, the loop; the server itself is `entry`, as it is without tokio.

use std::{
    cell::Cell,
    error::Error,
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    process::ExitCode,
    rc::Rc,
    time::{Duration, Instant},
};

use batchloop_core::{Capacity, Events, Machine, Me, Step, Turn, point};
use batchloop_eventfd::{Deadlines, Listener, Multiplexer, Received, Registry, Stream};
use batchloop_examples::{
    Backend, SLOTS, dump_on_signal, finish, note, number, print, raise_limit_of_files, seconds,
};
use batchloop_std::register;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest, unix::AsyncFd},
    net::TcpStream,
    runtime,
    signal::unix::{SignalKind, signal},
    task::{self, JoinError, LocalSet},
    time::timeout_at,
};

/// How much one client may send and receive before the others have their turn.
const ROUNDS: usize = 16;

/// How exact idle time is: clients whose time is over close together go together.
const RESOLUTION: Duration = Duration::from_millis(10);

/// The state of one client.
struct Client {
    stream: Stream,
    /// What was received and could not be sent back yet.
    owed: Vec<u8>,
}

/// What the entry point works on beside the states.
struct Server {
    listener: Listener,
    registry: Registry,
    deadlines: Deadlines<'static>,
    idle: Duration,
    buffer: Box<[u8]>,
    bytes: u64,
}

/// The entry point.
fn entry(cx: &mut Turn<'_, Client>, server: &mut Server) {
    let new_client = |stream| Client {
        stream,
        owed: Vec::new(),
    };
    server.listener.accept(cx, &server.registry, new_client);
    let new = cx.arrivals().for_each(|_, me| {
        server
            .deadlines
            .arm(me.token(), Instant::now() + server.idle)
    });
    cx.stage(point!("echo"), new)
        .advance(|client, me| server.echo(client, me));
}

/// The loop: that of `Multiplexer::poll_hosted`, asleep in tokio.
async fn host(
    machine: Machine<Client>,
    server: &mut Server,
    mut multiplexer: Multiplexer,
    ends: Rc<Cell<bool>>,
) -> Result<(), Box<dyn Error>> {
    let mut driver = machine.driver()?;
    let bell = listen_to(&multiplexer)?;
    while !ends.get() {
        driver.turn(|cx| entry(cx, server))?;
        // The time from before all is collected: a client that has said something in time is not late.
        let now = Instant::now();
        let is_settled = multiplexer.poll_hosted(&[driver.watch()])?;
        let late = server.deadlines.expire(now, &machine);
        if is_settled && late == 0 {
            let deadlines = [server.deadlines.next(), server.listener.deadline()];
            sleep(&bell, deadlines.into_iter().flatten().min()).await?;
        } else {
            // There is work, but the other tasks have some too.
            task::yield_now().await;
        }
    }
    Ok(())
}

/// The multiplexer's descriptor among tokio's own.
#[allow(
    deprecated,
    reason = "the other constructor asks for a promise that the descriptor stays open; this one is owned"
)]
fn listen_to(multiplexer: &Multiplexer) -> io::Result<AsyncFd<OwnedFd>> {
    let bell = multiplexer.as_fd().try_clone_to_owned()?;
    AsyncFd::with_interest(bell, Interest::READABLE)
}

/// Sleeps until there is something to collect, or the deadline is there.
async fn sleep(bell: &AsyncFd<OwnedFd>, deadline: Option<Instant>) -> io::Result<()> {
    let readable = bell.readable();
    let readable = match deadline {
        None => readable.await,
        Some(deadline) => match timeout_at(deadline.into(), readable).await {
            Ok(readable) => readable,
            Err(_) => return Ok(()),
        },
    };
    // What comes from here on is a new edge; what came before is collected by the next `poll_hosted`.
    readable?.clear_ready();
    Ok(())
}

impl Server {
    fn echo(&mut self, client: &mut Client, me: Me<Client>) -> Step {
        client.stream.note(me);
        for _ in 0..ROUNDS {
            match self.exchange(client) {
                Ok(Received::Bytes(_)) => {
                    let until = Instant::now() + self.idle;
                    self.deadlines.arm(me.token(), until);
                }
                Ok(Received::Nothing) if me.take(Events::DEADLINE).is_empty() => return Step::Wait,
                Ok(Received::Nothing | Received::End) | Err(_) => return Step::Release,
            }
        }
        // There may be more, and nothing else would say so: edges are reported once.
        Step::Again
    }

    /// Sends what is owed; if nothing is any more, receives something and sends it back.
    fn exchange(&mut self, client: &mut Client) -> io::Result<Received> {
        let sent = client.stream.send(&client.owed)?;
        self.bytes += sent as u64;
        client.owed.drain(..sent);
        if !client.owed.is_empty() {
            return Ok(Received::Nothing);
        }
        client.owed = Vec::new();
        let received = client.stream.receive(&mut self.buffer)?;
        if let Received::Bytes(received) = received {
            let bytes = &self.buffer[..received];
            let sent = client.stream.send(bytes)?;
            self.bytes += sent as u64;
            client.owed.extend_from_slice(&bytes[sent..]);
        }
        Ok(received)
    }
}

/// An ordinary task: a client.
async fn converse(server: SocketAddr, rounds: u64) -> io::Result<u64> {
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    for round in 0..rounds {
        stream.write_all(&round.to_le_bytes()).await?;
        let answer = stream.read_u64_le().await?;
        if answer != round {
            return Err(io::Error::other("another answer"));
        }
    }
    Ok(rounds)
}

/// An ordinary task: all clients, and what they say in the end.
async fn visit(server: SocketAddr, clients: usize, rounds: u64) -> Result<(), JoinError> {
    let clients: Vec<_> = (0..clients)
        .map(|_| task::spawn_local(converse(server, rounds)))
        .collect();
    let (mut made, mut failed) = (0, 0);
    for client in clients {
        match client.await? {
            Ok(rounds) => made += rounds,
            Err(_) => failed += 1,
        }
    }
    note(
        "hosted",
        &format!("{made} round trips, {failed} clients failed"),
    );
    Ok(())
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let address = &options.address;
    let machine: Machine<Client> = Machine::heap(Capacity::slots(options.slots).points(1));
    let mut multiplexer = options.backend.multiplexer()?;
    let registry = multiplexer.add(machine)?;
    let listener = Listener::bind(&mut multiplexer, address.as_str())
        .map_err(|error| format!("{address}: {error}"))?;
    let _registered = register("clients", machine)?;
    dump_on_signal()?;
    let ends = Rc::new(Cell::new(false));
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind)?;
        let ends = Rc::clone(&ends);
        task::spawn_local(async move {
            signals.recv().await;
            ends.set(true);
            machine.counter().ring();
        });
    }
    let address = listener.local_addr()?;
    print(format_args!("listening on {address}"))?;
    task::spawn_local(visit(address, options.clients, options.rounds));
    let mut server = Server {
        listener,
        registry,
        deadlines: Deadlines::heap(machine.capacity(), RESOLUTION),
        idle: options.idle,
        buffer: vec![0; 64 * 1024].into(),
        bytes: 0,
    };
    host(machine, &mut server, multiplexer, ends).await?;
    note(
        "hosted",
        &format!(
            "{} clients, {} bytes sent back, {} cut off",
            server.listener.accepted().clients,
            server.bytes,
            machine.live()
        ),
    );
    Ok(())
}

fn start(options: Options) -> Result<(), Box<dyn Error>> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // A machine of one thread stays there, and so does its task.
    LocalSet::new().block_on(&runtime, serve(options))
}

const USAGE: &str = "usage: hosted ADDRESS:PORT [--slots N] [--idle SECONDS] [--clients N] [--rounds N] \
    [--backend epoll|uring]";

struct Options {
    address: String,
    slots: usize,
    idle: Duration,
    clients: usize,
    rounds: u64,
    backend: Backend,
}

fn options() -> Result<Option<Options>, Box<dyn Error>> {
    use lexopt::{Arg, ValueExt};
    let mut parser = lexopt::Parser::from_env();
    let mut address = None;
    let (mut slots, mut clients, mut rounds) = (128, 4, 1000);
    let mut idle = Duration::from_secs(60);
    let mut backend = Backend::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("slots") => slots = number(&mut parser, "--slots", 1..=SLOTS)?,
            Arg::Long("idle") => idle = seconds(&mut parser, "--idle")?,
            Arg::Long("clients") => clients = number(&mut parser, "--clients", 0..=SLOTS)?,
            Arg::Long("rounds") => rounds = number(&mut parser, "--rounds", 0..=u64::MAX)?,
            Arg::Long("backend") => backend = parser.value()?.parse()?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(value) if address.is_none() => address = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(Options {
        address: address.ok_or(USAGE)?,
        slots,
        idle,
        clients,
        rounds,
        backend,
    }))
}

fn main() -> ExitCode {
    let outcome = options().and_then(|options| match options {
        None => Ok(print(USAGE)?),
        Some(options) => {
            raise_limit_of_files();
            start(options)
        }
    });
    finish("hosted", outcome)
}
