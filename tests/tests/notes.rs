//! Standard error that nobody reads stops none of the servers.

use std::{net::TcpStream, path::Path};

use batchloop_tests::{
    client::{receive, send},
    process::wait,
    server::{FullPipe, Server, program},
};
use rustix::process::Signal;

/// Few enough for a lack of descriptors, which a server notes in its loop.
const FILES: usize = 40;

/// A server, what a client says to it, and how the answer ends.
type Case<'a> = (&'static str, &'a [&'a str], &'a str, &'a str);

/// Each server with what it needs.
fn each(check: impl Fn(Case<'_>)) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = directory.to_str().expect("UTF-8");
    let echo = Server::start("echo", &["--slots", "1000"]);
    let upstream = echo.address().to_string();
    let get = "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n";
    check(("echo", &[], "hello", "hello"));
    check(("hosted", &["--clients", "0"], "hello", "hello"));
    check(("http", &[directory], get, "\r\n\r\n"));
    check(("kv", &[], "PING\r\n", "+PONG\r\n"));
    check(("proxy", &[&upstream], "hello", "hello"));
}

fn assert_answers(client: &TcpStream, (_, _, question, end): Case<'_>) {
    send(client, question);
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        answer.extend(receive(client, 1));
    }
}

#[test]
fn notes_and_dumps_that_nobody_reads_stop_nothing() {
    each(|case| {
        let (name, arguments, ..) = case;
        let pipe = FullPipe::new();
        let server = Server::start_unread(name, arguments, FILES, &pipe);
        let first = server.connect();
        assert_answers(&first, case);
        for _ in 0..3 {
            server.signal(Signal::USR1);
        }
        let others: Vec<TcpStream> = (0..FILES).map(|_| server.connect()).collect();
        for _ in 0..3 {
            server.signal(Signal::USR1);
            assert_answers(&first, case);
        }
        drop((first, others));
        assert_eq!(server.stop(), (Some(0), vec![]), "{name}");
        assert!(pipe.waits(), "{name} has changed what others share");
        assert_eq!(pipe.read().count(), 0, "{name} has waited after all");
    });
}

#[test]
fn what_was_said_comes_when_somebody_reads() {
    each(|case| {
        let (name, arguments, ..) = case;
        let pipe = FullPipe::new();
        let mut server = Server::start_unread(name, arguments, FILES, &pipe);
        let client = server.connect();
        assert_answers(&client, case);
        server.signal(Signal::USR1);
        server.hear(pipe);
        while !server.note().contains(" slots") {}
        drop(client);
        let (code, notes) = server.stop();
        assert_eq!(code, Some(0), "{name}");
        let summary = notes.last().expect("a summary");
        assert!(
            summary.starts_with(&format!("{name}: 1 client")),
            "{notes:?}"
        );
    });
}

#[test]
fn an_error_that_nobody_reads_is_an_end_too() {
    for name in [
        "children", "echo", "hosted", "http", "kv", "pipeline", "proxy",
    ] {
        let pipe = FullPipe::new();
        let mut command = program(name, &["--what"]);
        let child = command.stderr(pipe.writer()).spawn();
        let status = wait(&mut child.expect("runs")).expect("it ends");
        assert_eq!(status.code(), Some(2), "{name}");
    }
}
