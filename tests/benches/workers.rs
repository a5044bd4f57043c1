//! Workers beside tokio's multi-thread runtime, two of each: `cargo bench --bench workers`.
//!
//! *Latency*: a thread outside wakes one waiting activity and sees how long it takes until that runs; at once after the
//! last time (the workers are still awake), and half a millisecond later (they sleep in the kernel). Medians.
//!
//! *Throughput*: a thread outside wakes 10,000 waiting activities, round after round; each counts and waits again. The
//! time for one wake and one transition, the minimum of 5 repeats.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use batchloop_std::{
    Capacity, Handle, Machine, Role, Shared, Step, Stop, Turn, Workers, Workload, point,
};
use tokio::sync::Notify;

const TASKS: usize = 10_000;
const ROUNDS: u64 = 50;
const REPEATS: usize = 5;
const WAKES: usize = 2_000;
const PAUSE: Duration = Duration::from_micros(500);

/// Counts without two workers in one cache line.
#[repr(align(128))]
#[derive(Default)]
struct Count(AtomicU64);

fn sum(counts: &[Count]) -> u64 {
    counts
        .iter()
        .map(|count| count.0.load(Ordering::Acquire))
        .sum()
}

/// Nanoseconds for one wake and one transition, while somebody runs what `wake_all` wakes and counts it.
fn throughput(counts: &[Count], wake_all: impl Fn()) -> f64 {
    let round = || {
        let goal = sum(counts) + TASKS as u64;
        wake_all();
        while sum(counts) < goal {
            thread::yield_now();
        }
    };
    let repeat = || {
        let start = Instant::now();
        (0..ROUNDS).for_each(|_| round());
        start.elapsed().as_nanos() as f64 / (ROUNDS * TASKS as u64) as f64
    };
    round();
    (0..REPEATS).map(|_| repeat()).fold(f64::MAX, f64::min)
}

/// Median nanoseconds from a wake to the time when the woken says that it runs.
fn latency(pause: Duration, ran: &AtomicBool, wake: impl Fn()) -> u128 {
    let mut times: Vec<u128> = (0..WAKES)
        .map(|_| {
            let pause = Instant::now() + pause;
            while Instant::now() < pause {
                // This core is awake, so that only the other side is measured.
                std::hint::spin_loop();
            }
            let start = Instant::now();
            wake();
            while !ran.swap(false, Ordering::AcqRel) {
                std::hint::spin_loop();
            }
            start.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    times[WAKES / 2]
}

fn in_two<R>(
    slots: usize,
    entry: impl for<'t> Fn(&mut Turn<'t, (), Shared>, usize) + Sync,
    main: impl FnOnce(Machine<(), Shared>, &[Handle<()>]) -> R,
) -> R {
    let machine = Machine::heap(Capacity::slots(slots).points(1).scopes(0).drivers(2));
    let handles: Vec<_> = (0..slots)
        .map(|_| machine.allocate(()).expect("there is a slot for each"))
        .collect();
    let mut workers = Workers::new(machine).expect("it is new");
    workers.add(Role::new("one", Workload::IO));
    workers.add(Role::new("two", Workload::IO));
    let mut answer = None;
    let run = workers.run(
        |cx, worker| entry(cx, worker.index()),
        || {
            answer = Some(main(machine, &handles));
            Stop::Cancel
        },
    );
    run.expect("nothing goes wrong");
    answer.expect("main has run")
}

fn batchloop_throughput() -> f64 {
    let counts: [Count; 2] = Default::default();
    in_two(
        TASKS,
        |cx, worker| {
            let mut count = 0;
            let new = cx.arrivals();
            cx.stage(point!("wait"), new).advance(|(), _| {
                count += 1;
                Step::Wait
            });
            counts[worker].0.fetch_add(count, Ordering::Release);
        },
        |machine, handles| {
            // The first time comes from being new.
            while sum(&counts) < TASKS as u64 {
                thread::yield_now();
            }
            throughput(&counts, || {
                for handle in handles {
                    machine.wake(*handle).expect("it lives");
                }
            })
        },
    )
}

fn batchloop_latency(pause: Duration) -> u128 {
    let ran = AtomicBool::new(false);
    in_two(
        1,
        |cx, _| {
            let new = cx.arrivals();
            cx.stage(point!("wait"), new).advance(|(), _| {
                ran.store(true, Ordering::Release);
                Step::Wait
            });
        },
        |machine, handles| {
            while !ran.swap(false, Ordering::AcqRel) {
                thread::yield_now();
            }
            latency(pause, &ran, || machine.wake(handles[0]).expect("it lives"))
        },
    )
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("threads")
}

fn tokio_throughput() -> f64 {
    thread_local! {
        static INDEX: usize = {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            NEXT.fetch_add(1, Ordering::Relaxed) as usize
        };
    }
    let runtime = runtime();
    let counts: Arc<[Count; 8]> = Arc::default();
    let tasks: Vec<Arc<Notify>> = (0..TASKS).map(|_| Arc::default()).collect();
    for task in &tasks {
        let (task, counts) = (task.clone(), counts.clone());
        runtime.spawn(async move {
            loop {
                task.notified().await;
                let count = INDEX.with(|index| &counts[index % 8].0);
                count.fetch_add(1, Ordering::Release);
            }
        });
    }
    let nanoseconds = throughput(&counts[..], || {
        for task in &tasks {
            task.notify_one();
        }
    });
    runtime.shutdown_background();
    nanoseconds
}

fn tokio_latency(pause: Duration) -> u128 {
    let runtime = runtime();
    let (ran, task): (Arc<AtomicBool>, Arc<Notify>) = Default::default();
    {
        let (ran, task) = (ran.clone(), task.clone());
        runtime.spawn(async move {
            loop {
                task.notified().await;
                ran.store(true, Ordering::Release);
            }
        });
    }
    let nanoseconds = latency(pause, &ran, || task.notify_one());
    runtime.shutdown_background();
    nanoseconds
}

fn main() {
    println!("                                      batchloop      tokio      ratio");
    for (name, pause) in [("awake", Duration::ZERO), ("asleep", PAUSE)] {
        let (ours, theirs) = (batchloop_latency(pause), tokio_latency(pause));
        let ratio = ours as f64 / theirs as f64;
        println!("latency of a wake, {name:>6}, median   {ours:>9} ns {theirs:>9} ns {ratio:>7.2}");
    }
    let (ours, theirs) = (batchloop_throughput(), tokio_throughput());
    println!(
        "a wake and a transition, {TASKS} tasks  {ours:>9.1} ns {theirs:>9.1} ns {:>7.2}",
        ours / theirs
    );
}
