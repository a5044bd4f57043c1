//! Streams that go from one state to another: of the same machine, of another one, of another multiplexer; on epoll, on
//! io_uring, and between the two.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use batchloop_core::{Capacity, Events, Machine, Step, point};
use batchloop_eventfd::Received;

use crate::place::{
    Backend, PATIENCE, Place, State, each_way, entry, numbers, pair, pairs, rounds, run_until,
};

/// What one state has received and not taken, and sent and not got rid of, is the next one's.
#[test]
fn bytes_of_both_directions_go_along_in_order() {
    for ([from, to], has_talked) in each_way(pairs()) {
        for removes in [false, true] {
            let what = format!("{from:?} to {to:?}, removes: {removes}");
            let (mut first, mut second) = (Place::new(from), Place::new(to));
            let (old, mut peer) = first.connection(has_talked);
            first.look(old, |state| state.is_idle = true);
            peer.write_all(b"abcdef").unwrap();
            run_until(&mut [&mut first], &what, |places| {
                let state = |state: &mut State| {
                    let stream = state.stream.as_mut().unwrap();
                    stream.receive(&mut [0; 2]).unwrap() == Received::Bytes(2)
                };
                places[0].look(old, state)
            });
            let mut stream = first.take(old);
            // More than the peer's window takes.
            let all = numbers(12 << 20);
            let mut sent = 0;
            while let more @ 1.. = stream.send(&all[sent..]).unwrap() {
                sent += more;
                first.round();
            }
            assert!(sent < all.len(), "{what}");
            // It comes while the stream is in no state.
            peer.write_all(b"ghi").unwrap();
            if removes {
                first.registry.remove(&stream).unwrap();
            }
            let new = second.state();
            rounds(&mut [&mut second]);
            second.registry.attach(&mut stream, new.token()).unwrap();
            let rest = all[sent..].to_vec();
            second.look(new, |state| {
                (state.stream, state.to_send) = (Some(stream), rest)
            });
            run_until(&mut [&mut first, &mut second], &what, |places| {
                places[1].look(new, |state| state.received == b"cdefghi")
            });
            peer.write_all(b"jkl").unwrap();
            let length = all.len();
            let reader = std::thread::spawn(move || {
                let mut bytes = vec![0; length];
                peer.read_exact(&mut bytes).map(|()| (bytes, peer))
            });
            run_until(&mut [&mut first, &mut second], &what, |_| {
                reader.is_finished()
            });
            let (bytes, mut peer) = reader.join().unwrap().expect(&what);
            assert!(bytes == all, "{what}");
            run_until(&mut [&mut first, &mut second], &what, |places| {
                places[1].look(new, |state| state.received == b"cdefghijkl")
            });
            let ended = second.look(new, |state| state.stream.as_mut().unwrap().end());
            ended.unwrap();
            let reader = std::thread::spawn(move || peer.read(&mut [0; 1]).unwrap());
            run_until(&mut [&mut first, &mut second], &what, |_| {
                reader.is_finished()
            });
            assert_eq!(reader.join().unwrap(), 0, "{what}");
        }
    }
}

/// The old state has heard of it already, and the new one waits.
#[test]
fn what_is_ready_is_told_to_the_new_state() {
    for ([from, to], has_talked) in each_way(pairs()) {
        let what = format!("{from:?} to {to:?}");
        let (mut first, mut second) = (Place::new(from), Place::new(to));
        let (old, mut peer) = first.connection(has_talked);
        first.look(old, |state| state.is_idle = true);
        peer.write_all(b"hello").unwrap();
        run_until(&mut [&mut first], &what, |places| {
            let seen = places[0].look(old, |state| state.seen);
            seen.is_some_and(|seen| seen.contains(Events::READABLE))
        });
        let new = second.state();
        rounds(&mut [&mut first, &mut second]);
        let mut stream = first.take(old);
        second.registry.attach(&mut stream, new.token()).unwrap();
        second.look(new, |state| {
            (state.stream, state.seen) = (Some(stream), None);
        });
        run_until(&mut [&mut first, &mut second], &what, |places| {
            places[1].look(new, |state| state.received == b"hello")
        });
        let seen = second.look(new, |state| state.seen).unwrap();
        assert!(seen.contains(Events::READABLE | Events::WRITABLE), "{what}");
        let runs = first.look(old, |state| state.runs);
        peer.write_all(b" again").unwrap();
        drop(peer);
        run_until(&mut [&mut first, &mut second], &what, |places| {
            places[1].look(new, |state| matches!(state.ended, Some(Ok(()))))
        });
        second.look(new, |state| assert_eq!(state.received, b"hello again"));
        assert_eq!(first.look(old, |state| state.runs), runs, "{what}");
    }
}

#[test]
fn machines_of_one_multiplexer_and_states_of_one_machine() {
    for (backend, has_talked) in each_way(Backend::all()) {
        let mut place = Place::new(backend);
        let other: Machine<State> = Machine::heap(Capacity::slots(2));
        let registry = place.multiplexer.add(other).unwrap();
        let (first, mut peer) = place.connection(has_talked);
        let second = place.state();
        rounds(&mut [&mut place]);
        for (round, state) in [second, first, first, second].into_iter().enumerate() {
            let mut holders = [first, second].into_iter();
            let holder = holders.find(|holder| place.look(*holder, |state| state.stream.is_some()));
            let mut stream = place.take(holder.unwrap());
            place.registry.attach(&mut stream, state.token()).unwrap();
            place.look(state, |state| {
                (state.stream, state.seen) = (Some(stream), None);
                state.received.clear();
            });
            run_until(&mut [&mut place], "it is told of room", |places| {
                let seen = places[0].look(state, |state| state.seen);
                seen.is_some_and(|seen| seen.contains(Events::WRITABLE))
            });
            peer.write_all(&[round as u8]).unwrap();
            run_until(&mut [&mut place], "it is told of bytes", |places| {
                places[0].look(state, |state| state.received == [round as u8])
            });
        }
        let mut stream = place.take(second);
        let third = other.allocate(State::default()).unwrap();
        registry.attach(&mut stream, third.token()).unwrap();
        peer.write_all(b"x").unwrap();
        let mut driver = other.driver().unwrap();
        let end = Instant::now() + PATIENCE;
        let mut received = false;
        while !received && Instant::now() < end {
            let watches = [place.driver.watch(), driver.watch()];
            let soon = Some(Instant::now() + Duration::from_millis(10));
            place.multiplexer.poll(&watches, soon).unwrap();
            place.driver.turn(entry).unwrap();
            driver
                .turn(|cx| {
                    let new = cx.arrivals();
                    cx.stage(point!("third"), new).advance(|_, me| {
                        stream.note(me.take_events());
                        let got = stream.receive(&mut [0; 9]).unwrap();
                        received |= got == Received::Bytes(1);
                        Step::Wait
                    });
                })
                .unwrap();
        }
        assert!(received);
    }
}

/// It moves on before the ring that it was in has been asked to let it go.
#[test]
fn several_moves_at_once() {
    let rings = Backend::all().len();
    let last = Backend::all()[rings - 1];
    for ways in [[0, 1, 0], [1, 2, 1], [2, 1, 2], [2, 0, 1]] {
        for removes in [false, true] {
            let what = format!("{ways:?}, removes: {removes}");
            let mut places = [last, last, Backend::Epoll].map(Place::new);
            let (old, mut peer) = places[0].connection(true);
            rounds(&mut places.each_mut()[..]);
            let mut stream = places[0].take(old);
            peer.write_all(b"abc").unwrap();
            let mut sent = String::new();
            let mut new = None;
            for (step, way) in ways.into_iter().enumerate() {
                let bytes = step.to_string();
                if stream.send(bytes.as_bytes()).unwrap() == 1 {
                    sent.push_str(&bytes);
                }
                let state = places[way].state();
                let place = &places[way];
                place.registry.attach(&mut stream, state.token()).unwrap();
                if removes {
                    place.registry.remove(&stream).unwrap();
                    assert!(place.registry.remove(&stream).is_err(), "{what}");
                    place.registry.attach(&mut stream, state.token()).unwrap();
                }
                new = Some((way, state));
            }
            let (way, state) = new.unwrap();
            places[way].look(state, |state| {
                state.stream = Some(stream);
                state.to_send = b"end".to_vec();
            });
            sent.push_str("end");
            peer.write_all(b"def").unwrap();
            run_until(&mut places.each_mut()[..], &what, |places| {
                places[way].look(state, |state| state.received == b"abcdef")
            });
            let mut bytes = vec![0; sent.len()];
            let reader = std::thread::spawn(move || {
                peer.read_exact(&mut bytes).unwrap();
                (bytes, peer)
            });
            run_until(&mut places.each_mut()[..], &what, |_| reader.is_finished());
            let (bytes, mut peer) = reader.join().unwrap();
            assert_eq!(bytes, sent.as_bytes(), "{what}");
            drop(places[way].take(state));
            let reader = std::thread::spawn(move || peer.read(&mut [0; 1]).unwrap());
            run_until(&mut places.each_mut()[..], &what, |_| reader.is_finished());
            assert_eq!(reader.join().unwrap(), 0, "{what}");
        }
    }
}

#[test]
fn a_stream_that_was_removed_is_silent_and_may_be_dropped() {
    for (backend, has_talked) in each_way(Backend::all()) {
        let mut place = Place::new(backend);
        let (state, mut peer) = place.connection(has_talked);
        rounds(&mut [&mut place]);
        let mut stream = place.take(state);
        assert_eq!(stream.send(b"farewell").unwrap(), 8);
        place.registry.remove(&stream).unwrap();
        let again = place.registry.remove(&stream).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::NotFound);
        rounds(&mut [&mut place]);
        let runs = place.look(state, |state| state.runs);
        peer.write_all(b"x").unwrap();
        rounds(&mut [&mut place]);
        assert_eq!(place.look(state, |state| state.runs), runs, "{backend:?}");
        // Its descriptor is the program's: nothing else takes from it.
        stream.note(Events::READABLE);
        assert_eq!(stream.receive(&mut [0; 9]).unwrap(), Received::Bytes(1));
        assert_eq!(stream.receive(&mut [0; 9]).unwrap(), Received::Nothing);
        peer.write_all(b"for another").unwrap();
        let mut socket = TcpStream::from(stream.as_fd().try_clone_to_owned().unwrap());
        // What was written may be under way.
        socket.set_nonblocking(false).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut room = [0; 99];
        assert_eq!(socket.read(&mut room).unwrap(), 11, "{backend:?}");
        drop((stream, socket));
        let mut farewell = String::new();
        peer.read_to_string(&mut farewell).unwrap();
        assert_eq!(farewell, "farewell");
    }
}

#[test]
fn what_cannot_be_is_an_error_and_changes_nothing() {
    for (backend, has_talked) in each_way(Backend::all()) {
        let mut place = Place::new(backend);
        let (state, mut peer) = place.connection(has_talked);
        let stream = place.take(state);
        let add = place.registry.add(&stream, state.token());
        assert_eq!(add.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let once = (place.registry).add_once(&stream, state.token(), Events::READABLE);
        assert_eq!(once.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let elsewhere = Place::new(backend);
        assert!(elsewhere.registry.remove(&stream).is_err());
        // A registry of a multiplexer that has been dropped.
        let registry = elsewhere.registry.clone();
        drop(elsewhere);
        place.look(state, |state| state.stream = Some(stream));
        let token = state.token();
        let attached = place.look(state, |state| {
            registry.attach(state.stream.as_mut().unwrap(), token)
        });
        assert_eq!(attached.unwrap_err().kind(), io::ErrorKind::NotConnected);
        assert_eq!(
            registry.add(&peer, state.token()).unwrap_err().kind(),
            io::ErrorKind::NotConnected
        );
        peer.write_all(b"x").unwrap();
        run_until(&mut [&mut place], "it is where it was", |places| {
            places[0].look(state, |state| state.received == b"x")
        });
    }
}

/// A descriptor that was added, by a program that connects, say, and is attached then without having been removed.
#[test]
fn a_descriptor_that_was_added_is_attached() {
    for backend in Backend::all() {
        let mut place = Place::new(backend);
        let [old, new] = [place.state(), place.state()];
        let (mut stream, mut peer) = pair();
        let registry = place.registry.clone();
        registry
            .add_once(&stream, old.token(), Events::WRITABLE)
            .unwrap();
        rounds(&mut [&mut place]);
        registry.attach(&mut stream, new.token()).unwrap();
        place.look(new, |state| state.stream = Some(stream));
        rounds(&mut [&mut place]);
        let runs = place.look(old, |state| state.runs);
        peer.write_all(b"x").unwrap();
        run_until(&mut [&mut place], "it is told", |places| {
            places[0].look(new, |state| state.received == b"x")
        });
        assert_eq!(place.look(old, |state| state.runs), runs);
    }
}

/// By then nothing of the first time is left.
#[test]
fn a_stream_that_comes_back_to_a_ring_begins_at_once() {
    for backend in Backend::all() {
        let (mut first, mut other) = (Place::new(backend), Place::new(Backend::Epoll));
        let (state, mut peer) = first.connection(true);
        let mut stream = first.take(state);
        let between = other.state();
        other.registry.attach(&mut stream, between.token()).unwrap();
        other.look(between, |state| {
            state.stream = Some(stream);
            state.to_send = b"b".to_vec();
        });
        peer.write_all(b"a").unwrap();
        run_until(&mut [&mut first, &mut other], "it goes on", |places| {
            places[1].look(between, |state| {
                state.received == b"a" && state.to_send.is_empty()
            })
        });
        peer.read_exact(&mut [0]).unwrap();
        let mut stream = other.take(between);
        let last = first.state();
        first.registry.attach(&mut stream, last.token()).unwrap();
        first.look(last, |state| state.stream = Some(stream));
        peer.write_all(b"c").unwrap();
        run_until(&mut [&mut first], "it comes back", |places| {
            places[0].look(last, |state| state.received == b"c")
        });
    }
}
