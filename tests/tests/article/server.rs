//! Servers for the program to talk to.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// The body of a good response, and its digest.
pub(crate) const BODY: &str = "hello world";
const DIGEST: &str = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";

/// A server on loopback that calls `answer` with each connection and the path of its request.
pub(crate) fn serve(answer: impl Fn(TcpStream, &str) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let address = listener.local_addr().expect("bound");
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, answer) = (stream.expect("accepted"), answer.clone());
            thread::spawn(move || {
                let path = request(&stream);
                answer(stream, &path);
            });
        }
    });
    address
}

/// Reads a whole request, and gives its path.
pub(crate) fn request(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let hosts = lines
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("Host: "));
    assert_eq!(hosts.count(), 1);
    first.split(' ').nth(1).unwrap_or_default().to_owned()
}

pub(crate) fn send(mut stream: &TcpStream, bytes: impl AsRef<[u8]>) {
    // Whether the client is still there is for the client's output to tell.
    let _ = stream.write_all(bytes.as_ref());
}

pub(crate) fn send_good(stream: &TcpStream) {
    let length = BODY.len();
    send(
        stream,
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{BODY}"),
    );
}

/// The line of a job that got a good response.
pub(crate) fn good(name: impl std::fmt::Display) -> String {
    format!("{name}\t200\t{}\t{DIGEST}", BODY.len())
}
