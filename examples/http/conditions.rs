//! Under which conditions a request wants a file, and which part of it: RFC 9110, sections 13 and 14.

use crate::{date, fields::Fields};

/// What of a file an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    Whole,
    /// From this byte to before that one.
    Part(u64, u64),
    /// The client has it already.
    NotModified,
    /// It is not what the client has seen.
    Failed,
    /// There is no such part.
    Unsatisfiable,
}

/// A single range of bytes, both ends included. Several ranges in one request are not offered, and so not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

/// The conditions of a request. There are no entity tags here, so a tag never matches; `*` matches each file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conditions {
    matches: Option<bool>,
    unmodified_since: Option<u64>,
    matches_none: Option<bool>,
    modified_since: Option<u64>,
    range: Option<Range>,
    /// The range is wanted of a file of this date only; of none, if it is no date.
    range_if: Option<Option<u64>>,
}

impl Conditions {
    pub(crate) fn of(fields: Fields<'_>, now: u64) -> Self {
        let any = |name| fields.values(name).any(|value| value == b"*");
        let date = |name| date::parse(fields.only(name)?, now);
        Conditions {
            matches: fields.has("if-match").then(|| any("if-match")),
            unmodified_since: date("if-unmodified-since"),
            matches_none: fields.has("if-none-match").then(|| !any("if-none-match")),
            modified_since: date("if-modified-since"),
            range: fields.only("range").and_then(Range::parse),
            range_if: fields.has("if-range").then(|| date("if-range")),
        }
    }

    /// What of a file of this size and date is wanted, in the order of section 13.2.2.
    pub(crate) fn select(&self, size: u64, modified: Option<u64>, now: u64) -> Selection {
        let later = |than: u64| modified.is_some_and(|modified| modified > than);
        let unmodified = || self.unmodified_since.is_none_or(|since| !later(since));
        if !self.matches.unwrap_or_else(unmodified) {
            return Selection::Failed;
        }
        let modified_since = || {
            self.modified_since
                .is_none_or(|since| modified.is_none() || later(since))
        };
        if !self.matches_none.unwrap_or_else(modified_since) {
            return Selection::NotModified;
        }
        // A file that was changed in this very second may be changed once more in it.
        let is_settled = modified.is_some_and(|modified| modified < now);
        let is_same = |date: Option<u64>| is_settled && date.is_some() && date == modified;
        match self.range {
            Some(range) if self.range_if.is_none_or(is_same) => range.of(size),
            _ => Selection::Whole,
        }
    }

    /// Ranges are defined for GET only.
    pub(crate) fn without_range(mut self) -> Self {
        self.range = None;
        self
    }
}

impl Range {
    /// `None` where the value is another one than a single range of bytes: then it is as if there was none.
    fn parse(value: &[u8]) -> Option<Range> {
        let value = std::str::from_utf8(value).ok()?;
        let (unit, range) = value.split_once('=')?;
        let (first, last) = range.trim().split_once('-')?;
        let range = match (first, last) {
            ("", last) => Range::Last(number(last)?),
            (first, "") => Range::From(number(first)?),
            (first, last) => Range::Between(number(first)?, number(last)?),
        };
        let is_range = !matches!(range, Range::Between(first, last) if first > last);
        (is_range && unit.eq_ignore_ascii_case("bytes")).then_some(range)
    }

    fn of(self, size: u64) -> Selection {
        let (first, end) = match self {
            Range::From(first) => (first, size),
            Range::Between(first, last) => (first, size.min(last.saturating_add(1))),
            // An empty part cannot be told in the answer.
            Range::Last(1..) if size == 0 => return Selection::Whole,
            Range::Last(length) => (size.saturating_sub(length), size),
        };
        match first < end {
            true => Selection::Part(first, end),
            false => Selection::Unsatisfiable,
        }
    }
}

/// A number, or the greatest one where it is greater still.
fn number(digits: &str) -> Option<u64> {
    let all = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    all.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;
    const LATER: &str = "Sun, 09 Sep 2001 01:46:39 GMT";
    const THEN: &str = "Sun, 09 Sep 2001 01:46:38 GMT";
    const EARLIER: &str = "Sun, 09 Sep 2001 01:46:37 GMT";

    /// For a file of 100 bytes, modified [`THEN`].
    fn select(fields: &[(&str, &str)]) -> Selection {
        let fields: Vec<httparse::Header<'_>> = fields
            .iter()
            .map(|(name, value)| httparse::Header {
                name,
                value: value.as_bytes(),
            })
            .collect();
        Conditions::of(Fields::new(&fields), NOW).select(100, Some(NOW - 2), NOW)
    }

    #[test]
    fn a_range_selects_a_part() {
        for (range, expected) in [
            ("bytes=0-0", Selection::Part(0, 1)),
            ("bytes=0-", Selection::Part(0, 100)),
            ("bytes=10-19", Selection::Part(10, 20)),
            ("Bytes= 99-", Selection::Part(99, 100)),
            ("bytes=50-1000", Selection::Part(50, 100)),
            ("bytes=50-99999999999999999999", Selection::Part(50, 100)),
            ("bytes=-1", Selection::Part(99, 100)),
            ("bytes=-100", Selection::Part(0, 100)),
            ("bytes=-1000", Selection::Part(0, 100)),
            ("bytes=100-", Selection::Unsatisfiable),
            ("bytes=99999999999999999999-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=20-10", Selection::Whole),
            ("bytes=-", Selection::Whole),
            ("bytes=a-b", Selection::Whole),
            ("bytes=+1-2", Selection::Whole),
            ("bytes=1-2,4-5", Selection::Whole),
            ("bytes=1", Selection::Whole),
            ("lines=1-2", Selection::Whole),
            ("", Selection::Whole),
        ] {
            assert_eq!(select(&[("Range", range)]), expected, "{range}");
        }
        assert_eq!(
            select(&[("Range", "bytes=0-0"), ("Range", "bytes=1-1")]),
            Selection::Whole
        );
        assert_eq!(Range::Last(5).of(0), Selection::Whole);
        assert_eq!(Range::From(0).of(0), Selection::Unsatisfiable);
    }

    #[test]
    fn dates_and_tags_are_conditions() {
        for (name, value, expected) in [
            ("If-Modified-Since", EARLIER, Selection::Whole),
            ("If-Modified-Since", THEN, Selection::NotModified),
            ("If-Modified-Since", LATER, Selection::NotModified),
            ("If-Modified-Since", "whenever", Selection::Whole),
            ("If-Unmodified-Since", EARLIER, Selection::Failed),
            ("If-Unmodified-Since", THEN, Selection::Whole),
            ("If-Unmodified-Since", "whenever", Selection::Whole),
            ("If-None-Match", "\"tag\"", Selection::Whole),
            ("If-None-Match", "*", Selection::NotModified),
            ("If-Match", "\"tag\"", Selection::Failed),
            ("If-Match", "*", Selection::Whole),
        ] {
            assert_eq!(select(&[(name, value)]), expected, "{name}: {value}");
        }
        let both = [("If-None-Match", "\"tag\""), ("If-Modified-Since", THEN)];
        assert_eq!(select(&both), Selection::Whole, "the tag counts");
        let both = [("If-Match", "*"), ("If-Unmodified-Since", EARLIER)];
        assert_eq!(select(&both), Selection::Whole, "the tag counts");
    }

    #[test]
    fn a_range_may_be_of_one_version_only() {
        let part = Selection::Part(5, 100);
        for (condition, expected) in [
            (THEN, part),
            (EARLIER, Selection::Whole),
            (LATER, Selection::Whole),
            ("\"tag\"", Selection::Whole),
        ] {
            let fields = [("Range", "bytes=5-"), ("If-Range", condition)];
            assert_eq!(select(&fields), expected, "{condition}");
        }
        let now = Conditions {
            range: Some(Range::From(5)),
            range_if: Some(Some(NOW)),
            ..Conditions::default()
        };
        assert_eq!(now.select(100, Some(NOW), NOW), Selection::Whole);
        assert_eq!(now.select(100, Some(NOW), NOW + 1), part);
        assert_eq!(now.select(100, None, NOW), Selection::Whole);
    }
}
