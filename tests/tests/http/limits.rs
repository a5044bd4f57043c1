//! Clients that take their time, clients that go, and more clients than there is room for.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use batchloop_tests::client::{
    assert_same, assert_silent, numbers, queues, receive, reset, rest, send,
};
use batchloop_tests::server::{Server, await_that};
use rustix::process::Signal;

use crate::site::{LARGE, Site, answer, ask, assert_ends, assert_serves, head, request};

#[test]
fn a_slow_head_or_body_is_told_and_silence_is_not() {
    let site = Site::new("slow");
    let server = site.serve(&["--timeout", "5"]);
    let begin = Instant::now();
    let silent = server.connect();
    let (slow_head, slow_body) = (server.connect(), server.connect());
    send(&slow_head, "GET /hello.txt HTTP/1.1\r\n");
    send(
        &slow_body,
        request("GET /", "Content-Length: 10\r\n") + "012",
    );
    let idle = server.connect();
    assert_eq!(ask(&idle, "GET /hello.txt", "").status, 200);
    for slow in [&slow_head, &slow_body] {
        let told = answer(slow);
        assert_eq!((told.status, told.says_close()), (408, true));
        assert_ends(slow);
    }
    assert_ends(&silent);
    assert_ends(&idle);
    assert!(begin.elapsed().as_secs() >= 5, "too early");
    let (code, notes) = server.stop();
    assert_eq!(code, Some(0));
    assert!(
        notes[0].starts_with("http: 4 clients, 3 requests, "),
        "{notes:?}"
    );
    assert!(notes[0].ends_with(" 4 timed out, 0 cut off"), "{notes:?}");
}

/// Byte by byte, so that there is always something new, and never an end.
#[test]
fn a_head_that_never_ends_does_not_get_more_time() {
    let site = Site::new("drip");
    let server = site.serve(&["--timeout", "2"]);
    let client = server.connect();
    send(&client, "GET /hello.txt HTTP/1.1\r\nX: ");
    let mut sent = 0;
    await_that("the server has had enough", || {
        // It may have closed already.
        if std::io::Write::write_all(&mut &client, b"x").is_ok() {
            sent += 1;
        }
        thread::sleep(Duration::from_millis(10));
        client.set_nonblocking(true).expect("a socket");
        let is_answered = client.peek(&mut [0]).is_ok();
        client.set_nonblocking(false).expect("a socket");
        is_answered
    });
    assert_eq!(answer(&client).status, 408);
    assert!(sent > 1);
    assert_serves(&server);
}

/// The deadline comes with more than one turn reads, so it is not this turn that sees that nothing follows.
#[test]
fn a_deadline_that_comes_with_much_to_read_is_not_lost() {
    let site = Site::new("busy");
    let server = site.serve(&["--timeout", "5"]);
    let client = server.connect();
    let head = request("POST /", "Content-Length: 1000000\r\n");
    // The kernel's room for what is not read yet grows while much is read.
    for _ in 0..20 {
        send(&client, &head);
        send(&client, vec![0; 1_000_000]);
        assert_eq!(answer(&client).status, 405);
    }
    send(&client, head);
    await_that("it waits for the body", || {
        queues(&client) == Some((0, 0)) && server.is_asleep()
    });
    server.hold();
    thread::scope(|scope| {
        scope.spawn(|| send(&client, vec![0; 900_000]));
        thread::sleep(Duration::from_millis(5500));
        server.signal(Signal::CONT);
        let late = answer(&client);
        assert_eq!((late.status, late.says_close()), (408, true));
        assert_ends(&client);
    });
    let (_, notes) = server.stop();
    assert!(notes[0].ends_with(" 1 timed out, 0 cut off"), "{notes:?}");
}

/// The server does not run while the deadline passes, and finds both when it does.
#[test]
fn what_comes_in_time_is_answered_however_late_it_is_read() {
    let site = Site::new("in-time");
    let server = site.serve(&["--timeout", "5"]);
    let (idle, in_head) = (server.connect(), server.connect());
    assert_eq!(ask(&idle, "GET /hello.txt", "").status, 200);
    send(&in_head, "GET /hello.txt HTTP/1.1\r\n");
    await_that("it waits for the rest", || {
        queues(&in_head) == Some((0, 0)) && server.is_asleep()
    });
    server.hold();
    send(&idle, request("GET /hello.txt", ""));
    send(&in_head, "Host: h\r\n\r\n");
    thread::sleep(Duration::from_millis(5500));
    server.signal(Signal::CONT);
    for client in [&idle, &in_head] {
        assert_eq!(answer(client).body, b"hello\n");
    }
}

/// Whoever says nothing but empty lines has said nothing, and gets no more time for it.
#[test]
fn empty_lines_are_silence() {
    let site = Site::new("empty-lines");
    let server = site.serve(&["--timeout", "5"]);
    let (new, old, half) = (server.connect(), server.connect(), server.connect());
    send(&new, "\r\n");
    send(
        &old,
        request("POST /", "Content-Length: 3\r\n") + "abc\r\n\r\n",
    );
    send(&half, request("GET /hello.txt", "") + "\r");
    assert_eq!(answer(&old).status, 405);
    assert_eq!(answer(&half).status, 200);
    for client in [&new, &old, &half] {
        assert_ends(client);
    }
    let drip = server.connect();
    await_that("the server has had enough", || {
        let is_over = std::io::Write::write_all(&mut &drip, b"\r\n").is_err();
        thread::sleep(Duration::from_millis(10));
        is_over
    });
    let (_, notes) = server.stop();
    assert!(notes[0].ends_with(" 4 timed out, 0 cut off"), "{notes:?}");
}

#[test]
fn a_client_that_never_reads_costs_no_memory_and_no_other_client() {
    let site = Site::with_large("unread");
    let server = site.serve(&[]);
    let unread: Vec<TcpStream> = (0..20)
        .map(|_| {
            let client = server.connect();
            send(&client, request("GET /large", "").repeat(10));
            client
        })
        .collect();
    for _ in 0..100 {
        assert_serves(&server);
    }
    await_that("it waits for them", || server.is_asleep());
    server.assert_sleeps();
    let memory = server.memory("VmHWM");
    assert!(memory < 16 << 20, "{memory} bytes");
    // One of them reads after all.
    assert_eq!(head(&unread[7]).status, 200);
    assert_same(&receive(&unread[7], LARGE), &numbers(LARGE));
    drop(unread);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_client_that_takes_nothing_for_too_long_is_cut_off() {
    let site = Site::with_large("stuck");
    let server = site.serve(&["--timeout", "5", "--slots", "1"]);
    let stuck = server.connect();
    send(&stuck, request("GET /large", ""));
    assert_eq!(head(&stuck).status, 200);
    // There is no other slot, so it has been cut off when this one is served.
    assert_serves(&server);
    let mut received = Vec::new();
    let _ = std::io::Read::read_to_end(&mut &stuck, &mut received);
    assert!(received.len() < LARGE);
    let (_, notes) = server.stop();
    assert!(notes[0].ends_with(" 1 timed out, 0 cut off"), "{notes:?}");
}

#[test]
fn a_reset_is_of_one_client_alone() {
    let site = Site::with_large("reset");
    // With one slot, each of them must have left before the next one is served.
    let server = site.serve(&["--slots", "1"]);
    for _ in 0..5 {
        reset(server.connect());

        let in_head = server.connect();
        send(&in_head, "GET /hello.txt HT");
        reset(in_head);

        let in_body = server.connect();
        send(&in_body, request("GET /", "Content-Length: 10\r\n") + "01");
        reset(in_body);

        let sending = server.connect();
        send(&sending, request("GET /large", ""));
        assert_eq!(head(&sending).status, 200);
        reset(sending);

        let asked = server.connect();
        send(&asked, request("GET /large", "").repeat(50));
        reset(asked);

        let idle = server.connect();
        assert_eq!(ask(&idle, "GET /hello.txt", "").status, 200);
        reset(idle);

        let told = server.connect();
        send(&told, request("GET /", "Connection: close\r\n"));
        assert_eq!(answer(&told).status, 200);
        reset(told);
        assert_serves(&server);
    }
    let (code, notes) = server.stop();
    assert_eq!((code, notes.len()), (Some(0), 1));
    assert!(notes[0].ends_with(" 0 timed out, 0 cut off"), "{notes:?}");
}

#[test]
fn a_full_slab_stops_accepting() {
    let site = Site::new("full");
    let server = site.serve(&["--slots", "2"]);
    let (first, second) = (server.connect(), server.connect());
    assert_eq!(ask(&first, "GET /", "").status, 200);
    assert_eq!(ask(&second, "GET /", "").status, 200);
    let third = server.connect();
    send(&third, request("GET /hello.txt", ""));
    server.assert_sleeps();
    assert_silent(&third);
    assert_eq!(ask(&first, "GET /", "").status, 200);
    drop(first);
    assert_eq!(answer(&third).body, b"hello\n");
    assert_eq!(ask(&second, "GET /", "").status, 200);
}

#[test]
fn few_descriptors_are_few_clients_and_all_of_them_are_served() {
    const CLIENTS: usize = 100;
    let site = Site::with_large("descriptors");
    let server = Server::start_with_files("http", &site.arguments(&[]), 64, "");
    assert_eq!(
        server.note(),
        "http: 64 open files are enough for 22 clients at once"
    );
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| server.connect()).collect();
    for client in &clients {
        // Each file stays open until it has been read.
        send(client, request("GET /large", "Connection: close\r\n"));
    }
    assert_eq!(head(&clients[0]).status, 200);
    server.assert_sleeps();
    assert_silent(&clients[CLIENTS - 1]);
    for client in &clients[1..22] {
        assert_eq!(head(client).status, 200);
    }
    for client in clients.iter().take(22) {
        assert_same(&receive(client, LARGE), &numbers(LARGE));
    }
    drop(clients);
    assert_serves(&server);
    let (code, notes) = server.stop();
    assert_eq!((code, notes.len()), (Some(0), 1), "{notes:?}");
}

#[test]
fn it_sleeps_while_its_clients_are_silent() {
    let site = Site::new("silent");
    let server = site.serve(&[]);
    let clients: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    for client in &clients {
        assert_eq!(ask(client, "GET /hello.txt", "").status, 200);
    }
    server.assert_sleeps();
    for client in &clients {
        assert_silent(client);
        send(client, request("GET /hello.txt", "Connection: close\r\n"));
        assert!(rest(client).ends_with(b"hello\n"));
    }
}
