//! The answers, as RESP2 writes them.

use std::io::Write;

/// How much longer the number of an array or a bulk string makes it, with the line ends.
pub(crate) const FRAME: usize = 32;

/// The answers in the order of their requests, until they are sent.
#[derive(Default)]
pub(crate) struct Replies {
    pub(crate) bytes: Vec<u8>,
    /// How long they may become by strings that clients ask for.
    pub(crate) limit: usize,
}

/// An answer would be longer than it may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TooLong;

impl Replies {
    pub(crate) fn ok(&mut self) {
        self.bytes.extend_from_slice(b"+OK\r\n");
    }

    pub(crate) fn status(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error; what would break the line is a space.
    pub(crate) fn error(&mut self, text: &[u8]) {
        self.bytes.push(b'-');
        let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        let text = &text[..end.map_or(0, |end| end + 1)];
        let printable = text.iter().map(|byte| match byte {
            b'\r' | b'\n' => b' ',
            byte => *byte,
        });
        self.bytes.extend(printable);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn integer(&mut self, value: i64) {
        self.number(b':', value);
    }

    fn number(&mut self, kind: u8, value: i64) {
        self.bytes.push(kind);
        if let small @ 0..=9 = value {
            self.bytes.push(b'0' + small as u8);
        } else {
            // It is memory, and takes all.
            let _ = write!(self.bytes, "{value}");
        }
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// # Errors
    ///
    /// It would be too long; nothing is added.
    pub(crate) fn bulk(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        self.make_room(bytes.len())?;
        self.number(b'$', bytes.len() as i64);
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// For a string of so many bytes, or several. Never reserves more than the limit.
    pub(crate) fn make_room(&mut self, bytes: usize) -> Result<(), TooLong> {
        let length = self.bytes.len() + bytes + FRAME;
        if length > self.limit {
            return Err(TooLong);
        }
        if length > self.bytes.capacity() {
            let twice = self.limit.min(2 * self.bytes.capacity());
            self.bytes
                .reserve_exact(length.max(twice) - self.bytes.len());
        }
        Ok(())
    }

    pub(crate) fn null(&mut self) {
        self.bytes.extend_from_slice(b"$-1\r\n");
    }

    pub(crate) fn array(&mut self, length: usize) {
        self.number(b'*', length as i64);
    }

    /// Puts the head of an array in front of what has been added since `start`.
    pub(crate) fn array_before(&mut self, start: usize, length: usize) {
        let end = self.bytes.len();
        self.array(length);
        let added = self.bytes.len() - end;
        self.bytes[start..].rotate_right(added);
    }
}
