//! The same requests for `kv` and for redis-server: the answers must be the same, byte by byte.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use batchloop_tests::server::{PATIENCE, Server, await_that};

use crate::protocol::{add_answer, request};

/// The real one, without a disk.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a port").port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--databases", "1"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server: {error}; Debian has it in redis-server"));
        let redis = Redis { child, port };
        await_that("redis-server listens", || redis.connect().is_ok());
        redis
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        TcpStream::connect(("127.0.0.1", self.port))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Numbers that look random, and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn one_of<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn request(&mut self) -> Vec<String> {
        const KEYS: [&str; 6] = ["a", "b", "c", "number", "", "k ey\r\n"];
        const VALUES: [&str; 12] = [
            "1",
            "0",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "01",
            "+1",
            " 1",
            "x",
            "",
            "1.5",
            "a value\r\n with \0 all",
        ];
        const NUMBERS: [&str; 9] = [
            "1",
            "-1",
            "0",
            "100",
            "9223372036854775807",
            "-9223372036854775808",
            "x",
            "",
            "1000000",
        ];
        const COMMANDS: [&str; 36] = [
            "GET", "SET", "set", "DEL", "EXISTS", "INCR", "DECR", "INCRBY", "DECRBY", "MGET",
            "MSET", "EXPIRE", "PEXPIRE", "TTL", "PERSIST", "DBSIZE", "ECHO", "PING", "SETNX",
            "GETSET", "APPEND", "STRLEN", "TYPE", "UNLINK", "SELECT", "nonsense", "SET", "GET",
            "FLUSHALL", "EXISTS", "EXPIRE", "EXPIRE", "PEXPIRE", "TTL", "KEYS", "KEYS",
        ];
        const OPTIONS: [&str; 9] = [
            "NX", "XX", "xx", "EX", "PX", "GET", "KEEPTTL", "100000", "0",
        ];
        const TIMES: [&str; 5] = ["-1", "0", "x", "", "9223372036854775807"];
        const CONDITIONS: [&str; 8] = ["NX", "XX", "GT", "LT", "nx", "gT", "", "EX\r\n"];
        const PARTS: [&str; 16] = [
            "a", "*", "?", "[a-c]", "[^a]", "[", "]", "^", "-", "\\", "number", "k ey", "\r\n",
            "num", "[^", "\\*",
        ];
        let command = self.one_of(&COMMANDS);
        let mut words = vec![command.to_owned()];
        let mut add = |word: &str| words.push(word.to_owned());
        match command {
            "FLUSHALL" if self.below(10) > 0 => add("nonsense"),
            "FLUSHALL" | "DBSIZE" | "PING" => {}
            "SELECT" => add(self.one_of(&["0", "1", "x"])),
            "INCRBY" | "DECRBY" => {
                add(self.one_of(&KEYS));
                add(self.one_of(&NUMBERS));
            }
            // Long times, so that nothing is forgotten by one only; and far from each other, because the two servers
            // compare them at moments of their own.
            "EXPIRE" | "PEXPIRE" => {
                add(self.one_of(&KEYS));
                match self.below(2) {
                    0 => add(self.one_of(&TIMES)),
                    _ => add(&((100 + self.below(1_000_000)) as u64 * 1_000_000).to_string()),
                }
                for _ in 0..self.below(3) {
                    add(self.one_of(&CONDITIONS));
                }
            }
            "KEYS" => {
                let pattern: String = (0..self.below(6)).map(|_| self.one_of(&PARTS)).collect();
                add(&pattern);
            }
            "SET" | "set" => {
                add(self.one_of(&KEYS));
                add(self.one_of(&VALUES));
                for _ in 0..self.below(3) {
                    add(self.one_of(&OPTIONS));
                }
            }
            "MSET" | "SETNX" | "GETSET" | "APPEND" => {
                add(self.one_of(&KEYS));
                add(self.one_of(&VALUES));
            }
            _ => {
                add(self.one_of(&KEYS));
            }
        }
        // More words than are needed, or fewer. For SET, one more may be a time, and a very short one.
        match self.below(12) {
            0 if !command.eq_ignore_ascii_case("set") => {
                words.push(self.one_of(&VALUES).to_owned())
            }
            1 if words.len() > 1 => drop(words.pop()),
            _ => {}
        }
        words
    }
}

/// An answer whose parts come in any order.
fn sorted(answer: &str) -> String {
    let answer = answer.strip_suffix("\r\n").unwrap_or(answer);
    let mut parts: Vec<&str> = answer.split("\r\n$").collect();
    parts[1..].sort_unstable();
    parts.join("\r\n$")
}

#[test]
fn answers_are_those_of_redis() {
    let (redis, server) = (Redis::start(), Server::start("kv", &[]));
    let sockets = [redis.connect().expect("it listens"), server.connect()];
    let mut readers = sockets.each_ref().map(|socket| {
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        BufReader::new(socket)
    });
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for round in 0..20_000 {
        let words = numbers.request();
        let bytes: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        let answers = [0, 1].map(|which| {
            let mut socket = &sockets[which];
            socket.write_all(&request(&bytes)).expect("it reads");
            let mut bytes = Vec::new();
            add_answer(&mut readers[which], &mut bytes);
            let answer = String::from_utf8_lossy(&bytes).into_owned();
            match words[0].as_str() {
                "KEYS" => sorted(&answer),
                _ => answer,
            }
        });
        // A second may end between the one answer and the other.
        let second = answers.each_ref().map(|answer| seconds(answer));
        let is_near = match (words[0].as_str(), second) {
            ("TTL", [Some(one), Some(other)]) => one.abs_diff(other) <= 1,
            _ => false,
        };
        assert!(
            is_near || answers[1] == answers[0],
            "{words:?} in round {round}: {answers:?}"
        );
    }
}

/// A time that is left.
fn seconds(answer: &str) -> Option<u64> {
    answer.strip_prefix(':')?.trim_end().parse().ok()
}

/// What comes back for these bytes until the connection ends.
fn all_answers(socket: TcpStream, bytes: &[u8]) -> String {
    let mut socket = &socket;
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // Whoever has been refused does not read the rest.
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(Shutdown::Write);
    let mut answers = Vec::new();
    let _ = socket.read_to_end(&mut answers);
    String::from_utf8_lossy(&answers).into_owned()
}

#[test]
fn odd_requests_are_answered_as_by_redis() {
    let (redis, server) = (Redis::start(), Server::start("kv", &[]));
    let requests: [&[u8]; 48] = [
        b"*1\r\n$4\r\nPING\r\n",
        b"*01\r\n$4\r\nPING\r\n",
        b"*+1\r\n$4\r\nPING\r\n",
        b"* 1\r\n$4\r\nPING\r\n",
        b"*\r\n$4\r\nPING\r\n",
        b"*-1\r\nPING\r\n",
        b"*-99999\r\nPING\r\n",
        b"*0\r\nPING\r\n",
        b"*99999999999\r\nPING\r\n",
        b"*99999999999999999999999\r\nPING\r\n",
        b"*1\r\n$04\r\nPING\r\n",
        b"*1\r\n$+4\r\nPING\r\n",
        b"*1\r\n$-1\r\nPING\r\n",
        b"*1\r\n$-0\r\nPING\r\n",
        b"*1\r\n$\r\nPING\r\n",
        b"*1\r\n$4 \r\nPING\r\n",
        b"*1\r\n$99999999999\r\nPING\r\n",
        b"*1\r\n$9223372036854775808\r\nPING\r\n",
        b"*1\r\n*1\r\n$4\r\nPING\r\n",
        b"*1\r\n:1\r\n",
        b"*1\r\nPING\r\n",
        b"*2\r\n$4\r\nECHO\r\n\r\n",
        b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
        b"*1\n$4\nPING\n",
        b"*1\r\n$0\r\n\r\nPING\r\n",
        b"*2\r\n$4\r\nECHO\r\n$5\r\n\r\n\0\xff*\r\n",
        b"*1\r\n$5\r\nPI\0NG\r\n",
        b"*2\r\n$3\r\na\r\n\r\n$3\r\nb\r\n\r\n",
        b"$4\r\nPING\r\n",
        b"PING\n",
        b"PING\r\n\r\n\n \r\nPING\r\n",
        b"  PING   \t x \r\n",
        b"ECHO \"a b\\x41\\n\\t\\\"\"\r\n",
        b"ECHO 'it\\'s \\n'\r\n",
        b"ECHO \"a\"b\r\nPING\r\n",
        b"ECHO 'a\r\nPING\r\n",
        b"ECHO \"\"\r\n",
        b"ECHO a\"b c\"\r\n",
        b"\"PING\"\r\n",
        b"\xff\xfe\r\nPING\r\n",
        b"PING\r",
        b"*1\r\n$4\r\nPIN",
        b"EXPIRE a 1 NX XX\r\nEXPIRE a 1 GT LT\r\nEXPIRE a 1 LT NX\r\nEXPIRE a x NX LT\r\nEXPIRE a 1 NX y\r\n",
        b"SET a 1\r\nEXPIRE a -1 GT\r\nEXPIRE a 0 XX\r\nEXISTS a\r\nEXPIRE a -1 LT\r\nEXISTS a\r\n",
        b"SET a 1 EX 100\r\nEXPIRE a 50 GT\r\nTTL a\r\nEXPIRE a 200 XX GT\r\nTTL a\r\nPEXPIRE a 1000 NX\r\nPEXPIRE a 60000 XX LT\r\nTTL a\r\nEXPIRE b 1 LT\r\n",
        b"CONFIG nonsense\r\nCLIENT nonsense x\r\nCONFIG GET maxmemory-polic?\r\nCONFIG GET DATABASE[S]\r\n",
        b"POST / HTTP/1.1\r\nPING\r\n",
        b"HOST: x\r\nPING\r\n",
    ];
    for bytes in requests {
        let ours = all_answers(server.connect(), bytes);
        let theirs = all_answers(redis.connect().expect("it listens"), bytes);
        assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(bytes));
    }
}
