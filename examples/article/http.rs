//! The framing of an HTTP/1.1 response: bytes go in, in any split, and a body or a fault comes out.
//!
//! There is no socket here, so that every split and every ending can be tested. The rules are those
//! of RFC 9112, section 6.3, strict where leniency would let two readers see different bodies.

use std::fmt;

/// How many bytes the heads of one response may have together, and its trailers.
pub(crate) const MAX_HEAD: usize = 16 * 1024;
/// How many bytes a body may have: all of it is kept until its digest is taken.
pub(crate) const MAX_BODY: usize = 16 * 1024 * 1024;
/// How many fields a head or the trailers may have.
const MAX_FIELDS: usize = 100;
/// Where the minor version stands in `HTTP/1.1`.
const MINOR_VERSION: usize = 7;
/// How many bytes the line with a chunk's size and its extensions may have.
const MAX_CHUNK_LINE: usize = 1024;

/// Why the bytes received are not a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They break the grammar, or ask for what was not offered.
    Malformed(&'static str),
    /// A part of them is over its limit.
    TooLarge(&'static str),
    /// They end too early.
    Truncated(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Malformed(what) => write!(f, "malformed response: {what}"),
            Fault::TooLarge(what) => write!(f, "response too large: {what}"),
            Fault::Truncated(what) => write!(f, "truncated response: {what}"),
        }
    }
}

impl std::error::Error for Fault {}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The status line and the fields.
    Head,
    /// A body of which this many bytes are still to come.
    Counted(u64),
    /// A body that the end of the connection ends.
    UntilClose,
    /// The line with the size of the next chunk.
    ChunkSize,
    /// A chunk of which this many bytes are still to come.
    ChunkData(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    /// The fields behind the last chunk.
    Trailers,
    /// Nothing more: the response is complete.
    End,
}

/// A response that is being received.
#[derive(Debug)]
pub(crate) struct Response {
    part: Part,
    /// A head, line or trailer section of which only the beginning has arrived.
    pending: Vec<u8>,
    /// What is left of `MAX_HEAD`: an endless row of interim responses would have no other limit.
    head_budget: usize,
    status: u16,
    body: Vec<u8>,
}

impl Response {
    pub(crate) const fn new() -> Self {
        Response {
            part: Part::Head,
            pending: Vec::new(),
            head_budget: MAX_HEAD,
            status: 0,
            body: Vec::new(),
        }
    }

    /// Takes the next bytes, and tells whether the response is complete. Bytes behind its end are
    /// ignored: each connection carries one response.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<bool, Fault> {
        while !bytes.is_empty() && self.part != Part::End {
            let taken = match self.part {
                Part::Head => self.head(bytes)?,
                Part::Counted(left) => self.counted(bytes, left)?,
                Part::UntilClose => self.keep(bytes)?,
                Part::ChunkSize => self.chunk_size(bytes)?,
                Part::ChunkData(left) => self.chunk_data(bytes, left)?,
                Part::ChunkEnd => self.chunk_end(bytes)?,
                Part::Trailers => self.trailers(bytes)?,
                Part::End => bytes.len(),
            };
            bytes = &bytes[taken..];
        }
        Ok(self.part == Part::End)
    }

    /// The peer has ended the connection: this completes a body that has no other end.
    pub(crate) fn close(&mut self) -> Result<(), Fault> {
        let reason = match self.part {
            Part::UntilClose | Part::End => {
                self.part = Part::End;
                return Ok(());
            }
            Part::Head if self.pending.is_empty() => "closed before a response",
            Part::Head => "closed within the head",
            Part::Counted(_) => "closed before the body had its Content-Length",
            Part::Trailers => "closed within the trailers",
            Part::ChunkSize | Part::ChunkData(_) | Part::ChunkEnd => "closed before the last chunk",
        };
        Err(Fault::Truncated(reason))
    }

    /// The status code; zero until the head has arrived.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The bytes of the body that have arrived.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    fn head(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let (before, taken) = self.gather(bytes, self.head_budget);
        self.unfold(before);
        if self.pending.starts_with(b"HTTP/1.")
            && let Some(minor @ b'2'..=b'9') = self.pending.get_mut(MINOR_VERSION)
        {
            // What a later version adds may be ignored: RFC 9110, section 2.5.
            *minor = b'1';
        }
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        match head.parse(&self.pending).map_err(malformed)? {
            httparse::Status::Partial if self.pending.len() == self.head_budget => {
                Err(Fault::TooLarge("head"))
            }
            httparse::Status::Partial => Ok(taken),
            httparse::Status::Complete(length) => {
                self.status = head.code.unwrap_or(0);
                self.part = part_after(&head)?;
                self.head_budget -= length;
                self.pending.clear();
                Ok(length - before)
            }
        }
    }

    fn counted(&mut self, bytes: &[u8], left: u64) -> Result<usize, Fault> {
        let taken = at_most(bytes, left);
        self.keep(&bytes[..taken])?;
        self.part = match left - taken as u64 {
            0 => Part::End,
            left => Part::Counted(left),
        };
        Ok(taken)
    }

    fn chunk_size(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        const INVALID: Fault = Fault::Malformed("invalid chunk size");
        let line = bytes
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(bytes, |end| &bytes[..=end]);
        let (_, taken) = self.gather(line, MAX_CHUNK_LINE);
        // httparse takes a line without digits for a zero, which would end the body.
        if !self.pending[0].is_ascii_hexdigit() {
            return Err(INVALID);
        }
        match httparse::parse_chunk_size(&self.pending).map_err(|_| INVALID)? {
            httparse::Status::Complete((_, size)) => {
                self.part = if size == 0 {
                    Part::Trailers
                } else {
                    Part::ChunkData(size)
                };
                self.pending.clear();
            }
            httparse::Status::Partial if self.pending.ends_with(b"\n") => return Err(INVALID),
            httparse::Status::Partial if self.pending.len() == MAX_CHUNK_LINE => {
                return Err(Fault::TooLarge("chunk extension"));
            }
            httparse::Status::Partial => {}
        }
        Ok(taken)
    }

    fn chunk_data(&mut self, bytes: &[u8], left: u64) -> Result<usize, Fault> {
        let taken = at_most(bytes, left);
        self.keep(&bytes[..taken])?;
        self.part = match left - taken as u64 {
            0 => Part::ChunkEnd,
            left => Part::ChunkData(left),
        };
        Ok(taken)
    }

    fn chunk_end(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        const LINE_END: &[u8] = b"\r\n";
        let (_, taken) = self.gather(bytes, LINE_END.len());
        if !LINE_END.starts_with(&self.pending) {
            return Err(Fault::Malformed("chunk longer than its size"));
        }
        if self.pending == LINE_END {
            self.part = Part::ChunkSize;
            self.pending.clear();
        }
        Ok(taken)
    }

    fn trailers(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let (before, taken) = self.gather(bytes, MAX_HEAD);
        self.unfold(before);
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        match httparse::parse_headers(&self.pending, &mut fields).map_err(malformed)? {
            httparse::Status::Partial if self.pending.len() == MAX_HEAD => {
                Err(Fault::TooLarge("trailers"))
            }
            httparse::Status::Partial => Ok(taken),
            httparse::Status::Complete((length, _)) => {
                self.part = Part::End;
                self.pending.clear();
                Ok(length - before)
            }
        }
    }

    /// Appends to `pending` what fits under `limit`; gives its length before, and the bytes taken.
    fn gather(&mut self, bytes: &[u8], limit: usize) -> (usize, usize) {
        let before = self.pending.len();
        let taken = bytes.len().min(limit - before);
        self.pending.extend_from_slice(&bytes[..taken]);
        (before, taken)
    }

    /// Puts spaces in place of a line end that goes on in the next line, as RFC 9112, section 5.2, has it for obsolete
    /// folding. The end of the status line, and of a section, is none. All before `new` has been looked at, up to a line
    /// end whose next line was not there.
    fn unfold(&mut self, new: usize) {
        for next in new.max(1)..self.pending.len() {
            let (before, after) = self.pending.split_at(next);
            let Some(line) = before.strip_suffix(b"\n") else {
                continue;
            };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let ends_section = line.is_empty() || line.ends_with(b"\n");
            let is_status = self.part == Part::Head && !line.contains(&b'\n');
            if matches!(after[0], b' ' | b'\t') && !ends_section && !is_status {
                let end = line.len();
                self.pending[end..next].fill(b' ');
            }
        }
    }

    /// Appends to the body.
    fn keep(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        if self.body.len() + bytes.len() > MAX_BODY {
            return Err(Fault::TooLarge("body"));
        }
        self.body.extend_from_slice(bytes);
        Ok(bytes.len())
    }
}

/// How many of `bytes` belong to a part that still has `left`.
fn at_most(bytes: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| bytes.len().min(left))
}

/// What follows this head.
fn part_after(head: &httparse::Response<'_, '_>) -> Result<Part, Fault> {
    match head.code.unwrap_or(0) {
        0..=99 => return Err(Fault::Malformed("invalid response status")),
        101 => {
            return Err(Fault::Malformed(
                "another protocol, which was not asked for",
            ));
        }
        100..=199 => return Ok(Part::Head),
        204 | 304 => return Ok(Part::End),
        _ => {}
    }
    let values = |name: &'static str| {
        let named = move |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(name);
        let fields = head.headers.iter().filter(named);
        fields
            .flat_map(|field| field.value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
    };

    let mut codings = values("transfer-encoding");
    if let Some(coding) = codings.next() {
        // Content-Length does not count beside a transfer coding.
        let chunked = coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
        return match (chunked, head.version) {
            (true, Some(1)) => Ok(Part::ChunkSize),
            (true, _) => Err(Fault::Malformed("chunked in HTTP/1.0")),
            (false, _) => Err(Fault::Malformed("transfer coding other than chunked")),
        };
    }

    let mut lengths = values("content-length");
    match lengths.next().map(length).transpose()? {
        None => Ok(Part::UntilClose),
        // A list of equal lengths comes from a proxy that merged fields; unequal ones are an attack.
        Some(first) if lengths.any(|other| length(other) != Ok(first)) => {
            Err(Fault::Malformed("contradicting Content-Length"))
        }
        Some(0) => Ok(Part::End),
        Some(first) if first > MAX_BODY as u64 => Err(Fault::TooLarge("body")),
        Some(first) => Ok(Part::Counted(first)),
    }
}

/// The value of a Content-Length: digits only, where `str::parse` would take a sign.
fn length(value: &[u8]) -> Result<u64, Fault> {
    let digits = std::str::from_utf8(value)
        .ok()
        .filter(|_| value.iter().all(u8::is_ascii_digit));
    let parsed = digits.and_then(|digits| digits.parse().ok());
    parsed.ok_or(Fault::Malformed("invalid Content-Length"))
}

fn malformed(error: httparse::Error) -> Fault {
    match error {
        httparse::Error::TooManyHeaders => Fault::TooLarge("too many header fields"),
        httparse::Error::HeaderName => Fault::Malformed("invalid header name"),
        httparse::Error::HeaderValue => Fault::Malformed("invalid header value"),
        httparse::Error::NewLine => Fault::Malformed("invalid line end"),
        httparse::Error::Status => Fault::Malformed("invalid response status"),
        httparse::Error::Token => Fault::Malformed("invalid character"),
        httparse::Error::Version => Fault::Malformed("invalid HTTP version"),
    }
}

#[cfg(test)]
mod tests;
