//! The answers: their heads, and what of a file follows.

use std::{
    fmt,
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use crate::{
    conditions::Selection,
    date,
    request::{Request, Wanted},
    root::{Entity, Found, Root},
    status::Status,
};

/// An answer that is being sent. None has nothing to send.
#[derive(Default)]
pub(crate) struct Answer {
    /// What is left of the head, and of a body that is in no file.
    head: Vec<u8>,
    /// How much of it has been sent.
    sent: usize,
    content: Option<Content>,
    /// The connection may go on afterwards.
    pub(crate) keep: bool,
    /// The socket has taken no more, and has not said yet that it does.
    pub(crate) is_blocked: bool,
}

/// What of a file has still to be sent.
struct Content {
    file: File,
    at: u64,
    end: u64,
}

/// What all answers of a turn have in common.
pub(crate) struct Present {
    /// In seconds since 1970.
    pub(crate) seconds: u64,
    /// The same as a date.
    pub(crate) date: String,
}

impl Present {
    pub(crate) fn at(seconds: u64) -> Self {
        let date = date::format(seconds);
        Present { seconds, date }
    }
}

impl Answer {
    /// The answer to a request; `keep` is whether the server wants the connection to go on.
    pub(crate) fn to(request: &Request, root: &Root, present: &Present, keep: bool) -> Answer {
        let mut head = Head {
            bytes: Vec::with_capacity(256),
            is_old: request.is_old,
            is_only: request.is_head,
            keep: request.keep && keep,
            date: &present.date,
        };
        let content = match &request.wanted {
            Ok(wanted) => head.of_wanted(wanted, root, present),
            Err(status) => Err(*status),
        };
        let content = content.unwrap_or_else(|status| {
            head.fail(status);
            None
        });
        Answer {
            keep: head.keep,
            head: head.bytes,
            sent: 0,
            content,
            is_blocked: false,
        }
    }

    /// Puts what comes next into the buffer; returns how much that is. Nothing where all has been sent.
    ///
    /// # Errors
    ///
    /// The file's; it is one too if the file has become shorter than the head says.
    pub(crate) fn fill(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let head = &self.head[self.sent..];
        let (start, room) = buffer.split_at_mut(head.len());
        start.copy_from_slice(head);
        let Some(content) = &self.content else {
            return Ok(head.len());
        };
        let left = content.end - content.at;
        let room = match usize::try_from(left) {
            Ok(left) if left < room.len() => &mut room[..left],
            _ => room,
        };
        match content.file.read_at(room, content.at)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(head.len() + read),
        }
    }

    /// So much of what `fill` gave has been sent. What has not is read anew: it is not kept meanwhile.
    pub(crate) fn sent(&mut self, bytes: usize) {
        let of_head = bytes.min(self.head.len() - self.sent);
        self.sent += of_head;
        if self.sent == self.head.len() {
            (self.head, self.sent) = (Vec::new(), 0);
        }
        if let Some(content) = &mut self.content {
            content.at += (bytes - of_head) as u64;
            if content.at == content.end {
                self.content = None;
            }
        }
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.head.is_empty() && self.content.is_none()
    }
}

/// The head of an answer while it is written. What it has of the request is the target alone, with at most three bytes
/// for each of it; so it is shorter than a piece of a file.
struct Head<'p> {
    bytes: Vec<u8>,
    is_old: bool,
    /// The request is a HEAD: no body follows, whatever the head says.
    is_only: bool,
    keep: bool,
    date: &'p str,
}

impl Head<'_> {
    fn of_wanted(
        &mut self,
        wanted: &Wanted,
        root: &Root,
        present: &Present,
    ) -> Result<Option<Content>, Status> {
        let mut path = wanted.path.clone();
        if wanted.is_directory {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(b"index.html");
        }
        match root.find(&path)? {
            Found::File(entity) => self.of_file(&path, entity, wanted, present),
            Found::Directory if wanted.is_directory => Err(Status::NotFound),
            Found::Directory => {
                self.redirect(wanted);
                Ok(None)
            }
        }
    }

    fn of_file(
        &mut self,
        path: &[u8],
        entity: Entity,
        wanted: &Wanted,
        present: &Present,
    ) -> Result<Option<Content>, Status> {
        let (size, now) = (entity.size, present.seconds);
        // A date of the future would be one of a clock that went wrong.
        let modified = entity.modified.map(|modified| modified.min(now));
        let (at, end) = match wanted.conditions.select(size, modified, now) {
            Selection::Whole => {
                self.begin(Status::Ok);
                (0, size)
            }
            Selection::Part(at, end) => {
                self.begin(Status::PartialContent);
                let last = end - 1;
                self.field("Content-Range", format_args!("bytes {at}-{last}/{size}"));
                (at, end)
            }
            Selection::NotModified => {
                self.begin(Status::NotModified);
                self.last_modified(modified);
                self.end();
                return Ok(None);
            }
            Selection::Failed => return Err(Status::PreconditionFailed),
            Selection::Unsatisfiable => {
                self.begin(Status::RangeNotSatisfiable);
                self.field("Content-Range", format_args!("bytes */{size}"));
                self.text(Status::RangeNotSatisfiable);
                return Ok(None);
            }
        };
        self.field("Content-Type", content_type(path));
        self.field("Content-Length", end - at);
        self.field("Accept-Ranges", "bytes");
        self.last_modified(modified);
        self.end();
        let file = entity.file;
        Ok((at < end && !self.is_only).then_some(Content { file, at, end }))
    }

    /// The path with a slash behind it. It is written anew from its names, so that nothing of the request but these
    /// gets there: two slashes at the start would name another server.
    fn redirect(&mut self, wanted: &Wanted) {
        self.begin(Status::MovedPermanently);
        self.bytes.extend_from_slice(b"Location: /");
        for &byte in &wanted.path {
            match byte {
                b'/' | b'-' | b'.' | b'_' | b'~' => self.bytes.push(byte),
                _ if byte.is_ascii_alphanumeric() => self.bytes.push(byte),
                _ => self.print(format_args!("%{byte:02X}")),
            }
        }
        self.bytes.push(b'/');
        self.bytes.extend_from_slice(&wanted.query);
        self.bytes.extend_from_slice(b"\r\n");
        self.text(Status::MovedPermanently);
    }

    fn fail(&mut self, status: Status) {
        self.begin(status);
        match status {
            Status::MethodNotAllowed => self.field("Allow", "GET, HEAD"),
            Status::ServiceUnavailable => self.field("Retry-After", 1),
            _ => {}
        }
        self.text(status);
    }

    fn begin(&mut self, status: Status) {
        self.print(format_args!("HTTP/1.1 {status}\r\n"));
        self.field("Date", self.date);
        match (self.keep, self.is_old) {
            (true, false) => {}
            (true, true) => self.field("Connection", "keep-alive"),
            (false, _) => self.field("Connection", "close"),
        }
    }

    fn last_modified(&mut self, modified: Option<u64>) {
        if let Some(modified) = modified {
            self.field("Last-Modified", date::format(modified));
        }
    }

    /// Ends the head, with a body for people.
    fn text(&mut self, status: Status) {
        let text = format!("{status}\n");
        self.field("Content-Type", "text/plain; charset=utf-8");
        self.field("Content-Length", text.len());
        self.end();
        if !self.is_only {
            self.bytes.extend_from_slice(text.as_bytes());
        }
    }

    fn field(&mut self, name: &str, value: impl fmt::Display) {
        self.print(format_args!("{name}: {value}\r\n"));
    }

    fn end(&mut self) {
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn print(&mut self, text: fmt::Arguments<'_>) {
        // Memory takes everything.
        let _ = self.bytes.write_fmt(text);
    }
}

/// What a file is, by its name.
fn content_type(path: &[u8]) -> &'static str {
    let name = std::str::from_utf8(path).unwrap_or_default();
    let extension = Path::new(name).extension().and_then(|end| end.to_str());
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "css" => "text/css; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "gif" => "image/gif",
        "gz" => "application/gzip",
        "htm" | "html" => "text/html; charset=utf-8",
        "ico" => "image/vnd.microsoft.icon",
        "jpeg" | "jpg" => "image/jpeg",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "md" => "text/markdown; charset=utf-8",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "tar" => "application/x-tar",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        "webm" => "video/webm",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "xml" => "application/xml",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_types() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a.b/PHOTO.JPG", "image/jpeg"),
            ("a.css/file", "application/octet-stream"),
            (".html", "application/octet-stream"),
            ("archive.tar.gz", "application/gzip"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(content_type(name.as_bytes()), expected, "{name}");
        }
        assert_eq!(content_type(b"\xff.html"), "application/octet-stream");
    }
}
