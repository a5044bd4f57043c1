//! What each command does to the store, and what it answers.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    time::Instant,
};

use crate::{
    glob,
    reply::Replies,
    request::{Words, integer},
    store::{Expiry, OutOfMemory, Store},
};

/// How long the answer to one command may be.
const ANSWER: usize = 64 * 1024 * 1024;

/// Why a command is refused.
pub(crate) enum Refusal {
    Syntax,
    NotInteger,
    Overflow,
    ExpireTime,
    OutOfMemory,
    Arguments,
    Other(&'static str),
    /// With a part that the client wrote.
    Named(&'static str, Vec<u8>),
}

impl From<OutOfMemory> for Refusal {
    fn from(_: OutOfMemory) -> Self {
        Refusal::OutOfMemory
    }
}

/// Whether the client stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Stays,
    Leaves,
}

/// What a command is asked with, and what answers it.
pub(crate) struct Call<'c> {
    pub(crate) words: Words<'c>,
    pub(crate) database: &'c mut Database,
    pub(crate) replies: &'c mut Replies,
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
    command("expire", -3, |call| call.expire("expire", 1000)),
    command("pexpire", -3, |call| call.expire("pexpire", 1)),
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

    /// Runs one request.
    pub(crate) fn run(&mut self, words: Words<'_>, replies: &mut Replies) -> Outcome {
        if words.len() == 0 {
            return Outcome::Stays;
        }
        self.commands += 1;
        let name = words.get(0);
        let is_named = |command: &&Command| name.eq_ignore_ascii_case(command.name.as_bytes());
        let Some(command) = COMMANDS.iter().find(is_named) else {
            replies.error(&unknown(words));
            return Outcome::Stays;
        };
        let fits = match command.words {
            words_at_least @ ..0 => words.len() >= words_at_least.unsigned_abs(),
            exactly => words.len() == exactly.unsigned_abs(),
        };
        let start = replies.0.len();
        let mut call = Call {
            words,
            database: self,
            replies,
        };
        let mut done = match fits {
            true => (command.run)(&mut call),
            false => Err(Refusal::Arguments),
        };
        if replies.0.len() - start > ANSWER {
            done = Err(Refusal::Other("ERR the answer is too long"));
        }
        if let Err(refusal) = done {
            replies.0.truncate(start);
            replies.error(&refusal.text(command.name));
        }
        match command.name {
            "quit" => Outcome::Leaves,
            _ => Outcome::Stays,
        }
    }
}

/// As much of a word as Redis repeats in an error.
fn shown(word: &[u8]) -> &[u8] {
    word.split(|byte| *byte == 0).next().unwrap_or(&[])
}

fn unknown(words: Words<'_>) -> Vec<u8> {
    let mut text = b"ERR unknown command '".to_vec();
    text.extend(shown(words.get(0)).iter().take(128));
    text.extend_from_slice(b"', with args beginning with: ");
    let before = text.len();
    for word in words.from(1) {
        let room = 128_usize.saturating_sub(text.len() - before);
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
            Refusal::OutOfMemory => {
                b"OOM command not allowed when used memory > 'maxmemory'.".to_vec()
            }
            Refusal::Arguments => {
                format!("ERR wrong number of arguments for '{command}' command").into()
            }
            Refusal::Other(text) => text.as_bytes().to_vec(),
            Refusal::Named(text, name) => {
                let (before, after) = text.split_once("{}").unwrap_or((text, ""));
                [before.as_bytes(), shown(name), after.as_bytes()].concat()
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

    fn count(&mut self, count: usize) -> Done {
        self.replies.integer(count as i64);
        Ok(())
    }

    fn ping(&mut self) -> Done {
        match self.words.len() {
            1 => self.replies.status("PONG"),
            2 => self.replies.bulk(self.words.get(1)),
            _ => return Err(Refusal::Arguments),
        }
        Ok(())
    }

    fn echo(&mut self) -> Done {
        self.replies.bulk(self.words.get(1));
        Ok(())
    }

    fn reply_with(&mut self, key: &[u8]) {
        match self.database.store.get(key) {
            Some(value) => self.replies.bulk(value),
            None => self.replies.null(),
        }
    }

    fn get(&mut self) -> Done {
        self.reply_with(self.words.get(1));
        Ok(())
    }

    fn mget(&mut self) -> Done {
        self.replies.array(self.words.len() - 1);
        let start = self.replies.0.len();
        for key in self.words.from(1) {
            self.reply_with(key);
            if self.replies.0.len() - start > ANSWER {
                // It is refused by now; the rest need not be gathered.
                break;
            }
        }
        Ok(())
    }

    fn set(&mut self) -> Done {
        let words = self.words;
        let (key, value) = (words.get(1), words.get(2));
        let now = self.database.store.now;
        let (mut only_new, mut only_old, mut gives) = (false, false, false);
        let mut time: Option<(&str, &[u8])> = None;
        let mut options = words.from(3);
        while let Some(option) = options.next() {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            match () {
                () if is("nx") && !only_old => only_new = true,
                () if is("xx") && !only_new => only_old = true,
                () if is("get") => gives = true,
                () => {
                    let kinds = ["keepttl", "ex", "px", "exat", "pxat"];
                    let kind = kinds.into_iter().find(|kind| is(kind));
                    // Of two of the same kind, the last one counts.
                    let kind = kind.filter(|kind| time.is_none_or(|(other, _)| other == *kind));
                    time = Some(match kind.ok_or(Refusal::Syntax)? {
                        "keepttl" => ("keepttl", &[]),
                        kind => (kind, options.next().ok_or(Refusal::Syntax)?),
                    });
                }
            }
        }
        let expiry = match time {
            None => Expiry::Never,
            Some(("keepttl", _)) => Expiry::Keep,
            Some((kind, digits)) => {
                let unit = if kind.starts_with('e') { 1000 } else { 1 };
                let from = if kind.ends_with("at") { 0 } else { now };
                Expiry::At(when(digits, unit, from)?)
            }
        };
        let store = &mut self.database.store;
        let is_conditional = only_new || only_old;
        let is_refused = is_conditional && store.contains(key) == only_new;
        let start = self.replies.0.len();
        match (gives, is_refused) {
            (true, _) => self.reply_with(key),
            (false, true) => self.replies.null(),
            (false, false) => self.replies.ok(),
        }
        if is_refused {
            return Ok(());
        }
        let set = self.database.store.set(key, value, expiry);
        if set.is_err() {
            self.replies.0.truncate(start);
        }
        Ok(set?)
    }

    fn setnx(&mut self) -> Done {
        let (key, value) = (self.words.get(1), self.words.get(2));
        let store = &mut self.database.store;
        let is_new = !store.contains(key);
        if is_new {
            store.set(key, value, Expiry::Never)?;
        }
        self.count(usize::from(is_new))
    }

    fn getset(&mut self) -> Done {
        let (key, value) = (self.words.get(1), self.words.get(2));
        self.reply_with(key);
        Ok(self.database.store.set(key, value, Expiry::Never)?)
    }

    fn append(&mut self) -> Done {
        let (key, tail) = (self.words.get(1), self.words.get(2));
        let store = &mut self.database.store;
        let mut value = store.get(key).unwrap_or(&[]).to_vec();
        if value.len() + tail.len() > crate::request::WORD as usize {
            return Err(Refusal::Other(
                "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            ));
        }
        value.extend_from_slice(tail);
        store.set(key, &value, Expiry::Keep)?;
        self.count(value.len())
    }

    fn strlen(&mut self) -> Done {
        let length = self
            .database
            .store
            .get(self.words.get(1))
            .map_or(0, <[u8]>::len);
        self.count(length)
    }

    fn mset(&mut self) -> Done {
        if self.words.len().is_multiple_of(2) {
            return Err(Refusal::Arguments);
        }
        let bytes = self.words.from(1).map(|word| word.len() + 64).sum();
        // All of them, or none.
        if !self.database.store.has_room(bytes) {
            return Err(Refusal::OutOfMemory);
        }
        let mut words = self.words.from(1);
        while let (Some(key), Some(value)) = (words.next(), words.next()) {
            self.database.store.set(key, value, Expiry::Never)?;
        }
        self.ok()
    }

    fn del(&mut self) -> Done {
        let store = &mut self.database.store;
        let removed = self.words.from(1).filter(|key| store.remove(key)).count();
        self.count(removed)
    }

    fn exists(&mut self) -> Done {
        let store = &mut self.database.store;
        let found = self.words.from(1).filter(|key| store.contains(key)).count();
        self.count(found)
    }

    fn kind(&mut self) -> Done {
        let is_there = self.database.store.contains(self.words.get(1));
        self.replies
            .status(if is_there { "string" } else { "none" });
        Ok(())
    }

    fn add(&mut self, amount: i64) -> Done {
        let key = self.words.get(1);
        let store = &mut self.database.store;
        let before = match store.get(key) {
            Some(value) => integer(value).ok_or(Refusal::NotInteger)?,
            None => 0,
        };
        let value = before.checked_add(amount).ok_or(Refusal::Overflow)?;
        store.set(key, value.to_string().as_bytes(), Expiry::Keep)?;
        self.replies.integer(value);
        Ok(())
    }

    fn incrby(&mut self) -> Done {
        self.add(self.number(2)?)
    }

    fn decrby(&mut self) -> Done {
        let amount = self.number(2)?.checked_neg();
        self.add(amount.ok_or(Refusal::Other("ERR decrement would overflow"))?)
    }

    fn expire(&mut self, name: &'static str, unit: i64) -> Done {
        if self.words.len() > 3 {
            let option = self.words.get(3).to_vec();
            return Err(Refusal::Named("ERR Unsupported option {}", option));
        }
        let time = self.number(2)?;
        let now = self.database.store.now as i64;
        let expires = time
            .checked_mul(unit)
            .and_then(|time| time.checked_add(now));
        let Some(expires) = expires else {
            let command = name.as_bytes().to_vec();
            return Err(Refusal::Named(
                "ERR invalid expire time in '{}' command",
                command,
            ));
        };
        let key = self.words.get(1);
        let store = &mut self.database.store;
        let is_there = match expires <= now {
            true => store.remove(key),
            false => store.expire_at(key, Some(expires as u64)),
        };
        self.count(usize::from(is_there))
    }

    fn ttl(&mut self, unit: u64) -> Done {
        let now = self.database.store.now;
        let answer = match self.database.store.expiry(self.words.get(1)) {
            None => -2,
            Some(None) => -1,
            Some(Some(expires)) => ((expires - now + unit / 2) / unit) as i64,
        };
        self.replies.integer(answer);
        Ok(())
    }

    fn persist(&mut self) -> Done {
        let key = self.words.get(1);
        let store = &mut self.database.store;
        let had = matches!(store.expiry(key), Some(Some(_))) && store.expire_at(key, None);
        self.count(usize::from(had))
    }

    fn keys(&mut self) -> Done {
        let pattern = self.words.get(1);
        let store = &self.database.store;
        let keys = store.keys().filter(|key| glob::matches(pattern, key));
        let keys: Vec<&[u8]> = keys.collect();
        self.replies.array(keys.len());
        for key in keys {
            self.replies.bulk(key);
        }
        Ok(())
    }

    fn dbsize(&mut self) -> Done {
        self.count(self.database.store.len())
    }

    fn flush(&mut self) -> Done {
        let how = self.words.get(1);
        let is_how = |name: &str| how.eq_ignore_ascii_case(name.as_bytes());
        match self.words.len() {
            1 => {}
            2 if is_how("sync") || is_how("async") => {}
            _ => return Err(Refusal::Syntax),
        }
        self.database.store.clear();
        self.ok()
    }
}

/// The time of an option, in milliseconds of the clock.
fn when(digits: &[u8], unit: i64, from: u64) -> Result<u64, Refusal> {
    let time = integer(digits).ok_or(Refusal::NotInteger)?;
    if time <= 0 {
        return Err(Refusal::ExpireTime);
    }
    let time = time
        .checked_mul(unit)
        .and_then(|time| time.checked_add_unsigned(from));
    time.map(|time| time as u64).ok_or(Refusal::ExpireTime)
}
