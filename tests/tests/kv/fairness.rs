//! What asks for much work gets a part of it in each turn. So what others ask meanwhile is done before it is finished, and
//! that can be seen without a clock: where both are there before the server looks at either.

use std::net::TcpStream;

use batchloop_tests::client::{queues, receive, reset, send};
use batchloop_tests::server::{Server, await_that};
use rustix::process::Signal;

use crate::protocol::{answer, request};

/// How many words or keys are many.
const MANY: usize = 100_000;

/// The answers to `long` and `short`, of which the latter comes from another client when all of both has come. The former's is
/// looked at first.
pub(crate) fn together(server: &Server, long: &[u8], short: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let [first, second] = [server.connect(), server.connect()];
    for client in [&first, &second] {
        send(client, b"PING\r\n");
        assert_eq!(receive(client, 7), b"+PONG\r\n");
    }
    let (most, last) = long.split_at(long.len() - 2);
    send(&first, most);
    await_that("it is read", || queues(&first) == Some((0, 0)));
    server.hold();
    send(&first, last);
    send(&second, short);
    await_that("both have come", || {
        let unread = |client| queues(client).is_some_and(|(unsent, _)| unsent == 0);
        unread(&first) && unread(&second)
    });
    server.signal(Signal::CONT);
    (answer(&first), answer(&second))
}

/// A command with many words that mean nothing, and these at the end.
fn with_many_words(command: &str, last: &[&[u8]]) -> Vec<u8> {
    let mut words = vec![command.as_bytes()];
    words.resize(1 + MANY, b"-");
    words.extend_from_slice(last);
    request(&words)
}

#[test]
fn many_words_let_others_in() {
    let server = Server::start("kv", &[]);
    for (command, expected) in [
        ("EXISTS", ":1\r\n".to_owned()),
        ("DEL", ":1\r\n".to_owned()),
        ("UNLINK", ":1\r\n".to_owned()),
        (
            "MGET",
            format!("*{}\r\n{}$1\r\n1\r\n", MANY + 1, "$-1\r\n".repeat(MANY)),
        ),
    ] {
        let long = with_many_words(command, &[b"marker"]);
        let (long, short) = together(&server, &long, b"SET marker 1\r\n");
        assert_eq!(short, b"+OK\r\n");
        assert!(long == expected.as_bytes(), "{command} was not interrupted");
        answer_of(&server, b"FLUSHALL\r\n");
    }
    let keys: Vec<String> = (0..MANY / 2).map(|key| key.to_string()).collect();
    let mut words = vec![&b"MSET"[..]];
    words.extend(keys.iter().flat_map(|key| [key.as_bytes(), b"value"]));
    let (long, short) = together(&server, &request(&words), b"DBSIZE\r\n");
    assert_eq!(long, b"+OK\r\n");
    assert_ne!(short, format!(":{}\r\n", keys.len()).into_bytes());
    assert_eq!(
        answer_of(&server, b"DBSIZE\r\n"),
        format!(":{}\r\n", keys.len()).into_bytes()
    );
    // All of these are there now, and a pattern that matches none is compared with each.
    let (long, short) = together(&server, b"KEYS *\r\n", b"FLUSHALL\r\n");
    assert_eq!(short, b"+OK\r\n");
    let found = std::str::from_utf8(&long[1..]).expect("text");
    let found: usize = found
        .split_once('\r')
        .expect("a line")
        .0
        .parse()
        .expect("a number");
    assert!(
        0 < found && found < keys.len(),
        "{found} keys of {}",
        keys.len()
    );
}

fn answer_of(server: &Server, request: &[u8]) -> Vec<u8> {
    let client = server.connect();
    send(&client, request);
    answer(&client)
}

/// Patterns that are slow for a matcher that tries again and again, with keys that are long.
#[test]
fn no_pattern_stops_anybody_nor_the_end() {
    let server = Server::start("kv", &["--max-memory", "200000000"]);
    let filling = server.connect();
    for key in 0..50 {
        let key = [&b"a".repeat(1_000_000)[..], format!("{key}").as_bytes()].concat();
        send(&filling, request(&[b"SET", &key, b""]));
        assert_eq!(receive(&filling, 5), b"+OK\r\n");
    }
    let patterns = [
        "*a".repeat(500) + "[^a]x",
        "*[^".to_owned() + &"b".repeat(1000) + "]z",
    ];
    let clients: Vec<TcpStream> = patterns
        .iter()
        .map(|pattern| {
            let client = server.connect();
            send(&client, request(&[b"KEYS", pattern.as_bytes()]));
            client
        })
        .collect();
    await_that("it reads them", || {
        clients.iter().all(|client| queues(client) == Some((0, 0)))
    });
    // Others get their answers, and whoever goes away meanwhile leaves nothing behind.
    for _ in 0..100 {
        assert_eq!(answer_of(&server, b"DBSIZE\r\n"), b":50\r\n");
    }
    let [first, second] = <[TcpStream; 2]>::try_from(clients).expect("two");
    reset(first);
    for _ in 0..100 {
        assert_eq!(answer_of(&server, b"DBSIZE\r\n"), b":50\r\n");
    }
    server.signal(Signal::TERM);
    let (code, _) = server.end();
    assert_eq!(code, Some(0));
    drop(second);
}

#[test]
fn a_pattern_has_a_limit() {
    let server = Server::start("kv", &[]);
    let exact = b"a".repeat(1024);
    answer_of(&server, &request(&[b"SET", &exact, b""]));
    let found = answer_of(&server, &request(&[b"KEYS", &exact]));
    assert_eq!(found.len(), 4 + 7 + 1024 + 2);
    let refused = b"-ERR the pattern is too long\r\n";
    assert_eq!(
        answer_of(&server, &request(&[b"KEYS", &[b'*'; 1025]])),
        refused
    );
    let config = request(&[b"CONFIG", b"GET", &[b'*'; 1025]]);
    assert_eq!(answer_of(&server, &config), refused);
    let mut many = vec![&b"CONFIG"[..], b"GET"];
    many.resize(100, b"*");
    assert_eq!(
        answer_of(&server, &request(&many)),
        b"-ERR too many patterns\r\n"
    );
}

/// What nobody waits for any more is still done: the server goes on after its client has gone.
#[test]
fn whoever_goes_away_in_the_middle_leaves_nothing_behind() {
    let server = Server::start("kv", &[]);
    for command in ["MGET", "DEL", "EXISTS"] {
        let client = server.connect();
        send(&client, with_many_words(command, &[b"marker"]));
        reset(client);
    }
    let client = server.connect();
    send(&client, b"FLUSHALL\r\n");
    reset(client);
    await_that("they are gone", || {
        let info = answer_of(&server, b"INFO\r\n");
        let info = String::from_utf8_lossy(&info).into_owned();
        info.contains("mem_clients_normal:0\r\n") && info.contains("connected_clients:1\r\n")
    });
    server.assert_sleeps();
}
