//! What the server remembers: keys, their values, and when they are forgotten.

use std::{collections::BTreeSet, rc::Rc};

use hashbrown::HashMap;

/// What a key costs beside its own bytes and its value's, about.
const OVERHEAD: usize = 96;

/// How many keys are forgotten at a time, so that requests do not wait.
const AT_ONCE: usize = 256;

type Key = Rc<[u8]>;

struct Entry {
    value: Vec<u8>,
    /// In milliseconds of the clock; `None` is for ever.
    expires: Option<u64>,
}

impl Entry {
    fn is_live(&self, now: u64) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }
}

/// Keys and values, with the time given from outside.
pub(crate) struct Store {
    entries: HashMap<Key, Entry>,
    expiring: BTreeSet<(u64, Key)>,
    used: usize,
    limit: usize,
    pub(crate) now: u64,
}

/// There is no memory left for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OutOfMemory;

/// What becomes of a key's time when it is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expiry {
    Never,
    At(u64),
    Keep,
}

impl Store {
    pub(crate) fn new(limit: usize) -> Self {
        Store {
            entries: HashMap::new(),
            expiring: BTreeSet::new(),
            used: 0,
            limit,
            now: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn used(&self) -> usize {
        self.used
    }

    pub(crate) fn expiring(&self) -> usize {
        self.expiring.len()
    }

    /// When a key is to be forgotten next.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        self.expiring.first().map(|(expires, _)| *expires)
    }

    /// Forgets keys whose time has come, some at a time.
    pub(crate) fn expire(&mut self) {
        for _ in 0..AT_ONCE {
            match self.expiring.first() {
                Some((expires, _)) if *expires <= self.now => {}
                _ => return,
            }
            if let Some((_, key)) = self.expiring.pop_first() {
                self.remove(&key);
            }
        }
    }

    /// One whose time is over is not there, though it is forgotten later.
    fn live(&self, key: &[u8]) -> Option<&Entry> {
        let entry = self.entries.get(key)?;
        entry.is_live(self.now).then_some(entry)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.live(key).map(|entry| entry.value.as_slice())
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.live(key).is_some()
    }

    /// Whether so many more bytes fit.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.used.saturating_add(bytes) <= self.limit
    }

    pub(crate) fn set(
        &mut self,
        key: &[u8],
        value: &[u8],
        expiry: Expiry,
    ) -> Result<(), OutOfMemory> {
        // What a replaced value gives back is not counted: a value that fits only in its own place is too large.
        if !self.has_room(key.len() + value.len() + OVERHEAD) {
            return Err(OutOfMemory);
        }
        let now = self.now;
        let is_over = |expires: &u64| *expires <= now;
        match self.entries.get_mut(key) {
            Some(entry) => {
                self.used = self.used - entry.value.len() + value.len();
                entry.value.clear();
                entry.value.extend_from_slice(value);
                // A value of a megabyte does not keep its place for one of ten bytes.
                entry.value.shrink_to(2 * value.len() + 32);
                let before = entry.expires;
                entry.expires = match expiry {
                    Expiry::Never => None,
                    Expiry::At(expires) => Some(expires),
                    Expiry::Keep => before.filter(|expires| !is_over(expires)),
                };
                if before != entry.expires {
                    let after = entry.expires;
                    self.move_expiry(key, before, after);
                }
            }
            None => {
                self.used += key.len() + value.len() + OVERHEAD;
                let key: Key = key.into();
                let expires = match expiry {
                    Expiry::At(expires) => Some(expires),
                    Expiry::Never | Expiry::Keep => None,
                };
                if let Some(expires) = expires {
                    self.expiring.insert((expires, Rc::clone(&key)));
                }
                let value = value.to_vec();
                self.entries.insert(key, Entry { value, expires });
            }
        }
        Ok(())
    }

    fn move_expiry(&mut self, key: &[u8], before: Option<u64>, after: Option<u64>) {
        let Some((key, _)) = self.entries.get_key_value(key) else {
            return;
        };
        let key = Rc::clone(key);
        if let Some(before) = before {
            self.expiring.remove(&(before, Rc::clone(&key)));
        }
        if let Some(after) = after {
            self.expiring.insert((after, key));
        }
    }

    /// Sets when a key is forgotten. Answers whether there is such a key.
    pub(crate) fn expire_at(&mut self, key: &[u8], expires: Option<u64>) -> bool {
        let now = self.now;
        let entry = self.entries.get_mut(key);
        let Some(entry) = entry.filter(|entry| entry.is_live(now)) else {
            return false;
        };
        let before = std::mem::replace(&mut entry.expires, expires);
        self.move_expiry(key, before, expires);
        true
    }

    /// None for a key that is not there; then, for one without a time, another none.
    pub(crate) fn expiry(&self, key: &[u8]) -> Option<Option<u64>> {
        self.live(key).map(|entry| entry.expires)
    }

    /// Answers whether it was there.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let Some((key, entry)) = self.entries.remove_entry(key) else {
            return false;
        };
        self.used -= key.len() + entry.value.len() + OVERHEAD;
        let Some(expires) = entry.expires else {
            return true;
        };
        self.expiring.remove(&(expires, key));
        expires > self.now
    }

    pub(crate) fn clear(&mut self) {
        *self = Store {
            now: self.now,
            ..Store::new(self.limit)
        };
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        let live = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.is_live(self.now));
        live.map(|(key, _)| &**key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_comes_back() {
        let mut store = Store::new(10_000);
        for round in 0..3_u64 {
            store.now = 100 * round;
            store.set(b"a", b"1", Expiry::Never).unwrap();
            store.set(b"b", b"22", Expiry::At(store.now + 10)).unwrap();
            store.set(b"b", b"333", Expiry::Keep).unwrap();
            store.set(b"c", b"4", Expiry::At(store.now + 20)).unwrap();
            assert_eq!(store.next_expiry(), Some(store.now + 10));
            assert!(store.expire_at(b"c", None));
            assert!(store.expire_at(b"c", Some(store.now + 5)));
            store.now += 10;
            assert_eq!(store.get(b"b"), None);
            store.expire();
            assert_eq!((store.len(), store.expiring()), (1, 0));
            assert!(store.remove(b"a"));
            assert!(!store.remove(b"a"));
            assert_eq!(store.used(), 0);
        }
    }

    #[test]
    fn what_is_over_counts_for_nothing_before_it_is_forgotten() {
        let mut store = Store::new(10_000);
        store.set(b"a", b"1", Expiry::At(10)).unwrap();
        store.set(b"b", b"2", Expiry::At(10)).unwrap();
        store.now = 10;
        assert!(!store.remove(b"a"));
        // Its time goes with it, and is not kept for what comes after.
        store.set(b"b", b"3", Expiry::Keep).unwrap();
        assert_eq!(store.get(b"b"), Some(&b"3"[..]));
        assert_eq!(store.next_expiry(), None);
    }

    #[test]
    fn beyond_the_limit_nothing_changes() {
        let mut store = Store::new(300);
        store.set(b"a", &[1; 100], Expiry::Never).unwrap();
        assert_eq!(store.set(b"b", &[2; 100], Expiry::Never), Err(OutOfMemory));
        assert_eq!(store.set(b"a", &[2; 300], Expiry::Never), Err(OutOfMemory));
        assert_eq!(store.get(b"a"), Some(&[1; 100][..]));
        store.clear();
        store.set(b"b", &[2; 100], Expiry::Never).unwrap();
    }
}
