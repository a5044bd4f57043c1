//! What the server remembers: keys, their values, and when they are forgotten.

use std::{collections::BTreeMap, mem, sync::Arc};

use crate::{
    memory::{Memory, OutOfMemory, allocated},
    table::{Entry, Key, NEVER, Part, Table, key_cost, take_out},
};

/// What the time of a key costs in the tree of times, about.
const TIME: usize = 80;

/// How much is forgotten at a time, so that requests do not wait; in the units of [`Store::work`].
const FORGETTING: isize = 100_000;

/// How much room a value that grows gets beyond what it needs.
const GROWTH: usize = 1024 * 1024;

/// What it costs to find or to remove one key.
const LOOK: isize = 100;

/// Bytes that are copied, or given back to the kernel, in one unit of work.
const BYTES: usize = 16;

/// Keys and values, with the time given from outside.
pub(crate) struct Store {
    table: Table,
    /// By time, and by ticket where that is the same.
    times: BTreeMap<(u64, u64), Key>,
    tickets: u64,
    /// What the entries and their times cost, also of those that are rubbish.
    entries: usize,
    rubbish: Rubbish,
    /// Removed keys that a walk through the table still looks at.
    lent: Vec<Key>,
    pub(crate) memory: Memory,
    pub(crate) now: u64,
    /// How much work the client whose turn it is may still ask for, about in nanoseconds. What is less than nothing is
    /// not missed.
    pub(crate) work: isize,
}

/// What was thrown away at once, and is given back little by little.
#[derive(Default)]
struct Rubbish {
    parts: Vec<Part>,
    times: Vec<BTreeMap<(u64, u64), Key>>,
    /// What the parts cost, beside their entries.
    cost: usize,
}

/// What becomes of a key's time when it is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expiry {
    Never,
    At(u64),
    Keep,
}

fn is_live(entry: &Entry, now: u64) -> bool {
    entry.expires > now
}

impl Store {
    pub(crate) fn new(limit: usize) -> Self {
        let mut store = Store {
            table: Table::new(),
            times: BTreeMap::new(),
            tickets: 0,
            entries: 0,
            rubbish: Rubbish::default(),
            lent: Vec::new(),
            memory: Memory::new(limit),
            now: 0,
            work: 0,
        };
        store.recount();
        store
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn expiring(&self) -> usize {
        self.times.len()
    }

    /// Counts what the tables cost now.
    fn recount(&mut self) {
        self.memory.data = self.entries + self.table.cost() + self.rubbish.cost;
    }

    /// When something is to be forgotten next.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        match self.has_rubbish() {
            true => Some(self.now),
            false => self.times.first_key_value().map(|((time, _), _)| *time),
        }
    }

    /// Forgets keys whose time has come, and what was thrown away, some at a time.
    pub(crate) fn forget(&mut self) {
        self.work = FORGETTING;
        self.sweep();
        while self.work > 0 {
            match self.times.first_key_value() {
                Some(((time, _), _)) if *time <= self.now => {}
                _ => break,
            }
            if let Some((_, key)) = self.times.pop_first() {
                self.entries -= TIME;
                self.take(&key, 1);
            }
        }
        self.return_keys();
    }

    /// One whose time is over is not there, though it is forgotten later.
    fn live(&self, key: &[u8]) -> Option<&Entry> {
        let entry = self.table.find(key)?;
        is_live(entry, self.now).then_some(entry)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.live(key).map(|entry| entry.value.as_slice())
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.live(key).is_some()
    }

    /// Counts bytes that are copied.
    pub(crate) fn charge(&mut self, bytes: usize) {
        self.work -= (bytes / BYTES) as isize;
    }

    /// The same as [`get`](Self::get), as part of a longer work.
    pub(crate) fn look(&mut self, key: &[u8]) -> Option<&[u8]> {
        self.work -= LOOK;
        self.get(key)
    }

    /// What a new key with this value costs, with its share of the table.
    pub(crate) fn cost(key: &[u8], value: &[u8]) -> usize {
        key_cost(key) + allocated(value.len()) + 2 * size_of::<Entry>()
    }

    /// Sets a key, if there is memory for it.
    pub(crate) fn set(
        &mut self,
        key: &[u8],
        value: &[u8],
        expiry: Expiry,
    ) -> Result<(), OutOfMemory> {
        self.put(key, value, expiry, false)
    }

    /// Sets a key whose [`cost`](Self::cost) has been found to fit, together with that of others.
    pub(crate) fn set_promised(&mut self, key: &[u8], value: &[u8]) {
        self.work -= LOOK;
        self.charge(value.len());
        let put = self.put(key, value, Expiry::Never, true);
        debug_assert!(put.is_ok());
    }

    fn put(
        &mut self,
        key: &[u8],
        value: &[u8],
        expiry: Expiry,
        is_promised: bool,
    ) -> Result<(), OutOfMemory> {
        let time = match expiry {
            Expiry::At(_) => TIME,
            Expiry::Never | Expiry::Keep => 0,
        };
        let memory = &self.memory;
        let fits = |bytes: usize| is_promised || bytes == 0 || memory.has_room(bytes);
        let hash = self.table.hash(key);
        let Some(entry) = self.table.find_mut(hash, key) else {
            let needed = key_cost(key) + allocated(value.len()) + self.table.growth(hash);
            if !fits(needed + time) {
                return Err(OutOfMemory);
            }
            self.add(hash, key, value, expiry);
            return Ok(());
        };
        // What it gives back is not counted: a value that fits only in its own place is too large.
        let needed = match value.len() <= entry.value.capacity() {
            true => 0,
            false => allocated(value.len()),
        };
        let time = if entry.expires == NEVER { time } else { 0 };
        if !fits(needed + time) {
            return Err(OutOfMemory);
        }
        let before = entry.value.capacity();
        entry.value.clear();
        entry.value.reserve_exact(value.len());
        entry.value.extend_from_slice(value);
        // A value of a megabyte does not keep its place for one of ten bytes.
        entry.value.shrink_to(2 * value.len() + 32);
        let after = entry.value.capacity();
        let expires = match expiry {
            Expiry::Never => NEVER,
            Expiry::At(expires) => expires,
            Expiry::Keep if is_live(entry, self.now) => entry.expires,
            Expiry::Keep => NEVER,
        };
        if expires != entry.expires {
            self.set_time(hash, key, expires);
        }
        self.resized(before, after);
        Ok(())
    }

    /// A key that is not there.
    fn add(&mut self, hash: u64, key: &[u8], value: &[u8], expiry: Expiry) {
        let expires = match expiry {
            Expiry::At(expires) => expires,
            Expiry::Never | Expiry::Keep => NEVER,
        };
        let (new, value) = (Key::from(key), value.to_vec());
        self.entries += key_cost(key) + allocated(value.capacity());
        let ticket = self.wait(&new, expires);
        self.table.insert(hash, new, value, (expires, ticket));
        self.recount();
    }

    /// Counts a value that has another capacity now.
    fn resized(&mut self, before: usize, after: usize) {
        if before != after {
            self.entries = self.entries - allocated(before) + allocated(after);
            self.recount();
        }
    }

    /// Adds to the end of a value. Returns how long it is then.
    pub(crate) fn append(&mut self, key: &[u8], tail: &[u8]) -> Result<usize, OutOfMemory> {
        let now = self.now;
        let hash = self.table.hash(key);
        let entry = self.table.find_mut(hash, key);
        let Some(entry) = entry.filter(|entry| is_live(entry, now)) else {
            return self.set(key, tail, Expiry::Keep).map(|()| tail.len());
        };
        let before = entry.value.capacity();
        let length = entry.value.len() + tail.len();
        if length > before {
            let wanted = length + length.min(GROWTH);
            let fits = |bytes| self.memory.has_room(allocated(bytes) - allocated(before));
            let wanted = match (fits(wanted), fits(length)) {
                (true, _) => wanted,
                (false, true) => length,
                (false, false) => return Err(OutOfMemory),
            };
            entry.value.reserve_exact(wanted - entry.value.len());
        }
        entry.value.extend_from_slice(tail);
        let after = entry.value.capacity();
        self.resized(before, after);
        Ok(length)
    }

    /// Puts a key into the tree of times. Returns its ticket.
    fn wait(&mut self, key: &Key, expires: u64) -> u64 {
        if expires == NEVER {
            return 0;
        }
        self.tickets += 1;
        self.times.insert((expires, self.tickets), Arc::clone(key));
        self.entries += TIME;
        self.tickets
    }

    fn stop_waiting(&mut self, expires: u64, ticket: u64) {
        if expires != NEVER && self.times.remove(&(expires, ticket)).is_some() {
            self.entries -= TIME;
        }
    }

    /// Sets the time of a key that is there.
    fn set_time(&mut self, hash: u64, key: &[u8], expires: u64) {
        let Some(entry) = self.table.find_mut(hash, key) else {
            return;
        };
        let (key, before) = (Arc::clone(&entry.key), (entry.expires, entry.ticket));
        self.stop_waiting(before.0, before.1);
        let ticket = self.wait(&key, expires);
        if let Some(entry) = self.table.find_mut(hash, &key) {
            (entry.expires, entry.ticket) = (expires, ticket);
        }
        self.recount();
    }

    /// Sets when a key is forgotten.
    pub(crate) fn expire_at(&mut self, key: &[u8], expires: u64) -> Result<(), OutOfMemory> {
        let had_none = self.expiry(key) == Some(None);
        if had_none && !self.memory.has_room(TIME) {
            return Err(OutOfMemory);
        }
        self.set_time(self.table.hash(key), key, expires);
        Ok(())
    }

    /// A key is for ever from now on.
    pub(crate) fn persist(&mut self, key: &[u8]) {
        self.set_time(self.table.hash(key), key, NEVER);
    }

    /// None for a key that is not there; then, for one without a time, another none.
    pub(crate) fn expiry(&self, key: &[u8]) -> Option<Option<u64>> {
        let expires = self.live(key)?.expires;
        Some((expires != NEVER).then_some(expires))
    }

    /// Returns whether it was there.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let now = self.now;
        self.take(key, 0).is_some_and(|expires| expires > now)
    }

    /// Returns when the key that was there would have been forgotten. The caller has so many references to it.
    fn take(&mut self, key: &[u8], references: usize) -> Option<u64> {
        self.work -= LOOK;
        let entry = self.table.remove(key)?;
        self.stop_waiting(entry.expires, entry.ticket);
        let expires = entry.expires;
        self.drop_entry(entry, references);
        self.recount();
        Some(expires)
    }

    fn drop_entry(&mut self, entry: Entry, references: usize) {
        self.charge(entry.value.len());
        self.entries -= entry.cost();
        if Arc::strong_count(&entry.key) > 1 + references {
            self.entries += key_cost(&entry.key);
            self.lent.push(entry.key);
        }
    }

    /// Drops keys that no walk looks at any more.
    fn return_keys(&mut self) {
        if self.lent.is_empty() {
            return;
        }
        let entries = &mut self.entries;
        self.lent.retain(|key| {
            let is_lent = Arc::strong_count(key) > 1;
            if !is_lent {
                *entries -= key_cost(key);
            }
            is_lent
        });
        self.recount();
    }

    /// Forgets everything. Its memory is given back later, by [`sweep`](Self::sweep).
    pub(crate) fn clear(&mut self) {
        let times = mem::take(&mut self.times);
        self.rubbish.times.push(times);
        for part in self.table.clear() {
            self.rubbish.cost += part.cost();
            self.rubbish.parts.push(part);
        }
        self.recount();
    }

    pub(crate) fn has_rubbish(&self) -> bool {
        !self.rubbish.parts.is_empty() || !self.rubbish.times.is_empty()
    }

    /// Gives back memory of what was thrown away, as long as there is work left.
    pub(crate) fn sweep(&mut self) {
        if !self.has_rubbish() {
            return;
        }
        while self.work > 0
            && let Some(times) = self.rubbish.times.last_mut()
        {
            self.work -= LOOK;
            match times.pop_first() {
                Some(_) => self.entries -= TIME,
                None => drop(self.rubbish.times.pop()),
            }
        }
        while self.work > 0
            && let Some(mut part) = self.rubbish.parts.pop()
        {
            let cost = part.cost();
            for entry in take_out(&mut part) {
                self.work -= LOOK;
                self.drop_entry(entry, 0);
                if self.work <= 0 {
                    break;
                }
            }
            match part.entries.is_empty() {
                true => self.rubbish.cost -= cost,
                false => self.rubbish.parts.push(part),
            }
        }
        self.recount();
    }

    /// The keys of a part of the table, which begins there, and where the next part begins. What is there during the whole
    /// walk is met once, whatever comes and goes meanwhile.
    pub(crate) fn walk(&self, from: u64) -> (Vec<Key>, Option<u64>) {
        let now = self.now;
        let (entries, next) = self.table.walk(from);
        let live = entries.filter(|entry| is_live(entry, now));
        (live.map(|entry| Arc::clone(&entry.key)).collect(), next)
    }
}

#[cfg(test)]
mod tests;
