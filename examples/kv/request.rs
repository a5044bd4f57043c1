//! Requests as they come: RESP2 arrays of bulk strings, or lines as a person types them.

use std::{fmt, mem};

use crate::memory::allocated;

/// How long a line may be, and a line that announces a length.
const LINE: usize = 64 * 1024;

/// How long a line that announces a length is at most where no memory is left for it.
const DIGITS: usize = 64;

/// For how many words an idle client keeps memory.
const FEW: usize = 16;

/// How many words a request may have.
const WORDS: i64 = 1024 * 1024;

/// How long a word may be.
pub(crate) const WORD: i64 = 16 * 1024 * 1024;

/// How long a request may be, with all its words.
const REQUEST: usize = 64 * 1024 * 1024;

/// What is no request; the client is told so, and is not listened to any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Malformed {
    LongLine,
    LongCount,
    LongLength,
    Count,
    Length,
    NoLength(u8),
    Quotes,
    LongRequest,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ERR Protocol error: ")?;
        match self {
            Malformed::LongLine => f.write_str("too big inline request"),
            Malformed::LongCount => f.write_str("too big mbulk count string"),
            Malformed::LongLength => f.write_str("too big bulk count string"),
            Malformed::Count => f.write_str("invalid multibulk length"),
            Malformed::Length => f.write_str("invalid bulk length"),
            Malformed::NoLength(found) => write!(f, "expected '$', got '{}'", *found as char),
            Malformed::Quotes => f.write_str("unbalanced quotes in request"),
            Malformed::LongRequest => f.write_str("too big request"),
        }
    }
}

/// How far a request has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Parsed {
    /// There are all its words, in so many bytes.
    Whole(usize),
    /// There may be more of it.
    Part,
    /// So many bytes of one that is [given up](Request::give_up) are of no use, and there may be more.
    Skipped(usize),
}

/// One request, or the part of it that has come.
#[derive(Default, Debug)]
pub(crate) struct Request {
    /// Where its words are, from and to: in what has come, or in `line`. It has at most 64 MiB.
    words: Vec<(u32, u32)>,
    /// How many more words there will be; none before it is known.
    missing: Option<usize>,
    /// How far it is read.
    at: usize,
    /// How far what comes next has been looked at for the end of its line.
    seen: usize,
    /// How long it is at least.
    least: usize,
    /// The words of a line, without its quotes.
    line: Option<Vec<u8>>,
    /// How much more of a word comes, if it is given up.
    given_up: Option<usize>,
}

impl Request {
    /// Its words, for a caller that has the same bytes as [`parse`](Self::parse).
    pub(crate) fn words<'r>(&'r self, bytes: &'r [u8]) -> Words<'r> {
        Words {
            bytes: self.line.as_deref().unwrap_or(bytes),
            places: &self.words,
            are_typed: self.line.is_some(),
        }
    }

    /// Reads on. The bytes are those of the last call, and more, until the request is whole.
    pub(crate) fn parse(&mut self, bytes: &[u8]) -> Result<Parsed, Malformed> {
        if self.given_up.is_some() {
            return self.skip(bytes);
        }
        let missing = match self.missing {
            Some(missing) => missing,
            None => match bytes.first() {
                None => return Ok(Parsed::Part),
                Some(b'*') => match self.count(bytes)? {
                    None => return Ok(Parsed::Part),
                    Some(count) => count,
                },
                Some(_) => return self.parse_line(bytes),
            },
        };
        for done in 0..missing {
            if !self.parse_word(bytes)? {
                self.missing = Some(missing - done);
                return match self.at > REQUEST || bytes.len() > REQUEST {
                    true => Err(Malformed::LongRequest),
                    false => Ok(Parsed::Part),
                };
            }
        }
        Ok(Parsed::Whole(self.at))
    }

    /// How many words there are, as the first line says.
    fn count(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        if let Some((count, end)) = short_number(bytes, 1) {
            self.at = end;
            return Ok(Some(count));
        }
        match self.number(bytes, 1, Malformed::LongCount)? {
            None => Ok(None),
            Some((Some(count), end)) if count <= WORDS => {
                self.at = end;
                Ok(Some(usize::try_from(count).unwrap_or(0)))
            }
            Some(_) => Err(Malformed::Count),
        }
    }

    /// The length of the word that begins at `at`, and where its bytes begin.
    fn length(&mut self, bytes: &[u8], at: usize) -> Result<Option<(usize, usize)>, Malformed> {
        match bytes.get(at) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(found) => return Err(Malformed::NoLength(*found)),
        }
        if let Some(short) = short_number(bytes, at + 1) {
            return Ok(Some(short));
        }
        match self.number(bytes, at + 1, Malformed::LongLength)? {
            None => Ok(None),
            Some((Some(length @ 0..=WORD), start)) => Ok(Some((length as usize, start))),
            Some(_) => Err(Malformed::Length),
        }
    }

    /// Returns whether it is there.
    fn parse_word(&mut self, bytes: &[u8]) -> Result<bool, Malformed> {
        let Some((length, start)) = self.length(bytes, self.at)? else {
            return Ok(false);
        };
        let end = start + length;
        // What stands in place of the line's end does not matter, as with Redis.
        if bytes.len() < end + 2 {
            self.least = end + 2;
            return Ok(false);
        }
        if self.words.len() == self.words.capacity() {
            // Not by half, because it is counted only when it has been done.
            self.words.reserve_exact(FEW.max(self.words.len() / 4));
        }
        self.words.push((start as u32, end as u32));
        self.at = end + 2;
        Ok(true)
    }

    fn parse_line(&mut self, bytes: &[u8]) -> Result<Parsed, Malformed> {
        let rest = bytes.get(self.seen..).unwrap_or(&[]);
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            self.seen = bytes.len();
            return match bytes.len() > LINE {
                true => Err(Malformed::LongLine),
                false => Ok(Parsed::Part),
            };
        };
        let length = self.seen + length;
        let line = &bytes[..length];
        let mut rest = line.strip_suffix(b"\r").unwrap_or(line);
        let mut words = Vec::new();
        loop {
            rest = rest.trim_ascii_start();
            if rest.is_empty() {
                break;
            }
            let start = words.len();
            rest = unquote(rest, &mut words).ok_or(Malformed::Quotes)?;
            self.words.push((start as u32, words.len() as u32));
        }
        self.line = Some(words);
        Ok(Parsed::Whole(length + 1))
    }

    /// A number and its line's end, from `start`; and where the next line starts.
    fn number(
        &mut self,
        bytes: &[u8],
        start: usize,
        too_long: Malformed,
    ) -> Result<Option<(Option<i64>, usize)>, Malformed> {
        let from = start.max(self.seen);
        let rest = bytes.get(from..).unwrap_or(&[]);
        let Some(end) = rest.iter().take(LINE).position(|byte| *byte == b'\r') else {
            self.seen = bytes.len();
            return match bytes.len() >= start + LINE {
                true => Err(too_long),
                false => Ok(None),
            };
        };
        let end = from + end;
        if bytes.len() < end + 2 {
            return Ok(None);
        }
        Ok(Some((integer(&bytes[start..end]), end + 2)))
    }

    /// There is no memory for it: what is still to come of it is skipped. Returns how many bytes are of no use any more;
    /// the others are to be parsed again.
    pub(crate) fn give_up(&mut self) -> usize {
        let of_no_use = self.at;
        *self = Request {
            missing: self.missing,
            given_up: Some(0),
            ..Request::default()
        };
        of_no_use
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.is_some()
    }

    /// Reads on, and keeps nothing. A line, or an array whose length has not come, ends where its line does.
    fn skip(&mut self, bytes: &[u8]) -> Result<Parsed, Malformed> {
        let Some(mut missing) = self.missing else {
            if self.given_up == Some(0) && bytes.first() == Some(&b'*') {
                return Err(Malformed::LongCount);
            }
            self.given_up = Some(1);
            let end = bytes.iter().position(|byte| *byte == b'\n');
            return Ok(end.map_or(Parsed::Skipped(bytes.len()), |end| Parsed::Whole(end + 1)));
        };
        let mut more = self.given_up.unwrap_or(0);
        let mut at = 0;
        while missing > 0 {
            if more == 0 {
                match self.length(bytes, at)? {
                    None if bytes.len() - at > DIGITS => return Err(Malformed::LongLength),
                    None => break,
                    Some((length, start)) => (more, at) = (length + 2, start),
                }
            }
            let here = more.min(bytes.len() - at);
            (more, at) = (more - here, at + here);
            if more > 0 {
                break;
            }
            missing -= 1;
        }
        (self.missing, self.given_up, self.seen) = (Some(missing), Some(more), 0);
        Ok(match missing {
            0 => Parsed::Whole(at),
            _ => Parsed::Skipped(at),
        })
    }

    /// How long it is at least, as far as that is known.
    pub(crate) fn least(&self) -> usize {
        self.least
    }

    pub(crate) fn is_small(&self) -> bool {
        self.words.capacity() <= FEW && self.line.is_none()
    }

    /// How much memory it has, beside its bytes.
    pub(crate) fn size(&self) -> usize {
        let line = self.line.as_ref().map_or(0, Vec::capacity);
        allocated(self.words.capacity() * size_of::<(u32, u32)>()) + allocated(line)
    }

    /// For the next one; keeps its memory if that is not much.
    pub(crate) fn clear(&mut self) {
        let mut words = mem::take(&mut self.words);
        words.clear();
        words.shrink_to(FEW);
        *self = Request {
            words,
            ..Request::default()
        };
    }
}

/// The words of a request; the first is the command.
#[derive(Clone, Copy)]
pub(crate) struct Words<'r> {
    bytes: &'r [u8],
    places: &'r [(u32, u32)],
    /// In a line, as a person does.
    pub(crate) are_typed: bool,
}

impl<'r> Words<'r> {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The word at this place, or nothing beyond the last.
    pub(crate) fn get(&self, at: usize) -> &'r [u8] {
        let (start, end) = self.places.get(at).copied().unwrap_or((0, 0));
        &self.bytes[start as usize..end as usize]
    }

    pub(crate) fn from(&self, first: usize) -> impl Iterator<Item = &'r [u8]> + Clone + use<'r> {
        let (bytes, places) = (self.bytes, self.places);
        let places = places.get(first..).unwrap_or(&[]);
        let bytes_of = move |(start, end): &(u32, u32)| &bytes[*start as usize..*end as usize];
        places.iter().map(bytes_of)
    }
}

/// The same as [`Request::number`], for nearly all numbers: those of one digit or two.
#[inline]
fn short_number(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    match bytes.get(start..)? {
        [one @ b'0'..=b'9', b'\r', _, ..] => Some((usize::from(one - b'0'), start + 3)),
        [ten @ b'1'..=b'9', one @ b'0'..=b'9', b'\r', _, ..] => {
            let number = 10 * usize::from(ten - b'0') + usize::from(one - b'0');
            Some((number, start + 4))
        }
        _ => None,
    }
}

/// A number as Redis writes it: no sign but a minus, no leading zero.
pub(crate) fn integer(digits: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match digits {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let is_canonical = match digits {
        [b'0'] => !is_negative,
        [b'1'..=b'9', ..] => true,
        _ => false,
    };
    if !is_canonical || digits.len() > 19 {
        return None;
    }
    // 19 digits fit into an unsigned word.
    let mut value = 0_u64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = 10 * value + u64::from(digit);
    }
    match is_negative {
        true => 0_i64.checked_sub_unsigned(value),
        false => i64::try_from(value).ok(),
    }
}

/// Takes one word of a line, with quotes and what they may contain. Returns the rest; none if the quotes are wrong.
fn unquote<'l>(mut rest: &'l [u8], word: &mut Vec<u8>) -> Option<&'l [u8]> {
    let mut quote = None;
    loop {
        rest = match (quote, rest) {
            (None, []) => return Some(rest),
            (Some(_), []) => return None,
            (Some(b'"'), [b'\\', b'x', high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digit = |digit: u8| (digit as char).to_digit(16).unwrap_or(0) as u8;
                word.push(digit(*high) << 4 | digit(*low));
                after
            }
            (Some(b'"'), [b'\\', escaped, after @ ..]) => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                after
            }
            (Some(b'\''), [b'\\', b'\'', after @ ..]) => {
                word.push(b'\'');
                after
            }
            (Some(open), [close, after @ ..]) if open == *close => {
                // A closing quote ends its word.
                let ends = after.first().is_none_or(u8::is_ascii_whitespace);
                return ends.then_some(after);
            }
            (None, [space, ..]) if space.is_ascii_whitespace() => return Some(rest),
            (None, [open @ (b'"' | b'\''), after @ ..]) => {
                quote = Some(*open);
                after
            }
            (_, [byte, after @ ..]) => {
                word.push(*byte);
                after
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
        let mut request = Request::default();
        match request.parse(bytes)? {
            Parsed::Whole(length) => {
                assert!(length <= bytes.len());
                let words = request.words(bytes);
                Ok(words.from(0).map(<[u8]>::to_vec).collect())
            }
            Parsed::Part | Parsed::Skipped(_) => Ok(vec![b"(part)".to_vec()]),
        }
    }

    #[test]
    fn a_request_may_come_in_any_pieces() {
        let requests: [&[u8]; 2] = [
            b"*3\r\n$3\r\nset\r\n$0\r\n\r\n$5\r\na\r\n\0b\r\n",
            b" set  '' \"a\\r\\n\\x00b\"\r\n",
        ];
        for whole in requests {
            let mut request = Request::default();
            for length in 0..whole.len() {
                assert_eq!(request.parse(&whole[..length]), Ok(Parsed::Part));
            }
            assert_eq!(request.parse(whole), Ok(Parsed::Whole(whole.len())));
            let found: Vec<&[u8]> = request.words(whole).from(0).collect();
            assert_eq!(found, [&b"set"[..], b"", b"a\r\n\0b"]);
        }
    }

    /// Wherever it is given up, and in whatever pieces the rest comes, the next request begins behind it.
    #[test]
    fn what_is_given_up_is_skipped() {
        let requests: [&[u8]; 3] = [
            b"*3\r\n$3\r\nset\r\n$0\r\n\r\n$12\r\na\r\n\0b*1\r\n$1a\r\n",
            b" set  '' \"a\\r\\n\\x00b\"\r\n",
            b"*1\r\n$4\r\nping\r\n",
        ];
        for whole in requests {
            let array = if whole[0] == b'*' { 4 } else { 0 };
            for length in array..whole.len() {
                for piece in [1, 3, 100] {
                    let mut request = Request::default();
                    assert_eq!(request.parse(&whole[..length]), Ok(Parsed::Part));
                    let mut input = whole[request.give_up()..length].to_vec();
                    let mut rest = [&whole[length..], b"PING\r\n"].concat();
                    loop {
                        match request.parse(&input) {
                            Ok(Parsed::Skipped(of_no_use)) => drop(input.drain(..of_no_use)),
                            Ok(Parsed::Whole(length)) => {
                                input.drain(..length);
                                break;
                            }
                            other => panic!("{other:?} at {length}"),
                        }
                        assert!(input.len() <= 4 + piece, "{input:?} is kept");
                        let more = piece.min(rest.len());
                        input.extend(rest.drain(..more));
                    }
                    assert!(request.is_given_up());
                    input.extend(rest);
                    assert_eq!(input, b"PING\r\n");
                }
            }
        }
        let mut request = Request::default();
        assert_eq!(request.parse(b"*2\r\n$1"), Ok(Parsed::Part));
        request.give_up();
        let digits = [&b"$"[..], &[b'1'; DIGITS]].concat();
        assert_eq!(request.parse(&digits), Err(Malformed::LongLength));
    }

    #[test]
    fn what_asks_nothing_is_no_command() {
        for nothing in [&b"\r\n"[..], b"\n", b"  \r\n", b"*0\r\n", b"*-1\r\n"] {
            assert_eq!(words(nothing), Ok(vec![]));
        }
    }

    #[test]
    fn what_is_no_request_is_named() {
        let cases: [(&[u8], Malformed); 8] = [
            (b"*x\r\n", Malformed::Count),
            (b"*1048577\r\n", Malformed::Count),
            (b"*1\r\n:1\r\n", Malformed::NoLength(b':')),
            (b"*1\r\n$-1\r\n", Malformed::Length),
            (b"*1\r\n$16777217\r\n", Malformed::Length),
            (b"get 'a\r\n", Malformed::Quotes),
            (b"get \"a\"b\r\n", Malformed::Quotes),
            (&[b'a'; LINE + 1], Malformed::LongLine),
        ];
        for (bytes, expected) in cases {
            assert_eq!(words(bytes), Err(expected));
        }
        let mut count = b"*".to_vec();
        count.resize(LINE + 2, b'1');
        assert_eq!(words(&count), Err(Malformed::LongCount));
    }

    #[test]
    fn numbers_are_written_in_one_way() {
        for (digits, value) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-0", None),
            ("01", None),
            ("+1", None),
            ("", None),
            ("-", None),
            ("1 ", None),
        ] {
            assert_eq!(integer(digits.as_bytes()), value, "{digits}");
        }
    }
}
