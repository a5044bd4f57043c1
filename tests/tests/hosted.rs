//! A multiplexer that is one task of a tokio runtime: the `hosted` example from end to end, and no wake is lost.

use std::{
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use batchloop_core::{Capacity, Events, Machine, Reaction, Step, Turn, Waker, point};
use batchloop_eventfd::{Deadlines, Multiplexer, Received, Registry, Stream};
use batchloop_tests::{
    client::{assert_echoes, assert_streams, numbers, receive, rest, send},
    process::finish,
    server::{PATIENCE, Server, await_that, program},
};
use rustix::process::Signal;
use tokio::{
    io::{Interest, unix::AsyncFd},
    runtime,
    task::{self, LocalSet},
    time::timeout_at,
};

#[test]
fn tasks_of_the_same_thread_and_others_are_served() {
    let server = Server::start("hosted", &["--clients", "20", "--rounds", "200"]);
    let client = server.connect();
    assert_streams(&client, &numbers(4 << 20));
    assert_eq!(server.note(), "hosted: 4000 round trips, 0 clients failed");
    assert_echoes(&client, "hello\n");
    drop(client);
    let (code, notes) = server.stop();
    let summary = "hosted: 21 clients, 4226310 bytes sent back, ";
    assert_eq!((code, notes.len()), (Some(0), 1));
    assert!(notes[0].starts_with(summary), "{notes:?}");
}

#[test]
fn it_sleeps_when_nobody_says_anything_and_ends_when_it_is_told() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = Server::start("hosted", &["--clients", "2"]);
        assert_eq!(server.note(), "hosted: 2000 round trips, 0 clients failed");
        let client = server.connect();
        assert_echoes(&client, "hello\n");
        server.assert_sleeps();
        assert_echoes(&client, "hello again\n");
        server.signal(signal);
        let summary = "hosted: 3 clients, 16018 bytes sent back, 1 cut off";
        assert_eq!(server.end(), (Some(0), vec![summary.to_owned()]));
        assert_eq!(rest(&client), b"");
    }
}

#[test]
fn deadlines_end_the_sleep() {
    let server = Server::start("hosted", &["--clients", "0", "--idle", "3"]);
    for _ in 0..3 {
        let client = server.connect();
        assert_echoes(&client, "hello\n");
        assert_eq!(rest(&client), b"", "it has been silent for too long");
    }
}

/// The server does not run while the deadline passes, and finds both when it does.
#[test]
fn what_comes_in_time_is_answered_however_late_it_is_read() {
    let server = Server::start("hosted", &["--clients", "0", "--idle", "5"]);
    let client = server.connect();
    assert_echoes(&client, "hello\n");
    await_that("it waits", || server.is_asleep());
    server.hold();
    send(&client, "in time\n");
    thread::sleep(Duration::from_millis(5500));
    server.signal(Signal::CONT);
    assert_eq!(receive(&client, 8), b"in time\n");
    assert_eq!(rest(&client), b"", "it has been silent for too long");
}

#[test]
fn full_slots_stop_accepting() {
    let server = Server::start("hosted", &["--clients", "10", "--slots", "1"]);
    assert_eq!(server.note(), "hosted: 10000 round trips, 0 clients failed");
    let _served = server.connect();
    let _waits = server.connect();
    server.assert_sleeps();
}

#[test]
fn wrong_options_are_one_line_and_exit_2() {
    let address = "127.0.0.1:0";
    let wrong: &[&[&str]] = &[
        &[],
        &["127.0.0.1"],
        &[address, address],
        &[address, "--slots", "0"],
        &[address, "--idle", "0"],
        &[address, "--idle", "NaN"],
        &[address, "--rounds", "-1"],
        &[address, "--backend", "kqueue"],
    ];
    for arguments in wrong {
        let output = finish(program("hosted", arguments).spawn().expect("runs"));
        let line = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
        assert!(line.starts_with("hosted: "), "{arguments:?}: {line}");
        assert_eq!(line.lines().count(), 1, "{arguments:?}: {line}");
    }
}

/// Answers each kind of wake, so that whoever made it can wait for the answer.
struct Player {
    stream: Stream,
    answers: mpsc::Sender<()>,
    /// What a wake from another thread left.
    asked: Arc<AtomicBool>,
    is_timed: bool,
}

struct Table {
    machine: Machine<Player>,
    deadlines: Deadlines<'static>,
    ends: Arc<AtomicBool>,
}

fn entry(cx: &mut Turn<'_, Player>, deadlines: &mut Deadlines) {
    let soon = || Instant::now() + Duration::from_micros(1500);
    let new = cx.arrivals().for_each(|player, me| {
        if player.is_timed {
            deadlines.arm(me.token(), soon());
        }
    });
    cx.stage(point!("answer"), new).advance(|player, me| {
        if !me.take(Events::DEADLINE).is_empty() {
            deadlines.arm(me.token(), soon());
            // At the end, nobody waits for answers any more.
            let _ = player.answers.send(());
        }
        if player.asked.swap(false, Ordering::AcqRel) {
            let _ = player.answers.send(());
        }
        player.stream.note(me);
        let mut room = [0; 8];
        while let Ok(Received::Bytes(bytes)) = player.stream.receive(&mut room) {
            for _ in 0..bytes {
                let _ = player.answers.send(());
            }
        }
        Step::Wait
    });
}

#[allow(
    deprecated,
    reason = "the other constructor asks for a promise that nobody closes the descriptor; this one is owned"
)]
fn listen_to(multiplexer: &Multiplexer) -> io::Result<AsyncFd<OwnedFd>> {
    let bell = multiplexer.as_fd().try_clone_to_owned()?;
    AsyncFd::with_interest(bell, Interest::READABLE)
}

/// The loop that the docs of `Multiplexer::poll_hosted` ask for.
async fn host(mut table: Table, mut multiplexer: Multiplexer) -> io::Result<()> {
    let mut driver = table.machine.driver().expect("the only one");
    let bell = listen_to(&multiplexer)?;
    while !table.ends.load(Ordering::Acquire) {
        table.deadlines.expire(Instant::now(), &table.machine);
        let turn = driver.turn(|cx| entry(cx, &mut table.deadlines));
        turn.expect("no fault");
        if !multiplexer.poll_hosted(&[driver.watch()])? {
            task::yield_now().await;
            continue;
        }
        let readable = bell.readable();
        match table.deadlines.next() {
            None => readable.await?.clear_ready(),
            Some(deadline) => {
                if let Ok(readable) = timeout_at(deadline.into(), readable).await {
                    readable?.clear_ready();
                }
            }
        }
    }
    Ok(())
}

/// Where wakes come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Thread,
    Socket,
    Deadline,
}

/// What the other side of a player has.
struct Seat {
    source: Source,
    answers: mpsc::Receiver<()>,
    asked: Arc<AtomicBool>,
    waker: Waker,
    peer: UnixStream,
}

impl Seat {
    fn new(machine: Machine<Player>, registry: &Registry, source: Source) -> Self {
        let (sender, answers) = mpsc::channel();
        let asked = Arc::new(AtomicBool::new(false));
        let (socket, peer) = UnixStream::pair().expect("a pair");
        socket.set_nonblocking(true).expect("a socket");
        let slot = machine.reserve().expect("room");
        let mut stream = Stream::new(socket);
        let attached = registry.attach(&mut stream, slot.handle().token());
        attached.expect("it is open");
        let player = slot.commit(Player {
            stream,
            answers: sender,
            asked: Arc::clone(&asked),
            is_timed: source == Source::Deadline,
        });
        Seat {
            source,
            answers,
            asked,
            waker: machine.waker(player),
            peer,
        }
    }

    /// Plays so many rounds: each begins when the one before was answered, so a wake that is lost is the last one.
    fn play(mut self, rounds: usize) -> Self {
        for round in 0..rounds {
            // Long enough for the thread to fall asleep, or not, as it comes.
            for _ in 0..round % 64 * 50 {
                std::hint::spin_loop();
            }
            match self.source {
                Source::Thread => {
                    self.asked.store(true, Ordering::Release);
                    self.waker.wake().expect("it lives");
                }
                Source::Socket => self.peer.write_all(b"x").expect("it listens"),
                Source::Deadline => {}
            }
            let answer = self.answers.recv_timeout(PATIENCE);
            assert!(answer.is_ok(), "the wake of round {round} is lost");
        }
        self
    }
}

/// A player for each of the sources, at the same time. Alone, none can be woken by another's wake.
fn assert_no_wake_is_lost(sources: &'static [Source], rounds: usize) {
    let (sender, seats) = mpsc::channel();
    let ends = Arc::new(AtomicBool::new(false));
    let its_ends = Arc::clone(&ends);
    let hosting = thread::spawn(move || {
        let machine: Machine<Player> = Machine::heap(Capacity::slots(sources.len()));
        let mut multiplexer = Multiplexer::new().expect("descriptors");
        let registry = multiplexer.add(machine).expect("one bell");
        for source in sources {
            let seat = Seat::new(machine, &registry, *source);
            sender.send(seat).expect("the test waits");
        }
        let table = Table {
            machine,
            deadlines: Deadlines::heap(sources.len(), Duration::from_millis(1)),
            ends: its_ends,
        };
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        LocalSet::new().block_on(&runtime.expect("a runtime"), async {
            // Somebody else has something to do, too.
            let other = task::spawn_local(async {
                loop {
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            });
            let hosted = task::spawn_local(host(table, multiplexer)).await;
            other.abort();
            hosted.expect("no panic")
        })
    });
    let playing: Vec<_> = sources
        .iter()
        .map(|_| seats.recv().expect("a seat for each"))
        .map(|seat| thread::spawn(move || seat.play(rounds)))
        .collect();
    let seats: Vec<_> = playing
        .into_iter()
        .map(|playing| playing.join().expect("no wake is lost"))
        .collect();
    ends.store(true, Ordering::Release);
    seats[0].waker.wake().expect("it lives");
    hosting.join().expect("no panic").expect("no error");
}

#[test]
fn no_wake_of_another_thread_is_lost() {
    assert_no_wake_is_lost(&[Source::Thread], 20_000);
}

#[test]
fn no_wake_of_a_socket_is_lost() {
    assert_no_wake_is_lost(&[Source::Socket], 20_000);
}

#[test]
fn no_deadline_is_lost() {
    assert_no_wake_is_lost(&[Source::Deadline], 500);
}

#[test]
fn none_of_many_wakes_is_lost() {
    let sources = &[
        Source::Thread,
        Source::Socket,
        Source::Socket,
        Source::Thread,
    ];
    assert_no_wake_is_lost(sources, 10_000);
}

/// Another task of the thread makes the changes, one after the other, and each is answered.
async fn change_and_await_answers(machine: Machine<Player>, seat: Seat, rounds: usize) {
    let player = machine.handles().next().expect("it was made");
    for round in 0..rounds {
        // So long that the host has gone to sleep most of the time.
        for _ in 0..round % 8 {
            task::yield_now().await;
        }
        seat.asked.store(true, Ordering::Release);
        let changed = match round % 4 {
            0 => machine.wake(player).is_ok(),
            1 => machine.post(player, Events::READABLE).is_ok(),
            2 => machine.signal(player, |_| Reaction::Wake).is_ok(),
            _ => seat.waker.wake().is_ok(),
        };
        assert!(changed, "it lives");
        let asked = Instant::now();
        while seat.answers.try_recv().is_err() {
            assert!(asked.elapsed() < PATIENCE, "change {round} is lost");
            task::yield_now().await;
        }
    }
}

#[test]
fn no_change_of_another_task_of_the_thread_is_lost() {
    let machine: Machine<Player> = Machine::heap(Capacity::slots(1));
    let mut multiplexer = Multiplexer::new().expect("descriptors");
    let registry = multiplexer.add(machine).expect("one bell");
    let seat = Seat::new(machine, &registry, Source::Thread);
    let waker = seat.waker;
    let ends = Arc::new(AtomicBool::new(false));
    let table = Table {
        machine,
        deadlines: Deadlines::heap(1, Duration::from_millis(1)),
        ends: Arc::clone(&ends),
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), async {
        let hosted = task::spawn_local(host(table, multiplexer));
        change_and_await_answers(machine, seat, 4000).await;
        ends.store(true, Ordering::Release);
        waker.wake().expect("it lives");
        hosted.await.expect("no panic").expect("no error");
    });
}
