//! A small server on the loopback interface, for runs without `--url`.
//!
//! It answers each target with a body that depends on nothing else, in one of the three framings
//! of HTTP/1.1. A few threads that block suffice: a request is answered as soon as it is read.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

const THREADS: usize = 4;
/// Connections that wait to be accepted. A full backlog would cost a client a second.
const BACKLOG: i32 = 4096;
const MAX_REQUEST: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts the server; it serves until the program ends.
pub(crate) fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    rustix::net::listen(&listener, BACKLOG)?;
    for _ in 0..THREADS {
        let listener = listener.try_clone()?;
        thread::Builder::new()
            .name("server".into())
            .spawn(move || serve(&listener))?;
    }
    listener.local_addr()
}

fn serve(listener: &TcpListener) {
    loop {
        match listener.accept() {
            // What fails here fails for one client, which notices.
            Ok((stream, _)) => drop(answer(stream)),
            // Out of descriptors, most likely: some time must pass.
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"\r\n\r\n") {
        let n = stream.read(&mut buffer)?;
        if n == 0 || request.len() + n > MAX_REQUEST {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..n]);
    }
    let target = request
        .split(|&byte| byte == b' ')
        .nth(1)
        .unwrap_or_default();
    stream.write_all(&response(target))
}

/// The response to a request for `target`.
fn response(target: &[u8]) -> Vec<u8> {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n";
    let seed = fnv(target);
    let line = [target, b"\n"].concat();
    let body = line.repeat(1 + (seed % 500) as usize);
    let mut response = HEAD.as_bytes().to_vec();
    match seed % 3 {
        0 => {
            response
                .extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            response.extend_from_slice(&body);
        }
        1 => {
            response.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in body.chunks(1000) {
                response.extend_from_slice(format!("{:x};of=body\r\n", chunk.len()).as_bytes());
                response.extend_from_slice(chunk);
                response.extend_from_slice(b"\r\n");
            }
            response.extend_from_slice(b"0\r\nX-Trailer: yes\r\n\r\n");
        }
        _ => {
            response.extend_from_slice(b"\r\n");
            response.extend_from_slice(&body);
        }
    }
    response
}

/// The FNV-1a hash, to spread sizes and framings over the targets.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Response;

    #[test]
    fn every_framing_carries_the_body_of_its_target() {
        let mut framings = [false; 3];
        for n in 0..30 {
            let target = format!("/work?n={n}");
            let bytes = response(target.as_bytes());
            let mut parsed = Response::new();
            let complete = parsed.push(&bytes).expect("well-formed");
            parsed.close().expect("complete");
            framings[(fnv(target.as_bytes()) % 3) as usize] = true;
            assert_eq!(complete, fnv(target.as_bytes()) % 3 != 2);
            assert!(parsed.body().starts_with(format!("{target}\n").as_bytes()));
            assert_eq!(parsed.body().len() % (target.len() + 1), 0);
        }
        assert_eq!(framings, [true; 3]);
    }
}
