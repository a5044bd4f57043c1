//! One HTTP request in three phases, on a socket that never blocks.
//!
//! Each phase does what can be done now and says `Step::Next` when it is through, or `Step::Wait`
//! when the socket has to become ready first. A call that has failed passes through the phases
//! that are left, so that whoever made the batch gets all of its calls back.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::{error, fmt};

use batchloop_core::{Events, Me, Step};
use batchloop_eventfd::Registry;
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
    buffer: Box<[u8]>,
}

impl Network {
    pub(crate) fn new(origin: Origin, registry: Registry) -> Self {
        Network {
            origin,
            registry,
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
            _ => Failure::Io(error),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Response(fault)
    }
}

/// The state of a call.
pub(crate) struct Http {
    request: Vec<u8>,
    sent: usize,
    /// Which of the host's addresses is tried.
    address: usize,
    /// Open from the first attempt to connect until the call has ended.
    socket: Option<TcpStream>,
    response: Response,
    /// The deadline has passed: what cannot be done now has failed.
    expired: bool,
    failure: Option<Failure>,
}

impl Http {
    /// A GET for the job of this name.
    pub(crate) fn get(url: &Url, name: &[u8]) -> Self {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: batchloop-article\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            url.target(name),
            url.authority
        );
        Http {
            request: request.into_bytes(),
            sent: 0,
            address: 0,
            socket: None,
            response: Response::new(),
            expired: false,
            failure: (name.len() > MAX_NAME).then_some(Failure::NameTooLong),
        }
    }

    /// What came of the call, once it has left the last phase.
    pub(crate) fn outcome(&self) -> Result<&Response, &Failure> {
        self.failure.as_ref().map_or(Ok(&self.response), Err)
    }

    pub(crate) fn connect(&mut self, me: Me<Http>, network: &Network) -> Step {
        self.attempt(me, |http| http.try_connect(me, network))
    }

    pub(crate) fn send(&mut self, me: Me<Http>) -> Step {
        self.attempt(me, Http::try_send)
    }

    pub(crate) fn receive(&mut self, me: Me<Http>, network: &mut Network) -> Step {
        self.attempt(me, |http| http.try_receive(me, &mut network.buffer))
    }

    fn attempt(
        &mut self,
        me: Me<Http>,
        phase: impl FnOnce(&mut Http) -> Result<Step, Failure>,
    ) -> Step {
        if self.failure.is_some() {
            return Step::Next;
        }
        // Kept: an event is told once, and the phase that hears of it may be through.
        self.expired |= me.events().contains(Events::DEADLINE);
        match phase(self) {
            Ok(Step::Wait) if self.expired => self.fail(Failure::TimedOut),
            Ok(step) => step,
            Err(failure) => self.fail(failure),
        }
    }

    fn fail(&mut self, failure: Failure) -> Step {
        self.socket = None;
        self.failure = Some(failure);
        Step::Next
    }

    fn try_connect(&mut self, me: Me<Http>, network: &Network) -> Result<Step, Failure> {
        let addresses = &network.origin.addresses;
        loop {
            let address = &addresses[self.address];
            let connected = match &self.socket {
                // Asked again, `connect` tells what has become of the attempt.
                Some(socket) => rustix::net::connect(socket, address).map_err(Into::into),
                None => self.open(me, address, &network.registry),
            };
            let Err(error) = connected else {
                return Ok(Step::Next);
            };
            match Errno::from_io_error(&error) {
                Some(Errno::ISCONN) => return Ok(Step::Next),
                Some(Errno::INPROGRESS | Errno::ALREADY | Errno::INTR) => return Ok(Step::Wait),
                _ if self.address + 1 < addresses.len() => {
                    self.socket = None;
                    self.address += 1;
                }
                _ => return Err(error.into()),
            }
        }
    }

    /// Begins to connect, on a socket that neither blocks nor leaks into child processes.
    fn open(&mut self, me: Me<Http>, to: &SocketAddr, registry: &Registry) -> io::Result<()> {
        let family = match to {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        let socket = self.socket.insert(TcpStream::from(socket));
        let connected = rustix::net::connect(&*socket, to);
        // Edge-triggered, and once: the phases try until they would block.
        registry.add(&*socket, me.token())?;
        Ok(connected?)
    }

    fn try_send(&mut self) -> Result<Step, Failure> {
        let Some(socket) = &mut self.socket else {
            return Ok(Step::Next);
        };
        while self.sent < self.request.len() {
            match socket.write(&self.request[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(Step::Wait),
                    io::ErrorKind::Interrupted => {}
                    // The server wants no more of the request; it may have answered already.
                    io::ErrorKind::BrokenPipe => break,
                    _ => return Err(error.into()),
                },
            }
        }
        Ok(Step::Next)
    }

    fn try_receive(&mut self, me: Me<Http>, buffer: &mut [u8]) -> Result<Step, Failure> {
        let Some(socket) = &mut self.socket else {
            return Ok(Step::Next);
        };
        for _ in 0..READS {
            let complete = match socket.read(buffer) {
                Ok(0) => self.response.close().map(|()| true)?,
                Ok(n) => self.response.push(&buffer[..n])?,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(Step::Wait),
                    io::ErrorKind::Interrupted => false,
                    _ => return Err(error.into()),
                },
            };
            if complete {
                self.socket = None;
                return Ok(Step::Next);
            }
        }
        // There may be more to read, of which no edge will tell.
        let _ = me.waker().wake();
        Ok(Step::Wait)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use batchloop_core::{Capacity, Machine};
    use batchloop_eventfd::Multiplexer;

    use super::*;
    use crate::{make_http_calls, server};

    /// Makes one call, on a machine whose states are nothing but calls.
    fn status(addresses: Vec<SocketAddr>) -> Option<u16> {
        let url = Url::parse("http://name/{}").expect("a URL");
        let machine = Machine::<Http>::heap(Capacity::slots(1));
        let mut multiplexer = Multiplexer::new().expect("a multiplexer");
        let registry = multiplexer.add(machine).expect("no other bell");
        let mut driver = machine.driver().expect("a driver");
        let mut network = Network::new(Origin { url, addresses }, registry);
        let call = Http::get(&network.origin.url, b"x");
        machine.allocate(call).expect("a slot");
        let mut status = None;
        loop {
            let turn = driver.turn(|cx| {
                let calls = cx.arrivals();
                make_http_calls(cx, calls, &mut network).advance(|http, _| {
                    status = http.outcome().ok().map(Response::status);
                    Step::Release
                });
            });
            turn.expect("no fault");
            if machine.live() == 0 {
                break;
            }
            multiplexer.poll(&[driver.watch()], None).expect("polls");
        }
        status
    }

    #[test]
    fn the_next_address_is_tried() {
        // Bound, but not listening: nobody else can have its port meanwhile.
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let deaf = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None);
        let deaf = TcpStream::from(deaf.expect("a socket"));
        rustix::net::bind(&deaf, &any).expect("loopback");
        let refuses = deaf.local_addr().expect("bound");
        let serves = server::start().expect("a server");
        assert_eq!(status(vec![refuses, serves]), Some(200));
        assert_eq!(status(vec![refuses, refuses]), None);
    }
}
