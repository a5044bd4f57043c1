//! Connections that each have one request under way, all on one thread.

use std::{
    net::TcpStream,
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, EventData, EventFlags},
    net::{RecvFlags, SendFlags, recv, send},
};

use crate::process::Process;

const SLICE: Duration = Duration::from_millis(100);

pub(crate) struct Load {
    /// Nanoseconds of the server's processor for a request.
    pub(crate) time: f64,
    pub(crate) rate: f64,
    pub(crate) ticks: [u64; 2],
}

/// What each connection sends as soon as it has been answered.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) bytes: &'a [u8],
    /// The bytes of its answer.
    pub(crate) answer: usize,
    /// As how many it counts.
    pub(crate) weight: usize,
}

/// Asks a server for some time, after a warm-up of half a second.
///
/// # Panics
///
/// If the server's answers have another length.
pub(crate) fn run(
    server: &Process,
    request: Request<'_>,
    connections: usize,
    time: Duration,
) -> Load {
    let ask = |client: &TcpStream| {
        let sent = send(client, request.bytes, SendFlags::empty());
        assert_eq!(sent, Ok(request.bytes.len()), "it is small");
    };
    let clients: Vec<TcpStream> = (0..connections)
        .map(|_| {
            let client = TcpStream::connect(&server.address).expect("it listens");
            client.set_nodelay(true).expect("TCP");
            client
        })
        .collect();
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
    for client in &clients {
        let data = EventData::new_u64(client.as_raw_fd() as u64);
        epoll::add(&epoll, client, data, EventFlags::IN).expect("a socket");
        ask(client);
    }
    // Clients by descriptor, and how many bytes each has been answered.
    let mut by_fd: Vec<Option<(&TcpStream, usize)>> = Vec::new();
    for client in &clients {
        let fd = client.as_raw_fd() as usize;
        by_fd.resize(by_fd.len().max(fd + 1), None);
        by_fd[fd] = Some((client, 0));
    }
    let mut room = [0; 4096];
    let mut events = Vec::with_capacity(connections);
    let mut answered = 0_u64;
    let mut serve_until = |until: Instant, answered: &mut u64| {
        while Instant::now() < until {
            epoll::wait(&epoll, spare_capacity(&mut events), None).expect("epoll");
            for event in events.drain(..) {
                let place = by_fd[event.data.u64() as usize].as_mut();
                let (client, received) = place.expect("one of ours");
                let (length, _) = recv(*client, &mut room, RecvFlags::empty()).expect("it answers");
                *received += length;
                assert!(*received <= request.answer, "no more");
                if *received == request.answer {
                    *received = 0;
                    *answered += request.weight as u64;
                    ask(client);
                }
            }
        }
    };
    serve_until(Instant::now() + Duration::from_millis(500), &mut answered);
    let (start, first, ticks) = (Instant::now(), answered, server.ticks());
    let mut slices = Vec::new();
    while start.elapsed() < time {
        let (before, time_before) = (answered, server.time());
        serve_until(Instant::now() + SLICE, &mut answered);
        let time = server.time() - time_before;
        slices.push(time as f64 / (answered - before) as f64);
    }
    let after = server.ticks();
    slices.sort_by(f64::total_cmp);
    Load {
        time: slices[slices.len() / 10],
        rate: (answered - first) as f64 / start.elapsed().as_secs_f64(),
        ticks: [after[0] - ticks[0], after[1] - ticks[1]],
    }
}
