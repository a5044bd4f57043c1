//! Bytes as clients send them that are not Redis' own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;

use batchloop_tests::client::{assert_same, finish_sending, receive, reset, rest, send};
use batchloop_tests::server::Server;
use rustix::process::Signal;

pub(crate) fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// One answer, with all that is in it, and nothing of what comes behind it.
pub(crate) fn answer(client: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    add_answer(&mut BufReader::with_capacity(1, client), &mut bytes);
    bytes
}

/// One answer, as it came.
pub(crate) fn add_answer(from: &mut impl BufRead, into: &mut Vec<u8>) {
    let start = into.len();
    from.read_until(b'\n', into).expect("an answer");
    let line = String::from_utf8_lossy(&into[start..]).into_owned();
    let number = || line[1..].trim().parse::<i64>().expect("a number");
    match line.as_bytes().first() {
        Some(b'$') if number() >= 0 => {
            let mut bytes = vec![0; number() as usize + 2];
            from.read_exact(&mut bytes).expect("the rest");
            into.extend_from_slice(&bytes);
        }
        Some(b'*') => (0..number()).for_each(|_| add_answer(from, into)),
        Some(_) => {}
        None => panic!("the connection has ended"),
    }
}

fn assert_answers(client: &TcpStream, request: impl AsRef<[u8]>, answer: &[u8]) {
    send(client, request);
    let received = receive(client, answer.len());
    assert_eq!(
        String::from_utf8_lossy(&received),
        String::from_utf8_lossy(answer)
    );
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = Server::start("kv", &[]);
    let client = server.connect();
    for byte in request(&[b"SET", b"k\r\n\0", b"v\r\n\0"]) {
        send(&client, [byte]);
        thread::yield_now();
    }
    assert_eq!(receive(&client, 5), b"+OK\r\n");
    assert_answers(
        &client,
        request(&[b"GET", b"k\r\n\0"]),
        b"$4\r\nv\r\n\0\r\n",
    );
    for byte in b"  get   \"k\\r\\n\\x00\"\r\n" {
        send(&client, [*byte]);
        thread::yield_now();
    }
    assert_eq!(receive(&client, 10), b"$4\r\nv\r\n\0\r\n");
}

#[test]
fn answers_come_in_the_order_of_their_requests() {
    let server = Server::start("kv", &[]);
    let client = server.connect();
    let (mut requests, mut answers) = (Vec::new(), Vec::new());
    for n in 1..=10_000 {
        requests.extend(request(&[b"INCR", b"n"]));
        answers.extend(format!(":{n}\r\n").bytes());
        if n % 3 == 0 {
            requests.extend_from_slice(b"PING\r\n\r\n*0\r\n");
            answers.extend_from_slice(b"+PONG\r\n");
        }
    }
    thread::scope(|scope| {
        scope.spawn(|| send(&client, &requests));
        assert_eq!(receive(&client, answers.len()), answers);
    });
}

#[test]
fn large_words_go_through_whole() {
    let server = Server::start("kv", &[]);
    let client = server.connect();
    let value: Vec<u8> = (0..16 << 20).map(|n: u32| (n ^ n >> 8) as u8).collect();
    thread::scope(|scope| {
        scope.spawn(|| send(&client, request(&[b"SET", b"large", &value])));
        assert_eq!(receive(&client, 5), b"+OK\r\n");
    });
    send(&client, request(&[b"GET", b"large"]));
    let answer = receive(&client, value.len() + 13);
    assert!(answer[..11] == *b"$16777216\r\n" && answer[11..][..value.len()] == value);
    assert_answers(&client, request(&[b"STRLEN", b"large"]), b":16777216\r\n");
}

/// More than the kernel holds and than may wait, so that requests wait for answers, and the end waits for both.
#[test]
fn whoever_ends_behind_large_answers_gets_all_of_them() {
    const GETS: usize = 3;
    let server = Server::start("kv", &[]);
    let client = server.connect();
    let value: Vec<u8> = (0..16 << 20).map(|n: u32| (n ^ n >> 7) as u8).collect();
    thread::scope(|scope| {
        scope.spawn(|| send(&client, request(&[b"SET", b"large", &value])));
        assert_eq!(receive(&client, 5), b"+OK\r\n");
    });
    let one = [b"$16777216\r\n", &value[..], b"\r\n"].concat();
    for farewell in ["", "QUIT\r\n"] {
        let client = server.connect();
        send(&client, "GET large\r\n".repeat(GETS) + farewell);
        if farewell.is_empty() {
            finish_sending(&client);
        }
        // It has begun to wait.
        server.assert_sleeps();
        for _ in 0..GETS {
            assert_same(&receive(&client, one.len()), &one);
        }
        let last: &[u8] = if farewell.is_empty() { b"" } else { b"+OK\r\n" };
        assert_eq!(rest(&client), last);
    }
}

#[test]
fn what_is_no_request_is_said_and_ends_the_connection() {
    let server = Server::start("kv", &[]);
    let long = vec![b'a'; 64 * 1024 + 1];
    let cases: [(&[u8], &str); 8] = [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$16777217\r\n", "invalid bulk length"),
        (b"*2\r\n$3\r\nGET\r\n$x\r\n", "invalid bulk length"),
        (b"get 'a\r\n", "unbalanced quotes in request"),
        (&long, "too big inline request"),
    ];
    for (bytes, reason) in cases {
        let client = server.connect();
        // What came before is answered.
        send(&client, b"PING\r\n");
        assert_eq!(receive(&client, 7), b"+PONG\r\n");
        send(&client, bytes);
        let answer = rest(&client);
        let expected = format!("-ERR Protocol error: {reason}\r\n");
        assert_eq!(String::from_utf8_lossy(&answer), expected);
    }
    assert_answers(&server.connect(), b"PING\r\n", b"+PONG\r\n");
}

/// A browser may be led to send a request here, with commands in its body.
#[test]
fn what_comes_by_http_is_not_run() {
    let server = Server::start("kv", &[]);
    let client = server.connect();
    assert_answers(&client, b"SET a 1\r\n", b"+OK\r\n");
    let heads: [&[u8]; 14] = [
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\n\n",
        b"post /\r\n",
        b"  \"POST\" / HTTP/1.0\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /x HTTP/1.0\r\n\r\n",
        b"PUT /a HTTP/1.0\r\n\r\n",
        b"DELETE /a HTTP/1.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"OPTIONS\r\nhost: x\r\n\r\n",
        b"X-First: y\r\nHOST:x\r\n\r\n",
        b"Host:\r\n",
        b"*1\r\n$4\r\nPOST\r\n",
        b"*2\r\n$5\r\nhost:\r\n$1\r\nx\r\n",
    ];
    for head in heads {
        for body in [&b"DEL a\r\n"[..], b"*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"] {
            let attack = server.connect();
            send(&attack, [b"EXISTS a\r\n", head, body].concat());
            let mut answers = Vec::new();
            // What is not read any more may end in a reset.
            let _ = (&attack).read_to_end(&mut answers);
            let answers = String::from_utf8_lossy(&answers).into_owned();
            // What came before is answered, and what is no command has an error.
            let errors = answers.strip_prefix(":1\r\n").expect("the first answer");
            assert!(
                errors.lines().all(|line| line.starts_with("-ERR ")),
                "{answers}"
            );
            assert_answers(&client, b"GET a\r\n", b"$1\r\n1\r\n");
        }
    }
    // The log says so, and is not filled with it.
    let (_, notes) = server.stop();
    assert!((2..10).contains(&notes.len()), "{notes:?}");
    let note = &notes[0];
    assert!(note.starts_with("kv: 127.0.0.1:"), "{note}");
    assert!(note.contains("is cut off: it speaks HTTP"), "{note}");
}

#[test]
fn words_that_look_like_http_are_words() {
    let server = Server::start("kv", &[]);
    let client = server.connect();
    assert_answers(&client, b"SET / HTTP/1.1\r\n", b"+OK\r\n");
    assert_answers(&client, b"GET /\r\n", b"$8\r\nHTTP/1.1\r\n");
    assert_answers(&client, b"SET POST Host:\r\n", b"+OK\r\n");
    assert_answers(&client, b"GET POST\r\n", b"$5\r\nHost:\r\n");
    // No browser sends this.
    let words = request(&[b"GET", b"/", b"HTTP/1.1"]);
    let wrong = b"-ERR wrong number of arguments for 'get' command\r\n";
    assert_answers(&client, words, wrong);
    let unknown = "-ERR unknown command 'hosts', with args beginning with: 'x' \r\n";
    assert_answers(&client, b"hosts x\r\n", unknown.as_bytes());
}

/// Of a command that is refused, no more is repeated than a line has room for.
#[test]
fn errors_are_short() {
    let server = Server::start("kv", &[]);
    let client = server.connect();
    let long = vec![b'x'; 1_000_000];
    for words in [
        &[&long[..], &long, &long][..],
        &[b"CONFIG", &long],
        &[b"CLIENT", &long],
        &[b"EXPIRE", b"a", b"1", &long],
        &[b"FLUSHALL", &long],
    ] {
        send(&client, request(words));
        let refused = answer(&client);
        assert!(
            refused.starts_with(b"-ERR ") && refused.len() < 400,
            "{} bytes",
            refused.len()
        );
    }
}

#[test]
fn a_client_that_has_ended_its_sending_gets_its_answers() {
    let server = Server::start("kv", &[]);
    let client = server.connect();
    send(&client, b"SET a 1\r\nGET a\r\nGET");
    finish_sending(&client);
    assert_eq!(rest(&client), b"+OK\r\n$1\r\n1\r\n");
    let client = server.connect();
    send(&client, b"QUIT\r\nPING\r\n");
    let mut answer = Vec::new();
    // What is not read any more may end in a reset.
    let _ = (&client).read_to_end(&mut answer);
    assert_eq!(answer, b"+OK\r\n");
}

#[test]
fn resets_in_each_phase_harm_nobody_else() {
    let server = Server::start("kv", &[]);
    let whole = request(&[b"SET", b"key", b"value"]);
    for length in 0..=whole.len() {
        let client = server.connect();
        send(&client, &whole[..length]);
        reset(client);
    }
    let client = server.connect();
    send(&client, b"GET key\r\n".repeat(100_000));
    reset(client);
    assert_answers(&server.connect(), b"GET key\r\n", b"$5\r\nvalue\r\n");
}

#[test]
fn a_signal_ends_it_when_all_is_answered() {
    let server = Server::start("kv", &[]);
    let (idle, mut busy) = (server.connect(), server.connect());
    assert_answers(&idle, b"PING\r\n", b"+PONG\r\n");
    busy.write_all(b"SET a 1\r\n").expect("it reads");
    assert_eq!(receive(&busy, 5), b"+OK\r\n");
    server.signal(Signal::TERM);
    assert_eq!(rest(&idle), b"");
    assert_eq!(rest(&busy), b"");
    let summary = "kv: 2 clients, 2 commands, 1 keys, 0 cut off".to_owned();
    assert_eq!(server.end(), (Some(0), vec![summary]));
}
