//! The `echo` example, run as a process for clients that behave and clients that do not.

mod ending;
mod limits;

use std::net::TcpListener;
use std::thread;

use batchloop_tests::process::finish;

use batchloop_tests::client::{
    assert_echoes, assert_same, assert_silent, assert_streams, client_that_is_owed, finish_sending,
    numbers, receive, reset, rest, send,
};
use batchloop_tests::server::{Server, program};

#[test]
fn lines_come_back_as_they_were_sent() {
    let server = Server::start("echo", &[]);
    let client = server.connect();
    let mut bytes = 0;
    for n in 0..1000 {
        let line = format!("line {n}\n");
        assert_echoes(&client, &line);
        bytes += line.len();
    }
    let more: [&[u8]; 6] = [
        b"\n",
        b"\n\n\n",
        b"\r\n",
        b"several\nlines\n\nin one write\n",
        b"no line yet, ",
        b"\0",
    ];
    for piece in more {
        assert_echoes(&client, piece);
        bytes += piece.len();
    }
    assert_silent(&client);
    drop(client);
    assert_eq!(server.stop(), summary(1, bytes, 0));
}

#[test]
fn a_line_may_come_byte_by_byte() {
    let server = Server::start("echo", &[]);
    let client = server.connect();
    for byte in b"one\ntwo\n\nthree\n" {
        assert_echoes(&client, [*byte]);
    }
    for byte in b"one\ntwo\n\nthree\n" {
        send(&client, [*byte]);
        thread::yield_now();
    }
    assert_eq!(receive(&client, 15), b"one\ntwo\n\nthree\n");
}

#[test]
fn bytes_need_not_be_text() {
    let server = Server::start("echo", &[]);
    let client = server.connect();
    let bytes: Vec<u8> = (0..=255).collect();
    assert_echoes(&client, &bytes);
    assert_echoes(&client, b"\xff\xfe\n\xc3\n\x80\n");
}

#[test]
fn a_line_may_have_any_length() {
    let server = Server::start("echo", &[]);
    let client = server.connect();
    let line = vec![b'x'; 16 << 20];
    assert_streams(&client, &line);
    assert_echoes(&client, "\nand the next line\n");
    assert!(server.memory("VmHWM") < 8 << 20, "it need not keep lines");
}

#[test]
fn the_end_comes_after_everything_that_is_owed() {
    let server = Server::start("echo", &[]);
    let client = server.connect();
    send(&client, "a line\nand no end of the last one");
    finish_sending(&client);
    assert_eq!(rest(&client), b"a line\nand no end of the last one");

    let silent = server.connect();
    finish_sending(&silent);
    assert_eq!(rest(&silent), b"");

    let (client, sent) = client_that_is_owed(&server);
    finish_sending(&client);
    assert_same(&rest(&client), &sent);
    assert_eq!(server.stop(), summary(3, 33 + sent.len(), 0));
}

#[test]
fn a_client_that_does_not_read_costs_no_memory_and_no_other_client() {
    let server = Server::start("echo", &[]);
    let (slow, other) = (server.connect(), server.connect());
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
    assert!(
        server.memory("VmHWM") < 16 << 20,
        "it has kept what nobody read"
    );
}

#[test]
fn nobody_waits_behind_a_client_that_never_stops() {
    let server = Server::start("echo", &[]);
    let (busy, other) = (server.connect(), server.connect());
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

#[test]
fn a_reset_is_of_one_client_alone() {
    // With one slot, each of them must have left before the next one is served.
    let server = Server::start("echo", &["--slots", "1"]);
    for _ in 0..10 {
        reset(server.connect());

        let sends = server.connect();
        send(&sends, "nobody will read this\n");
        reset(sends);

        let served = server.connect();
        assert_echoes(&served, "hello\n");
        let waits = server.connect();
        send(&waits, "never served\n");
        reset(waits);
        reset(served);

        let ends = server.connect();
        send(&ends, "the last one\n");
        finish_sending(&ends);
        reset(ends);

        assert_echoes(&server.connect(), "still here\n");
    }
    reset(client_that_is_owed(&server).0);
    assert_echoes(&server.connect(), "still here\n");
    let (code, notes) = server.stop();
    assert_eq!((code, notes.len()), (Some(0), 1));
    assert!(notes[0].ends_with(" 0 cut off"), "{notes:?}");
}

#[test]
fn it_sleeps_while_its_clients_are_silent() {
    let server = Server::start("echo", &[]);
    let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &clients {
        assert_echoes(client, "hello\n");
    }
    let owed = client_that_is_owed(&server);
    server.assert_sleeps();
    assert_silent(&clients[0]);
    drop(owed);
    server.assert_sleeps();
}

#[test]
fn help_is_no_error() {
    for option in ["--help", "-h"] {
        let output = finish(program("echo", &[option]).spawn().expect("runs"));
        assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
        assert_eq!(
            output.stdout,
            b"usage: echo ADDRESS:PORT [--slots N] [--grace SECONDS] [--backend epoll|uring]\n"
        );
    }
}

#[test]
fn wrong_options_are_one_line_and_exit_2() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let taken = taken.local_addr().expect("bound").to_string();
    let address = "127.0.0.1:0";
    let wrong: &[&[&str]] = &[
        &[],
        &[&taken],
        &["127.0.0.1"],
        &["127.0.0.1:"],
        &["127.0.0.1:x"],
        &["127.0.0.1:65536"],
        // For documentation: no interface has it.
        &["192.0.2.1:0"],
        &["no-such-host.invalid:80"],
        &["two\nlines:80"],
        &[""],
        &[address, address],
        &[address, "--what"],
        &["--two\nlines", address],
        &["-x", address],
        &[address, "--slots"],
        &[address, "--slots", "x"],
        &[address, "--slots", "0"],
        &[address, "--slots", "-1"],
        &[address, "--slots", "16777217"],
        &[address, "--slots", "99999999999999999999"],
        &[address, "--grace", "0"],
        &[address, "--grace", "-1"],
        &[address, "--grace", "soon"],
        &["--slots", "4"],
    ];
    for arguments in wrong {
        let output = finish(program("echo", arguments).spawn().expect("runs"));
        let line = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        assert!(
            line.starts_with("echo: ") && line.len() > 12,
            "{arguments:?}: {line}"
        );
        assert_eq!(line.lines().count(), 1, "{arguments:?}: {line}");
    }
}

/// The exit code and the last line of a server that ended well.
fn summary(clients: usize, bytes: usize, cut_off: usize) -> (Option<i32>, Vec<String>) {
    let line = format!("echo: {clients} clients, {bytes} bytes sent back, {cut_off} cut off");
    (Some(0), vec![line])
}
