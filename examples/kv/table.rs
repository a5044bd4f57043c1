//! A hash table that never does much at once. It is made of small tables, each for a range of hashes. One that is full is
//! split in two, so that growing moves some hundreds of entries and not all of them. And because the ranges are in order,
//! the table can be walked through one at a time while it changes: what is there from the beginning to the end of the walk
//! is met once.

use std::{hash::BuildHasher, mem, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::memory::allocated;

/// How many places a part has at most, before it is split.
const PLACES: usize = 2048;

/// A part with fewer entries is not split: others were there, and their places can be used again.
const FULL: usize = PLACES * 7 / 16;

/// How often a range is halved at most. A part that would need more grows instead.
const DEPTH: u32 = 24;

/// A part of this capacity or less stays as it is when its entries are removed.
const SMALL: usize = 28;

/// The time of what does not expire.
pub(crate) const NEVER: u64 = u64::MAX;

/// Shared with the list of times, and with walks through the table.
pub(crate) type Key = Arc<[u8]>;

pub(crate) struct Entry {
    hash: u64,
    pub(crate) key: Key,
    pub(crate) value: Vec<u8>,
    /// When it is forgotten, and which of those of the same time it is.
    pub(crate) expires: u64,
    pub(crate) ticket: u64,
}

impl Entry {
    /// What it costs beside its place in the table.
    pub(crate) fn cost(&self) -> usize {
        key_cost(&self.key) + allocated(self.value.capacity())
    }
}

/// With its count of references.
pub(crate) fn key_cost(key: &[u8]) -> usize {
    allocated(key.len() + 2 * size_of::<usize>())
}

/// The entries of one range of hashes.
pub(crate) struct Part {
    pub(crate) entries: HashTable<Entry>,
    /// How many leading bits the hashes have in common.
    depth: u32,
}

impl Part {
    fn new(depth: u32, entries: usize) -> Self {
        Part {
            entries: HashTable::with_capacity(entries),
            depth,
        }
    }

    /// What it costs, beside its entries.
    pub(crate) fn cost(&self) -> usize {
        allocated(self.entries.allocation_size())
    }

    fn is_full(&self) -> bool {
        self.entries.len() == self.entries.capacity()
    }
}

pub(crate) struct Table {
    /// Which part has the hashes that begin with these bits.
    directory: Vec<u32>,
    depth: u32,
    parts: Vec<Part>,
    hasher: DefaultHashBuilder,
    len: usize,
    /// What the parts cost.
    cost: usize,
}

impl Table {
    pub(crate) fn new() -> Self {
        Table::with_hasher(DefaultHashBuilder::default())
    }

    fn with_hasher(hasher: DefaultHashBuilder) -> Self {
        Table {
            directory: vec![0],
            depth: 0,
            parts: vec![Part::new(0, 0)],
            hasher,
            len: 0,
            cost: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What it costs, beside its entries.
    pub(crate) fn cost(&self) -> usize {
        let directory = self.directory.capacity() * size_of::<u32>();
        let parts = self.parts.capacity() * size_of::<Part>();
        self.cost + allocated(directory) + allocated(parts)
    }

    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The number of the part that these ranks lie in.
    fn part_of(&self, rank: u64) -> usize {
        self.directory[(rank >> 1 >> (63 - self.depth)) as usize] as usize
    }

    pub(crate) fn find(&self, key: &[u8]) -> Option<&Entry> {
        let hash = self.hash(key);
        let part = &self.parts[self.part_of(rank(hash))];
        part.entries.find(hash, |entry| *entry.key == *key)
    }

    pub(crate) fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        let part = self.part_of(rank(hash));
        let part = &mut self.parts[part];
        part.entries.find_mut(hash, |entry| *entry.key == *key)
    }

    /// What one more entry may cost the table.
    pub(crate) fn growth(&self, hash: u64) -> usize {
        let part = &self.parts[self.part_of(rank(hash))];
        match part.is_full() {
            true => part.cost() + 8 * size_of::<Entry>(),
            false => 0,
        }
    }

    /// Adds an entry, whose key is not there.
    pub(crate) fn insert(&mut self, hash: u64, key: Key, value: Vec<u8>, time: (u64, u64)) {
        let (expires, ticket) = time;
        let entry = Entry {
            hash,
            key,
            value,
            expires,
            ticket,
        };
        let mut at = self.part_of(rank(hash));
        if self.parts[at].is_full() {
            while self.should_split(at) {
                self.split(at, rank(hash));
                at = self.part_of(rank(hash));
            }
            self.cost -= self.parts[at].cost();
            self.parts[at].entries.reserve(1, |entry| entry.hash);
            self.cost += self.parts[at].cost();
        }
        let entries = &mut self.parts[at].entries;
        entries.insert_unique(hash, entry, |entry| entry.hash);
        self.len += 1;
    }

    fn should_split(&self, at: usize) -> bool {
        let part = &self.parts[at];
        let is_large = part.entries.num_buckets() >= PLACES && part.entries.len() >= FULL;
        is_large && part.is_full() && part.depth < DEPTH
    }

    /// Splits the part that has this rank.
    fn split(&mut self, at: usize, rank_in_part: u64) {
        let depth = self.parts[at].depth;
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|at| [*at, *at]).collect();
            self.depth += 1;
        }
        self.cost -= self.parts[at].cost();
        let entries = mem::take(&mut self.parts[at].entries);
        let is_upper = |entry: &Entry| rank(entry.hash) >> (63 - depth) & 1 == 1;
        let upper_ones = entries.iter().filter(|entry| is_upper(entry)).count();
        let mut lower = Part::new(depth + 1, entries.len() - upper_ones);
        let mut upper = Part::new(depth + 1, upper_ones);
        for entry in entries {
            let half = match is_upper(&entry) {
                true => &mut upper,
                false => &mut lower,
            };
            half.entries
                .insert_unique(entry.hash, entry, |entry| entry.hash);
        }
        self.cost += lower.cost() + upper.cost();
        let new = self.parts.len() as u32;
        self.parts[at] = lower;
        self.parts.push(upper);
        let places = 1 << (self.depth - depth);
        let first = (rank_in_part >> 1 >> (63 - self.depth)) as usize & !(places - 1);
        self.directory[first + places / 2..first + places].fill(new);
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let hash = self.hash(key);
        let at = self.part_of(rank(hash));
        let part = &mut self.parts[at];
        let found = part.entries.find_entry(hash, |entry| *entry.key == *key);
        let (entry, _) = found.ok()?.remove();
        self.len -= 1;
        let entries = &part.entries;
        if entries.len() < entries.capacity() / 8 && entries.capacity() > SMALL {
            self.cost -= part.cost();
            let twice = 2 * part.entries.len();
            part.entries.shrink_to(twice, |entry| entry.hash);
            self.cost += part.cost();
        }
        Some(entry)
    }

    /// The entries of the part that has this rank, from there on, and the rank where the next part begins.
    pub(crate) fn walk(&self, from: u64) -> (impl Iterator<Item = &Entry>, Option<u64>) {
        let part = &self.parts[self.part_of(from)];
        let entries = part.entries.iter();
        let last = from | u64::MAX >> part.depth;
        let rest = entries.filter(move |entry| rank(entry.hash) >= from);
        (rest, last.checked_add(1))
    }

    /// Empties it at once. Returns its parts, to be taken apart. A walk that is under way goes on where it was, because
    /// hashes stay what they are.
    pub(crate) fn clear(&mut self) -> Vec<Part> {
        let empty = Table::with_hasher(self.hasher.clone());
        mem::replace(self, empty).parts
    }
}

/// Where a hash is in the order of the parts. The small tables tell entries apart by the leading seven bits of their hashes, so
/// these come last.
fn rank(hash: u64) -> u64 {
    hash.rotate_left(7)
}

/// Takes entries out of a part, one after the other.
pub(crate) fn take_out(part: &mut Part) -> impl Iterator<Item = Entry> {
    part.entries.extract_if(|_| true)
}
