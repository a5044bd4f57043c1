//! Two threads on one core that wake each other from their sleep in the kernel.

use std::{
    sync::{Arc, Barrier, mpsc},
    thread,
    time::Instant,
};

use batchloop_core::{Bell, Capacity, Machine, Step, Turn, Waker, point};
use batchloop_eventfd::{EventFd, Multiplexer};
use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, EventData, EventFlags},
};

use crate::{RUNS, process::pin};

const ROUNDS: u32 = 50_000;

/// Nanoseconds for one wake, from a thread that is awake to one that sleeps.
fn measure(side: impl Fn(bool, &Barrier) + Send + Sync + 'static) -> f64 {
    let side = Arc::new(side);
    let barrier = Arc::new(Barrier::new(3));
    let threads = [true, false].map(|begins| {
        let (side, barrier) = (Arc::clone(&side), Arc::clone(&barrier));
        thread::spawn(move || {
            pin(0, 1);
            side(begins, &barrier);
        })
    });
    barrier.wait();
    let start = Instant::now();
    for thread in threads {
        thread.join().expect("it counts");
    }
    start.elapsed().as_nanos() as f64 / f64::from(2 * ROUNDS)
}

/// An eventfd for each, and epoll.
fn bare() -> f64 {
    let bells = [(); 2].map(|()| EventFd::new().expect("a descriptor"));
    measure(move |begins, barrier| {
        let (mine, other) = match begins {
            true => (&bells[0], &bells[1]),
            false => (&bells[1], &bells[0]),
        };
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, mine, EventData::new_u64(0), flags).expect("a descriptor");
        let mut events = Vec::with_capacity(16);
        barrier.wait();
        for round in 0..=ROUNDS {
            if round > 0 || begins {
                other.ring();
            }
            if round < ROUNDS || !begins {
                events.clear();
                epoll::wait(&epoll, spare_capacity(&mut events), None).expect("epoll");
            }
        }
    })
}

/// A machine with one state for each, and a multiplexer.
fn multiplexed() -> f64 {
    let [left, right] = [(); 2].map(|()| mpsc::channel::<Waker>());
    let ends = std::sync::Mutex::new([Some((left.0, right.1)), Some((right.0, left.1))]);
    measure(move |begins, barrier| {
        let end = ends.lock().expect("no panic")[usize::from(begins)].take();
        let (sender, receiver) = end.expect("two threads");
        let machine: Machine<u32> = Machine::heap(Capacity::slots(1));
        let mut multiplexer = Multiplexer::new().expect("descriptors");
        multiplexer.add(machine).expect("the first");
        let mut driver = machine.driver().expect("the first");
        let state = machine.allocate(0).expect("room");
        sender.send(machine.waker(state)).expect("the other lives");
        let other = receiver.recv().expect("the other lives");
        let entry = |cx: &mut Turn<'_, u32>| {
            let new = cx.arrivals();
            cx.stage(point!("ball"), new).advance(|rounds, _| {
                // The first run is its arrival.
                if *rounds > 0 {
                    let _ = other.wake();
                }
                *rounds += 1;
                match *rounds > ROUNDS {
                    true => Step::Release,
                    false => Step::Wait,
                }
            });
        };
        driver.turn(entry).expect("no fault");
        barrier.wait();
        if begins {
            let _ = other.wake();
        }
        loop {
            driver.turn(entry).expect("no fault");
            if machine.live() == 0 {
                return;
            }
            let drivers = [driver.watch()];
            multiplexer.poll(&drivers, None).expect("epoll");
        }
    })
}

pub(crate) fn wakes() {
    println!("\nA wake of a thread that sleeps in the kernel, from another one on the same core\n");
    let (mut limit, mut ours) = (f64::MAX, f64::MAX);
    for _ in 0..RUNS {
        limit = limit.min(bare());
        ours = ours.min(multiplexed());
    }
    println!("| | µs | ratio |\n|---|---|---|");
    println!("| bare eventfd and epoll | {:.2} | 1.00 |", limit / 1000.0);
    println!(
        "| a waker and `Multiplexer` | {:.2} | {:.2} |",
        ours / 1000.0,
        ours / limit
    );
}
