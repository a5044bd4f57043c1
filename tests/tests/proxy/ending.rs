//! How it ends, what it says of itself, and how it does not begin.

use std::net::TcpListener;

use batchloop_tests::client::{assert_echoes, assert_same, numbers, receive, rest, send};
use batchloop_tests::process::finish;
use batchloop_tests::server::{await_that, program};
use rustix::process::Signal;

use crate::failures::assert_reset;
use crate::{before_echo, pair, proxy, summary};

#[test]
fn a_signal_ends_it_where_there_is_nobody() {
    for signal in [Signal::TERM, Signal::INT] {
        let (_listener, proxy) = proxy(&[]);
        proxy.signal(signal);
        assert_eq!(proxy.end(), summary(0, [0, 0], ""));
    }
}

#[test]
fn after_a_signal_pairs_go_on_and_nobody_else_is_accepted() {
    let (listener, proxy) = proxy(&[]);
    let (client, upstream) = pair(&proxy, &listener);
    send(&client, "a question");
    proxy.signal(Signal::TERM);
    assert_eq!(receive(&upstream, 10), b"a question");
    let bytes = numbers(1 << 20);
    send(&upstream, &bytes);
    drop(upstream);
    assert_same(&receive(&client, bytes.len()), &bytes);
    assert_eq!(rest(&client), b"");
    drop(client);
    assert_eq!(proxy.end(), summary(1, [10, bytes.len()], ""));
}

#[test]
fn a_second_signal_resets_those_who_are_there() {
    let (listener, proxy) = proxy(&[]);
    let (client, upstream) = pair(&proxy, &listener);
    send(&client, "half of a");
    assert_eq!(receive(&upstream, 9), b"half of a");
    for signal in [Signal::TERM, Signal::INT] {
        proxy.signal(signal);
    }
    assert_reset(&client);
    assert_reset(&upstream);
    assert_eq!(proxy.end(), summary(1, [9, 0], "1 cut off"));
}

#[test]
fn an_upstream_is_below_its_client_in_the_dump() {
    let (_echo, proxy) = before_echo(&["--slots", "7"]);
    let clients = [proxy.connect(), proxy.connect()];
    for client in &clients {
        assert_echoes(client, "hello\n");
    }
    await_that("nothing is under way", || proxy.is_asleep());
    proxy.signal(Signal::USR1);
    let lines = [(); 6].map(|()| proxy.note());
    let lines = lines.each_ref().map(|line| match line.find(" (") {
        Some(place) => &line[..place],
        None => line,
    });
    assert_eq!(
        lines,
        [
            "clients: Side, 2 of 7 slots",
            "upstreams: Side, 2 of 7 slots",
            "clients#0v1 waits at \"pass on\"",
            "  upstreams#0v1 waits at \"pass back\"",
            "clients#1v1 waits at \"pass on\"",
            "  upstreams#1v1 waits at \"pass back\"",
        ]
    );
}

#[test]
fn help_is_no_error() {
    let output = finish(program("proxy", &["--help"]).spawn().expect("runs"));
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
    assert!(output.stdout.starts_with(b"usage: proxy LISTEN UPSTREAM "));
}

#[test]
fn wrong_options_are_one_line_and_exit_2() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let taken = taken.local_addr().expect("bound").to_string();
    let [a, b] = ["127.0.0.1:0", "127.0.0.1:1"];
    let wrong: &[&[&str]] = &[
        &[],
        &[a],
        &[&taken, b],
        &["127.0.0.1", b],
        &[a, "127.0.0.1"],
        &[a, "127.0.0.1:x"],
        &[a, "no-such-host.invalid:80"],
        &[a, "two\nlines:80"],
        &[a, "127.0.0.1:0"],
        &[a, "127.0.0.1:65536"],
        &[a, b, b],
        &[a, b, "--what"],
        &[a, b, "--slots"],
        &[a, b, "--slots", "0"],
        &[a, b, "--slots", "16777217"],
        &[a, b, "--buffer", "0"],
        &[a, b, "--buffer", "x"],
        &[a, b, "--connect", "0"],
        &[a, b, "--connect", "-1"],
        &[a, b, "--idle", "NaN"],
        &[a, b, "--idle", "inf"],
        &[a, b, "--backend", "kqueue"],
    ];
    for arguments in wrong {
        let output = finish(program("proxy", arguments).spawn().expect("runs"));
        let line = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        assert!(line.starts_with("proxy: "), "{arguments:?}: {line}");
        assert_eq!(line.lines().count(), 1, "{arguments:?}: {line}");
    }
}
