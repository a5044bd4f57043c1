//! The head of a request: bytes go in, in any split, and what is wanted or why not comes out.
//!
//! There is no socket and no file here. The rules are those of RFC 9112, strict where leniency would let two readers
//! see different requests.

use crate::{body::Body, conditions::Conditions, fields::Fields, status::Status};

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
    /// Looks for a whole head; answers it with its length. `None` if more of it has to come.
    pub(crate) fn parse(bytes: &[u8], now: u64) -> Option<(usize, Request)> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        let refused = |status| Some((bytes.len(), Request::refused(status)));
        match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => {
                let request = Request::read(&head, now).unwrap_or_else(Request::refused);
                Some((length, request))
            }
            Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => None,
            Ok(httparse::Status::Partial) if first_line(bytes).is_none() => {
                refused(Status::UriTooLong)
            }
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                refused(Status::HeadTooLarge)
            }
            Err(httparse::Error::Version) if is_of_other_version(bytes) => {
                refused(Status::VersionNotSupported)
            }
            Err(_) => refused(Status::BadRequest),
        }
    }

    /// A request after which nothing can be understood.
    pub(crate) fn refused(status: Status) -> Request {
        Request {
            wanted: Err(status),
            is_head: false,
            keep: false,
            is_old: false,
            body: Body::NONE,
        }
    }

    fn read(head: &httparse::Request<'_, '_>, now: u64) -> Result<Request, Status> {
        let fields = Fields::new(head.headers);
        let is_old = head.version == Some(0);
        let body = body(fields, is_old)?;
        let hosts = fields.lines("host").count();
        if hosts > 1 || hosts == 0 && !is_old {
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

/// The first line that is not empty, if its end has come.
fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = bytes.trim_ascii_start();
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some(bytes[..end].trim_ascii_end())
}

/// Whether the first line has the right form, with a version that is not spoken here.
fn is_of_other_version(bytes: &[u8]) -> bool {
    let line = bytes.trim_ascii_start();
    let line = line.split(|byte| *byte == b'\r' || *byte == b'\n').next();
    let version = line.unwrap_or_default().split(|byte| *byte == b' ').nth(2);
    match version.and_then(|version| version.strip_prefix(b"HTTP/")) {
        Some([major, b'.', minor]) => major.is_ascii_digit() && minor.is_ascii_digit(),
        _ => false,
    }
}

/// How the body is framed: RFC 9112, section 6.
fn body(fields: Fields<'_>, is_old: bool) -> Result<Body, Status> {
    let mut codings = fields.values("transfer-encoding");
    if let Some(coding) = codings.next() {
        // An old client does not know of codings, and two framings in one request are an attack.
        if is_old || fields.has("content-length") {
            return Err(Status::BadRequest);
        }
        let is_chunked = coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
        return match is_chunked {
            true => Ok(Body::CHUNKED),
            false => Err(Status::NotImplemented),
        };
    }
    if !fields.has("content-length") {
        return Ok(Body::NONE);
    }
    let mut lengths = fields.values("content-length").map(length);
    let first = lengths.next().unwrap_or(Err(Status::BadRequest))?;
    match lengths.all(|other| other == Ok(first)) {
        true => Ok(Body::Counted(first)),
        false => Err(Status::BadRequest),
    }
}

/// Digits only, where `str::parse` would take a sign.
fn length(value: &[u8]) -> Result<u64, Status> {
    if !value.iter().all(u8::is_ascii_digit) {
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
    if target.contains('#') {
        return None;
    }
    if target.starts_with('/') {
        return Some(target);
    }
    let (scheme, rest) = target.split_once("://")?;
    let is_ours = ["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    (is_ours && authority > 0).then(|| &rest[authority..])
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
