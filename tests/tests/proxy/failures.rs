//! Upstreams that are not there, and sides that break or say nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use batchloop_tests::client::{assert_silent, finish_sending, numbers, receive, reset, rest, send};
use batchloop_tests::server::{Server, await_that};
use rustix::net::listen;

use crate::{accept, pair, proxy, summary};

#[test]
fn a_client_whose_upstream_refuses_is_reset() {
    let (listener, proxy) = proxy(&["--slots", "1"]);
    let address = listener.local_addr().expect("bound");
    drop(listener);
    for _ in 0..10 {
        assert_refuses(&proxy);
    }
    // The next one finds an upstream, if somebody has started it.
    let listener = TcpListener::bind(address).expect("nobody else has it");
    listener.set_nonblocking(true).expect("a socket");
    let (client, upstream) = pair(&proxy, &listener);
    send(&client, "at last");
    assert_eq!(receive(&upstream, 7), b"at last");
    drop((client, upstream));
    let (code, notes) = proxy.stop();
    assert_eq!(code, Some(0));
    assert!(notes[0].contains(" 10 unreachable, "), "{notes:?}");
}

#[test]
fn a_client_is_reset_when_its_upstream_is() {
    let (listener, proxy) = proxy(&["--slots", "1"]);
    for _ in 0..5 {
        let (client, upstream) = pair(&proxy, &listener);
        send(&client, "a question");
        assert_eq!(receive(&upstream, 10), b"a question");
        send(&upstream, "half of an");
        assert_eq!(receive(&client, 10), b"half of an");
        reset(upstream);
        assert_reset(&client);

        // While nothing is received from it: its client does not read.
        let (client, upstream) = pair(&proxy, &listener);
        assert_stuck(&proxy, &upstream);
        reset(upstream);
        assert_reset(&client);

        // When it has sent all.
        let (client, upstream) = pair(&proxy, &listener);
        finish_sending(&upstream);
        assert_eq!(rest(&client), b"");
        send(&client, "not read");
        await_arrival(&upstream);
        reset(upstream);
        assert_gone(&client);
    }
    let (code, notes) = proxy.stop();
    assert_eq!(code, Some(0));
    assert!(notes[0].ends_with(" 0 cut off"), "{notes:?}");
    assert!(notes[0].contains(" 15 broken, "), "{notes:?}");
}

#[test]
fn an_upstream_is_reset_when_its_client_is() {
    let (listener, proxy) = proxy(&["--slots", "1"]);
    for _ in 0..5 {
        let (client, upstream) = pair(&proxy, &listener);
        send(&client, "half of a");
        assert_eq!(receive(&upstream, 9), b"half of a");
        reset(client);
        assert_reset(&upstream);

        let (client, upstream) = pair(&proxy, &listener);
        assert_stuck(&proxy, &client);
        reset(client);
        assert_reset(&upstream);

        let (client, upstream) = pair(&proxy, &listener);
        finish_sending(&client);
        assert_eq!(rest(&upstream), b"");
        send(&upstream, "not read");
        await_arrival(&client);
        reset(client);
        assert_gone(&upstream);
    }
    let (code, notes) = proxy.stop();
    assert_eq!(code, Some(0));
    assert!(notes[0].ends_with(" 0 cut off"), "{notes:?}");
    assert!(notes[0].contains(" 15 broken, "), "{notes:?}");
}

#[test]
fn clients_that_leave_before_anything_has_happened_leave_nothing_behind() {
    let (listener, proxy) = proxy(&["--slots", "1"]);
    for _ in 0..20 {
        reset(proxy.connect());
        drop(proxy.connect());
    }
    let client = proxy.connect();
    send(&client, "x");
    // Those of the others come first, and are at their end.
    let upstream = loop {
        let upstream = accept(&listener);
        if let Ok(1) = (&upstream).read(&mut [0]) {
            break upstream;
        }
    };
    send(&upstream, "y");
    assert_eq!(receive(&client, 1), b"y");
}

#[test]
fn an_upstream_that_never_answers_has_its_time() {
    let (listener, proxy) = proxy(&["--slots", "1", "--connect", "0.3"]);
    let queue = crowd(&listener);
    let client = proxy.connect();
    send(&client, "anybody?");
    assert_reset(&client);
    let client = proxy.connect();
    finish_sending(&client);
    assert_reset(&client);
    assert_eq!(proxy.stop(), summary(2, [8, 0], "2 timed out"));
    drop(queue);
}

#[test]
fn a_pair_in_which_nothing_moves_has_its_time() {
    let (listener, proxy) = proxy(&["--slots", "1", "--idle", "3"]);
    let (client, upstream) = pair(&proxy, &listener);
    assert_reset(&client);
    assert_reset(&upstream);

    // Any byte in any direction gives it more.
    let (client, upstream) = pair(&proxy, &listener);
    for _ in 0..8 {
        send(&upstream, "tick");
        assert_eq!(receive(&client, 4), b"tick");
        thread::sleep(Duration::from_millis(500));
    }
    assert_reset(&client);
    assert_reset(&upstream);

    // Neither a half-closed pair nor one that is owed something is for ever.
    let (client, upstream) = pair(&proxy, &listener);
    finish_sending(&client);
    assert_eq!(rest(&upstream), b"");
    assert_reset(&client);
    let (code, notes) = proxy.stop();
    assert_eq!(code, Some(0));
    assert!(notes[0].contains(" 3 timed out, "), "{notes:?}");
}

#[test]
fn a_reader_that_never_reads_has_its_time() {
    let (listener, proxy) = proxy(&["--slots", "1", "--idle", "4"]);
    for client_reads in [true, false] {
        let (client, upstream) = pair(&proxy, &listener);
        let (reads, never_reads) = match client_reads {
            true => (client, upstream),
            false => (upstream, client),
        };
        finish_sending(&never_reads);
        assert_eq!(rest(&reads), b"");
        let sent = until_stuck(&reads);
        finish_sending(&reads);
        await_that("it is cut", || is_broken(&reads));
        let mut received = Vec::new();
        let end = (&never_reads).read_to_end(&mut received);
        assert!(end.is_err() && received.len() < sent, "{end:?}");
    }
    assert_silent(&proxy.connect());
}

/// As many clients as fill the queue of a listener: who comes behind them hears nothing.
pub(crate) fn crowd(listener: &TcpListener) -> Vec<TcpStream> {
    listen(listener, 0).expect("it listens");
    let address = listener.local_addr().expect("bound");
    let short = Duration::from_millis(300);
    let mut queue = Vec::new();
    while let Ok(client) = TcpStream::connect_timeout(&address, short) {
        queue.push(client);
        assert!(queue.len() < 100, "its queue has an end");
    }
    queue
}

/// A new client is reset at once: perhaps before its connection is made.
pub(crate) fn assert_refuses(proxy: &Server) {
    match TcpStream::connect(proxy.address()) {
        Ok(client) => assert_reset(&client),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

/// What comes, comes; then a reset.
pub(crate) fn assert_reset(mut socket: &TcpStream) {
    let end = socket.read_to_end(&mut Vec::new());
    let kind = end.map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::ConnectionReset));
}

/// A connection whose end was received already says of a reset only to whoever sends.
fn assert_gone(mut socket: &TcpStream) {
    await_that("it is reset", || socket.write_all(b"?").is_err());
}

fn is_broken(socket: &TcpStream) -> bool {
    !matches!(socket.take_error(), Ok(None))
}

/// Sends until nothing more goes. Answers how much that was.
pub(crate) fn until_stuck(mut socket: &TcpStream) -> usize {
    let bytes = numbers(1 << 20);
    let mut sent = 0;
    socket.set_nonblocking(true).expect("a socket");
    let mut looks = 0;
    await_that("nothing more goes", || {
        match socket.write(&bytes) {
            Ok(more) => {
                sent += more;
                looks = 0;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                looks += 1;
            }
        }
        looks == 50
    });
    socket.set_nonblocking(false).expect("a socket");
    sent
}

fn assert_stuck(proxy: &Server, socket: &TcpStream) {
    until_stuck(socket);
    await_that("the proxy waits", || proxy.is_asleep());
}

/// Until something has arrived that nobody reads.
fn await_arrival(socket: &TcpStream) {
    assert_eq!(socket.peek(&mut [0]).expect("it sends"), 1);
}
