//! Commands of one string each.

use crate::{
    commands::{Call, Done, Refusal},
    request::{WORD, integer},
    store::Expiry,
    times::expiry,
};

impl Call<'_> {
    pub(crate) fn ping(&mut self) -> Done {
        match self.words.len() {
            1 => self.replies.status("PONG"),
            2 => self.replies.bulk(self.words.get(1))?,
            _ => return Err(Refusal::Arguments),
        }
        Ok(())
    }

    pub(crate) fn echo(&mut self) -> Done {
        Ok(self.replies.bulk(self.words.get(1))?)
    }

    fn reply_with(&mut self, key: &[u8]) -> Done {
        match self.database.store.get(key) {
            Some(value) => self.replies.bulk(value)?,
            None => self.replies.null(),
        }
        Ok(())
    }

    pub(crate) fn get(&mut self) -> Done {
        self.reply_with(self.words.get(1))
    }

    pub(crate) fn set(&mut self) -> Done {
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
        let expiry = expiry(time, now)?;
        let store = &mut self.database.store;
        let is_conditional = only_new || only_old;
        let is_refused = is_conditional && store.contains(key) == only_new;
        match (gives, is_refused) {
            (true, _) => self.reply_with(key)?,
            (false, true) => self.replies.null(),
            (false, false) => self.replies.ok(),
        }
        match is_refused {
            true => Ok(()),
            false => Ok(self.database.store.set(key, value, expiry)?),
        }
    }

    pub(crate) fn setnx(&mut self) -> Done {
        let (key, value) = (self.words.get(1), self.words.get(2));
        let store = &mut self.database.store;
        let is_new = !store.contains(key);
        if is_new {
            store.set(key, value, Expiry::Never)?;
        }
        self.count(usize::from(is_new))
    }

    pub(crate) fn getset(&mut self) -> Done {
        let (key, value) = (self.words.get(1), self.words.get(2));
        self.reply_with(key)?;
        Ok(self.database.store.set(key, value, Expiry::Never)?)
    }

    pub(crate) fn append(&mut self) -> Done {
        let (key, tail) = (self.words.get(1), self.words.get(2));
        let store = &mut self.database.store;
        let length = store.get(key).map_or(0, <[u8]>::len);
        if length + tail.len() > WORD as usize {
            return Err(Refusal::Other(
                "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            ));
        }
        let length = store.append(key, tail)?;
        self.count(length)
    }

    pub(crate) fn strlen(&mut self) -> Done {
        let length = self
            .database
            .store
            .get(self.words.get(1))
            .map_or(0, <[u8]>::len);
        self.count(length)
    }

    pub(crate) fn kind(&mut self) -> Done {
        let is_there = self.database.store.contains(self.words.get(1));
        self.replies
            .status(if is_there { "string" } else { "none" });
        Ok(())
    }

    pub(crate) fn add(&mut self, amount: i64) -> Done {
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

    pub(crate) fn incrby(&mut self) -> Done {
        self.add(self.number(2)?)
    }

    pub(crate) fn decrby(&mut self) -> Done {
        let amount = self.number(2)?.checked_neg();
        self.add(amount.ok_or(Refusal::Other("ERR decrement would overflow"))?)
    }

    pub(crate) fn dbsize(&mut self) -> Done {
        self.count(self.database.store.len())
    }
}
