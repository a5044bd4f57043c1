//! The `kv` example, run as a process for Redis' own clients, and for worse ones.

mod fairness;
mod limits;
mod memory;
mod protocol;
mod same_as_redis;

use std::process::{Command, Output};

use batchloop_tests::process::finish;
use batchloop_tests::server::{Server, program};

/// Runs one of Redis' own programs.
fn redis_tool(name: &str, server: &Server, arguments: &[&str]) -> Output {
    let port = server.address().port().to_string();
    let output = Command::new(name)
        .args(["-h", "127.0.0.1", "-p", &port])
        .args(arguments)
        .output();
    output.unwrap_or_else(|error| panic!("{name}: {error}; Debian has it in redis-tools"))
}

fn cli(server: &Server, command: &str) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let output = redis_tool("redis-cli", server, &words);
    let text = String::from_utf8(output.stdout).expect("text");
    text.trim_end().replace('\n', "|")
}

#[test]
fn redis_cli_command_by_command() {
    let server = Server::start("kv", &[]);
    let dialogue = [
        ("ping", "PONG"),
        ("PING hello", "hello"),
        ("echo hello", "hello"),
        ("get a", ""),
        ("set a 1", "OK"),
        ("get a", "1"),
        ("set a 2 nx", ""),
        ("set b 2 nx", "OK"),
        ("set c 3 xx", ""),
        ("set a 2 xx", "OK"),
        ("mget a b c", "2|2|"),
        ("exists a b c a", "3"),
        ("incr a", "3"),
        ("incr c", "1"),
        ("decr c", "0"),
        ("decr c", "-1"),
        ("incrby a 10", "13"),
        ("decrby a 3", "10"),
        ("del a b x", "2"),
        ("mset a 1 b 2", "OK"),
        ("dbsize", "3"),
        ("keys [ab]", "a|b"),
        ("ttl a", "-1"),
        ("ttl x", "-2"),
        ("expire a 100", "1"),
        ("expire x 100", "0"),
        ("ttl a", "100"),
        ("persist a", "1"),
        ("ttl a", "-1"),
        ("set a 1 ex 100", "OK"),
        ("ttl a", "100"),
        ("set a 1 px 99700", "OK"),
        ("ttl a", "100"),
        // In the year 2100.
        ("set a 1 exat 4102444800", "OK"),
        ("set a 1 xx pxat 4102444800000 get", "1"),
        ("set a 1 ex 10 px 10", "ERR syntax error|"),
        ("set a 1 ex 10 keepttl", "ERR syntax error|"),
        ("expire a 0", "1"),
        ("exists a", "0"),
        ("type b", "string"),
        ("type x", "none"),
        ("select 0", "OK"),
        ("select 1", "ERR DB index is out of range|"),
        ("command count", "33"),
        ("config get appendonly", "appendonly|no"),
        ("config get nothing", ""),
        ("client setname me", "OK"),
        ("set a", "ERR wrong number of arguments for 'set' command|"),
        ("set a 1 ex", "ERR syntax error|"),
        ("set a 1 ex 0", "ERR invalid expire time in 'set' command|"),
        ("set a x", "OK"),
        ("incr a", "ERR value is not an integer or out of range|"),
        (
            "nonsense 1 2",
            "ERR unknown command 'nonsense', with args beginning with: '1' '2' |",
        ),
        ("flushall", "OK"),
        ("dbsize", "0"),
        ("keys *", ""),
        ("quit", "OK"),
    ];
    for (command, expected) in dialogue {
        let mut answer = cli(&server, command);
        if command.starts_with("keys") {
            let mut keys: Vec<&str> = answer.split('|').collect();
            keys.sort_unstable();
            answer = keys.join("|");
        }
        let trimmed = |text: &str| text.trim_end_matches(['|', ' ']).to_owned();
        assert_eq!(trimmed(&answer), trimmed(expected), "{command}");
    }
    let info = cli(&server, "info");
    for expected in ["redis_version:", "connected_clients:1", "role:master"] {
        assert!(info.contains(expected), "{info}");
    }
}

#[test]
fn redis_benchmark_is_content() {
    let server = Server::start("kv", &[]);
    let benchmark = |more: &[&str]| {
        let arguments = ["-n", "20000", "-c", "50", "-q", "--csv"];
        let output = redis_tool("redis-benchmark", &server, &[&arguments, more].concat());
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{text}");
        text
    };
    let tests = ["-t", "ping,set,get,incr,mset"];
    for more in [&[][..], &["-P", "16"], &["-d", "5000"], &["-r", "1000"]] {
        let text = benchmark(&[&tests, more].concat());
        for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET"] {
            assert!(text.contains(test), "{more:?}: {text}");
        }
    }
    // Each INCR counted: once for each of the four runs, of one key or of a thousand.
    let counts = cli(&server, "get counter:__rand_int__");
    assert_eq!(counts, "60000");
}

#[test]
fn keys_are_forgotten_though_nobody_asks_for_them() {
    let server = Server::start("kv", &[]);
    for key in ["a", "b", "c"] {
        cli(&server, &format!("set {key} 1 px 50"));
    }
    assert_eq!(cli(&server, "set d 1"), "OK");
    batchloop_tests::server::await_that("they are forgotten", || cli(&server, "dbsize") == "1");
    server.assert_sleeps();
}

#[test]
fn wrong_options_are_named() {
    for (arguments, complaint) in [
        (
            &["127.0.0.1:0", "--slots", "0"][..],
            "--slots must be from 1",
        ),
        (&["127.0.0.1:0", "--backend", "magic"], "epoll or uring"),
        (
            &["127.0.0.1:0", "--max-memory", "many"],
            "--max-memory: not a number",
        ),
        (&["127.0.0.1:0", "--pause", "1000001"], "--pause"),
        (&["nowhere"], "nowhere"),
        (&[], "usage: kv"),
    ] {
        let output = finish(program("kv", arguments).spawn().expect("runs"));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.starts_with("kv: ") && text.contains(complaint),
            "{text}"
        );
    }
}
