//! Answers, as RESP2 writes them.

use std::io::Write;

/// Answers in the order of their requests, until they are sent.
#[derive(Default)]
pub(crate) struct Replies(pub(crate) Vec<u8>);

impl Replies {
    pub(crate) fn ok(&mut self) {
        self.0.extend_from_slice(b"+OK\r\n");
    }

    pub(crate) fn status(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error; what would break the line is a space.
    pub(crate) fn error(&mut self, text: &[u8]) {
        self.0.push(b'-');
        let printable = text.iter().map(|byte| match byte {
            b'\r' | b'\n' => b' ',
            byte => *byte,
        });
        self.0.extend(printable);
        self.0.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.0.push(kind);
        self.0.extend_from_slice(text);
        self.0.extend_from_slice(b"\r\n");
    }

    pub(crate) fn integer(&mut self, value: i64) {
        self.number(b':', value);
    }

    fn number(&mut self, kind: u8, value: i64) {
        self.0.push(kind);
        if let small @ 0..=9 = value {
            self.0.push(b'0' + small as u8);
        } else {
            // It is memory, and takes all.
            let _ = write!(self.0, "{value}");
        }
        self.0.extend_from_slice(b"\r\n");
    }

    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.number(b'$', bytes.len() as i64);
        self.0.extend_from_slice(bytes);
        self.0.extend_from_slice(b"\r\n");
    }

    pub(crate) fn null(&mut self) {
        self.0.extend_from_slice(b"$-1\r\n");
    }

    pub(crate) fn array(&mut self, length: usize) {
        self.number(b'*', length as i64);
    }
}
