//! The head of a request: bytes go in, in any split, and what is wanted or why not comes out.
//!
//! There is no socket and no file here. The rules are those of RFC 9112, strict where leniency would let two readers
//! see different requests.

use crate::{authority, body::Body, conditions::Conditions, fields::Fields, status::Status};

/// How many bytes a head may have.
pub(crate) const MAX_HEAD: usize = 16 * 1024;
/// How many fields a head may have.
const MAX_FIELDS: usize = 100;

/// The methods that are known, and are not for files that only can be read.
const OTHER_METHODS: [&str; 7] = [
    "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT",
];

/// A request whose head has arrived.
#[derive(Debug)]
pub(crate) struct Request {
    /// What is wanted; or what is answered instead, whatever the files are.
    pub(crate) wanted: Result<Wanted, Status>,
    /// The answer has a head only.
    pub(crate) is_head: bool,
    /// The connection may go on afterwards.
    pub(crate) keep: bool,
    /// The client is an old one, which does not expect that.
    pub(crate) is_old: bool,
    pub(crate) body: Body,
}

/// What a GET or HEAD is for.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The names from the directory to the file, with slashes in between. None is `.` or `..`, or has a slash inside.
    pub(crate) path: Vec<u8>,
    /// The path ends in a slash, so it is one of a directory.
    pub(crate) is_directory: bool,
    /// With its question mark.
    pub(crate) query: Vec<u8>,
    pub(crate) conditions: Conditions,
}

impl Request {
    /// Looks for a whole head; returns it with its length. `None` if more of it has to come.
    pub(crate) fn parse(bytes: &[u8], now: u64) -> Option<(usize, Request)> {
        match Request::find(bytes, now) {
            Ok(found) => found,
            Err(status) => Some((bytes.len(), Request::refused(status, bytes))),
        }
    }

    fn find(bytes: &[u8], now: u64) -> Result<Option<(usize, Request)>, Status> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => {
                let request = Request::read(&head, now);
                let request = request.unwrap_or_else(|status| Request::refused(status, bytes));
                Ok(Some((length, request)))
            }
            Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => Ok(None),
            Ok(httparse::Status::Partial) if first_line(bytes).is_none() => Err(Status::UriTooLong),
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                Err(Status::HeadTooLarge)
            }
            Err(httparse::Error::Version) => match Version::of(bytes) {
                Version::Later(minor) => {
                    let mut spoken = bytes.to_vec();
                    spoken[minor] = b'1';
                    Request::find(&spoken, now)
                }
                Version::Other => Err(Status::VersionNotSupported),
                Version::Unfinished if bytes.len() < MAX_HEAD => Ok(None),
                Version::Unfinished => Err(Status::UriTooLong),
                Version::None => Err(Status::BadRequest),
            },
            Err(_) => Err(Status::BadRequest),
        }
    }

    /// A request after which nothing can be understood: these bytes, as far as they have come.
    pub(crate) fn refused(status: Status, bytes: &[u8]) -> Request {
        Request {
            wanted: Err(status),
            // An answer to HEAD has no body, whatever is wrong with the rest of it.
            is_head: bytes[empty_lines(bytes)..].starts_with(b"HEAD "),
            keep: false,
            is_old: false,
            body: Body::NONE,
        }
    }

    /// What is answered instead, now that its body turns out to be none.
    pub(crate) fn refuse(&mut self, status: Status) {
        self.wanted = Err(status);
        self.give_up_body();
    }

    fn read(head: &httparse::Request<'_, '_>, now: u64) -> Result<Request, Status> {
        let fields = Fields::new(head.headers);
        let is_old = head.version == Some(0);
        let body = body(fields, is_old)?;
        let mut hosts = fields.lines("host");
        let is_named = match (hosts.next(), hosts.next()) {
            (None, _) => is_old,
            (Some(name), None) => authority::host(name).is_some(),
            (Some(_), Some(_)) => false,
        };
        if !is_named {
            return Err(Status::BadRequest);
        }
        let method = head.method.unwrap_or_default();
        let mut request = Request {
            wanted: wanted(method, head.path.unwrap_or_default(), fields, now),
            is_head: method == "HEAD",
            keep: match is_old {
                true => fields.lists("connection", "keep-alive"),
                false => true,
            } && !fields.lists("connection", "close"),
            is_old,
            body,
        };
        if body.is_too_large() {
            request.wanted = request.wanted.and(Err(Status::ContentTooLarge));
            request.give_up_body();
        }
        if !is_old && fields.has("expect") {
            if !fields.lists("expect", "100-continue") {
                request.wanted = Err(Status::ExpectationFailed);
            }
            // The client may send its body or not, now that it gets its answer without having been asked for it.
            if !body.is_over() {
                request.give_up_body();
            }
        }
        Ok(request)
    }

    /// The body is not waited for, so what follows cannot be understood.
    fn give_up_body(&mut self) {
        self.body = Body::NONE;
        self.keep = false;
    }
}

/// How many bytes of empty lines stand before a request: some clients send one behind a body.
pub(crate) fn empty_lines(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let [b'\r', b'\n', behind @ ..] | [b'\n', behind @ ..] = rest {
        rest = behind;
    }
    bytes.len() - rest.len()
}

/// The first line that is not empty, if its end has come.
fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = &bytes[empty_lines(bytes)..];
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = &bytes[..end];
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// The version in a first line, of a form that is neither 1.0 nor 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// One that is understood as 1.1 is: RFC 9110, section 2.5. Here is its last digit.
    Later(usize),
    /// One that is not spoken here.
    Other,
    /// It may become one.
    Unfinished,
    None,
}

impl Version {
    fn of(bytes: &[u8]) -> Version {
        let start = empty_lines(bytes);
        let begun = &bytes[start..];
        let begun = begun.strip_suffix(b"\r").unwrap_or(begun);
        let has_ended = first_line(bytes).is_some();
        let line = first_line(bytes).unwrap_or(begun);
        let mut spaces = (0..line.len()).filter(|at| line[*at] == b' ');
        let Some(space) = spaces.nth(1) else {
            return Version::None;
        };
        let version = &line[space + 1..];
        let fits = |(byte, form): (&u8, &u8)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == form,
        };
        const FORM: &[u8] = b"HTTP/0.0";
        if version.len() > FORM.len() || !version.iter().zip(FORM).all(fits) {
            return Version::None;
        }
        match version {
            [_, _, _, _, _, b'1', _, _] => Version::Later(start + space + FORM.len()),
            _ if !has_ended => Version::Unfinished,
            [_, _, _, _, _, _, _, _] => Version::Other,
            _ => Version::None,
        }
    }
}

/// How the body is framed: RFC 9112, section 6.
fn body(fields: Fields<'_>, is_old: bool) -> Result<Body, Status> {
    if fields.has("transfer-encoding") {
        // An old client does not know of codings, and two framings in one request are an attack.
        if is_old || fields.has("content-length") {
            return Err(Status::BadRequest);
        }
        let mut codings = fields.values("transfer-encoding");
        return match (codings.next(), codings.next()) {
            // A reader that ignores a field without a coding sees another body than one that does not.
            (None, _) => Err(Status::BadRequest),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Body::CHUNKED),
            _ => Err(Status::NotImplemented),
        };
    }
    if !fields.has("content-length") {
        return Ok(Body::NONE);
    }
    // It is no list, but the same length several times is one. Nothing is no length.
    let lines = fields.lines("content-length");
    let mut lengths = lines.flat_map(|line| line.split(|byte| *byte == b',').map(length));
    let first = lengths.next().unwrap_or(Err(Status::BadRequest))?;
    match lengths.all(|other| other == Ok(first)) {
        true => Ok(Body::Counted(first)),
        false => Err(Status::BadRequest),
    }
}

/// Digits only, where `str::parse` would take a sign.
fn length(value: &[u8]) -> Result<u64, Status> {
    let value = value.trim_ascii();
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Status::BadRequest);
    }
    let digits = std::str::from_utf8(value).unwrap_or_default();
    digits.parse().map_err(|_| Status::ContentTooLarge)
}

fn wanted(method: &str, target: &str, fields: Fields<'_>, now: u64) -> Result<Wanted, Status> {
    let conditions = match method {
        "GET" => Conditions::of(fields, now),
        "HEAD" => Conditions::of(fields, now).without_range(),
        _ if OTHER_METHODS.contains(&method) => return Err(Status::MethodNotAllowed),
        _ => return Err(Status::NotImplemented),
    };
    let target = origin(target).ok_or(Status::BadRequest)?;
    let (whole, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let mut path = Vec::new();
    let mut is_directory = true;
    for name in whole.split('/') {
        let start = path.len();
        if start > 0 {
            path.push(b'/');
        }
        decode(name, &mut path)?;
        let name = path[start..].strip_prefix(b"/").unwrap_or(&path[start..]);
        is_directory = matches!(name, b"" | b".");
        if name == b".." {
            return Err(Status::NotFound);
        }
        if is_directory {
            path.truncate(start);
        }
    }
    Ok(Wanted {
        path,
        is_directory,
        query: query.into(),
        conditions,
    })
}

/// What a target has from its path on; it may name the server too.
fn origin(target: &str) -> Option<&str> {
    if target.contains('#') || !target.is_ascii() {
        return None;
    }
    if target.starts_with('/') {
        return Some(target);
    }
    let (scheme, rest) = target.split_once("://")?;
    let is_ours = ["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    let (authority, origin) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let is_named = authority::host(authority.as_bytes()).is_some_and(|host| !host.is_empty());
    (is_ours && is_named).then_some(origin)
}

/// Appends a name without its percent signs. One with a slash inside is no name of a file.
fn decode(name: &str, path: &mut Vec<u8>) -> Result<(), Status> {
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let pair = digit().zip(digit()).ok_or(Status::BadRequest)?;
                (pair.0 << 4 | pair.1) as u8
            }
            byte => byte,
        };
        match byte {
            0 => return Err(Status::BadRequest),
            b'/' => return Err(Status::NotFound),
            byte => path.push(byte),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
