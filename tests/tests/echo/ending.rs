//! How it ends, and how it ends when it has hardly begun.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;

use batchloop_tests::process::finish;
use rustix::process::Signal;

use batchloop_tests::client::{
    assert_echoes, assert_same, client_that_is_owed, queues, rest, send,
};
use batchloop_tests::server::{PATIENCE, Server, await_that, program};

use crate::summary;

#[test]
fn a_signal_sends_what_is_owed_and_stops_accepting() {
    let server = Server::start("echo", &[]);
    let (idle, unread) = (server.connect(), server.connect());
    assert_echoes(&idle, "hello\n");
    send(&unread, "read this later\n");
    let (client, sent) = client_that_is_owed(&server);
    server.signal(Signal::TERM);

    // The end of the idle client says that the signal has come.
    assert_eq!(rest(&idle), b"");
    let late = TcpStream::connect_timeout(&server.address(), PATIENCE);
    assert_eq!(rest(&unread), b"read this later\n");
    assert_same(&rest(&client), &sent);
    assert_eq!(server.end(), summary(3, 6 + 16 + sent.len(), 0));
    // It may be refused, or wait in the kernel until the end.
    if let Ok(mut late) = late {
        let answer = late.read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(answer, Err(ErrorKind::ConnectionReset));
    }
}

#[test]
fn a_signal_ends_it_where_nothing_is_owed() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::start("echo", &[]);
        server.signal(signal);
        assert_eq!(server.end(), summary(0, 0, 0));

        let server = Server::start("echo", &[]);
        let clients = [server.connect(), server.connect()];
        for client in &clients {
            assert_echoes(client, "hello\n");
        }
        server.signal(signal);
        assert_eq!(server.end(), summary(2, 12, 0));
        for client in &clients {
            assert_eq!(rest(client), b"");
        }
    }
}

#[test]
fn what_has_arrived_before_the_signal_is_sent_back() {
    let server = Server::start("echo", &[]);
    let client = server.connect();
    assert_echoes(&client, "hello\n");
    server.hold();
    send(&client, "just in time\n");
    await_that("it arrives", || queues(&client) == Some((0, 13)));
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    assert_eq!(rest(&client), b"just in time\n");
    assert_eq!(server.end(), summary(1, 19, 0));
}

#[test]
fn a_client_that_never_reads_does_not_hold_the_end() {
    let server = Server::start("echo", &["--grace", "0.5"]);
    let idle = server.connect();
    let owed = client_that_is_owed(&server);
    server.signal(Signal::TERM);
    assert_eq!(rest(&idle), b"");
    assert_cut_off(server, 2);
    drop(owed);
}

/// One of them, and how much was sent back before is the kernel's affair.
fn assert_cut_off(server: Server, clients: usize) {
    let (code, notes) = server.end();
    assert_eq!((code, notes.len()), (Some(0), 1), "{notes:?}");
    let begin = format!("echo: {clients} clients, ");
    let is_summary = notes[0].starts_with(&begin) && notes[0].ends_with(" back, 1 cut off");
    assert!(is_summary, "{notes:?}");
}

/// Longer than any test waits: a server that ends has not ended because that time was over.
const LONG_GRACE: [&str; 2] = ["--grace", "86400"];

#[test]
fn it_ends_when_the_last_client_has_left() {
    let server = Server::start("echo", &LONG_GRACE);
    let idle = server.connect();
    assert_echoes(&idle, "hello\n");
    let (client, sent) = client_that_is_owed(&server);
    server.signal(Signal::TERM);
    assert_eq!(rest(&idle), b"");
    assert_same(&rest(&client), &sent);
    assert_eq!(server.end(), summary(2, 6 + sent.len(), 0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for signals in [[Signal::TERM, Signal::INT], [Signal::INT, Signal::INT]] {
        let server = Server::start("echo", &LONG_GRACE);
        let idle = server.connect();
        assert_echoes(&idle, "hello\n");
        let owed = client_that_is_owed(&server);
        server.signal(signals[0]);
        // Two of the same kind would be one, had the first not been seen.
        assert_eq!(rest(&idle), b"");
        server.signal(signals[1]);
        assert_cut_off(server, 2);
        drop(owed);
    }
}

#[test]
fn two_signals_at_the_same_time_are_a_second_one() {
    let server = Server::start("echo", &LONG_GRACE);
    let owed = client_that_is_owed(&server);
    server.hold();
    for signal in [Signal::TERM, Signal::INT, Signal::CONT] {
        server.signal(signal);
    }
    assert_cut_off(server, 1);
    drop(owed);
}

#[test]
fn an_output_that_takes_nothing_is_one_line_and_exit_2() {
    for argument in ["127.0.0.1:0", "--help"] {
        let full = File::options().write(true).open("/dev/full");
        let mut command = program("echo", &[argument]);
        let output = finish(command.stdout(full.expect("Linux")).spawn().expect("runs"));
        let line = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(
            line.starts_with("echo: ") && line.lines().count() == 1,
            "{line}"
        );
    }
}
