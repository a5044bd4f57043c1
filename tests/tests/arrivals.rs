//! Clients that have spoken before they are accepted, in batches that are smaller than they are many: the beginning of
//! `hosted` and `http`, where a closure arms a deadline before another one reads.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use batchloop_core::{Capacity, Events, Machine, Step, Turn, point};
use batchloop_eventfd::{Deadlines, Listener, Multiplexer, Received, Registry, Stream};
use batchloop_tests::server::PATIENCE;

const CLIENTS: usize = 100;

struct Server {
    listener: Listener,
    registry: Registry,
    deadlines: Deadlines<'static>,
    time: Duration,
    /// Nothing is read before.
    is_open: bool,
    /// States that found nothing to read and a deadline that had passed.
    late: usize,
}

fn entry(cx: &mut Turn<'_, Stream>, server: &mut Server) {
    server
        .listener
        .accept(cx, &server.registry, |stream| stream);
    let new = cx.arrivals().for_each(|_, me| {
        server
            .deadlines
            .arm(me.token(), Instant::now() + server.time)
    });
    let (new, none) = new.partition(|_, _| true);
    none.release();
    let seen = cx
        .stage(point!("look"), new)
        .advance(|_, _| match server.is_open {
            true => Step::Next,
            false => Step::Wait,
        });
    cx.stage(point!("answer"), seen).advance(|stream, me| {
        stream.note(me);
        let mut room = [0; 3];
        match stream.receive(&mut room) {
            Ok(Received::Bytes(length)) => {
                assert_eq!(stream.send(&room[..length]).expect("room"), length);
                // One round at a time: the deadline comes while there is more to do.
                Step::Again
            }
            Ok(Received::Nothing) if me.take(Events::DEADLINE).is_empty() => Step::Wait,
            Ok(Received::Nothing) => {
                server.late += 1;
                Step::Release
            }
            Ok(Received::End) | Err(_) => Step::Release,
        }
    });
}

/// Serves until nobody lives, or nothing more can be expected to happen.
fn serve(batch: usize, time: Duration) -> (usize, usize) {
    let machine: Machine<Stream> = Machine::heap(Capacity::slots(CLIENTS).batch(batch));
    let mut multiplexer = Multiplexer::new().expect("descriptors");
    let registry = multiplexer.add(machine).expect("one bell");
    let listener = Listener::bind(&mut multiplexer, "127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    let mut clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut client = TcpStream::connect(address).expect("it listens");
            client.write_all(b"hello world").expect("room");
            client
        })
        .collect();
    let mut server = Server {
        listener,
        registry,
        deadlines: Deadlines::heap(CLIENTS, Duration::from_millis(1)),
        time,
        is_open: time == PATIENCE,
        late: 0,
    };
    let mut driver = machine.driver().expect("the only one");
    let patience = Instant::now() + PATIENCE;
    let mut answered = 0;
    while answered < CLIENTS || machine.live() > 0 {
        // No deadline comes before what each client has said.
        if server.is_open || multiplexer.total().delivered >= CLIENTS {
            server.is_open = true;
            server.deadlines.expire(Instant::now(), &machine);
        }
        driver.turn(|cx| entry(cx, &mut server)).expect("no fault");
        let soon = Some(Instant::now() + Duration::from_millis(10));
        multiplexer
            .poll(&[driver.watch()], soon)
            .expect("descriptors");
        clients.retain_mut(|client| {
            client.set_nonblocking(true).expect("a socket");
            let mut answer = [0; 11];
            let is_whole = matches!(client.peek(&mut answer), Ok(11));
            if is_whole {
                client.read_exact(&mut answer).expect("it is there");
                assert_eq!(&answer, b"hello world");
                answered += 1;
            }
            // Where deadlines end them, they stay.
            !is_whole || time < PATIENCE
        });
        if Instant::now() > patience {
            break;
        }
    }
    (answered, server.late)
}

#[test]
fn nobody_who_has_spoken_early_is_forgotten() {
    for batch in [1, 3, 64, CLIENTS] {
        assert_eq!(serve(batch, PATIENCE), (CLIENTS, 0), "batches of {batch}");
    }
}

/// It has passed before the first byte is read, and is looked at when there is nothing more.
#[test]
fn a_deadline_waits_until_it_is_looked_at() {
    for batch in [1, 3, CLIENTS] {
        let answered = serve(batch, Duration::ZERO);
        assert_eq!(answered, (CLIENTS, CLIENTS), "batches of {batch}");
    }
}
