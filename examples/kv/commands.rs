//! What each command is called, and how it is run.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    time::Instant,
};

use crate::{
    many::Job,
    memory::OutOfMemory,
    reply::{Replies, TooLong},
    request::{Words, integer},
    store::Store,
};

/// How long the answer to one command may be.
const ANSWER: usize = 64 * 1024 * 1024;

/// How long an answer may be whatever memory is left. So much can be sent at once to a client that reads.
const SENT: usize = 48 * 1024;

/// What it costs to run a command.
const COMMAND: isize = 100;

/// As Redis words it.
pub(crate) const OUT_OF_MEMORY: &[u8] = b"OOM command not allowed when used memory > 'maxmemory'.";

/// How much of what a client wrote is repeated in an error.
const SHOWN: usize = 128;

/// Why a command is refused.
pub(crate) enum Refusal {
    Syntax,
    NotInteger,
    Overflow,
    ExpireTime,
    OutOfMemory,
    TooLong,
    LongPattern,
    Arguments,
    Other(&'static str),
    /// With a part that the client wrote.
    Named(&'static str, Vec<u8>),
}

impl Refusal {
    pub(crate) fn named(text: &'static str, part: &[u8]) -> Self {
        Refusal::Named(text, shown(part).to_vec())
    }
}

impl From<OutOfMemory> for Refusal {
    fn from(_: OutOfMemory) -> Self {
        Refusal::OutOfMemory
    }
}

impl From<TooLong> for Refusal {
    fn from(_: TooLong) -> Self {
        Refusal::TooLong
    }
}

/// What becomes of the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Stays,
    Leaves,
    /// It stays, and its command is to be run on in its next turn.
    Waits,
    /// It does not speak this protocol, but HTTP.
    IsForeign,
}

/// What a command is asked with, and what answers it.
pub(crate) struct Call<'c> {
    pub(crate) words: Words<'c>,
    pub(crate) database: &'c mut Database,
    pub(crate) replies: &'c mut Replies,
    /// What the command has left for later turns.
    pub(crate) job: &'c mut Option<Box<Job>>,
}

pub(crate) type Done = Result<(), Refusal>;

pub(crate) struct Command {
    name: &'static str,
    /// How many words it has; if negative, at least so many.
    words: isize,
    run: fn(&mut Call<'_>) -> Done,
}

/// In no order; the frequent ones first.
pub(crate) const COMMANDS: [Command; 33] = [
    command("get", 2, |call| call.get()),
    command("set", -3, |call| call.set()),
    command("mget", -2, |call| call.mget()),
    command("incr", 2, |call| call.add(1)),
    command("del", -2, |call| call.del()),
    command("exists", -2, |call| call.exists()),
    command("mset", -3, |call| call.mset()),
    command("ping", -1, |call| call.ping()),
    command("echo", 2, |call| call.echo()),
    command("decr", 2, |call| call.add(-1)),
    command("incrby", 3, |call| call.incrby()),
    command("decrby", 3, |call| call.decrby()),
    command("expire", -3, |call| call.expire(1000)),
    command("pexpire", -3, |call| call.expire(1)),
    command("ttl", 2, |call| call.ttl(1000)),
    command("pttl", 2, |call| call.ttl(1)),
    command("persist", 2, |call| call.persist()),
    command("unlink", -2, |call| call.del()),
    command("type", 2, |call| call.kind()),
    command("keys", 2, |call| call.keys()),
    command("dbsize", 1, |call| call.dbsize()),
    command("flushall", -1, |call| call.flush()),
    command("flushdb", -1, |call| call.flush()),
    command("info", -1, |call| call.info()),
    command("command", -1, |call| call.command()),
    command("config", -2, |call| call.config()),
    command("select", 2, |call| call.select()),
    command("client", -2, |call| call.client()),
    command("quit", -1, |call| call.ok()),
    command("strlen", 2, |call| call.strlen()),
    command("append", 3, |call| call.append()),
    command("setnx", 3, |call| call.setnx()),
    command("getset", 3, |call| call.getset()),
];

const fn command(name: &'static str, words: isize, run: fn(&mut Call<'_>) -> Done) -> Command {
    Command { name, words, run }
}

/// The store, and what `INFO` says of the server.
pub(crate) struct Database {
    pub(crate) store: Store,
    pub(crate) clients: usize,
    pub(crate) port: u16,
    pub(crate) started: Instant,
    /// How many have been run.
    pub(crate) commands: u64,
    pub(crate) run_id: u64,
}

impl Database {
    pub(crate) fn new(memory: usize, port: u16) -> Self {
        Database {
            store: Store::new(memory),
            clients: 0,
            port,
            started: Instant::now(),
            commands: 0,
            run_id: RandomState::new().build_hasher().finish(),
        }
    }

    /// Runs one request, or goes on with it if there is a job.
    pub(crate) fn run(
        &mut self,
        words: Words<'_>,
        replies: &mut Replies,
        job: &mut Option<Box<Job>>,
    ) -> Outcome {
        if words.len() == 0 {
            return Outcome::Stays;
        }
        if job.is_none() {
            self.commands += 1;
        }
        let name = words.get(0);
        let is_named = |command: &&Command| name.eq_ignore_ascii_case(command.name.as_bytes());
        let Some(command) = COMMANDS.iter().find(is_named) else {
            if is_foreign(words) {
                return Outcome::IsForeign;
            }
            replies.error(&unknown(words));
            return Outcome::Stays;
        };
        let fits = match command.words {
            words_at_least @ ..0 => words.len() >= words_at_least.unsigned_abs(),
            exactly => words.len() == exactly.unsigned_abs(),
        };
        if !fits && is_foreign(words) {
            return Outcome::IsForeign;
        }
        let start = replies.bytes.len();
        let most = ANSWER.min(SENT.max(self.store.memory.left()));
        replies.limit = start + most;
        self.store.work -= COMMAND;
        let mut call = Call {
            words,
            database: self,
            replies,
            job,
        };
        let done = match fits {
            true => (command.run)(&mut call),
            false => Err(Refusal::Arguments),
        };
        if let Err(refusal) = done {
            replies.bytes.truncate(start);
            let text = match refusal {
                Refusal::TooLong if most < ANSWER => Refusal::OutOfMemory.text(command.name),
                refusal => refusal.text(command.name),
            };
            replies.error(&text);
        }
        match command.name {
            _ if job.is_some() => Outcome::Waits,
            "quit" => Outcome::Leaves,
            _ => Outcome::Stays,
        }
    }
}

/// Whether a request that is none is part of one of HTTP, which a browser may have been led to send here. What follows it
/// was not written by its sender.
fn is_foreign(words: Words<'_>) -> bool {
    let name = words.get(0);
    let is_header = name
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"host:"));
    let is_version = words.len() == 3 && words.get(2).starts_with(b"HTTP/");
    name.eq_ignore_ascii_case(b"post") || is_header || words.are_typed && is_version
}

/// As much of a word as Redis repeats in an error.
fn shown(word: &[u8]) -> &[u8] {
    let word = &word[..word.len().min(SHOWN)];
    word.split(|byte| *byte == 0).next().unwrap_or(&[])
}

fn unknown(words: Words<'_>) -> Vec<u8> {
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(shown(words.get(0)));
    text.extend_from_slice(b"', with args beginning with: ");
    let before = text.len();
    for word in words.from(1) {
        let room = SHOWN.saturating_sub(text.len() - before);
        if room == 0 {
            break;
        }
        text.push(b'\'');
        text.extend(shown(word).iter().take(room));
        text.extend_from_slice(b"' ");
    }
    text
}

impl Refusal {
    fn text(&self, command: &str) -> Vec<u8> {
        match self {
            Refusal::Syntax => b"ERR syntax error".to_vec(),
            Refusal::NotInteger => b"ERR value is not an integer or out of range".to_vec(),
            Refusal::Overflow => b"ERR increment or decrement would overflow".to_vec(),
            Refusal::ExpireTime => format!("ERR invalid expire time in '{command}' command").into(),
            Refusal::OutOfMemory => OUT_OF_MEMORY.to_vec(),
            Refusal::TooLong => b"ERR the answer is too long".to_vec(),
            Refusal::LongPattern => b"ERR the pattern is too long".to_vec(),
            Refusal::Arguments => {
                format!("ERR wrong number of arguments for '{command}' command").into()
            }
            Refusal::Other(text) => text.as_bytes().to_vec(),
            Refusal::Named(text, name) => {
                let (before, after) = text.split_once("{}").unwrap_or((text, ""));
                [before.as_bytes(), name, after.as_bytes()].concat()
            }
        }
    }
}

impl Call<'_> {
    pub(crate) fn number(&self, at: usize) -> Result<i64, Refusal> {
        integer(self.words.get(at)).ok_or(Refusal::NotInteger)
    }

    pub(crate) fn ok(&mut self) -> Done {
        self.replies.ok();
        Ok(())
    }

    pub(crate) fn count(&mut self, count: usize) -> Done {
        self.replies.integer(count as i64);
        Ok(())
    }
}
