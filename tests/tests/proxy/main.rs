//! The `proxy` example, between clients and the `echo` example or an upstream that a test plays itself.

mod addresses;
mod ending;
mod failures;
mod limits;

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::thread;

use batchloop_tests::client::{
    assert_echoes, assert_same, assert_silent, assert_streams, finish_sending, numbers, receive,
    rest, send,
};
use batchloop_tests::server::{PATIENCE, Server, await_that};

#[test]
fn bytes_come_as_they_were_sent_in_both_directions() {
    let (listener, proxy) = proxy(&[]);
    let (client, upstream) = pair(&proxy, &listener);
    for byte in b"one\ntwo\n\n\0" {
        send(&client, [*byte]);
        assert_eq!(receive(&upstream, 1), [*byte]);
        send(&upstream, [byte + 1, *byte]);
        assert_eq!(receive(&client, 2), [byte + 1, *byte]);
    }
    assert_silent(&client);
    assert_silent(&upstream);
    drop(upstream);
    assert_eq!(rest(&client), b"");
    drop(client);
    assert_eq!(proxy.stop(), summary(1, [10, 20], ""));
}

#[test]
fn an_upstream_may_speak_first() {
    let (listener, proxy) = proxy(&[]);
    let (client, upstream) = pair(&proxy, &listener);
    send(&upstream, "220 ready\r\n");
    assert_eq!(receive(&client, 11), b"220 ready\r\n");
}

#[test]
fn what_a_client_sends_before_there_is_an_upstream_is_not_lost() {
    let (listener, proxy) = proxy(&[]);
    let bytes = numbers(1 << 20);
    thread::scope(|scope| {
        let client = proxy.connect();
        scope.spawn(|| assert_same(&receive(&accept(&listener), bytes.len()), &bytes));
        send(&client, &bytes);
        finish_sending(&client);
        assert_eq!(rest(&client), b"");
    });
}

#[test]
fn a_client_may_end_before_its_upstream_answers() {
    let (listener, proxy) = proxy(&[]);
    let (client, upstream) = pair(&proxy, &listener);
    send(&client, "what is it?");
    finish_sending(&client);
    assert_eq!(rest(&upstream), b"what is it?");
    assert_silent(&client);
    proxy.assert_sleeps();
    send(&upstream, "a long answer, ");
    assert_eq!(receive(&client, 15), b"a long answer, ");
    send(&upstream, "and its end");
    finish_sending(&upstream);
    assert_eq!(rest(&client), b"and its end");
    assert_eq!(proxy.stop(), summary(1, [11, 26], ""));
}

#[test]
fn an_upstream_may_end_before_its_client_does() {
    let (listener, proxy) = proxy(&[]);
    let (client, upstream) = pair(&proxy, &listener);
    send(&upstream, "no more from here");
    finish_sending(&upstream);
    assert_eq!(rest(&client), b"no more from here");
    assert_silent(&upstream);
    proxy.assert_sleeps();
    send(&client, "but ");
    assert_eq!(receive(&upstream, 4), b"but ");
    send(&client, "from here");
    finish_sending(&client);
    assert_eq!(rest(&upstream), b"from here");
    assert_eq!(proxy.stop(), summary(1, [13, 17], ""));
}

#[test]
fn an_end_without_a_byte_goes_through() {
    let (listener, proxy) = proxy(&[]);
    let (client, upstream) = pair(&proxy, &listener);
    finish_sending(&client);
    assert_eq!(rest(&upstream), b"");
    finish_sending(&upstream);
    assert_eq!(rest(&client), b"");
    assert_eq!(proxy.stop(), summary(1, [0, 0], ""));
}

#[test]
fn an_end_comes_after_all_that_a_slow_reader_is_owed() {
    let (listener, proxy) = proxy(&["--buffer", "5000"]);
    let bytes = numbers(16 << 20);
    for client_is_slow in [true, false] {
        let (client, upstream) = pair(&proxy, &listener);
        let (slow, quick) = match client_is_slow {
            true => (client, upstream),
            false => (upstream, client),
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                send(&quick, &bytes);
                finish_sending(&quick);
            });
            // The other direction ends first, so nothing but the debt keeps the pair.
            finish_sending(&slow);
            assert_eq!(rest(&quick), b"");
            proxy.assert_sleeps();
            assert_same(&rest(&slow), &bytes);
        });
    }
    let half = bytes.len();
    assert_eq!(proxy.stop(), summary(2, [half, half], ""));
}

#[test]
fn both_directions_stream_at_once() {
    // What waits in the larger buffer goes out in parts.
    for buffer in ["65536", "16777216"] {
        let (listener, proxy) = proxy(&["--buffer", buffer]);
        let (client, upstream) = pair(&proxy, &listener);
        let (there, back) = (numbers(48 << 20), numbers(40 << 20));
        thread::scope(|scope| {
            scope.spawn(|| send(&client, &there));
            scope.spawn(|| send(&upstream, &back));
            scope.spawn(|| assert_same(&receive(&upstream, there.len()), &there));
            assert_same(&receive(&client, back.len()), &back);
        });
        finish_sending(&client);
        finish_sending(&upstream);
        assert_eq!((rest(&client), rest(&upstream)), (vec![], vec![]));
        assert_eq!(proxy.stop(), summary(1, [there.len(), back.len()], ""));
    }
}

#[test]
fn buffers_of_one_byte_do_too() {
    let (listener, proxy) = proxy(&["--buffer", "1"]);
    let (client, upstream) = pair(&proxy, &listener);
    let bytes = numbers(64 << 10);
    thread::scope(|scope| {
        scope.spawn(|| send(&client, &bytes));
        assert_same(&receive(&upstream, bytes.len()), &bytes);
    });
}

#[test]
fn a_slow_reader_costs_no_memory_and_no_other_pair() {
    let (echo, proxy) = before_echo(&[]);
    let (slow, other) = (proxy.connect(), proxy.connect());
    let bytes = numbers(96 << 20);
    thread::scope(|scope| {
        let sending = scope.spawn(|| send(&slow, &bytes));
        for n in 0..1000 {
            assert_echoes(&other, format!("meanwhile {n}\n"));
        }
        assert!(!sending.is_finished(), "somebody keeps 96 MiB");
        assert_same(&receive(&slow, bytes.len()), &bytes);
    });
    assert_silent(&slow);
    for server in [&echo, &proxy] {
        let memory = server.memory("VmHWM");
        assert!(memory < 16 << 20, "it has kept what nobody read");
    }
}

#[test]
fn nobody_waits_behind_a_pair_that_never_stops() {
    let (_echo, proxy) = before_echo(&[]);
    let (busy, other) = (proxy.connect(), proxy.connect());
    let bytes = numbers(16 << 20);
    thread::scope(|scope| {
        let streaming = scope.spawn(|| {
            for _ in 0..4 {
                assert_streams(&busy, &bytes);
            }
        });
        let mut rounds = 0;
        while !streaming.is_finished() || rounds < 100 {
            assert_echoes(&other, "me too\n");
            rounds += 1;
        }
    });
}

/// An upstream that the test plays, and a proxy before it.
fn proxy(arguments: &[&str]) -> (TcpListener, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("bound").to_string();
    let proxy = Server::start("proxy", &[&[address.as_str()], arguments].concat());
    (listener, proxy)
}

/// The `echo` example with as many slots as any test needs, and a proxy before it.
fn before_echo(arguments: &[&str]) -> (Server, Server) {
    let echo = Server::start("echo", &["--slots", "1000"]);
    let address = echo.address().to_string();
    let proxy = Server::start("proxy", &[&[address.as_str()], arguments].concat());
    (echo, proxy)
}

/// The next client that the proxy brings.
fn accept(listener: &TcpListener) -> TcpStream {
    let mut accepted = None;
    await_that("the proxy connects", || match listener.accept() {
        Ok((socket, _)) => accepted.insert(socket).set_nodelay(true).is_ok(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            false
        }
    });
    let accepted = accepted.expect("it has come");
    accepted.set_nonblocking(false).expect("a socket");
    accepted.set_read_timeout(Some(PATIENCE)).expect("a socket");
    accepted
        .set_write_timeout(Some(PATIENCE))
        .expect("a socket");
    accepted
}

/// A client and its upstream.
fn pair(proxy: &Server, listener: &TcpListener) -> (TcpStream, TcpStream) {
    (proxy.connect(), accept(listener))
}

/// The exit code and the last line of a proxy that ended well: how many bytes went there and back, and of what went wrong
/// the one number that is not 0, as it is said.
fn summary(clients: usize, bytes: [usize; 2], wrong: &str) -> (Option<i32>, Vec<String>) {
    let [there, back] = bytes;
    let counts =
        ["unreachable", "timed out", "broken", "cut off"].map(|what| match wrong.split_once(' ') {
            Some((count, name)) if name == what => format!("{count} {name}"),
            _ => format!("0 {what}"),
        });
    let counts = counts.join(", ");
    let line =
        format!("proxy: {clients} clients, {there} bytes there, {back} bytes back, {counts}");
    (Some(0), vec![line])
}
