//! Commands about when keys are forgotten.

use crate::{
    commands::{Call, Done, Refusal},
    request::integer,
    store::Expiry,
};

/// On which conditions a time is set.
#[derive(Clone, Copy, Default)]
struct Conditions {
    /// There is none.
    none: bool,
    /// There is one.
    some: bool,
    /// It is later than the one that there is.
    later: bool,
    /// It is earlier.
    earlier: bool,
}

impl Conditions {
    fn parse<'w>(options: impl Iterator<Item = &'w [u8]>) -> Result<Self, Refusal> {
        let mut conditions = Conditions::default();
        for option in options {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            match () {
                () if is("nx") => conditions.none = true,
                () if is("xx") => conditions.some = true,
                () if is("gt") => conditions.later = true,
                () if is("lt") => conditions.earlier = true,
                () => return Err(Refusal::named("ERR Unsupported option {}", option)),
            }
        }
        let Conditions {
            none,
            some,
            later,
            earlier,
        } = conditions;
        match () {
            () if none && (some || later || earlier) => Err(Refusal::Other(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            )),
            () if later && earlier => Err(Refusal::Other(
                "ERR GT and LT options at the same time are not compatible",
            )),
            () => Ok(conditions),
        }
    }

    /// What has no time is as if its time never came.
    fn allow(self, before: Option<u64>, expires: i64) -> bool {
        let before = before.map(|before| before as i64);
        match before {
            None => !self.some && !self.later,
            Some(before) => {
                !(self.none || self.later && expires <= before || self.earlier && expires >= before)
            }
        }
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

/// What becomes of the time of a key that is set with this option; `ex` and the like have the digits of a time.
pub(crate) fn expiry(option: Option<(&str, &[u8])>, now: u64) -> Result<Expiry, Refusal> {
    Ok(match option {
        None => Expiry::Never,
        Some(("keepttl", _)) => Expiry::Keep,
        Some((kind, digits)) => {
            let unit = if kind.starts_with('e') { 1000 } else { 1 };
            let from = if kind.ends_with("at") { 0 } else { now };
            Expiry::At(when(digits, unit, from)?)
        }
    })
}

impl Call<'_> {
    /// With a time in these units, each of so many milliseconds.
    pub(crate) fn expire(&mut self, unit: i64) -> Done {
        let conditions = Conditions::parse(self.words.from(3))?;
        let time = self.number(2)?;
        let now = self.database.store.now as i64;
        let expires = time
            .checked_mul(unit)
            .and_then(|time| time.checked_add(now));
        let expires = expires.ok_or(Refusal::ExpireTime)?;
        let key = self.words.get(1);
        let store = &mut self.database.store;
        let is_set = match store.expiry(key) {
            Some(before) if conditions.allow(before, expires) => {
                match expires <= now {
                    true => drop(store.remove(key)),
                    false => store.expire_at(key, expires as u64)?,
                }
                true
            }
            _ => false,
        };
        self.count(usize::from(is_set))
    }

    pub(crate) fn ttl(&mut self, unit: u64) -> Done {
        let now = self.database.store.now;
        let answer = match self.database.store.expiry(self.words.get(1)) {
            None => -2,
            Some(None) => -1,
            Some(Some(expires)) => ((expires - now + unit / 2) / unit) as i64,
        };
        self.replies.integer(answer);
        Ok(())
    }

    pub(crate) fn persist(&mut self) -> Done {
        let key = self.words.get(1);
        let store = &mut self.database.store;
        let had = matches!(store.expiry(key), Some(Some(_)));
        if had {
            store.persist(key);
        }
        self.count(usize::from(had))
    }
}
