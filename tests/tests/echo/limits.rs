//! More clients than there is room for, and as many as there is.

use std::env;
use std::net::TcpStream;

use rustix::process::{Resource, getrlimit, setrlimit};

use batchloop_tests::client::{assert_echoes, assert_silent, receive, send};
use batchloop_tests::server::Server;

use crate::summary;

#[test]
fn a_full_slab_stops_accepting() {
    let server = Server::start("echo", &["--slots", "2"]);
    let (first, second) = (server.connect(), server.connect());
    assert_echoes(&first, "first\n");
    assert_echoes(&second, "second\n");
    let (third, fourth) = (server.connect(), server.connect());
    send(&third, "third\n");
    send(&fourth, "fourth\n");
    server.assert_sleeps();
    assert_echoes(&first, "first again\n");
    assert_silent(&third);

    drop(first);
    assert_eq!(receive(&third, 6), b"third\n");
    server.assert_sleeps();
    assert_echoes(&second, "second again\n");
    assert_silent(&fourth);

    drop(second);
    assert_eq!(receive(&fourth, 7), b"fourth\n");
    assert_echoes(&third, "third again\n");
    drop((third, fourth));
    assert_eq!(server.stop(), summary(4, 63, 0));
}

#[test]
fn one_slot_serves_one_client_after_the_other() {
    let server = Server::start("echo", &["--slots", "1"]);
    let clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for client in &clients {
        send(client, "hello\n");
    }
    assert_each_is_served_when_those_before_have_left(clients);
    assert_eq!(server.stop(), summary(100, 600, 0));
}

/// The kernel's queue keeps their order.
fn assert_each_is_served_when_those_before_have_left(clients: Vec<TcpStream>) {
    for client in clients {
        assert_eq!(receive(&client, 6), b"hello\n");
    }
}

#[test]
fn too_few_descriptors_are_said_once_and_clients_wait() {
    let server = Server::start_with_files("echo", &[], 16, "");
    let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &clients {
        send(client, "hello\n");
    }
    assert_eq!(
        server.note(),
        "echo: too many open files; clients wait until one leaves"
    );
    server.assert_sleeps();
    assert_silent(&clients[19]);
    assert_each_is_served_when_those_before_have_left(clients);
    // Once is enough, however often it comes to that.
    let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &clients {
        send(client, "hello\n");
    }
    assert_each_is_served_when_those_before_have_left(clients);
    assert_eq!(server.stop(), summary(40, 240, 0));
}

#[test]
fn what_cannot_be_said_on_standard_error_ends_nothing() {
    let server = Server::start_with_files("echo", &[], 16, "2>/dev/full");
    let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &clients {
        send(client, "hello\n");
    }
    assert_each_is_served_when_those_before_have_left(clients);
    assert_eq!(server.stop(), (Some(0), vec![]));
}

/// How many clients are too many for luck, if `BATCHLOOP_ECHO_CONNECTIONS` does not say so.
const CONNECTIONS: usize = 500;

#[test]
fn many_clients_at_once_lose_nothing() {
    const ROUNDS: usize = 20;
    let connections = match env::var("BATCHLOOP_ECHO_CONNECTIONS") {
        Ok(number) => number
            .parse()
            .expect("BATCHLOOP_ECHO_CONNECTIONS is a number"),
        Err(_) => CONNECTIONS,
    };
    raise_limit_of_files(connections);
    let server = Server::start("echo", &["--slots", &connections.to_string()]);
    let clients: Vec<_> = (0..connections).map(|_| server.connect()).collect();
    let mut bytes = 0;
    for round in 0..ROUNDS {
        let line = |n: usize| format!("client {n}, round {round}\n");
        for (n, client) in clients.iter().enumerate() {
            send(client, line(n));
        }
        for (n, client) in clients.iter().enumerate() {
            let line = line(n);
            assert_eq!(receive(client, line.len()), line.as_bytes());
            bytes += line.len();
        }
    }
    for client in &clients {
        assert_silent(client);
    }
    server.assert_sleeps();
    drop(clients);
    assert_eq!(server.stop(), summary(connections, bytes, 0));
}

/// Each connection costs this process a descriptor, and the server another one. The other tests need some too.
fn raise_limit_of_files(connections: usize) {
    const OTHERS: usize = 300;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is not allowed, the old limit may suffice.
    let _ = setrlimit(Resource::Nofile, limit);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    assert!(
        files >= (connections + OTHERS) as u64,
        "{connections} connections do not fit into the limit of {files} open files: \
         set BATCHLOOP_ECHO_CONNECTIONS, or raise the limit (ulimit -n)"
    );
}
