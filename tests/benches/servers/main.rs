//! Servers beside their peers, on one machine: `cargo bench --bench servers`.
//!
//! Each server runs on the first core, and the clients on the second; interleaved, each three times, with 64-byte
//! requests, one under way for each connection. Beside `echo` on epoll and on io_uring run the limit, a bare epoll loop,
//! and tokio. Then redis-benchmark asks `kv`, and redis-server; and, where it would be the limit itself, clients that only
//! count bytes.
//!
//! What counts is the server's processor time for a request: the 10th percentile over slices of 100 ms, the lowest of
//! the runs. Its part in user space comes from the kernel's ticks over all runs. System calls are counted by `perf`, where
//! it is installed and may, in a run of their own.
//!
//! `BATCHLOOP_SERVERS_SECONDS` is how long a run takes, 2 if it is not given. Names after `--` choose parts: `wakes`,
//! `echo1`, `echo4`, `echo16`, `echo50`, `echo500`, `kv`, `kv16`.

mod clients;
mod peers;
mod process;
mod redis;
mod wakes;

use std::{env, time::Duration};

use clients::Request;
use process::Process;

/// How often each is measured.
const RUNS: usize = 3;

/// What one server needs for a request.
#[derive(Clone, Copy)]
struct Cost {
    /// Nanoseconds of processor time.
    time: f64,
    /// Of these, in user space.
    user: f64,
    calls: Option<f64>,
    /// Requests in a second.
    rate: f64,
}

/// Adds up runs of one server.
#[derive(Default)]
struct Runs {
    time: Vec<f64>,
    rate: Vec<f64>,
    user_ticks: u64,
    ticks: u64,
    calls: Option<f64>,
}

impl Runs {
    fn add(&mut self, time: f64, rate: f64, ticks: [u64; 2]) {
        self.time.push(time);
        self.rate.push(rate);
        self.user_ticks += ticks[0];
        self.ticks += ticks[0] + ticks[1];
    }

    fn cost(&self) -> Cost {
        let time = self.time.iter().copied().fold(f64::MAX, f64::min);
        Cost {
            time,
            user: time * self.user_ticks as f64 / self.ticks.max(1) as f64,
            calls: self.calls,
            rate: self.rate.iter().copied().fold(0.0, f64::max),
        }
    }
}

fn print(name: &str, cost: Cost, limit: Cost) {
    let calls = cost.calls.map_or("-".into(), |calls| format!("{calls:.2}"));
    println!(
        "| {name} | {:.2} | {:.2} | {:.2} | {calls} | {:.0} |",
        cost.time / 1000.0,
        cost.time / limit.time,
        cost.user / 1000.0,
        cost.rate
    );
}

fn heading(title: &str) {
    println!("\n{title}\n");
    println!("| server | µs of processor | ratio | of it user space | system calls | requests/s |");
    println!("|---|---|---|---|---|---|");
}

fn run_time() -> Duration {
    let seconds = env::var("BATCHLOOP_SERVERS_SECONDS").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

/// A server by its name, and how it is started; none if it is not installed.
type Server = (&'static str, fn() -> Option<Process>);

/// Compares servers by clients that do as little as possible.
fn compare(title: &str, servers: &[Server], connections: usize, request: Request<'_>) {
    heading(title);
    let mut runs: Vec<Runs> = servers.iter().map(|_| Runs::default()).collect();
    for _ in 0..RUNS {
        for ((name, start), runs) in servers.iter().zip(&mut runs) {
            let Some(server) = start() else {
                println!("{name} is not installed");
                return;
            };
            let load = clients::run(&server, request, connections, run_time());
            runs.add(load.time, load.rate, load.ticks);
        }
    }
    for ((_, start), runs) in servers.iter().zip(&mut runs) {
        let Some(server) = start() else { continue };
        let count = process::count_calls(&server, run_time());
        let time = run_time() + Duration::from_secs(1);
        let load = clients::run(&server, request, connections, time);
        let calls = count.and_then(|count| count.a_second());
        runs.calls = calls.map(|calls| calls / load.rate);
    }
    let limit = runs[0].cost();
    for ((name, _), runs) in servers.iter().zip(&runs) {
        print(name, runs.cost(), limit);
    }
}

fn echo_servers(connections: usize) {
    const SERVERS: [Server; 4] = [
        ("bare epoll loop", || Some(Process::peer("epoll"))),
        ("`echo`", || {
            Some(Process::example("echo", &["--slots", "1000"]))
        }),
        ("`echo --backend uring`", || {
            let arguments = ["--slots", "1000", "--backend", "uring"];
            Some(Process::example("echo", &arguments))
        }),
        ("tokio, one thread", || Some(Process::peer("tokio"))),
    ];
    let title = format!("A request of 64 bytes and its echo, connections: {connections}");
    let request = Request {
        bytes: &[b'x'; 64],
        answer: 64,
        weight: 1,
    };
    compare(&title, &SERVERS, connections, request);
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let [_, option, name] = arguments.as_slice()
        && option == "--serve"
    {
        return peers::serve(name);
    }
    println!("{}", process::machine());
    process::pin(0, 1);
    let parts: [(&str, fn()); 8] = [
        ("wakes", wakes::wakes),
        ("echo1", || echo_servers(1)),
        ("echo4", || echo_servers(4)),
        ("echo16", || echo_servers(16)),
        ("echo50", || echo_servers(50)),
        ("echo500", || echo_servers(500)),
        ("kv", redis::one_at_a_time),
        ("kv16", redis::pipelined),
    ];
    let chosen = |part: &str| arguments.iter().skip(1).any(|name| name == part);
    let all = !parts.iter().any(|(part, _)| chosen(part));
    for (part, measure) in parts {
        if all || chosen(part) {
            measure();
        }
    }
}
