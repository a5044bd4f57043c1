//! What clients do. Where it does not go as it should, they panic, and so the test fails.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use crate::server::{Server, await_that};

/// Sends all of it.
pub fn send(mut client: &TcpStream, bytes: impl AsRef<[u8]>) {
    client.write_all(bytes.as_ref()).expect("it reads");
}

/// Receives so many bytes.
pub fn receive(mut client: &TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    client.read_exact(&mut bytes).expect("it sends");
    bytes
}

/// What comes until the server closes.
pub fn rest(mut client: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    client
        .read_to_end(&mut bytes)
        .expect("it sends, and closes");
    bytes
}

/// One round trip.
pub fn assert_echoes(client: &TcpStream, bytes: impl AsRef<[u8]>) {
    let bytes = bytes.as_ref();
    send(client, bytes);
    assert_same(&receive(client, bytes.len()), bytes);
}

/// Says where they differ, and does not print millions of bytes.
pub fn assert_same(received: &[u8], expected: &[u8]) {
    assert_eq!(received.len(), expected.len());
    if received != expected {
        let differ = received.iter().zip(expected).position(|(a, b)| a != b);
        panic!("differs at byte {differ:?} of {}", expected.len());
    }
}

/// Sends more than fits into the kernel, from a thread of its own, and reads it at the same time.
pub fn assert_streams(client: &TcpStream, bytes: &[u8]) {
    thread::scope(|scope| {
        scope.spawn(|| send(client, bytes));
        assert_same(&receive(client, bytes.len()), bytes);
    });
}

/// Closes without a farewell.
pub fn reset(client: TcpStream) {
    set_socket_linger(&client, Some(Duration::ZERO)).expect("a socket");
}

/// Nothing has come from the server, nor its end.
pub fn assert_silent(client: &TcpStream) {
    client.set_nonblocking(true).expect("a socket");
    let answer = client.peek(&mut [0]).map_err(|error| error.kind());
    client.set_nonblocking(false).expect("a socket");
    assert_eq!(answer, Err(ErrorKind::WouldBlock));
}

/// Ends one direction; the other stays open.
pub fn finish_sending(client: &TcpStream) {
    client.shutdown(Shutdown::Write).expect("connected");
}

/// Bytes of which no two pieces are the same, and most of which are no text.
pub fn numbers(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    for n in 0..length as u64 / 8 {
        bytes.extend_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    }
    bytes
}

/// A client that does not read, so that the server owes it something and waits; and what the client has sent. All of
/// this has arrived at the server.
pub fn client_that_is_owed(server: &Server) -> (TcpStream, Vec<u8>) {
    // Not more than the kernel takes for a server that does not read.
    const PIECE: usize = 60 * 1024;
    let client = server.connect();
    let bytes = numbers(32 << 20);
    let mut sent = 0;
    let mut waits = false;
    while !waits {
        send(&client, &bytes[sent..sent + PIECE]);
        sent += PIECE;
        // The kernel's buffers grow while they are used, so it must stand still for a while.
        let mut looks = 0;
        await_that("the server reads it, or waits", || {
            let queues = queues(&client);
            let stands = matches!(queues, Some((0, 1..))) && server.is_asleep();
            looks = if stands { looks + 1 } else { 0 };
            waits = looks == 10;
            waits || queues == Some((0, 0))
        });
    }
    (client, bytes[..sent].to_vec())
}

/// How many bytes of a client have not arrived, and how many have and were not read. None if the table of all
/// connections has changed too much while it was read.
pub fn queues(client: &TcpStream) -> Option<(usize, usize)> {
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let here = client.local_addr().expect("connected").port();
    let there = client.peer_addr().expect("connected").port();
    let number = |digits: &str| usize::from_str_radix(digits, 16).ok();
    let is_port = |address: &str, port: u16| address.ends_with(&format!(":{port:04X}"));
    let queues = |from, to| {
        let mut lines = table.lines().map(|line| line.split_whitespace());
        lines.find_map(|mut line| {
            let is_ours = is_port(line.nth(1)?, from) && is_port(line.next()?, to);
            is_ours.then(|| line.nth(1)?.split_once(':'))?
        })
    };
    let (unsent, _) = queues(here, there)?;
    let (_, unread) = queues(there, here)?;
    Some((number(unsent)?, number(unread)?))
}
