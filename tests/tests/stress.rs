//! Real threads, many wakes, each accounted for. `BATCHLOOP_STRESS_WAKES` says how many; there is no time-out in it,
//! so a lost wake-up shows as a test that does not end.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use batchloop_std::{
    Capacity, Handle, Machine, Role, Shared, SignalError, Step, Stop, Turn, Worker, Workers,
    Workload, point,
};

const STATES: usize = 500;
const WAKERS: u64 = 4;

fn wakes() -> u64 {
    let wakes = env::var("BATCHLOOP_STRESS_WAKES").unwrap_or_else(|_| "400000".to_string());
    wakes.parse().expect("BATCHLOOP_STRESS_WAKES is a number")
}

/// Pseudo-random numbers, by Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

struct Letterbox {
    /// What wakers have left, and what was taken out.
    letters: &'static AtomicU64,
    signals: u64,
    /// So that the state goes from point to point and from worker to worker.
    visits: u64,
}

fn entry(cx: &mut Turn<'_, Letterbox, Shared>, worker: &Worker, taken: &AtomicU64) {
    let new = cx.arrivals();
    let moved = cx
        .stage(point!("first", Workload::IO), new)
        .advance(|letterbox, _| letterbox.empty(worker, Workload::IO, taken));
    let moved = cx
        .stage(point!("second", Workload::CPU, at_most: 16), moved)
        .advance(|letterbox, _| letterbox.empty(worker, Workload::CPU, taken));
    cx.stage(point!("third", Workload::IO), moved)
        .advance(|letterbox, _| letterbox.empty(worker, Workload::IO, taken))
        .put_back();
}

impl Letterbox {
    fn empty(&mut self, worker: &Worker, workload: Workload, taken: &AtomicU64) -> Step {
        assert!(worker.serves().contains(workload));
        // The order is the wake's to give, not this exchange's.
        let letters = self.letters.swap(0, Ordering::Relaxed) + std::mem::take(&mut self.signals);
        taken.fetch_add(letters, Ordering::Relaxed);
        self.visits += 1;
        // The first point and the second are left after a while, and the third is the last.
        match self.visits % 64 {
            0 => Step::Next,
            _ => Step::Wait,
        }
    }
}

/// Leaves letters and wakes, and signals now and then.
fn leave_letters(
    machine: Machine<Letterbox, Shared>,
    boxes: &[(Handle<Letterbox>, &'static AtomicU64)],
    seed: u64,
    count: u64,
) {
    let mut random = Random(seed);
    for _ in 0..count {
        let (handle, letters) = boxes[random.below(boxes.len())];
        if random.below(8) > 0 {
            letters.fetch_add(1, Ordering::Relaxed);
            machine.wake(handle).expect("all live until the end");
            continue;
        }
        let mut put = |letterbox: &mut Letterbox| {
            letterbox.signals += 1;
            batchloop_std::Reaction::Wake
        };
        while let Err(SignalError::Busy(_)) = machine.signal(handle, &mut put) {
            thread::yield_now();
        }
    }
}

#[test]
fn every_wake_is_accounted_for() {
    let each = wakes() / WAKERS;
    let capacity = Capacity::slots(STATES).points(3).scopes(0).batch(32);
    let machine = Machine::heap(capacity.drivers(3).workloads(2));
    let boxes: Vec<_> = (0..STATES)
        .map(|_| {
            let letters: &AtomicU64 = Box::leak(Box::default());
            let letterbox = Letterbox {
                letters,
                signals: 0,
                visits: 0,
            };
            (machine.allocate(letterbox).expect("there is room"), letters)
        })
        .collect();
    let taken = AtomicU64::new(0);
    let mut workers = Workers::new(machine).expect("it is new");
    workers.add(Role::new("io", Workload::IO));
    workers.add(Role::new("cpu", Workload::CPU));
    workers.add(Role::new("both", Workload::IO | Workload::CPU));
    let run = workers.run(
        |cx, worker| entry(cx, worker, &taken),
        || {
            thread::scope(|scope| {
                for waker in 1..=WAKERS {
                    let boxes = &boxes;
                    scope.spawn(move || leave_letters(machine, boxes, waker, each));
                }
            });
            while taken.load(Ordering::Relaxed) < each * WAKERS {
                thread::yield_now();
            }
            Stop::Cancel
        },
    );
    assert_eq!(run.expect("nothing goes wrong").released, STATES);
    assert_eq!(taken.into_inner(), each * WAKERS);
}

/// States come and go while others wake them: what is stale is told so, and nobody else is woken instead of them.
#[test]
fn tenants_come_and_go_under_fire() {
    let rounds = wakes() / 20;
    let machine: Machine<u32, Shared> =
        Machine::heap(Capacity::slots(64).points(1).scopes(0).drivers(2));
    let mut workers = Workers::new(machine).expect("it is new");
    workers.add(Role::new("one", Workload::IO));
    workers.add(Role::new("two", Workload::IO));
    let ended = AtomicU64::new(0);
    let run = workers.run(
        |cx, _| {
            let new = cx.arrivals();
            cx.stage(point!("live"), new).advance(|left, _| {
                *left = left.saturating_sub(1);
                match *left {
                    0 => {
                        ended.fetch_add(1, Ordering::Relaxed);
                        Step::Release
                    }
                    _ => Step::Wait,
                }
            });
        },
        || {
            thread::scope(|scope| {
                for seed in 1..=WAKERS {
                    scope.spawn(move || {
                        let mut random = Random(seed);
                        for _ in 0..rounds / WAKERS {
                            let lives = 1 + random.below(4) as u32;
                            let mut state = machine.allocate(lives);
                            while let Err(batchloop_std::Full(lives)) = state {
                                thread::yield_now();
                                state = machine.allocate(lives);
                            }
                            // Wakes it until it has ended.
                            let handle = state.expect("there was room");
                            while machine.wake(handle).is_ok() {
                                thread::yield_now();
                            }
                        }
                    });
                }
            });
            Stop::Drain
        },
    );
    assert_eq!(run.expect("nothing goes wrong").released, 0);
    assert_eq!(ended.into_inner(), rounds / WAKERS * WAKERS);
    assert_eq!(machine.live(), 0);
}
