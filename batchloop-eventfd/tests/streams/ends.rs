//! How connections end, and what does not look like their end, on either backend.

use std::{
    io::{ErrorKind, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use batchloop_core::Events;
use batchloop_eventfd::Received;
use rustix::net::{SendFlags, send, sockopt::set_socket_linger};

use crate::place::{Backend, Place, each_way, rounds, run_until};

fn reset(peer: TcpStream) {
    set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
    drop(peer);
}

/// The state has something that it does not take, or has heard the end.
#[test]
fn a_reset_is_told_though_nothing_is_received() {
    for backend in Backend::all() {
        let cases = [(1, false), (100_000, false), (0, true), (1, true)];
        let cases = cases.map(|(bytes, ends)| [(bytes, ends, false), (bytes, ends, true)]);
        for (bytes, ends, has_talked) in cases.into_iter().flatten() {
            let what = format!("{backend:?}, {bytes} bytes, end: {ends}, talked: {has_talked}");
            let mut place = Place::new(backend);
            let (state, mut peer) = place.connection(has_talked);
            place.look(state, |state| state.is_idle = bytes > 0);
            peer.write_all(&vec![7; bytes]).unwrap();
            if ends {
                peer.shutdown(Shutdown::Write).unwrap();
            }
            run_until(&mut [&mut place], &what, |places| {
                let seen = places[0].look(state, |state| state.seen);
                seen.is_some_and(|seen| seen.contains(Events::READABLE))
            });
            rounds(&mut [&mut place]);
            place.look(state, |state| {
                state.stream.as_mut().unwrap().check().expect(&what);
                state.seen = None;
            });
            reset(peer);
            run_until(&mut [&mut place], &what, |places| {
                let seen = places[0].look(state, |state| state.seen);
                seen.is_some_and(|seen| seen.contains(Events::CLOSED))
            });
            place.look(state, |state| {
                let stream = state.stream.as_mut().unwrap();
                // After an end, the kernel says that the pipe is broken.
                let broken = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
                for _ in 0..2 {
                    let error = stream.check().expect_err(&what);
                    assert!(broken.contains(&error.kind()), "{what}");
                }
                assert!(stream.send(b"x").is_err(), "{what}");
                let mut received = 0;
                let last = loop {
                    match stream.receive(&mut [0; 1000]) {
                        Ok(Received::Bytes(more)) => received += more,
                        last => break last,
                    }
                };
                assert!(received <= bytes, "{what}");
                assert!(ends || last.is_err(), "{what}: {last:?} is no end");
            });
            // It is told once, and the thread sleeps.
            rounds(&mut [&mut place]);
            let runs = place.look(state, |state| state.runs);
            rounds(&mut [&mut place]);
            assert_eq!(place.look(state, |state| state.runs), runs, "{what}");
        }
    }
}

/// What comes is told each time, though what came before is still there.
#[test]
fn arrivals_and_the_end_are_told_to_a_state_that_takes_nothing() {
    for (backend, has_talked) in each_way(Backend::all()) {
        let mut place = Place::new(backend);
        let (state, mut peer) = place.connection(has_talked);
        place.look(state, |state| state.is_idle = true);
        for _ in 0..5 {
            rounds(&mut [&mut place]);
            place.look(state, |state| state.seen = None);
            peer.write_all(b"x").unwrap();
            run_until(&mut [&mut place], "it is told of bytes", |places| {
                let seen = places[0].look(state, |state| state.seen);
                seen.is_some_and(|seen| seen.contains(Events::READABLE))
            });
        }
        peer.shutdown(Shutdown::Write).unwrap();
        run_until(&mut [&mut place], "it is told of the end", |places| {
            let seen = places[0].look(state, |state| state.seen);
            seen.is_some_and(|seen| seen.contains(Events::CLOSED))
        });
        place.look(state, |state| state.is_idle = false);
        place.machine.wake(state).unwrap();
        run_until(&mut [&mut place], "it takes all", |places| {
            places[0].look(state, |state| state.ended.is_some())
        });
        place.look(state, |state| assert_eq!(state.received, b"xxxxx"));
    }
}

/// A receive stops at the mark, as if there were no more.
#[test]
fn bytes_behind_urgent_data_are_received() {
    for (backend, has_talked) in each_way(Backend::all()) {
        for marks in [1, 3] {
            let mut place = Place::new(backend);
            let (state, mut peer) = place.connection(has_talked);
            // So that all of it is told at once.
            let mut expected = Vec::new();
            for _ in 0..marks {
                peer.write_all(b"before").unwrap();
                send(&peer, b"!", SendFlags::OOB).unwrap();
                expected.extend_from_slice(b"before");
            }
            peer.write_all(b"behind").unwrap();
            expected.extend_from_slice(b"behind");
            let plain = |bytes: &[u8]| bytes.iter().filter(|byte| **byte != b'!').count();
            run_until(&mut [&mut place], "it gets all", |places| {
                let received = places[0].look(state, |state| plain(&state.received));
                received == expected.len()
            });
        }
    }
}

/// More than a buffer of a ring, and the socket is known to be empty afterwards.
#[test]
fn nothing_means_that_the_socket_is_empty() {
    for (backend, has_talked) in each_way(Backend::all()) {
        for bytes in [4096, 4097, 8191, 8192, 8193, 20_000] {
            let mut place = Place::new(backend);
            let (state, mut peer) = place.connection(has_talked);
            place.look(state, |state| state.is_idle = true);
            rounds(&mut [&mut place]);
            peer.write_all(&vec![7; bytes]).unwrap();
            rounds(&mut [&mut place]);
            let received = place.look(state, |state| {
                let stream = state.stream.as_mut().unwrap();
                let mut received = 0;
                assert!(stream.may_receive());
                while let Received::Bytes(more) = stream.receive(&mut [0; 3000]).unwrap() {
                    received += more;
                }
                assert!(!stream.may_receive());
                received
            });
            assert_eq!(received, bytes, "{backend:?}");
        }
    }
}

/// All of it may be there when a receive begins, or while it waits.
#[test]
fn last_bytes_and_what_is_behind_them_are_told_together() {
    for (backend, has_talked) in each_way(Backend::all()) {
        for (is_reset, waits) in [(false, false), (false, true), (true, false), (true, true)] {
            let what = format!("{backend:?}, talked: {has_talked}, reset: {is_reset}, {waits}");
            let mut place = Place::new(backend);
            let (state, mut peer) = place.connection(has_talked);
            if waits {
                rounds(&mut [&mut place]);
            }
            peer.write_all(b"last").unwrap();
            match is_reset {
                true => reset(peer),
                false => drop(peer),
            }
            run_until(&mut [&mut place], &what, |places| {
                places[0].look(state, |state| state.ended.is_some())
            });
            place.look(state, |state| {
                let ended = state.ended.take().unwrap();
                assert_eq!(ended.is_err(), is_reset, "{what}: {ended:?}");
                assert!(is_reset || state.received == b"last", "{what}");
            });
        }
    }
}
