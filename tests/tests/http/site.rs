//! A directory to serve, and what a client gets from it.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process;

use batchloop_tests::client::{numbers, receive, send};
use batchloop_tests::server::Server;

/// More than the kernel takes for a client that does not read.
pub(crate) const LARGE: usize = 48 << 20;

/// A directory, which ends with the test, and a file beside it.
pub(crate) struct Site(PathBuf);

impl Site {
    pub(crate) fn new(name: &str) -> Site {
        let site = Site(env::temp_dir().join(format!("batchloop-http-{name}-{}", process::id())));
        let _ = fs::remove_dir_all(&site.0);
        fs::create_dir_all(site.path("sub/empty")).expect("a place for files");
        fs::write(site.0.join("secret"), "secret").expect("room");
        site.write("index.html", b"<p>index</p>\n");
        site.write("hello.txt", b"hello\n");
        site.write("empty.txt", b"");
        site.write("numbers", &numbers(1 << 20));
        site.write("a name & 100%.css", b"p {}\n");
        site.write("sub/index.html", b"<p>sub</p>\n");
        site
    }

    /// A file of [`LARGE`] bytes.
    pub(crate) fn with_large(name: &str) -> Site {
        let site = Site::new(name);
        site.write("large", &numbers(LARGE));
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join("served").join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("room");
    }

    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        Server::start("http", &self.arguments(arguments))
    }

    pub(crate) fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let directory: &Path = &self.0;
        let directory = directory.to_str().expect("UTF-8");
        // Leaked: a few bytes a test.
        let served: &'static str = format!("{directory}/served").leak();
        [&[served], more].concat()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Its lines, with the first.
    pub(crate) head: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.iter().filter_map(|line| line.split_once(": "));
        fields.find_map(|(found, value)| (found == name).then_some(value))
    }

    pub(crate) fn says_close(&self) -> bool {
        self.field("Connection") == Some("close")
    }
}

/// The next head.
pub(crate) fn head(client: &TcpStream) -> Answer {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.extend(receive(client, 1));
    }
    let text = String::from_utf8(bytes).expect("text");
    let head: Vec<String> = text.lines().map(str::to_owned).collect();
    let status = head[0].strip_prefix("HTTP/1.1 ").expect("an answer");
    Answer {
        status: status[..3].parse().expect("a number"),
        head,
        body: Vec::new(),
    }
}

/// The next answer, to something else than HEAD.
pub(crate) fn answer(client: &TcpStream) -> Answer {
    let mut answer = head(client);
    let length = answer.field("Content-Length").unwrap_or("0");
    answer.body = receive(client, length.parse().expect("a number"));
    answer
}

/// The head of a request with these fields.
pub(crate) fn request(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: test\r\n{fields}\r\n")
}

/// The answer to one request.
pub(crate) fn ask(client: &TcpStream, line: &str, fields: &str) -> Answer {
    send(client, request(line, fields));
    answer(client)
}

/// Another client is served.
pub(crate) fn assert_serves(server: &Server) {
    let answer = ask(&server.connect(), "GET /hello.txt", "");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hello\n"[..]));
}

/// The server has told the client that it will get no more, and has kept to that.
pub(crate) fn assert_ends(client: &TcpStream) {
    let mut more = [0];
    let mut client = client;
    assert_eq!(client.read(&mut more).expect("an end"), 0, "{more:?}");
}

/// What a file has.
pub(crate) fn contents(path: impl AsRef<Path>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut file = File::open(path).expect("a file");
    file.read_to_end(&mut bytes).expect("readable");
    bytes
}
