use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    process::Command,
    sync::mpsc,
    thread,
};

use batchloop_core::{
    Batch, Capacity, Driver, Handle, Local, Progress, Shared, Step, Turn, Waker, point,
};

use super::*;
use crate::backend::EVENTS_AT_ONCE;

struct State {
    socket: UnixStream,
    runs: u32,
    seen: Events,
}

fn entry(cx: &mut Turn<'_, State>) {
    let new: Batch<'_, State> = cx.arrivals();
    cx.stage(point!("wait"), new).advance(|state, me| {
        state.runs += 1;
        state.seen = me.take_events();
        Step::Wait
    });
}

struct Fixture {
    machine: Machine<State>,
    driver: Driver<State>,
    multiplexer: Multiplexer,
    registry: Registry,
}

impl Fixture {
    fn new() -> Self {
        let machine = Machine::heap(Capacity::slots(8));
        let mut multiplexer = Multiplexer::new().unwrap();
        Fixture {
            machine,
            driver: machine.driver().unwrap(),
            registry: multiplexer.add(machine).unwrap(),
            multiplexer,
        }
    }

    fn unregistered(&mut self) -> (Handle<State>, UnixStream, UnixStream) {
        let (socket, peer) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let state = State {
            socket: socket.try_clone().unwrap(),
            runs: 0,
            seen: Events::NONE,
        };
        (self.machine.allocate(state).unwrap(), socket, peer)
    }

    fn state(&mut self) -> (Handle<State>, UnixStream) {
        let (handle, socket, peer) = self.unregistered();
        self.registry.add(&socket, handle.token()).unwrap();
        (handle, peer)
    }

    /// Runs turns until there is nothing to do.
    fn quiet(&mut self) {
        while self.driver.turn(entry).unwrap() == Progress::More {}
    }

    fn poll(&mut self, deadline: Option<Instant>) -> Polled {
        let drivers = [self.driver.watch()];
        self.multiplexer.poll(&drivers, deadline).unwrap()
    }

    /// Waits for what should come.
    fn wait(&mut self) -> Polled {
        let patience = Instant::now() + Duration::from_secs(20);
        let polled = self.poll(Some(patience));
        assert!(Instant::now() < patience, "nothing ends the sleep");
        polled
    }

    /// One round of turns, and what is there without waiting for it.
    fn round(&mut self) -> Polled {
        self.quiet();
        self.poll(Some(Instant::now()))
    }

    fn look<R>(&self, handle: Handle<State>, look: impl FnOnce(&mut State) -> R) -> R {
        let mut answer = None;
        let looked = self.machine.signal(handle, |state| {
            answer = Some(look(state));
            batchloop_core::Reaction::Ignore
        });
        assert!(looked.is_ok());
        answer.unwrap()
    }
}

#[test]
fn readiness_arrives_as_events() {
    let mut fixture = Fixture::new();
    let (handle, mut peer) = fixture.state();
    fixture.quiet();
    // A new socket can be written to at once.
    assert_eq!(fixture.wait().delivered, 1);
    fixture.quiet();
    assert_eq!(fixture.look(handle, |state| state.seen), Events::WRITABLE);
    peer.write_all(b"x").unwrap();
    assert_eq!(fixture.wait().delivered, 1);
    fixture.quiet();
    let seen = fixture.look(handle, |state| state.seen);
    assert!(seen.contains(Events::READABLE), "{seen:?}");
    assert!(!seen.contains(Events::CLOSED), "{seen:?}");
    drop(peer);
    let _ = fixture.wait();
    fixture.quiet();
    let seen = fixture.look(handle, |state| state.seen);
    assert!(seen.contains(Events::READABLE | Events::CLOSED), "{seen:?}");
}

#[test]
fn an_event_for_a_state_that_has_ended_is_counted_and_dropped() {
    let mut fixture = Fixture::new();
    let (first, mut peer) = fixture.state();
    // This duplicate keeps the registration when the state has gone.
    let duplicate = fixture.look(first, |state| state.socket.try_clone().unwrap());
    fixture.round();
    fixture.machine.release(first).unwrap();
    let (second, _peer) = fixture.state();
    assert_eq!(first.slot(), second.slot());
    fixture.round();
    fixture.quiet();
    let runs = fixture.look(second, |state| state.runs);
    peer.write_all(b"x").unwrap();
    let polled = fixture.wait();
    assert_eq!((polled.delivered, polled.stale), (0, 1));
    fixture.quiet();
    assert_eq!(fixture.look(second, |state| state.runs), runs);
    drop(duplicate);
}

#[test]
fn a_descriptor_that_is_registered_once_is_heard_of_once() {
    let mut fixture = Fixture::new();
    let (handle, socket, mut peer) = fixture.unregistered();
    let (registry, token) = (fixture.registry.clone(), handle.token());
    registry.add_once(&socket, token, Events::READABLE).unwrap();
    assert_eq!(fixture.round().delivered, 0);
    for _ in 0..3 {
        peer.write_all(b"x").unwrap();
        assert_eq!(fixture.round().delivered, 1);
        peer.write_all(b"x").unwrap();
        assert_eq!(fixture.round().delivered, 0);
        // There is something still, which is told at once.
        registry
            .listen_again(&socket, token, Events::READABLE)
            .unwrap();
        assert_eq!(fixture.round().delivered, 1);
        (&socket).read_exact(&mut [0; 2]).unwrap();
        registry
            .listen_again(&socket, token, Events::READABLE)
            .unwrap();
        assert_eq!(fixture.round().delivered, 0);
    }
    registry.remove(&socket).unwrap();
    assert!(registry.remove(&socket).is_err());
    peer.write_all(b"x").unwrap();
    assert_eq!(fixture.round().delivered, 0);
}

#[test]
fn machines_of_several_types_get_their_own_events() {
    let mut fixture = Fixture::new();
    let other: Machine<u64> = Machine::heap(Capacity::slots(4));
    let registry = fixture.multiplexer.add(other).unwrap();
    let mut driver = other.driver().unwrap();
    let (handle, mut peer) = fixture.state();
    let (socket, mut other_peer) = UnixStream::pair().unwrap();
    let state = other.allocate(0).unwrap();
    assert_eq!(state.slot(), handle.slot());
    registry.add(&socket, state.token()).unwrap();
    let count = |cx: &mut Turn<'_, u64>| {
        let new = cx.arrivals();
        cx.stage(point!("count"), new).advance(|count, me| {
            if me.take_events().contains(Events::READABLE) {
                *count += 1;
            }
            Step::Wait
        });
    };
    fixture.round();
    fixture.quiet();
    driver.turn(count).unwrap();
    let runs = fixture.look(handle, |state| state.runs);
    other_peer.write_all(b"x").unwrap();
    let watches = [fixture.driver.watch(), driver.watch()];
    assert_eq!(
        fixture.multiplexer.poll(&watches, None).unwrap().delivered,
        1
    );
    fixture.quiet();
    driver.turn(count).unwrap();
    assert_eq!(fixture.look(handle, |state| state.runs), runs);
    let mut counted = 0;
    let looked = other.signal(state, |count| {
        counted = *count;
        batchloop_core::Reaction::Ignore
    });
    assert_eq!((looked.is_ok(), counted), (true, 1));
    peer.write_all(b"x").unwrap();
    let watches = [fixture.driver.watch(), driver.watch()];
    assert_eq!(
        fixture.multiplexer.poll(&watches, None).unwrap().delivered,
        1
    );
    assert!(fixture.driver.watch().is_due() && !driver.watch().is_due());
}

#[test]
fn wakes_from_another_thread_end_the_sleep_of_either_driver() {
    const WAKES: u64 = 1000;
    let machines: [Machine<u64>; 2] = [0, 1].map(|_| Machine::heap(Capacity::slots(1)));
    let mut multiplexer = Multiplexer::new().unwrap();
    let mut drivers = machines.map(|machine| machine.driver().unwrap());
    let wakers: [Waker; 2] = machines.map(|machine| {
        multiplexer.add(machine).unwrap();
        machine.waker(machine.allocate(0).unwrap())
    });
    let (go, gone) = std::sync::mpsc::channel();
    let other = thread::spawn(move || {
        for round in gone {
            let waker: &Waker = &wakers[round];
            waker.wake().unwrap();
        }
    });
    let mut runs = [0; 2];
    for round in 0..=WAKES {
        let chosen = (round % 2) as usize;
        let before = runs[chosen];
        if round > 0 {
            go.send(chosen).unwrap();
        }
        while runs[chosen] == before {
            for (driver, runs) in drivers.iter_mut().zip(&mut runs) {
                let turn = driver.turn(|cx| {
                    cx.arrivals().advance(|_, _| {
                        *runs += 1;
                        Step::Wait
                    });
                });
                turn.unwrap();
            }
            let watches = drivers.each_ref().map(Driver::watch);
            if runs[chosen] == before {
                multiplexer.poll(&watches, None).unwrap();
            }
        }
    }
    drop(go);
    other.join().unwrap();
}

/// As many rings as you like cost one write for each sleep.
#[test]
fn rings_during_a_sleep_are_one_for_the_kernel() {
    let mut fixture = Fixture::new();
    fixture.quiet();
    let counter = fixture.machine.counter();
    for _ in 0..10 {
        counter.ring();
    }
    assert_eq!(fixture.multiplexer.bell.bell().drain(), 0, "nobody slept");
    fixture.quiet();
    let watches = [fixture.driver.watch()];
    for _ in 0..3 {
        assert!(fixture.multiplexer.announce(&watches).unwrap());
    }
    for _ in 0..10 {
        counter.ring();
    }
    assert_eq!(fixture.multiplexer.bell.bell().drain(), 1);
    assert!(!fixture.multiplexer.announce(&watches).unwrap());
    counter.ring();
    assert_eq!(fixture.multiplexer.bell.bell().drain(), 0);
}

#[test]
fn a_producer_is_ready_until_it_says_otherwise() {
    let mut fixture = Fixture::new();
    let (mut source, mut peer) = UnixStream::pair().unwrap();
    let producer = fixture.multiplexer.add_producer(&source).unwrap();
    assert!(!producer.is_ready());
    peer.write_all(b"x").unwrap();
    fixture.quiet();
    assert_eq!(fixture.wait().producers, 1);
    assert!(producer.is_ready());
    source.read_exact(&mut [0]).unwrap();
    producer.exhausted();
    assert!(!producer.is_ready());
    peer.write_all(b"y").unwrap();
    while !producer.is_ready() {
        fixture.quiet();
        let _ = fixture.wait();
    }
    // The number of one that is left goes to the next one.
    drop(producer);
    let (another, mut peer) = UnixStream::pair().unwrap();
    let producer = fixture.multiplexer.add_producer(&another).unwrap();
    assert!(!producer.is_ready());
    peer.write_all(b"x").unwrap();
    while !producer.is_ready() {
        let _ = fixture.wait();
    }
}

#[test]
fn a_deadline_ends_the_sleep() {
    let mut fixture = Fixture::new();
    fixture.quiet();
    let deadline = Instant::now() + Duration::from_micros(1500);
    assert_eq!(fixture.poll(Some(deadline)), Polled::default());
    assert!(Instant::now() >= deadline);
    // A deadline that has passed does not wait at all.
    assert_eq!(fixture.poll(Some(deadline)), Polled::default());
}

#[test]
fn events_ring_no_bell() {
    let machine: Machine<(), Shared> = Machine::heap(Capacity::slots(1));
    let mut multiplexer = Multiplexer::new().unwrap();
    let registry = multiplexer.add(machine).unwrap();
    let mut driver = machine.driver().unwrap();
    let (socket, mut peer) = UnixStream::pair().unwrap();
    let handle = machine.allocate(()).unwrap();
    registry.add(&socket, handle.token()).unwrap();
    for _ in 0..3 {
        peer.write_all(b"x").unwrap();
        let wait = |cx: &mut Turn<'_, (), Shared>| {
            let new = cx.arrivals();
            cx.stage(point!("wait"), new).advance(|(), _| Step::Wait);
        };
        while driver.turn(wait).unwrap() == Progress::More {}
        let polled = multiplexer.poll(&[driver.watch()], None).unwrap();
        assert_eq!(polled.delivered, 1);
    }
    assert_eq!(multiplexer.bell.bell().drain(), 0);
}

/// Clients who wait for their answers: first they make so little work that no pause is worth it. With any event lost, it would not end.
#[test]
fn pauses_lose_nothing() {
    const ROUNDS: u32 = 600;
    for work in [0, 300] {
        let mut fixture = Fixture::new();
        fixture.multiplexer.set_pause(Duration::from_micros(50));
        let mut clients: Vec<_> = (0..4).map(|_| fixture.state()).collect();
        let (answer, answered) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    for (_, peer) in &mut clients {
                        peer.write_all(b"x").unwrap();
                    }
                    if answered.recv().is_err() {
                        return;
                    }
                }
            });
            // Dropped if this fails, so that the clients end.
            let answer = answer;
            let mut received = [0; 1];
            for _ in 0..ROUNDS {
                let mut left = 4;
                while left > 0 {
                    fixture.wait();
                    let begun = Instant::now();
                    let _ = fixture.driver.turn(|cx| {
                        let new = cx.arrivals();
                        cx.stage(point!("ask"), new).advance(|state, _| {
                            left -= state.socket.read(&mut received).unwrap_or(0);
                            Step::Wait
                        });
                    });
                    while begun.elapsed() < Duration::from_micros(work) {}
                }
                answer.send(()).unwrap();
            }
        });
    }
}

/// Two drivers wake each other's states for a long time, and nobody else is there.
#[test]
fn drivers_that_wake_each_other_make_no_system_call() {
    const ROUNDS: u64 = 100_000;
    let machines: [Machine<u64>; 2] = [0, 1].map(|_| Machine::heap(Capacity::slots(1)));
    let mut multiplexer = Multiplexer::new().unwrap();
    let mut drivers = machines.map(|machine| machine.driver().unwrap());
    let states = machines.map(|machine| {
        multiplexer.add(machine).unwrap();
        machine.allocate(0).unwrap()
    });
    let start = Instant::now();
    let mut hits = [0; 2];
    let mut looks = 0;
    while hits[1] < ROUNDS {
        for side in [0, 1] {
            let turn = drivers[side].turn(|cx| {
                cx.arrivals().advance(|_, _| {
                    hits[side] += 1;
                    machines[1 - side].wake(states[1 - side]).unwrap();
                    Step::Wait
                });
            });
            turn.unwrap();
        }
        let before = multiplexer.looked;
        let watches = drivers.each_ref().map(Driver::watch);
        multiplexer.poll(&watches, None).unwrap();
        assert!(multiplexer.looked.is_some(), "it has not slept");
        if before.is_some() && before != multiplexer.looked {
            looks += 1;
        }
    }
    assert_eq!(multiplexer.bell.bell().drain(), 0, "and nobody has rung");
    // It looks at its descriptors now and then, which is the only system call.
    assert!(start.elapsed() >= looks * BUSY, "{looks} looks");
}

#[test]
fn a_driver_with_endless_work_starves_nobody() {
    let mut fixture = Fixture::new();
    let (handle, mut peer) = fixture.state();
    fixture.round();
    fixture.quiet();
    let busy: Machine<u64> = Machine::heap(Capacity::slots(1));
    fixture.multiplexer.add(busy).unwrap();
    busy.allocate(0).unwrap();
    let mut driver = busy.driver().unwrap();
    for _ in 0..20 {
        peer.write_all(b"x").unwrap();
        let runs = fixture.look(handle, |state| state.runs);
        while fixture.look(handle, |state| state.runs) == runs {
            let again = |cx: &mut Turn<'_, u64>| {
                cx.arrivals().advance(|_, _| Step::Again);
            };
            assert_eq!(driver.turn(again), Ok(Progress::More));
            let watches = [fixture.driver.watch(), driver.watch()];
            fixture.multiplexer.poll(&watches, None).unwrap();
            fixture.quiet();
        }
    }
}

/// The thread sleeps on the one descriptor, as another library's loop would.
#[test]
fn the_whole_is_one_descriptor_for_another_loop() {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut fixture = Fixture::new();
    let (handle, mut peer) = fixture.state();
    let waker = fixture.machine.waker(handle);
    let poll_hosted = |fixture: &mut Fixture| {
        let mut rounds = 0;
        while {
            fixture.quiet();
            let drivers = [fixture.driver.watch()];
            !fixture.multiplexer.poll_hosted(&drivers).unwrap()
        } {
            rounds += 1;
        }
        rounds
    };
    poll_hosted(&mut fixture);
    let readable = |fixture: &Fixture, timeout: Option<Duration>| {
        let mut fds = [PollFd::new(&fixture.multiplexer, PollFlags::IN)];
        let timeout = timeout.map(|timeout| timeout.try_into().unwrap());
        poll(&mut fds, timeout.as_ref()).unwrap() == 1
    };
    assert!(!readable(&fixture, Some(Duration::ZERO)));
    peer.write_all(b"x").unwrap();
    assert!(readable(&fixture, None));
    assert!(poll_hosted(&mut fixture) > 0);
    let runs = fixture.look(handle, |state| state.runs);
    for round in 1..=10 {
        assert!(!readable(&fixture, Some(Duration::ZERO)));
        thread::spawn(move || waker.wake().unwrap());
        assert!(readable(&fixture, None));
        assert!(poll_hosted(&mut fixture) > 0);
        assert_eq!(fixture.look(handle, |state| state.runs), runs + round);
    }
}

#[test]
fn another_program_inherits_nothing() {
    let mut fixture = Fixture::new();
    let (_handle, _peer) = fixture.state();
    let listing = Command::new("ls").args(["-l", "/proc/self/fd"]).output();
    let listing = String::from_utf8(listing.unwrap().stdout).unwrap();
    assert!(listing.contains("->"), "{listing}");
    assert!(!listing.contains("event"), "{listing}");
}

#[test]
fn limits_are_answers() {
    let mut fixture = Fixture::new();
    for _ in 1..255 {
        let machine: Machine<u8> = Machine::heap(Capacity::slots(1));
        fixture.multiplexer.add(machine).unwrap();
    }
    let machine: Machine<u8> = Machine::heap(Capacity::slots(1));
    let beyond = fixture.multiplexer.add(machine).unwrap_err();
    assert_eq!(beyond.kind(), io::ErrorKind::InvalidInput);
    let largest: Machine<u8> = Machine::heap(Capacity::slots(1 << 24));
    assert!(Multiplexer::new().unwrap().add(largest).is_ok());
    let large: Machine<u8> = Machine::heap(Capacity::slots((1 << 24) + 1));
    let mut multiplexer = Multiplexer::new().unwrap();
    let beyond = multiplexer.add(large).unwrap_err();
    assert_eq!(beyond.kind(), io::ErrorKind::InvalidInput);
    // Neither has taken the bell.
    assert_eq!(large.set_bell(multiplexer.bell), Ok(()));
}

/// Why this machine is refused.
fn refusal<T>(multiplexer: &mut Multiplexer, machine: Machine<T, impl Access>) -> String {
    let refused = multiplexer.add(machine).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    refused.to_string()
}

#[test]
fn a_machine_is_in_one_multiplexer() {
    let mut fixture = Fixture::new();
    let again = refusal(&mut fixture.multiplexer, fixture.machine);
    assert_eq!(again, "the machine is already in this multiplexer");
    let mut other = Multiplexer::new().unwrap();
    let text = format!("{:?}", fixture.multiplexer);
    assert!(
        text.starts_with("Multiplexer { machines: 1, total: Polled"),
        "{text}"
    );
    let elsewhere = "the machine is already in another multiplexer, or served without one";
    assert_eq!(refusal(&mut other, fixture.machine), elsewhere);
    let parked: Machine<u8, Shared> = Machine::heap(Capacity::slots(1).workloads(2));
    let bell: &'static EventFd = Box::leak(Box::new(EventFd::new().unwrap()));
    parked.set_bell_for(Workload::IO, bell).unwrap();
    assert_eq!(refusal(&mut other, parked), elsewhere);
    assert!(
        !parked.counter_of(Workload::CPU).has_bell(),
        "it is left alone"
    );
    // Neither refusal has taken a number.
    assert!(other.machines.is_empty());
}

#[test]
fn workloads_that_are_served_elsewhere_keep_their_bells() {
    const CUSTOM: Workload = Workload::custom(0);
    let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(1).workloads(3).drivers(3));
    let bell: &'static EventFd = Box::leak(Box::new(EventFd::new().unwrap()));
    machine.set_bell_for(Workload::CPU, bell).unwrap();
    let mut multiplexer = Multiplexer::new().unwrap();
    let _registry = multiplexer.add(machine).unwrap();
    assert!(machine.counter_of(Workload::CPU).is_rung_by(bell));
    assert!(machine.counter_of(CUSTOM).is_rung_by(multiplexer.bell));
    // A driver whose changes would not be heard is no driver to sleep for.
    let refused = |multiplexer: &mut Multiplexer, driver: &Driver<u8, Shared>| {
        let now = Some(Instant::now());
        let polled = multiplexer.poll(&[driver.watch()], now).unwrap_err();
        let settled = multiplexer.poll_hosted(&[driver.watch()]).unwrap_err();
        assert_eq!(polled.to_string(), settled.to_string());
        assert!(
            polled.to_string().contains("do not end the sleep"),
            "{polled}"
        );
        assert_eq!(polled.kind(), io::ErrorKind::InvalidInput);
    };
    for serves in [
        Workload::CPU.into(),
        Workload::IO | Workload::CPU,
        Workloads::ALL,
    ] {
        let mut driver = machine.driver_for(serves).unwrap();
        driver.turn(|_| ()).unwrap();
        refused(&mut multiplexer, &driver);
    }
    let mut moving = machine.driver_for(Workload::IO | CUSTOM).unwrap();
    moving.turn(|_| ()).unwrap();
    let now = Some(Instant::now());
    assert!(multiplexer.poll(&[moving.watch()], now).is_ok());
    assert!(multiplexer.poll_hosted(&[moving.watch()]).unwrap());
    // Nor is one of a machine that was never added, beside one that was.
    let stranger: Machine<u8, Shared> = Machine::heap(Capacity::slots(1));
    let mut driver = stranger.driver().unwrap();
    driver.turn(|_| ()).unwrap();
    refused(&mut multiplexer, &driver);
    let both = [moving.watch(), driver.watch()];
    assert!(multiplexer.poll(&both, now).is_err());
    // What was said of the sleep before is taken back.
    machine.counter().ring();
    assert_eq!(multiplexer.bell.bell().drain(), 0);
}

/// A way in which a machine changes.
type Change<A> = (&'static str, fn(&Machine<u32, A>, Handle<u32>));

/// The machine has two slots, one of them with a state, and its driver has nothing to do.
fn changes<A: Access>() -> [Change<A>; 8] {
    [
        ("allocate", |machine, _| {
            machine.allocate(2).unwrap();
        }),
        ("commit", |machine, _| {
            let _ = machine.reserve().unwrap().commit(2);
        }),
        ("wake", |machine, state| machine.wake(state).unwrap()),
        ("post", |machine, state| {
            machine.post(state, Events::READABLE).unwrap();
        }),
        ("signal", |machine, state| {
            let wake = |_: &mut u32| batchloop_core::Reaction::Wake;
            assert!(machine.signal(state, wake).is_ok());
        }),
        ("ring", |machine, _| machine.counter().ring()),
        ("release", |machine, state| {
            machine.ring_when_freed();
            machine.release(state).unwrap();
        }),
        ("give back", |machine, state| {
            let reserved = machine.reserve().unwrap();
            assert!(machine.allocate(3).is_err());
            drop(reserved);
            assert!(machine.is_live(state));
        }),
    ]
}

fn is_readable(multiplexer: &Multiplexer, timeout: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut fds = [PollFd::new(multiplexer, PollFlags::IN)];
    let timeout = timeout.try_into().unwrap();
    poll(&mut fds, Some(&timeout)).unwrap() == 1
}

/// Between `poll_hosted` and the next one, other tasks of the thread change what they like.
fn changes_of_the_thread_itself_end_its_sleep<A: Access>(
    mut multiplexer: Multiplexer,
    machine: impl Fn() -> Machine<u32, A>,
) {
    for (name, change) in changes::<A>() {
        let machine = machine();
        let _registry = multiplexer.add(machine).unwrap();
        let mut driver = machine.driver().unwrap();
        let state = machine.allocate(1).unwrap();
        let mut turn = || {
            let turn = driver.turn(|cx| {
                let new = cx.arrivals();
                cx.stage(point!("wait"), new).advance(|_, _| Step::Wait);
            });
            turn.unwrap();
            driver.watch()
        };
        for round in 0..2 {
            while !multiplexer.poll_hosted(&[turn()]).unwrap() {}
            assert!(!is_readable(&multiplexer, Duration::ZERO), "{name} {round}");
            if round == 0 {
                change(&machine, state);
                let heard = is_readable(&multiplexer, Duration::from_secs(10));
                assert!(heard, "{name} is slept through");
            }
        }
    }
}

fn with_each_access(make: fn() -> io::Result<Multiplexer>) {
    let capacity = Capacity::slots(2);
    changes_of_the_thread_itself_end_its_sleep::<Local>(make().unwrap(), || {
        Machine::heap(capacity)
    });
    changes_of_the_thread_itself_end_its_sleep::<Shared>(make().unwrap(), || {
        Machine::heap(capacity)
    });
}

#[test]
fn a_thread_that_another_loop_hosts_hears_of_its_own_changes() {
    with_each_access(Multiplexer::new);
}

#[cfg(feature = "uring")]
#[test]
fn a_thread_with_a_ring_that_another_loop_hosts_hears_of_its_own_changes() {
    // Where the tester says that there is no io_uring.
    if std::env::var_os("BATCHLOOP_WITHOUT_URING").is_none() {
        with_each_access(Multiplexer::with_uring);
    }
}

/// A multiplexer that pauses for this long, because waits have brought several events each.
fn rested(pause: Duration) -> (Fixture, Vec<(Handle<State>, UnixStream)>) {
    let mut fixture = Fixture::new();
    let mut clients: Vec<_> = (0..2).map(|_| fixture.state()).collect();
    fixture.round();
    fixture.multiplexer.set_pause(pause);
    for _ in 0..256 {
        assert!(!fixture.multiplexer.pause_policy.is_on());
        for (_, peer) in &mut clients {
            peer.write_all(b"x").unwrap();
        }
        fixture.quiet();
        assert_eq!(fixture.wait().delivered, 2);
    }
    assert!(fixture.multiplexer.pause_policy.is_on());
    fixture.quiet();
    (fixture, clients)
}

#[test]
fn a_pause_is_made_where_the_deadline_lets_it() {
    const PAUSE: Duration = Duration::from_millis(20);
    let far = Instant::now() + Duration::from_secs(1000);
    for deadline in [None, Some(far)] {
        // Nothing is known of what an event takes.
        let (mut fixture, mut clients) = rested(PAUSE);
        clients[0].1.write_all(b"x").unwrap();
        fixture.quiet();
        let begun = Instant::now();
        assert_eq!(fixture.poll(deadline).delivered, 1);
        assert!(begun.elapsed() >= PAUSE);
    }
    // One that would go on behind the deadline is not made: it would have no end.
    let (mut fixture, mut clients) = rested(Duration::MAX);
    let near = Instant::now() + Duration::from_millis(1);
    assert_eq!(fixture.poll(Some(near)).delivered, 0);
    assert!(Instant::now() >= near, "it waits, all the same");
    clients[0].1.write_all(b"x").unwrap();
    fixture.quiet();
    let soon = Instant::now() + Duration::from_secs(1000);
    assert_eq!(fixture.poll(Some(soon)).delivered, 1);
}

#[test]
fn pauses_make_the_thread_s_timers_exact() {
    use rustix::thread::current_timer_slack;
    let changed = thread::spawn(|| {
        let mut multiplexer = Multiplexer::new().unwrap();
        let before = current_timer_slack().unwrap();
        multiplexer.set_pause(Duration::ZERO);
        assert_eq!(current_timer_slack().unwrap(), before, "there are none");
        multiplexer.set_pause(Duration::from_micros(50));
        (before, current_timer_slack().unwrap())
    });
    let (before, after) = changed.join().unwrap();
    assert!(after == 1000 && before > after, "{before} {after}");
}

#[test]
fn a_busy_thread_looks_at_its_descriptors_when_it_is_time() {
    let mut multiplexer = Multiplexer::new().unwrap();
    assert!(!multiplexer.is_time_to_look(), "it has just been awake");
    let soon = Instant::now() + Duration::from_secs(1000);
    multiplexer.looked = Some(soon);
    assert!(!multiplexer.is_time_to_look());
    assert_eq!(multiplexer.looked, Some(soon));
    let long_ago = Instant::now() - BUSY;
    multiplexer.looked = Some(long_ago);
    assert!(multiplexer.is_time_to_look());
    assert!(multiplexer.looked > Some(long_ago));
}

#[test]
fn all_that_waits_have_brought_is_counted() {
    let mut fixture = Fixture::new();
    let (_handle, mut peer) = fixture.state();
    let mut all = fixture.round();
    for _ in 0..3 {
        peer.write_all(b"x").unwrap();
        all = all + fixture.round();
    }
    assert_eq!(all.delivered, 4);
    assert_eq!(fixture.multiplexer.total(), all);
}

/// More than one system call reports, and no edge comes for the rest.
fn many_descriptors(make: fn() -> io::Result<Multiplexer>) {
    const MANY: usize = 3 * EVENTS_AT_ONCE;
    let machine: Machine<State> = Machine::heap(Capacity::slots(MANY));
    let mut multiplexer = make().unwrap();
    let registry = multiplexer.add(machine).unwrap();
    let mut driver = machine.driver().unwrap();
    let peers: Vec<_> = (0..MANY)
        .map(|_| {
            let (socket, peer) = UnixStream::pair().unwrap();
            let slot = machine.reserve().unwrap();
            registry.add(&socket, slot.handle().token()).unwrap();
            slot.commit(State {
                socket,
                runs: 0,
                seen: Events::NONE,
            });
            peer
        })
        .collect();
    let mut seen = 0;
    while seen < MANY {
        while driver.turn(entry).unwrap() == Progress::More {}
        let patience = Instant::now() + Duration::from_secs(20);
        let polled = multiplexer.poll(&[driver.watch()], Some(patience)).unwrap();
        assert!(polled.delivered > 0, "{seen} of {MANY} are told");
        assert!(polled.delivered <= EVENTS_AT_ONCE);
        seen += polled.delivered;
    }
    drop(peers);
}

#[test]
fn more_descriptors_than_one_wait_reports_are_told_one_wait_after_the_other() {
    many_descriptors(Multiplexer::new);
    #[cfg(feature = "uring")]
    if std::env::var_os("BATCHLOOP_WITHOUT_URING").is_none() {
        many_descriptors(Multiplexer::with_uring);
    }
}
