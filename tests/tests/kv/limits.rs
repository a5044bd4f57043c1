//! More than there is room for.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::Duration;

use batchloop_tests::client::{assert_silent, receive, send};
use batchloop_tests::server::Server;

use crate::protocol::request;

#[test]
fn memory_has_a_limit_and_says_so() {
    let server = Server::start("kv", &["--max-memory", "100000"]);
    let client = server.connect();
    let value = [b'x'; 10_000];
    let full = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    for key in 0..9 {
        send(&client, request(&[b"SET", &[b'a' + key], &value]));
        assert_eq!(receive(&client, 5), b"+OK\r\n");
    }
    send(&client, request(&[b"SET", b"z", &value]));
    assert_eq!(receive(&client, full.len()), full);
    send(&client, request(&[b"MSET", b"a", b"1", b"z", &value]));
    assert_eq!(receive(&client, full.len()), full);
    send(&client, b"STRLEN a\r\nDEL a b\r\n");
    assert_eq!(receive(&client, 12), b":10000\r\n:2\r\n");
    send(&client, request(&[b"SET", b"z", &value]));
    assert_eq!(receive(&client, 5), b"+OK\r\n");
}

#[test]
fn an_answer_has_a_limit() {
    let server = Server::start("kv", &[]);
    let client = server.connect();
    send(&client, request(&[b"SET", b"a", &[b'x'; 1 << 20]]));
    assert_eq!(receive(&client, 5), b"+OK\r\n");
    let keys = [&b"MGET"[..]]
        .into_iter()
        .chain([&b"a"[..]; 100])
        .collect::<Vec<_>>();
    send(&client, request(&keys));
    let refused = b"-ERR the answer is too long\r\n";
    assert_eq!(receive(&client, refused.len()), refused);
}

#[test]
fn a_client_that_never_reads_costs_little_and_stops_nobody() {
    let server = Server::start("kv", &[]);
    let good = server.connect();
    send(&good, request(&[b"SET", b"a", &[b'x'; 100_000]]));
    assert_eq!(receive(&good, 5), b"+OK\r\n");
    let before = server.memory("VmRSS");
    let bad: Vec<_> = (0..20).map(|_| server.connect()).collect();
    let requests = b"GET a\r\n".repeat(10_000);
    for client in &bad {
        client
            .set_write_timeout(Some(Duration::from_millis(200)))
            .expect("a socket");
        // One more request is not read, sooner or later.
        let mut client = client;
        loop {
            match client.write(&requests) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    let used = server.memory("VmRSS").saturating_sub(before);
    assert!(used < bad.len() * 2_000_000, "{used} bytes");
    server.assert_sleeps();
    send(&good, b"STRLEN a\r\n");
    assert_eq!(receive(&good, 9), b":100000\r\n");
    // Whoever reads after all gets all of it.
    let answer = 100_000 + 11;
    for _ in 0..200 {
        assert_eq!(receive(&bad[0], answer)[..9], *b"$100000\r\n");
    }
}

#[test]
fn a_full_slab_and_too_few_files_make_clients_wait() {
    for server in [
        Server::start("kv", &["--slots", "2"]),
        Server::start_with_files("kv", &[], 16, ""),
    ] {
        let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for client in &clients {
            send(client, b"PING\r\n");
        }
        server.assert_sleeps();
        assert_silent(&clients[19]);
        for client in clients.drain(..) {
            // Others may have been served before.
            assert_eq!(receive(&client, 7), b"+PONG\r\n");
        }
    }
}

#[test]
fn idle_clients_cost_no_time() {
    let server = Server::start("kv", &["--slots", "2000"]);
    let idle: Vec<_> = (0..500).map(|_| server.connect()).collect();
    let client = server.connect();
    for _ in 0..100 {
        send(&client, b"PING\r\n");
        assert_eq!(receive(&client, 7), b"+PONG\r\n");
    }
    thread::sleep(Duration::from_millis(10));
    server.assert_sleeps();
    drop(idle);
    server.assert_sleeps();
}
