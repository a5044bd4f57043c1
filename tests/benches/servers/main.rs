//! Servers beside their peers, on one machine: `cargo bench --bench servers`.
//!
//! Each server runs on the first core, and the clients on the second; interleaved, each three times, with 64-byte
//! requests, one under way for each connection. Beside `echo` on epoll and on io_uring run the limit, a bare epoll loop,
//! and tokio. Then redis-benchmark asks `kv`, and redis-server.
//!
//! What counts is the server's processor time for a request: the 10th percentile over slices of 100 ms, the lowest of
//! the runs. Its part in user space comes from the kernel's ticks over all runs. System calls are counted by `perf`, where
//! it is installed and may, in a run of their own.
//!
//! `BATCHLOOP_SERVERS_SECONDS` is how long a run takes, 2 if it is not given.

mod clients;
mod peers;
mod process;
mod redis;
mod wakes;

use std::{env, time::Duration};

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

fn echo_servers(connections: usize) {
    heading(&format!(
        "A request of 64 bytes and its echo, {connections} connections"
    ));
    type Start = fn() -> Process;
    let servers: [(&str, Start); 4] = [
        ("bare epoll loop", || Process::peer("epoll")),
        ("`echo`", || Process::example("echo", &["--slots", "1000"])),
        ("`echo --backend uring`", || {
            Process::example("echo", &["--slots", "1000", "--backend", "uring"])
        }),
        ("tokio, one thread", || Process::peer("tokio")),
    ];
    let mut runs: [Runs; 4] = Default::default();
    for _ in 0..RUNS {
        for ((_, start), runs) in servers.iter().zip(&mut runs) {
            let server = start();
            let load = clients::run(&server, connections, run_time());
            runs.add(load.time, load.rate, load.ticks);
        }
    }
    for ((_, start), runs) in servers.iter().zip(&mut runs) {
        let server = start();
        let count = process::count_calls(&server, run_time());
        let load = clients::run(&server, connections, run_time() + Duration::from_secs(1));
        runs.calls = count
            .and_then(|count| count.a_second())
            .map(|calls| calls / load.rate);
    }
    let limit = runs[0].cost();
    for ((name, _), runs) in servers.iter().zip(&runs) {
        print(name, runs.cost(), limit);
    }
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
    wakes::wakes();
    echo_servers(50);
    echo_servers(500);
    redis::servers();
}
