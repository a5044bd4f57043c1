//! One HTTP request in three phases, on a socket that never blocks.
//!
//! Each phase does what can be done now and says `Step::Next` when it is through, or `Step::Wait`
//! when the socket has to become ready first. A call that has failed passes through the phases
//! that are left, so that the caller gets all calls of its batch back.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use std::{error, fmt};

use batchloop_core::{Events, Me, Step};
use batchloop_eventfd::{Deadlines, Registry};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::http::{Fault, Response};
use crate::options::Url;
use crate::queue::MAX_NAME;

/// How often a call reads in one turn, so that a fast server cannot hold up the other calls.
const READS: usize = 16;

/// Where the requests go.
pub(crate) struct Origin {
    pub(crate) url: Url,
    /// All addresses of the host; never empty.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// What all calls share.
pub(crate) struct Network {
    pub(crate) origin: Origin,
    pub(crate) registry: Registry,
    pub(crate) deadlines: Deadlines<'static>,
    /// How long a call may take.
    timeout: Duration,
    /// The address that was the last to be there: the next calls begin with it.
    reached: usize,
    buffer: Box<[u8]>,
}

impl Network {
    pub(crate) fn new(
        origin: Origin,
        registry: Registry,
        deadlines: Deadlines<'static>,
        timeout: Duration,
    ) -> Self {
        Network {
            origin,
            registry,
            deadlines,
            timeout,
            reached: 0,
            buffer: vec![0; 64 * 1024].into(),
        }
    }
}

/// Why a call has no response.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused,
    Reset,
    TimedOut,
    /// Nothing listens at the port, and it was the local one by chance.
    Itself,
    NoPort,
    NameTooLong,
    Response(Fault),
    Io(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused => f.write_str("connection refused"),
            Failure::Reset => f.write_str("connection reset"),
            Failure::TimedOut => f.write_str("timed out"),
            Failure::Itself => f.write_str("connection refused: it was one to itself"),
            Failure::NoPort => f.write_str("no local port is left, or no local address fits"),
            Failure::NameTooLong => write!(f, "the job's name has over {MAX_NAME} bytes"),
            Failure::Response(fault) => fault.fmt(f),
            Failure::Io(error) => error.fmt(f),
        }
    }
}

impl error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Failure::Refused,
            io::ErrorKind::ConnectionReset => Failure::Reset,
            io::ErrorKind::TimedOut => Failure::TimedOut,
            io::ErrorKind::AddrNotAvailable => Failure::NoPort,
            _ => Failure::Io(error),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Response(fault)
    }
}

/// How far a phase has come.
enum Done {
    /// It is through.
    All,
    /// The socket has to become ready first.
    Now,
    /// The others have their turn first.
    Enough,
}

/// The state of a call.
pub(crate) struct Http {
    request: Vec<u8>,
    sent: usize,
    /// When the call has failed at the latest.
    until: Instant,
    /// Which of the host's addresses is tried, and how many come after it.
    address: usize,
    left: usize,
    /// Open from the first attempt to connect until the call has ended.
    socket: Option<TcpStream>,
    /// How the connection has broken. What came before is still to be read.
    broken: Option<Failure>,
    response: Response,
    failure: Option<Failure>,
}

impl Http {
    /// A GET for the job of this name.
    pub(crate) fn get(network: &Network, name: &[u8]) -> Self {
        let Origin { url, addresses } = &network.origin;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: batchloop-article\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            url.target(name),
            url.authority
        );
        Http {
            request: request.into_bytes(),
            sent: 0,
            until: Instant::now() + network.timeout,
            address: network.reached,
            left: addresses.len(),
            socket: None,
            broken: None,
            response: Response::new(),
            failure: (name.len() > MAX_NAME).then_some(Failure::NameTooLong),
        }
    }

    /// What came of the call, once it has left the last phase.
    pub(crate) fn outcome(&self) -> Result<&Response, &Failure> {
        self.failure.as_ref().map_or(Ok(&self.response), Err)
    }

    pub(crate) fn connect(&mut self, me: Me<Http>, network: &mut Network) -> Step {
        self.attempt(me, network, Http::try_connect)
    }

    pub(crate) fn send(&mut self, me: Me<Http>, network: &mut Network) -> Step {
        self.attempt(me, network, |http, _, _| http.try_send())
    }

    pub(crate) fn receive(&mut self, me: Me<Http>, network: &mut Network) -> Step {
        let step = self.attempt(me, network, |http, _, network| {
            http.try_receive(&mut network.buffer)
        });
        if let Step::Next = step {
            network.deadlines.cancel(me.token());
        }
        step
    }

    /// The deadline is looked at where nothing can be done now, and not before: a call whose response has come does not
    /// fail because this program was late to read it.
    fn attempt(
        &mut self,
        me: Me<Http>,
        network: &mut Network,
        phase: impl FnOnce(&mut Http, Me<Http>, &mut Network) -> Result<Done, Failure>,
    ) -> Step {
        if self.failure.is_some() {
            return Step::Next;
        }
        let failure = match phase(self, me, network) {
            Ok(Done::All) => return Step::Next,
            Ok(Done::Now) if me.take(Events::DEADLINE).is_empty() => return Step::Wait,
            Ok(Done::Now) => Failure::TimedOut,
            Ok(Done::Enough) => return Step::Again,
            Err(failure) => failure,
        };
        self.socket = None;
        self.failure = Some(failure);
        Step::Next
    }

    /// Tries one address after the other; each has its share of the time that is left.
    fn try_connect(&mut self, me: Me<Http>, network: &mut Network) -> Result<Done, Failure> {
        loop {
            let tried = match &self.socket {
                None => self.open(me, network),
                Some(socket) => is_connected(socket),
            };
            let failure = match tried.or_else(|failure| self.has_answer(failure)) {
                Ok(true) => {
                    network.reached = self.address;
                    network.deadlines.arm(me.token(), self.until);
                    return Ok(Done::All);
                }
                // The time of the last address is the call's.
                Ok(false) if self.left == 0 || me.take(Events::DEADLINE).is_empty() => {
                    return Ok(Done::Now);
                }
                Ok(false) => Failure::TimedOut,
                Err(failure) => failure,
            };
            if self.left == 0 {
                return Err(failure);
            }
            self.socket = None;
            self.address = (self.address + 1) % network.origin.addresses.len();
        }
    }

    /// Begins to connect, on a socket that neither blocks nor leaks into child processes.
    fn open(&mut self, me: Me<Http>, network: &mut Network) -> Result<bool, Failure> {
        let now = Instant::now();
        let share = self.until.saturating_duration_since(now) / self.left as u32;
        self.left -= 1;
        network.deadlines.arm(me.token(), now + share);
        // What an earlier socket has said.
        let _ = me.take(Events::READABLE | Events::WRITABLE | Events::CLOSED);
        let to = &network.origin.addresses[self.address];
        let family = match to {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None);
        let socket = self
            .socket
            .insert(TcpStream::from(socket.map_err(io::Error::from)?));
        match rustix::net::connect(&*socket, to) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        // Edge-triggered, and once: the phases try until they would block.
        network.registry.add(&*socket, me.token())?;
        is_connected(socket)
    }

    /// A connection that has been made and has broken since is good if there is an answer to read.
    fn has_answer(&mut self, failure: Failure) -> Result<bool, Failure> {
        let is_broken = match &failure {
            Failure::Reset => true,
            Failure::Io(error) => error.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        };
        match &self.socket {
            Some(socket) if is_broken && matches!(socket.peek(&mut [0]), Ok(1..)) => {
                self.break_off(failure);
                Ok(true)
            }
            _ => Err(failure),
        }
    }

    /// Nothing more can be sent. Behind the end of what the server sends, a broken pipe is no harm; anything else says that
    /// there is no more to come than what came before.
    fn break_off(&mut self, failure: Failure) {
        let is_harmless =
            matches!(&failure, Failure::Io(error) if error.kind() == io::ErrorKind::BrokenPipe);
        if !is_harmless {
            self.broken = Some(failure);
        }
        self.sent = self.request.len();
    }

    fn try_send(&mut self) -> Result<Done, Failure> {
        while let Some(socket) = &mut self.socket
            && self.sent < self.request.len()
        {
            match socket.write(&self.request[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(Done::Now),
                    io::ErrorKind::Interrupted => {}
                    // It may have answered already.
                    _ => self.break_off(error.into()),
                },
            }
        }
        Ok(Done::All)
    }

    fn try_receive(&mut self, buffer: &mut [u8]) -> Result<Done, Failure> {
        let Some(socket) = &mut self.socket else {
            return Ok(Done::All);
        };
        for _ in 0..READS {
            let received = match socket.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                received => received,
            };
            let is_complete = match (received, self.broken.take()) {
                (Ok(0), None) => self.response.close().map(|()| true)?,
                (Ok(n @ 1..), broken) => {
                    self.broken = broken;
                    self.response.push(&buffer[..n])?
                }
                (_, Some(failure)) => return Err(failure),
                (Err(error), None) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Done::Now);
                }
                (Err(error), None) => return Err(error.into()),
            };
            if is_complete {
                self.socket = None;
                return Ok(Done::All);
            }
        }
        // There may be more to read, of which no edge will tell.
        Ok(Done::Enough)
    }
}

/// Whether a socket that has begun to connect is connected.
fn is_connected(socket: &TcpStream) -> Result<bool, Failure> {
    if let Some(error) = socket.take_error()? {
        return Err(error.into());
    }
    match socket.peer_addr() {
        // A port of the range that local ports are taken from can be its own.
        Ok(peer) if peer == socket.local_addr()? => Err(Failure::Itself),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
