use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::thread;

use batchloop_core::{Capacity, Driver, Machine};
use batchloop_eventfd::Multiplexer;
use rustix::net::sockopt;

use super::*;
use crate::{make_http_calls, server};

/// A machine whose states are nothing but calls, and which has one.
struct Calls {
    machine: Machine<Http>,
    driver: Driver<Http>,
    multiplexer: Multiplexer,
    network: Network,
    outcome: Option<Result<u16, String>>,
}

impl Calls {
    fn new(addresses: &[SocketAddr], timeout: Duration) -> Self {
        let url = Url::parse("http://name/{}").expect("a URL");
        let machine = Machine::<Http>::heap(Capacity::slots(1));
        let mut multiplexer = Multiplexer::new().expect("a multiplexer");
        let registry = multiplexer.add(machine).expect("no other bell");
        let addresses = addresses.to_vec();
        let deadlines = Deadlines::heap(machine.capacity(), Duration::from_millis(1));
        Calls {
            machine,
            driver: machine.driver().expect("a driver"),
            multiplexer,
            network: Network::new(Origin { url, addresses }, registry, deadlines, timeout),
            outcome: None,
        }
    }

    fn begin(&mut self) {
        self.begin_with(0);
    }

    /// The request has this many bytes at least.
    fn begin_with(&mut self, length: usize) {
        let mut call = Http::get(&self.network, b"x");
        call.request.resize(call.request.len().max(length), b'.');
        self.machine.allocate(call).expect("a slot");
    }

    fn turn(&mut self) {
        let (network, outcome) = (&mut self.network, &mut self.outcome);
        let turn = self.driver.turn(|cx| {
            let calls = cx.arrivals();
            make_http_calls(cx, calls, network).advance(|http, _| {
                let status = http.outcome().map(Response::status);
                *outcome = Some(status.map_err(ToString::to_string));
                Step::Release
            });
        });
        turn.expect("no fault");
    }

    fn wait(&mut self) {
        let deadline = self.network.deadlines.next();
        let watches = [self.driver.watch()];
        self.multiplexer.poll(&watches, deadline).expect("polls");
    }

    /// Whether the call waits at this point.
    fn is_at(&self, point: &str) -> bool {
        let place = format!("at \"{point}\"");
        self.machine.dump().to_string().contains(&place)
    }

    /// What becomes of the call, if its time does not pass.
    fn end(mut self) -> Result<u16, String> {
        while self.outcome.is_none() {
            self.wait();
            self.turn();
        }
        self.outcome.expect("it has ended")
    }

    /// Makes one call.
    fn call(&mut self) -> Result<u16, String> {
        self.begin();
        loop {
            self.turn();
            if let Some(outcome) = self.outcome.take() {
                return outcome;
            }
            self.wait();
            let deadlines = &mut self.network.deadlines;
            deadlines.expire(Instant::now(), &self.machine);
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

fn call(addresses: &[SocketAddr]) -> Result<u16, String> {
    Calls::new(addresses, PATIENCE).call()
}

/// A socket that is bound and does not listen: nobody else can have its port meanwhile.
fn deaf() -> (TcpStream, SocketAddr) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let deaf = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None);
    let deaf = TcpStream::from(deaf.expect("a socket"));
    rustix::net::bind(&deaf, &any).expect("loopback");
    let address = deaf.local_addr().expect("bound");
    (deaf, address)
}

/// A listener whose queue is full: who connects hears nothing.
fn hole() -> (Vec<TcpStream>, TcpListener) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    rustix::net::listen(&listener, 0).expect("it listens");
    let address = listener.local_addr().expect("bound");
    let short = Duration::from_millis(300);
    let connect = || TcpStream::connect_timeout(&address, short).ok();
    let queue = std::iter::from_fn(connect).take(100).collect();
    (queue, listener)
}

#[test]
fn the_next_address_is_tried() {
    let (_deaf, refuses) = deaf();
    let serves = server::start().expect("a server");
    assert_eq!(call(&[refuses, serves]), Ok(200));
    assert_eq!(
        call(&[refuses, refuses, refuses]),
        Err("connection refused".into())
    );
    // Where there is IPv6, nobody listens there either.
    let other = SocketAddr::from((Ipv6Addr::LOCALHOST, refuses.port()));
    assert_eq!(call(&[other, serves]), Ok(200));
}

#[test]
fn an_address_that_says_nothing_has_no_more_than_its_share_of_the_time() {
    let (_queue, hole) = hole();
    let silent = hole.local_addr().expect("bound");
    let serves = server::start().expect("a server");
    let mut calls = Calls::new(&[silent, silent, serves], Duration::from_secs(6));
    assert_eq!(calls.call(), Ok(200));
    // The next call begins where this one ended, so it needs no share of anything.
    calls.begin();
    calls.turn();
    assert_eq!(calls.network.reached, 2);
    while calls.outcome.is_none() {
        calls.wait();
        calls.turn();
    }
    assert_eq!(calls.outcome, Some(Ok(200)));

    let mut calls = Calls::new(&[silent, silent], Duration::from_millis(100));
    assert_eq!(calls.call(), Err("timed out".into()));
}

#[test]
fn a_connection_to_itself_is_refused() {
    let (socket, address) = deaf();
    for ip in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
        let itself = SocketAddr::from((ip, address.port()));
        match rustix::net::connect(&socket, &itself) {
            Ok(()) | Err(Errno::ISCONN) => {}
            other => panic!("{other:?}"),
        }
    }
    let failure = is_connected(&socket).map_err(|failure| failure.to_string());
    assert_eq!(
        failure,
        Err("connection refused: it was one to itself".into())
    );
}

/// Answers a call and resets the connection, while the call does nothing.
fn answer_and_reset(stream: TcpStream, answer: &str) {
    (&stream).write_all(answer.as_bytes()).expect("sent");
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("a socket");
}

/// What becomes of a call whose server does so when it has sent as much of its request as there was room for.
fn answered_and_reset(answer: &str, request: usize) -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let mut calls = Calls::new(&[listener.local_addr().expect("bound")], PATIENCE);
    calls.begin_with(request);
    calls.turn();
    let (stream, _) = listener.accept().expect("accepted");
    if request > 0 {
        while !calls.is_at("send") {
            calls.wait();
            calls.turn();
        }
    }
    answer_and_reset(stream, answer);
    calls.end()
}

/// The same before the call has seen that it is connected.
fn reset_at_once(answer: &str) -> Result<u16, String> {
    let (queue, hole) = hole();
    let mut calls = Calls::new(&[hole.local_addr().expect("bound")], PATIENCE);
    calls.begin();
    calls.turn();
    assert!(calls.is_at("connect"));
    for _ in queue {
        drop(hole.accept());
    }
    let (stream, _) = hole.accept().expect("the kernel tries again");
    answer_and_reset(stream, answer);
    calls.end()
}

#[test]
fn an_answer_before_a_reset_is_read() {
    let reset = Err(String::from("connection reset"));
    for request in [0, 64 << 20] {
        let answered = |answer| answered_and_reset(answer, request);
        let whole = "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(answered(whole), Ok(413));
        // A reset is not the end of a body that has no other.
        assert_eq!(answered("HTTP/1.1 200 OK\r\n\r\nhalf of"), reset);
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
        assert_eq!(answered(half), reset);
        assert_eq!(answered(""), reset);
    }
    assert_eq!(reset_at_once("HTTP/1.1 204 No\r\n\r\n"), Ok(204));
    assert_eq!(reset_at_once("HTTP/1.1 200 OK\r\n\r\nhalf of"), reset);
    assert_eq!(reset_at_once(""), reset);
}

/// The program was busy, or stopped, while the response came, and needs many turns to read it.
#[test]
fn a_response_that_has_come_is_read_after_the_deadline_too() {
    const LENGTH: usize = 1000;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let address = listener.local_addr().expect("bound");
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accepted");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a request");
            request.push(byte[0]);
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
        let response = [head.as_bytes(), &[b'x'; LENGTH]].concat();
        stream.write_all(&response).expect("sent");
        stream
    });
    let mut calls = Calls::new(&[address], PATIENCE);
    calls.network.buffer = [0].into();
    calls.begin();
    calls.turn();
    while !answering.is_finished() {
        calls.turn();
        thread::yield_now();
    }
    let late = Instant::now() + 2 * PATIENCE;
    assert_eq!(calls.network.deadlines.expire(late, &calls.machine), 1);
    let mut turns = 0;
    while calls.outcome.is_none() {
        calls.wait();
        calls.turn();
        turns += 1;
    }
    assert_eq!(calls.outcome, Some(Ok(200)));
    assert!(turns > 1, "all of it was read at once");
    drop(answering.join());
}
