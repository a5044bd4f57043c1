//! A server with a multiplexer's thread for its clients and other threads for computations, on one machine.
#![cfg(not(loom))]

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    thread,
};

use batchloop_core::{
    Capacity, Machine, Shared, Step, Turn, Workload, machine::Reservation, point,
};
use batchloop_eventfd::{Listener, Multiplexer, Received, Registry, Stream};
use batchloop_std::{BlockingBell, Parking, Report, Role, RunError, Stop, Workers};

const CLIENTS: u8 = 8;
const ROUNDS: u8 = 100;

/// How often all of them ask.
const ASKED: u32 = CLIENTS as u32 * ROUNDS as u32;

struct Client {
    stream: Stream,
    number: u8,
}

/// What the entry point needs on the multiplexer's thread.
struct Door<'a> {
    listener: &'a mut Listener,
    registry: &'a Registry,
}

/// Answers each byte with the next one, and computes it where computations are served.
fn entry(cx: &mut Turn<'_, Client, Shared>, door: Option<Door<'_>>, computed: &AtomicU32) {
    let io = thread::current().name() == Some("io");
    assert_eq!(io, door.is_some());
    if let Some(Door { listener, registry }) = door {
        listener.accept(cx, registry, |stream| Client { stream, number: 0 });
    }
    let asked = point!("asked");
    let new = cx.arrivals();
    let asking = cx.stage(asked, new).advance(|client, me| {
        assert!(io);
        client.stream.note(me);
        let mut byte = [0];
        match client.stream.receive(&mut byte) {
            Ok(Received::Bytes(_)) => {
                client.number = byte[0];
                Step::Next
            }
            Ok(Received::Nothing) => Step::Wait,
            Ok(Received::End) | Err(_) => Step::Release,
        }
    });
    let answers = cx
        .stage(point!("compute", Workload::CPU), asking)
        .for_each(|client, _| {
            assert!(!io);
            computed.fetch_add(1, Relaxed);
            client.number += 1;
        });
    let answered = cx.stage(point!("answer"), answers).advance(|client, me| {
        assert!(io);
        client.stream.note(me);
        match client.stream.send(&[client.number]) {
            Ok(0) => Step::Wait,
            Ok(_) => Step::Next,
            Err(_) => Step::Release,
        }
    });
    cx.again(asked, answered);
}

type Make = fn() -> io::Result<Multiplexer>;

/// All there are here.
fn backends() -> Vec<Make> {
    let backends: &[Make] = &[
        Multiplexer::new,
        #[cfg(feature = "uring")]
        Multiplexer::with_uring,
    ];
    // The tester may say that there is no io_uring.
    let count = match std::env::var_os("BATCHLOOP_WITHOUT_URING") {
        Some(_) => 1,
        None => backends.len(),
    };
    backends[..count].to_vec()
}

fn ask(address: SocketAddr) {
    let mut socket = TcpStream::connect(address).unwrap();
    for number in 0..ROUNDS {
        socket.write_all(&[number]).unwrap();
        let mut answer = [0];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [number + 1]);
    }
}

/// Serves the clients on this thread until they have gone. What is held is given back when all have come.
fn serve(
    machine: Machine<Client, Shared>,
    mut multiplexer: Multiplexer,
    computed: &AtomicU32,
    held: Reservation<Client, Shared>,
) {
    let mut held = Some(held);
    let registry = multiplexer.add(machine).unwrap();
    let mut listener = Listener::bind(&mut multiplexer, "127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let clients = (0..CLIENTS).map(|_| thread::spawn(move || ask(address)));
    let clients: Vec<_> = clients.collect();
    let mut driver = machine.driver_for(Workload::IO).unwrap();
    loop {
        let door = Door {
            listener: &mut listener,
            registry: &registry,
        };
        driver.turn(|cx| entry(cx, Some(door), computed)).unwrap();
        if listener.accepted().clients == u64::from(CLIENTS) {
            drop(held.take());
            if machine.live() == 0 {
                break;
            }
        }
        multiplexer.poll(&[driver.watch()], None).unwrap();
    }
    for client in clients {
        client.join().unwrap();
    }
}

/// On a thread that is called "io".
fn on_io<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let io = thread::Builder::new().name("io".to_string());
    thread::scope(|scope| io.spawn_scoped(scope, work).unwrap().join().unwrap())
}

fn machine() -> Machine<Client, Shared> {
    // One slot less than there are clients, so that some wait for room.
    let slots = usize::from(CLIENTS) - 1;
    Machine::heap(Capacity::slots(slots).drivers(3).workloads(2))
}

#[test]
fn clients_are_served_by_a_multiplexer_and_computed_for_by_workers() {
    for make in backends() {
        let computed = AtomicU32::new(0);
        let report = on_io(|| {
            let machine = machine();
            let mut workers = Workers::new_for(machine, Workload::CPU).unwrap();
            workers
                .add(Role::new("cpu 0", Workload::CPU))
                .add(Role::new("cpu 1", Workload::CPU));
            let run = workers.run(
                |cx, _| entry(cx, None, &computed),
                || {
                    let held = machine.reserve().unwrap();
                    serve(machine, make().unwrap(), &computed, held);
                    Stop::Drain
                },
            );
            run.unwrap()
        });
        assert_eq!(computed.into_inner(), ASKED);
        let Report { panicked, left, .. } = report;
        assert_eq!((panicked, left), (0, 0));
    }
}

/// The drain begins before the first client comes, and the last state ends on the multiplexer's thread.
#[test]
fn workers_drain_while_a_multiplexer_goes_on() {
    for make in backends() {
        let computed = AtomicU32::new(0);
        let machine = machine();
        let mut workers = Workers::new_for(machine, Workload::CPU).unwrap();
        workers
            .add(Role::new("cpu 0", Workload::CPU))
            .add(Role::new("cpu 1", Workload::CPU));
        let held = machine.reserve().unwrap();
        let report = thread::scope(|scope| {
            let computed = &computed;
            let io = thread::Builder::new().name("io".to_string());
            let serving = move || serve(machine, make().unwrap(), computed, held);
            io.spawn_scoped(scope, serving).unwrap();
            workers.run(|cx, _| entry(cx, None, computed), || Stop::Drain)
        });
        let Report { panicked, left, .. } = report.unwrap();
        assert_eq!((panicked, left), (0, 0));
        assert_eq!(computed.into_inner(), ASKED);
    }
}

/// The multiplexer has nothing to wait for but the counter that is rung for the end.
#[test]
fn workers_that_fail_end_a_multiplexers_wait() {
    for make in backends() {
        let machine: Machine<u8, Shared> =
            Machine::heap(Capacity::slots(1).points(0).drivers(2).workloads(2));
        let mut workers = Workers::new_for(machine, Workload::CPU).unwrap();
        workers.add(Role::new("cpu", Workload::CPU));
        let mut multiplexer = make().unwrap();
        multiplexer.add(machine).unwrap();
        let run = workers.run_with(
            |cx, _| {
                let new = cx.arrivals();
                cx.stage(point!("one too many"), new).release();
            },
            |running| {
                running.at_end(move || machine.counter().ring());
                let mut driver = machine.driver_for(Workload::IO).unwrap();
                while !running.has_ended() {
                    driver.turn(|_| ()).unwrap();
                    multiplexer.poll(&[driver.watch()], None).unwrap();
                }
                Stop::Drain
            },
        );
        assert!(matches!(run, Err(RunError::Fault(_))), "{run:?}");
    }
}

/// Without `Workers`: each kind of work has a bell, and whatever is left is the multiplexer's.
#[test]
fn drivers_that_park_compute_beside_a_multiplexer() {
    for make in backends() {
        let computed = AtomicU32::new(0);
        let has_ended = AtomicBool::new(false);
        let machine = machine();
        let bell: &'static BlockingBell = Box::leak(Box::default());
        machine.set_bell_for(Workload::CPU, bell).unwrap();
        thread::scope(|scope| {
            let (computed, has_ended) = (&computed, &has_ended);
            for _ in 0..2 {
                scope.spawn(move || {
                    let mut driver = machine.driver_for(Workload::CPU).unwrap();
                    let parking = Parking::with_bell(bell);
                    let run = driver.run(parking, |cx| {
                        entry(cx, None, computed);
                        if has_ended.load(Relaxed) {
                            cx.stop();
                        }
                    });
                    run.unwrap();
                });
            }
            on_io(|| {
                let held = machine.reserve().unwrap();
                serve(machine, make().unwrap(), computed, held);
            });
            has_ended.store(true, Relaxed);
            machine.counter_of(Workload::CPU).ring();
        });
        assert_eq!(computed.into_inner(), ASKED);
    }
}

/// A thread that would sleep through changes says so, where it hung.
#[test]
#[should_panic(expected = "does not have this bell")]
fn a_driver_of_workloads_with_another_bell_does_not_park() {
    let machine = machine();
    let bell: &'static BlockingBell = Box::leak(Box::default());
    machine.set_bell_for(Workload::CPU, bell).unwrap();
    let mut multiplexer = Multiplexer::new().unwrap();
    let _registry = multiplexer.add(machine).unwrap();
    let mut all = machine.driver().unwrap();
    all.run(Parking::with_bell(bell), |_| ()).unwrap();
}
