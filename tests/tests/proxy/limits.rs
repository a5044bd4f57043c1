//! More clients than there is room for, and as many as there is.

use std::net::TcpStream;

use batchloop_tests::client::{assert_echoes, assert_silent, receive, send};
use batchloop_tests::server::Server;

use crate::{accept, before_echo, pair, proxy, summary};

#[test]
fn full_slots_stop_accepting() {
    let (listener, proxy) = proxy(&["--slots", "2"]);
    let (first, upstream) = pair(&proxy, &listener);
    let _second = pair(&proxy, &listener);
    let (third, fourth) = (proxy.connect(), proxy.connect());
    send(&third, "third\n");
    send(&fourth, "fourth\n");
    proxy.assert_sleeps();
    assert!(listener.accept().is_err(), "nobody else is served");

    drop((first, upstream));
    assert_eq!(receive(&accept(&listener), 6), b"third\n");
    proxy.assert_sleeps();
    assert_silent(&fourth);
}

#[test]
fn one_slot_serves_one_client_after_the_other() {
    let (_echo, proxy) = before_echo(&["--slots", "1"]);
    let clients: Vec<_> = (0..100).map(|_| proxy.connect()).collect();
    for client in &clients {
        send(client, "hello\n");
    }
    assert_each_is_served_when_those_before_have_left(clients);
    assert_eq!(proxy.stop(), summary(100, [600, 600], ""));
}

/// The kernel's queue keeps their order.
fn assert_each_is_served_when_those_before_have_left(clients: Vec<TcpStream>) {
    for client in clients {
        assert_eq!(receive(&client, 6), b"hello\n");
    }
}

#[test]
fn too_few_descriptors_are_said_once_and_clients_wait() {
    let (echo, other) = before_echo(&[]);
    drop(other);
    let address = echo.address().to_string();
    let proxy = Server::start_with_files("proxy", &[&address], 64, "");
    for _ in 0..2 {
        let clients: Vec<_> = (0..100).map(|_| proxy.connect()).collect();
        for client in &clients {
            send(client, "hello\n");
        }
        assert_eq!(receive(&clients[0], 6), b"hello\n");
        proxy.assert_sleeps();
        assert_silent(&clients[99]);
        assert_echoes(&clients[0], "and again\n");
        assert_each_is_served_when_those_before_have_left(clients.into_iter().skip(1).collect());
    }
    let (code, notes) = proxy.stop();
    let warning = "proxy: too many open files; clients wait until one leaves";
    assert_eq!(
        (code, notes.len(), notes[0].as_str()),
        (Some(0), 2, warning)
    );
    let end = "0 unreachable, 0 timed out, 0 broken, 0 cut off";
    assert!(
        notes[1].starts_with("proxy: 200 clients, ") && notes[1].ends_with(end),
        "{notes:?}"
    );
}

#[test]
fn many_clients_at_once_lose_nothing() {
    const CLIENTS: usize = 200;
    const ROUNDS: usize = 20;
    let (_echo, proxy) = before_echo(&["--slots", "200"]);
    let clients: Vec<_> = (0..CLIENTS).map(|_| proxy.connect()).collect();
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
    proxy.assert_sleeps();
    drop(clients);
    assert_eq!(proxy.stop(), summary(CLIENTS, [bytes, bytes], ""));
}
