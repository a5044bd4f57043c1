//! One budget for what is stored, what has come and what is to go, measured from outside.

use std::io::{BufReader, ErrorKind, Write};
use std::iter;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use batchloop_tests::client::{assert_silent, finish_sending, queues, receive, rest, send};
use batchloop_tests::server::{Server, await_that};

use crate::fairness::together;
use crate::protocol::{add_answer, answer, request};

const MIB: usize = 1 << 20;

/// What the process may have beside what it counts: its code, and what the allocator has not given back.
const SLACK: usize = 24 * MIB;

const REFUSED: &[u8] = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n";

fn limited(limit: usize) -> Server {
    Server::start(
        "kv",
        &["--max-memory", &limit.to_string(), "--slots", "2000"],
    )
}

/// A number that `INFO` has.
fn info(server: &Server, name: &str) -> usize {
    let client = server.connect();
    send(&client, b"INFO\r\n");
    figure(answer(&client), name)
}

fn figure(info: Vec<u8>, name: &str) -> usize {
    let text = String::from_utf8(info).expect("text");
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let value = value.and_then(|value| value.strip_prefix(':'));
    value.expect("such a line").parse().expect("a number")
}

fn assert_within(server: &Server, limit: usize) {
    let resident = server.memory("VmRSS");
    assert!(
        resident < limit + SLACK,
        "{resident} bytes, and the limit is {limit}"
    );
    let used = info(server, "used_memory");
    assert!(used <= limit + 4 * MIB, "{used} bytes are counted");
}

fn set(server: &Server, key: &str, value: &[u8]) {
    let client = server.connect();
    send(&client, request(&[b"SET", key.as_bytes(), value]));
    assert_eq!(receive(&client, 5), b"+OK\r\n");
}

/// Sends again and again, until that is not read any more or the connection has ended. Returns whether it is there.
fn send_on_and_on(mut client: &TcpStream, bytes: &[u8]) -> bool {
    let patience = Some(Duration::from_millis(50));
    client.set_write_timeout(patience).expect("a socket");
    loop {
        if let Err(error) = client.write_all(bytes) {
            return error.kind() == ErrorKind::WouldBlock;
        }
    }
}

/// It has done all that it can do for now: it sleeps, and does not only wait for a processor.
fn await_rest(server: &Server) {
    let mut looks = 0;
    await_that("it has nothing to do", || {
        looks = if server.is_asleep() { looks + 1 } else { 0 };
        thread::sleep(Duration::from_millis(5));
        looks == 20
    });
}

#[test]
fn answers_that_nobody_takes_are_counted() {
    let limit = 64 * MIB;
    let server = limited(limit);
    let value: Vec<u8> = (0..12 * MIB).map(|n| (n ^ n >> 9) as u8).collect();
    set(&server, "b", &value);
    let clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    for client in &clients {
        send(client, b"MGET b b b\r\n");
    }
    for client in &clients {
        await_that("it is answered", || {
            client.peek(&mut [0]).is_ok_and(|peeked| peeked == 1)
        });
    }
    assert_within(&server, limit);
    assert!(info(&server, "mem_clients_normal") > 30 * MIB);
    // Nobody else gets an answer that is as large, but small ones, and nothing is lost.
    let other = server.connect();
    send(&other, b"GET b\r\nMGET b b b\r\nSTRLEN b\r\nPING\r\n");
    let (one, refused) = (answer(&other), answer(&other));
    assert!(one == REFUSED || one.len() > value.len());
    assert_eq!(refused, REFUSED);
    assert_eq!(answer(&other), format!(":{}\r\n", value.len()).into_bytes());
    assert_eq!(answer(&other), b"+PONG\r\n");
    // Each of them has an answer, or was told that there is no memory for it; and whoever takes it makes room.
    let answers: Vec<_> = clients.iter().map(answer).collect();
    let whole = answers
        .iter()
        .filter(|answer| answer.len() > 3 * value.len())
        .count();
    let refused = answers.iter().filter(|answer| *answer == REFUSED).count();
    assert!(
        whole >= 1 && whole + refused == 10,
        "{whole} whole, {refused} refused"
    );
    await_that("it is taken", || info(&server, "mem_clients_normal") == 0);
    send(&other, b"GET b\r\n");
    let again = answer(&other);
    assert!(again.ends_with(&[&value[..], b"\r\n"].concat()));
}

/// What has no memory is skipped, and its client is told and stays.
#[test]
fn requests_that_never_end_are_counted() {
    let limit = 40 * MIB;
    let server = limited(limit);
    set(&server, "key", b"value");
    let large = 8 * MIB;
    let head = format!("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n${large}\r\n");
    let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    thread::scope(|scope| {
        for client in &clients {
            let head = head.as_bytes();
            scope.spawn(move || {
                send(client, head);
                send(client, vec![b'x'; large - 10]);
            });
        }
    });
    await_rest(&server);
    assert_within(&server, limit);
    assert!(info(&server, "mem_clients_normal") > limit / 2);
    let other = server.connect();
    send(&other, b"GET key\r\n");
    assert_eq!(answer(&other), b"$5\r\nvalue\r\n");
    let mut refused = 0;
    for client in &clients {
        send(client, [&b"x".repeat(10)[..], b"\r\nPING\r\n"].concat());
        match answer(client) {
            answer if answer == REFUSED => refused += 1,
            answer => assert_eq!(answer, b"+OK\r\n"),
        }
        assert_eq!(answer(client), b"+PONG\r\n");
    }
    assert!((10..20).contains(&refused), "{refused} of 20 are refused");
    assert_within(&server, limit);
}

#[test]
fn words_and_lines_that_never_end_are_counted() {
    let limit = 8 * MIB;
    let server = limited(limit);
    let words = [&b"*1048576\r\n"[..], &b"$0\r\n\r\n".repeat(MIB - 1)].concat();
    let clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    thread::scope(|scope| {
        for client in &clients {
            scope.spawn(|| send(client, &words));
        }
    });
    let lines: Vec<_> = (0..300).map(|_| server.connect()).collect();
    for client in &lines {
        send(client, [b'x'; 60_000]);
    }
    for client in clients.iter().chain(&lines) {
        await_that("it is read", || queues(client) == Some((0, 0)));
    }
    await_rest(&server);
    assert_within(&server, limit);
    for client in &clients {
        send(client, b"$0\r\n\r\nPING\r\n");
        let first = answer(client);
        assert!(first == REFUSED || first.starts_with(b"-ERR unknown command ''"));
        assert_eq!(answer(client), b"+PONG\r\n");
    }
    for client in &lines {
        send(client, b"\r\nPING\r\n");
        let first = answer(client);
        assert!(first == REFUSED || first.starts_with(b"-ERR unknown command 'xxx"));
        assert_eq!(answer(client), b"+PONG\r\n");
    }
}

/// Clients that ask on and on, and never read.
#[test]
fn slow_readers_are_limited_together() {
    let limit = 32 * MIB;
    let server = limited(limit);
    let value = vec![b'v'; 1_000_000];
    set(&server, "b", &value);
    let clients: Vec<_> = (0..300).map(|_| server.connect()).collect();
    for client in &clients {
        send(client, b"GET b\r\n".repeat(500));
    }
    await_rest(&server);
    assert_within(&server, limit);
    drop(clients);
    await_that("they are gone", || info(&server, "mem_clients_normal") == 0);
    let other = server.connect();
    send(&other, b"GET b\r\n");
    assert!(answer(&other).len() > value.len());
}

#[test]
fn what_is_stored_is_counted_as_it_is_allocated() {
    let limit = 32 * MIB;
    let server = limited(limit);
    let client = server.connect();
    let mut stored = 0;
    // Small keys with times cost the most beside themselves.
    for thousand in 0..400 {
        let sets: String = (0..1000)
            .map(|n| format!("SET {thousand}:{n} v EX 100000\r\n"))
            .collect();
        send(&client, &sets);
        let mut answers = BufReader::new(&client);
        for _ in 0..1000 {
            let mut answer = Vec::new();
            add_answer(&mut answers, &mut answer);
            match &*answer {
                b"+OK\r\n" => stored += 1,
                refused => assert_eq!(refused, REFUSED),
            }
        }
    }
    assert!((20_000..200_000).contains(&stored), "{stored} keys");
    assert_within(&server, limit);
    send(
        &client,
        b"EXPIRE 0:0 200000\r\nDEL 0:1\r\nDBSIZE\r\nGET 0:0\r\nSET 0:0 w KEEPTTL\r\n",
    );
    for expected in [":1", ":1", &format!(":{}", stored - 1), "$1\r\nv", "+OK"] {
        assert_eq!(answer(&client), format!("{expected}\r\n").into_bytes());
    }
    send(&client, b"FLUSHALL\r\n");
    assert_eq!(answer(&client), b"+OK\r\n");
    assert!(info(&server, "used_memory") < MIB);
}

/// All of its keys or none: while the first are set, nobody else gets the memory of the last.
#[test]
fn what_is_being_set_is_counted_before_it_is() {
    let server = limited(32 * MIB);
    let keys: Vec<String> = (0..50_000).map(|key| key.to_string()).collect();
    let mut words = vec![&b"MSET"[..]];
    words.extend(keys.iter().flat_map(|key| [key.as_bytes(), b"value"]));
    let (long, short) = together(&server, &request(&words), b"INFO\r\n");
    assert_eq!(long, b"+OK\r\n");
    let (before, after) = (figure(short, "used_memory"), info(&server, "used_memory"));
    assert!(
        before > after,
        "{before} bytes are counted before it is done, and {after} then"
    );
    words.extend(iter::repeat_n(&b"one more"[..], 200_000));
    let client = server.connect();
    send(&client, request(&words));
    assert_eq!(answer(&client), REFUSED);
    send(&client, b"DBSIZE\r\n");
    assert_eq!(answer(&client), b":50000\r\n");
}

#[test]
fn an_idle_client_keeps_none_of_its_largest_burst() {
    let server = Server::start("kv", &[]);
    set(&server, "b", &[b'b'; 300_000]);
    let large = vec![b'x'; 4 * MIB];
    let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    let before = server.memory("VmRSS");
    for client in &clients {
        // The answer to the second is still being taken when the third is there.
        let burst = [
            &request(&[b"SET", b"a", &large])[..],
            b"GET b\r\nPING\r\nGET",
        ]
        .concat();
        thread::scope(|scope| {
            scope.spawn(|| send(client, &burst));
            assert_eq!(answer(client), b"+OK\r\n");
            assert!(answer(client).len() > 300_000);
            assert_eq!(answer(client), b"+PONG\r\n");
        });
    }
    send(&clients[0], b" b\r\nDEL a\r\n");
    assert!(answer(&clients[0]).len() > 300_000);
    assert_eq!(answer(&clients[0]), b":1\r\n");
    let kept = server.memory("VmRSS").saturating_sub(before);
    assert!(kept < 20 * 200_000 + SLACK / 2, "{kept} bytes");
    assert!(info(&server, "mem_clients_normal") < 20 * 2048);
    for client in &clients[1..] {
        assert_silent(client);
        finish_sending(client);
        assert_eq!(rest(client), b"");
    }
}

/// A client that takes none of its answers, where no more of them can be kept.
#[test]
fn whoever_cannot_be_answered_is_cut_off_and_the_log_says_so() {
    let server = limited(MIB);
    set(&server, "b", &[b'x'; 40_000]);
    let requests = b"GET b\r\n".repeat(1000);
    let mut clients = Vec::new();
    // On a ring the client need not notice: what it was sent before stays for it, until it has taken nothing for too long.
    while clients.len() < 60 {
        let client = server.connect();
        if !send_on_and_on(&client, &requests) {
            break;
        }
        clients.push(client);
    }
    let note = server.note();
    assert!(note.starts_with("kv: 127.0.0.1:"), "{note}");
    assert!(
        note.contains("it does not take its answers, and no memory is left"),
        "{note}"
    );
    assert_within(&server, MIB);
}
