//! Commands whose work grows with what is stored, or with their words. They do a part of it in each turn, so that no other client
//! waits for the whole.

use std::mem;

use crate::{
    commands::{Call, Done, Refusal},
    glob::{Pattern, Reading},
    memory::allocated,
    reply::FRAME,
    store::Store,
    table::Key,
};

/// How long an answer gets before it is measured whether the rest fits too.
const SHORT: usize = 256 * 1024;

/// What a pattern and the keys of one part of the table have, about.
const SCAN: usize = 64 * 1024;

/// What it costs to look at a key, beside its bytes; and to find it.
const EACH: isize = 30;
const FIND: isize = 10;

/// A command that is not finished. It goes on in its client's next turn.
pub(crate) enum Job {
    Words(Progress),
    Keys(Box<Scan>),
    Flush,
}

/// How far the words of a command are worked on.
pub(crate) struct Progress {
    /// The first one that is not.
    next: usize,
    /// How many of them count.
    count: usize,
    /// What is answered so far.
    answer: Vec<u8>,
    /// How long the rest of the answer is, as far as its words are measured; and the first one that is not.
    rest: usize,
    measured: usize,
    /// What the keys that are still to be set will cost.
    promised: usize,
}

/// How far `KEYS` has looked.
pub(crate) struct Scan {
    pattern: Pattern,
    reading: Reading,
    /// Where the next part of the table begins.
    next: Option<u64>,
    /// Keys of this part that are not looked at. What is read so far is of the last one.
    keys: Vec<Key>,
    found: usize,
    answer: Vec<u8>,
}

impl Job {
    /// How much memory it has, or needs.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Job::Words(progress) => allocated(progress.answer.capacity()) + progress.promised,
                Job::Keys(scan) => {
                    let keys = scan.keys.capacity() * size_of::<Key>();
                    let answer = allocated(scan.answer.capacity());
                    size_of::<Scan>() + scan.pattern.size() + allocated(keys) + answer
                }
                Job::Flush => 0,
            }
    }
}

impl Call<'_> {
    fn later(&mut self, job: Job) -> Done {
        *self.job = Some(Box::new(job));
        Ok(())
    }

    /// Where it stopped in an earlier turn, or the beginning.
    fn progress(&mut self) -> Progress {
        match self.job.take().map(|job| *job) {
            Some(Job::Words(progress)) => progress,
            _ => Progress {
                next: 1,
                count: 0,
                answer: Vec::new(),
                rest: 0,
                measured: 1,
                promised: 0,
            },
        }
    }

    /// What has been answered since `start` waits for the rest.
    fn suspend(&mut self, start: usize) -> Vec<u8> {
        match start {
            0 => mem::take(&mut self.replies.bytes),
            _ => self.replies.bytes.split_off(start),
        }
    }

    /// The number of keys for which something is so.
    fn each(&mut self, mut is_so: impl FnMut(&mut Store, &[u8]) -> bool) -> Done {
        let mut progress = self.progress();
        for key in self.words.from(progress.next) {
            if self.database.store.work <= 0 {
                return self.later(Job::Words(progress));
            }
            progress.next += 1;
            if is_so(&mut self.database.store, key) {
                progress.count += 1;
            }
        }
        self.count(progress.count)
    }

    pub(crate) fn del(&mut self) -> Done {
        self.each(|store, key| store.remove(key))
    }

    pub(crate) fn exists(&mut self) -> Done {
        self.each(|store, key| store.look(key).is_some())
    }

    /// All of them, or none: their memory is promised first.
    pub(crate) fn mset(&mut self) -> Done {
        if self.words.len().is_multiple_of(2) {
            return Err(Refusal::Arguments);
        }
        let mut progress = self.progress();
        let mut words = self.words.from(progress.next);
        let store = &mut self.database.store;
        if progress.next == 1 {
            let mut words = words.clone();
            while let (Some(key), Some(value)) = (words.next(), words.next()) {
                progress.promised += Store::cost(key, value);
            }
            if !store.memory.has_room(progress.promised) {
                return Err(Refusal::OutOfMemory);
            }
        }
        while let (Some(key), Some(value)) = (words.next(), words.next()) {
            if store.work <= 0 {
                return self.later(Job::Words(progress));
            }
            progress.next += 2;
            progress.promised -= Store::cost(key, value);
            store.set_promised(key, value);
        }
        self.ok()
    }

    pub(crate) fn mget(&mut self) -> Done {
        let words = self.words;
        let start = self.replies.bytes.len();
        let mut progress = self.progress();
        match progress.answer.is_empty() {
            true => self.replies.array(words.len() - 1),
            false => self.replies.bytes = mem::take(&mut progress.answer),
        }
        for key in words.from(progress.next) {
            let value = self.database.store.look(key).map_or(0, <[u8]>::len);
            let is_long = self.replies.bytes.len() - start + value > SHORT;
            if self.database.store.work <= 0 || is_long && !self.measure(&mut progress)? {
                progress.answer = self.suspend(start);
                return self.later(Job::Words(progress));
            }
            self.database.store.charge(value);
            match self.database.store.get(key) {
                Some(value) => self.replies.bulk(value)?,
                None => {
                    self.replies.make_room(0)?;
                    self.replies.null();
                }
            }
            progress.next += 1;
        }
        Ok(())
    }

    /// Finds out whether the rest of a long answer fits, before it is made. Returns false if there was no time for all.
    fn measure(&mut self, progress: &mut Progress) -> Result<bool, Refusal> {
        if progress.measured == self.words.len() {
            return Ok(true);
        }
        progress.measured = progress.measured.max(progress.next);
        for key in self.words.from(progress.measured) {
            if self.database.store.work <= 0 {
                return Ok(false);
            }
            let value = self.database.store.look(key).map_or(0, <[u8]>::len);
            progress.rest += value + FRAME;
            progress.measured += 1;
        }
        self.replies.make_room(progress.rest)?;
        Ok(true)
    }

    pub(crate) fn keys(&mut self) -> Done {
        let start = self.replies.bytes.len();
        let mut scan = match self.job.take().map(|job| *job) {
            Some(Job::Keys(mut scan)) => {
                self.replies.bytes = mem::take(&mut scan.answer);
                scan
            }
            _ => {
                if self.database.store.memory.left() < SCAN {
                    return Err(Refusal::OutOfMemory);
                }
                let pattern = Pattern::new(self.words.get(1));
                let pattern = pattern.ok_or(Refusal::LongPattern)?;
                self.database.store.charge(16 * pattern.size());
                Box::new(Scan::new(pattern))
            }
        };
        while self.look_at_keys(&mut scan)? {
            let Some(next) = scan.next else {
                self.replies.array_before(start, scan.found);
                return Ok(());
            };
            if self.database.store.work <= 0 {
                break;
            }
            (scan.keys, scan.next) = self.database.store.walk(next);
            self.database.store.work -= FIND * scan.keys.len() as isize;
        }
        scan.answer = self.suspend(start);
        self.later(Job::Keys(scan))
    }

    /// Sends those of the keys at hand that match. Returns false if there was no time for all.
    fn look_at_keys(&mut self, scan: &mut Scan) -> Result<bool, Refusal> {
        while let Some(key) = scan.keys.last() {
            let work = &mut self.database.store.work;
            *work -= EACH;
            match scan.pattern.read(&mut scan.reading, key, work) {
                None => return Ok(false),
                Some(false) => {}
                Some(true) => {
                    self.replies.bulk(key)?;
                    scan.found += 1;
                }
            }
            scan.keys.pop();
            scan.pattern.begin(&mut scan.reading);
        }
        Ok(true)
    }

    pub(crate) fn flush(&mut self) -> Done {
        let store = &mut self.database.store;
        if self.job.take().is_none() {
            let how = self.words.get(1);
            let is_how = |name: &str| how.eq_ignore_ascii_case(name.as_bytes());
            match self.words.len() {
                1 => {}
                2 if is_how("sync") || is_how("async") => {}
                _ => return Err(Refusal::Syntax),
            }
            store.clear();
        }
        store.sweep();
        match store.has_rubbish() {
            true => self.later(Job::Flush),
            false => self.ok(),
        }
    }
}

impl Scan {
    fn new(pattern: Pattern) -> Self {
        let mut reading = Reading::default();
        pattern.begin(&mut reading);
        Scan {
            pattern,
            reading,
            next: Some(0),
            keys: Vec::new(),
            found: 0,
            answer: Vec::new(),
        }
    }
}
