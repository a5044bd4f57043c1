//! `kv` beside redis-server, with redis-benchmark on the other core.

use std::{
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    RUNS, Runs, Server,
    clients::Request,
    heading, print,
    process::{Process, count_calls, pin},
};

/// The real one, without a disk; none if it is not installed.
fn redis_server() -> Option<Process> {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.expect("a port");
    let child = Command::new("redis-server")
        .args(["--port", &address.port().to_string()])
        .args(["--save", "", "--appendonly", "no"])
        .stdout(Stdio::null())
        .spawn()
        .ok()?;
    while TcpStream::connect(address).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    Some(Process::pinned(child, address.to_string()))
}

/// Requests in a second, of one kind, as redis-benchmark counts them.
fn benchmark(server: &Process, kind: &str, depth: usize, requests: usize) -> Option<f64> {
    let (_, port) = server.address.rsplit_once(':')?;
    let child = Command::new("redis-benchmark")
        .args(["-p", port, "-c", "50", "-t", kind, "--csv"])
        .args(["-n", &requests.to_string(), "-P", &depth.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    pin(child.id() as i32, 1);
    let output = child.wait_with_output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().last()?;
    line.split(',').nth(1)?.trim_matches('"').parse().ok()
}

const SERVERS: [Server; 3] = [
    ("redis-server", redis_server),
    ("`kv`", || Some(Process::example("kv", &[]))),
    ("`kv --backend uring`", || {
        Some(Process::example("kv", &["--backend", "uring"]))
    }),
];

/// What redis-benchmark finds.
fn compare(kind: &str, depth: usize, requests: usize) {
    heading(&format!(
        "{} by redis-benchmark, 50 connections, {depth} at a time on each",
        kind.to_uppercase()
    ));
    let mut runs: [Runs; SERVERS.len()] = Default::default();
    for _ in 0..RUNS {
        for ((name, start), runs) in SERVERS.iter().zip(&mut runs) {
            let Some(server) = start() else {
                println!("{name} is not installed");
                return;
            };
            benchmark(&server, "set", depth, requests / 10);
            let (time, ticks) = (server.time(), server.ticks());
            let Some(rate) = benchmark(&server, kind, depth, requests) else {
                println!("redis-benchmark is not installed");
                return;
            };
            let (time, after) = (server.time() - time, server.ticks());
            let ticks = [after[0] - ticks[0], after[1] - ticks[1]];
            runs.add(time as f64 / requests as f64, rate, ticks);
        }
    }
    for ((_, start), runs) in SERVERS.iter().zip(&mut runs) {
        let Some(server) = start() else { continue };
        let count = count_calls(&server, Duration::from_millis(500));
        let rate = benchmark(&server, kind, depth, 3 * requests);
        let calls = count.and_then(|count| count.a_second());
        runs.calls = calls.zip(rate).map(|(calls, rate)| calls / rate);
    }
    let peer = runs[0].cost();
    for ((name, _), runs) in SERVERS.iter().zip(&runs) {
        print(name, runs.cost(), peer);
    }
}

pub(crate) fn one_at_a_time() {
    for kind in ["set", "get"] {
        compare(kind, 1, 200_000);
    }
}

/// First as redis-benchmark sends, which is then the limit; then the same bytes from clients that only count.
pub(crate) fn pipelined() {
    const DEPTH: usize = 16;
    const SET: &str = "*3\r\n$3\r\nSET\r\n$16\r\nkey:__rand_int__\r\n$3\r\nVXK\r\n";
    const GET: &str = "*2\r\n$3\r\nGET\r\n$16\r\nkey:__rand_int__\r\n";
    for kind in ["set", "get"] {
        compare(kind, DEPTH, 2_000_000);
    }
    for (kind, request, answer) in [("SET", SET, "+OK\r\n"), ("GET", GET, "$-1\r\n")] {
        let title = format!("{kind} by clients that only count, 50 connections, {DEPTH} at a time");
        let bytes = request.repeat(DEPTH);
        let request = Request {
            bytes: bytes.as_bytes(),
            answer: DEPTH * answer.len(),
            weight: DEPTH,
        };
        crate::compare(&title, &SERVERS, 50, request);
    }
}
