//! How it ends, and how it ends when it has hardly begun.

use std::io::Read;

use batchloop_tests::client::{assert_same, numbers, queues, receive, rest, send};
use batchloop_tests::process::finish;
use batchloop_tests::server::{await_that, program};
use rustix::process::Signal;

use crate::site::{LARGE, Site, answer, ask, assert_ends, head, request};

#[test]
fn a_signal_finishes_what_is_under_way() {
    let site = Site::with_large("drain");
    let server = site.serve(&[]);
    let (idle, sending, slow) = (server.connect(), server.connect(), server.connect());
    assert_eq!(ask(&idle, "GET /hello.txt", "").status, 200);
    send(
        &sending,
        request("GET /large", "") + &request("GET /hello.txt", ""),
    );
    assert_eq!(head(&sending).status, 200);
    send(&slow, "GET /hello.txt HTTP/1.1\r\n");
    // It has been read, or else it would count as a client with nothing to say.
    await_that("it waits", || {
        queues(&slow) == Some((0, 0)) && server.is_asleep()
    });
    server.signal(Signal::TERM);
    assert_ends(&idle);
    send(&slow, "Host: test\r\n\r\n");
    let last = answer(&slow);
    assert!(last.says_close() && last.body == b"hello\n");
    assert_ends(&slow);
    drop(slow);
    assert_same(&receive(&sending, LARGE), &numbers(LARGE));
    let last = answer(&sending);
    assert!(last.says_close() && last.body == b"hello\n");
    assert_ends(&sending);
    drop(sending);
    let (code, notes) = server.end();
    assert_eq!((code, notes.len()), (Some(0), 1));
    assert!(
        notes[0].starts_with("http: 3 clients, 4 requests, "),
        "{notes:?}"
    );
    assert!(notes[0].ends_with(" 0 timed out, 0 cut off"), "{notes:?}");
}

#[test]
fn empty_lines_behind_a_request_do_not_hold_the_end() {
    let site = Site::new("ends-empty");
    let server = site.serve(&[]);
    let clients = ["", "\r\n", "\r", "\r\n\r\n"].map(|empty| {
        let client = server.connect();
        send(&client, request("GET /hello.txt", "") + empty);
        assert_eq!(answer(&client).body, b"hello\n");
        client
    });
    await_that("they have been read", || {
        let mut clients = clients.iter();
        clients.all(|client| queues(client) == Some((0, 0))) && server.is_asleep()
    });
    let (code, notes) = server.stop();
    assert_eq!((code, notes.len()), (Some(0), 1));
    assert!(notes[0].ends_with(" 0 timed out, 0 cut off"), "{notes:?}");
}

#[test]
fn a_client_that_never_reads_does_not_hold_the_end() {
    let site = Site::with_large("held");
    let server = site.serve(&[]);
    let stuck = server.connect();
    send(&stuck, request("GET /large", ""));
    assert_eq!(head(&stuck).status, 200);
    server.signal(Signal::TERM);
    let (code, notes) = server.end();
    assert_eq!((code, notes.len()), (Some(0), 1));
    assert!(notes[0].ends_with(" 0 timed out, 1 cut off"), "{notes:?}");
    let mut received = Vec::new();
    let _ = (&stuck).read_to_end(&mut received);
    assert!(received.len() < LARGE);
}

#[test]
fn a_dump_says_where_each_client_waits() {
    let site = Site::with_large("dump");
    let server = site.serve(&[]);
    let clients = [0, 1, 2, 3].map(|_| server.connect());
    assert_eq!(ask(&clients[0], "GET /hello.txt", "").status, 200);
    send(
        &clients[1],
        request("GET /", "Content-Length: 10\r\n") + "01",
    );
    send(&clients[2], request("GET /large", ""));
    assert_eq!(head(&clients[2]).status, 200);
    send(&clients[3], request("GET /", "Connection: close\r\n"));
    assert!(rest(&clients[3]).ends_with(b"<p>index</p>\n"));
    let mut looks = 0;
    await_that("all wait", || {
        looks = if server.is_asleep() { looks + 1 } else { 0 };
        looks == 20
    });
    server.signal(Signal::USR1);
    let lines: Vec<String> = (0..5).map(|_| server.note()).collect();
    let text = lines.join("\n");
    for point in ["head", "body to skip", "send", "farewell"] {
        assert!(text.contains(&format!("\"{point}\"")), "{point}: {text}");
    }
}

#[test]
fn help_is_no_error() {
    for option in ["--help", "-h"] {
        let output = finish(program("http", &[option]).spawn().expect("runs"));
        assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
        let usage = "usage: http ADDRESS:PORT DIRECTORY [--slots N] [--timeout SECONDS] \
                     [--backend epoll|uring]\n";
        assert_eq!(String::from_utf8_lossy(&output.stdout), usage);
    }
}

#[test]
fn wrong_options_are_one_line_and_exit_2() {
    let site = Site::new("options");
    let (address, good) = ("127.0.0.1:0", site.arguments(&[])[0]);
    let file = site.path("hello.txt");
    let file = file.to_str().expect("UTF-8");
    let wrong: &[&[&str]] = &[
        &[],
        &[address],
        &["127.0.0.1", good],
        &["192.0.2.1:0", good],
        &[address, "/no/such/directory"],
        &[address, file],
        &[address, "two\nlines"],
        &[address, ""],
        &[address, good, good],
        &[address, good, "--what"],
        &[address, good, "--slots", "0"],
        &[address, good, "--slots", "16777217"],
        &[address, good, "--slots"],
        &[address, good, "--timeout", "0"],
        &[address, good, "--timeout", "-1"],
        &[address, good, "--timeout", "NaN"],
        &[address, good, "--timeout", "inf"],
        &[address, good, "--timeout", "31536001"],
        &[address, good, "--timeout", "soon"],
        &[address, good, "--backend", "kqueue"],
    ];
    for arguments in wrong {
        let output = finish(program("http", arguments).spawn().expect("runs"));
        let line = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        assert!(line.starts_with("http: ") && line.len() > 12, "{line}");
        assert_eq!(line.lines().count(), 1, "{arguments:?}: {line}");
    }
}
