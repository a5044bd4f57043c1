use std::{
    panic::{AssertUnwindSafe, catch_unwind, panic_any},
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    time::{Duration, Instant},
};

use batchloop_core::{Capacity, Fault, Full, Handle, Step, Turn, Workloads, point};
use rustix::thread::{CpuSet, sched_getaffinity};

use super::*;
use crate::{
    queue::{Closed, Queue, queue},
    sleep::bell::BlockingBell,
};

type Job = u32;

/// A machine with a worker for IO and two for CPU.
fn three(slots: usize) -> (Machine<Job, Shared>, Workers<Job>) {
    let capacity = Capacity::slots(slots).drivers(3).workloads(2).points(3);
    let machine = Machine::heap(capacity);
    let mut workers = Workers::new(machine).unwrap();
    workers
        .add(Role::new("io", Workload::IO))
        .add(Role::new("cpu 0", Workload::CPU))
        .add(Role::new("cpu 1", Workload::CPU));
    (machine, workers)
}

/// Each job is doubled by a CPU worker and ended by an IO worker.
fn double<'t>(cx: &mut Turn<'t, Job, Shared>, worker: &Worker, sum: &AtomicUsize) {
    let new = cx.arrivals();
    let doubled = cx
        .stage(point!("double", Workload::CPU), new)
        .for_each(|job, _| {
            assert_eq!(worker.serves(), Workload::CPU.into());
            *job *= 2;
        });
    cx.stage(point!("sum", Workload::IO), doubled)
        .advance(|job, _| {
            assert_eq!(worker.serves(), Workload::IO.into());
            sum.fetch_add(*job as usize, Relaxed);
            Step::Release
        });
}

/// States that wait for ever.
fn wait(cx: &mut Turn<'_, Job, Shared>) {
    let new = cx.arrivals();
    cx.stage(point!("wait"), new).advance(|_, _| Step::Wait);
}

#[test]
fn each_works_at_its_own_points_until_nothing_lives() {
    let (machine, mut workers) = three(16);
    let sum = AtomicUsize::new(0);
    let report = workers.run(
        |cx, worker| double(cx, worker, &sum),
        || {
            for job in 0..10_000 {
                let mut job = Err(Full(job));
                while let Err(Full(again)) = job {
                    thread::yield_now();
                    job = machine.allocate(again).map(|_| 0);
                }
            }
            Stop::Drain
        },
    );
    let report = report.unwrap();
    assert_eq!(sum.into_inner(), 9_999 * 10_000);
    assert_eq!((machine.live(), report.released), (0, 0));
    let names: Vec<&str> = report.workers.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(names, ["io", "cpu 0", "cpu 1"]);
}

#[test]
fn a_pool_runs_again() {
    let (machine, mut workers) = three(16);
    for _ in 0..3 {
        let sum = AtomicUsize::new(0);
        let run = workers.run(
            |cx, worker| double(cx, worker, &sum),
            || {
                machine.allocate(21).unwrap();
                Stop::Drain
            },
        );
        run.unwrap();
        assert_eq!(sum.into_inner(), 42);
    }
}

#[test]
fn what_lives_at_the_end_is_released_or_stays() {
    let (machine, mut workers) = three(16);
    let mut run = |stop: Stop| {
        let started = || {
            machine.allocate(1).unwrap();
            stop
        };
        let report = workers.run(|cx, _| wait(cx), started).unwrap();
        (report.released, machine.live())
    };
    assert_eq!(run(Stop::Cancel), (1, 0));
    assert_eq!(run(Stop::DrainFor(Duration::from_millis(10))), (1, 0));
    assert_eq!(run(Stop::Leave), (0, 1));
    assert_eq!(run(Stop::Cancel), (2, 0));
}

#[test]
fn a_release_from_elsewhere_ends_a_drain() {
    let (machine, mut workers) = three(16);
    let waiting: Handle<Job> = machine.allocate(1).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            // Most likely in the middle of the drain; it must end whenever this comes.
            thread::sleep(Duration::from_millis(20));
            machine.release(waiting).unwrap();
        });
        let report = workers.run(|cx, _| wait(cx), || Stop::Drain).unwrap();
        assert_eq!(report.released, 0);
    });
}

#[test]
fn an_entry_point_that_stops_ends_all() {
    let (machine, mut workers) = three(16);
    machine.allocate(1).unwrap();
    let run = workers.run(
        |cx, _| {
            wait(cx);
            cx.stop();
        },
        || Stop::Drain,
    );
    assert_eq!((run.unwrap().released, machine.live()), (0, 1));
}

fn panic_at_odd(cx: &mut Turn<'_, Job, Shared>) {
    let new = cx.arrivals();
    cx.stage(point!("odd"), new).advance(|job, _| {
        assert!(*job % 2 == 0, "odd: {job}");
        Step::Release
    });
}

#[test]
fn a_panic_ends_its_state_and_is_noted() {
    let (machine, mut workers) = three(16);
    let run = workers.run(
        |cx, _| panic_at_odd(cx),
        || {
            for job in 0..9 {
                machine.allocate(job).unwrap();
            }
            Stop::Drain
        },
    );
    let report = run.unwrap();
    let mut messages: Vec<String> = report.panics.into_iter().map(|p| p.message).collect();
    messages.sort();
    assert_eq!(messages, ["odd: 1", "odd: 3", "odd: 5", "odd: 7"]);
    assert_eq!((machine.live(), report.panicked), (0, 4));
}

#[test]
fn a_panic_stops_the_pool_where_that_is_asked_for() {
    let (machine, mut workers) = three(16);
    machine.allocate(1).unwrap();
    let run = workers
        .on_panic(OnPanic::Stop)
        .run(|cx, _| panic_at_odd(cx), || Stop::Drain);
    let Err(RunError::Panicked(panic)) = run else {
        panic!("{run:?}");
    };
    assert_eq!(
        (panic.worker.as_str(), panic.message.as_str()),
        ("io", "odd: 1")
    );
}

#[test]
fn a_panic_of_main_leaves_no_worker_behind() {
    let (_, mut workers) = three(16);
    let run = AssertUnwindSafe(|| workers.run(|cx, _| wait(cx), || panic!("main")));
    assert!(catch_unwind(run).is_err());
    workers.run(|cx, _| wait(cx), || Stop::Drain).unwrap();
}

#[test]
fn what_cannot_be_is_an_error() {
    let machine: Machine<Job, Shared> = Machine::heap(Capacity::slots(1).drivers(1).points(0));
    let mut workers = Workers::new(machine).unwrap();
    assert!(Workers::new(machine).is_err());
    let idle = |_: &mut Turn<'_, Job, Shared>, _: &Worker| {};
    let run = workers.run(idle, || Stop::Drain);
    assert!(matches!(run, Err(RunError::NoIoWorker)));
    workers.add(Role::new("far away", Workload::IO).pinned(100_000));
    let run = workers.run(idle, || Stop::Drain);
    assert!(matches!(run, Err(RunError::Pin(_))), "{run:?}");
    let mut workers = {
        workers.roles = vec![Role::new("io", Workload::IO)];
        workers
    };
    machine.allocate(1).unwrap();
    let run = workers.run(|cx, _| wait(cx), || Stop::Drain);
    assert!(matches!(
        run,
        Err(RunError::Fault(Fault::PointsExhausted { .. }))
    ));
    workers.add(Role::new("one too many", Workload::IO));
    let run = workers.run(idle, || Stop::Drain);
    assert!(matches!(run, Err(RunError::Drivers(_))));
}

#[test]
fn an_idle_pool_sleeps() {
    let (_, mut workers) = three(16);
    let run = workers.run(
        |cx, _| wait(cx),
        || {
            thread::sleep(Duration::from_millis(200));
            Stop::Drain
        },
    );
    for worker in run.unwrap().workers {
        // One sleep, and perhaps an early return or two.
        assert!((1..=5).contains(&worker.sleeps), "{worker:?}");
        assert!(worker.turns > worker.sleeps, "{worker:?}");
        assert!(worker.lived >= Duration::from_millis(100), "{worker:?}");
    }
}

#[test]
fn a_worker_that_computes_is_busy() {
    let (machine, mut workers) = three(16);
    machine.allocate(1).unwrap();
    let compute = |cx: &mut Turn<'_, Job, Shared>| {
        cx.arrivals().advance(|_, _| {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(20) {}
            Step::Release
        });
    };
    let report = workers.run(|cx, _| compute(cx), || Stop::Drain).unwrap();
    // Other programs may have the processor meanwhile.
    assert!(
        report.workers[0].worked > Duration::from_millis(1),
        "{report:?}"
    );
    assert!(report.workers[0].busy() > 0.0);
}

#[test]
fn a_pinned_worker_stays_on_its_core() {
    let allowed = sched_getaffinity(None).unwrap();
    let core = (0..CpuSet::MAX_CPU)
        .rfind(|core| allowed.is_set(*core))
        .unwrap();
    let machine: Machine<Job, Shared> = Machine::heap(Capacity::slots(1));
    let mut workers = Workers::new(machine).unwrap();
    workers.add(Role::new("pinned", Workload::IO).pinned(core));
    let entry = |_: &mut Turn<'_, Job, Shared>, _: &Worker| {
        let cores = sched_getaffinity(None).unwrap();
        assert!(cores.count() == 1 && cores.is_set(core));
    };
    let report = workers.run(entry, || Stop::Drain).unwrap();
    assert_eq!(report.panicked, 0);
    workers.roles.clear();
    // The first number that no set of cores has.
    workers.add(Role::new("nowhere", Workload::IO).pinned(CpuSet::MAX_CPU));
    let run = workers.run(entry, || Stop::Drain);
    let Err(RunError::Pin(error)) = run else {
        panic!("{run:?}");
    };
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn the_first_panics_are_in_the_report_and_all_are_counted() {
    let machine = Machine::heap(Capacity::slots(100));
    let mut workers = Workers::new(machine).unwrap();
    workers.add(Role::new("all", Workloads::ALL));
    let entry = |cx: &mut Turn<'_, Job, Shared>| {
        cx.arrivals().advance(|job, _| {
            // Without a message each time.
            panic::resume_unwind(Box::new(job.to_string()));
        });
    };
    let main = || {
        for job in 0..70 {
            machine.allocate(job).unwrap();
        }
        Stop::Drain
    };
    let report = workers.run(|cx, _| entry(cx), main).unwrap();
    assert_eq!((report.panicked, report.panics.len()), (70, 64));
    for (number, panic) in report.panics.iter().enumerate() {
        assert_eq!(
            (&*panic.worker, &*panic.message),
            ("all", &*number.to_string())
        );
    }
}

/// A machine without room for the point that its one worker visits: the first turn fails.
fn failing() -> Workers<Job> {
    let machine = Machine::heap(Capacity::slots(1).points(0));
    let mut workers = Workers::new(machine).unwrap();
    workers.add(Role::new("io", Workload::IO));
    workers
}

#[test]
fn main_hears_that_a_worker_has_failed() {
    let run = failing().run_with(
        |cx, _| wait(cx),
        |running| {
            running.wait();
            assert!(running.has_ended());
            Stop::Drain
        },
    );
    assert!(matches!(run, Err(RunError::Fault(_))), "{run:?}");
}

#[test]
fn main_is_told_once_whatever_ends_the_workers_early() {
    let pinned = |mut workers: Workers<Job>| {
        workers.roles[0].core = Some(CpuSet::MAX_CPU);
        workers
    };
    let (_, mut panicking) = three(1);
    panicking.on_panic(OnPanic::Stop);
    type Entry = fn(&mut Turn<'_, Job, Shared>);
    let runs: [(Workers<Job>, Entry, bool); 4] = [
        (failing(), |cx| wait(cx), false),
        (pinned(failing()), |_| (), false),
        (panicking, |_| panic!("at once"), false),
        (three(1).1, |cx| cx.stop(), true),
    ];
    for (mut workers, entry, is_right) in runs {
        let (tell, told) = mpsc::channel();
        let again = tell.clone();
        let run = workers.run_with(
            |cx, _| entry(cx),
            |running| {
                running.at_end(move || tell.send(1).unwrap());
                // Without the callback it would wait for ever.
                assert_eq!(told.recv(), Ok(1));
                assert!(running.has_ended());
                running.at_end(move || again.send(2).unwrap());
                assert_eq!(told.try_recv(), Ok(2), "it is late, so it is told at once");
                running.wait();
                Stop::Drain
            },
        );
        assert_eq!(run.is_ok(), is_right, "{run:?}");
        assert!(told.recv().is_err(), "each is told once");
    }
}

#[test]
fn a_main_that_ends_first_is_told_nothing() {
    for stop in [Stop::Drain, Stop::Cancel, Stop::Leave] {
        let (_, mut workers) = three(1);
        let is_told = AtomicBool::new(false);
        let run = workers.run_with(
            |cx, _| wait(cx),
            |running| {
                assert!(!running.has_ended());
                running.at_end(|| is_told.store(true, Relaxed));
                stop
            },
        );
        run.unwrap();
        assert!(!is_told.into_inner(), "{stop:?}");
    }
    let (_, mut workers) = three(1);
    let is_told = AtomicBool::new(false);
    let run = AssertUnwindSafe(|| {
        workers.run_with(
            |cx, _| wait(cx),
            |running| {
                running.at_end(|| is_told.store(true, Relaxed));
                panic!("main")
            },
        )
    });
    assert!(catch_unwind(run).is_err());
    assert!(!is_told.into_inner());
}

#[test]
fn one_that_panics_when_it_is_told_is_noted_and_the_others_are_told() {
    let (machine, mut workers) = three(1);
    let is_registered = AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    let report = workers.run_with(
        |cx, _| {
            if is_registered.load(Relaxed) {
                cx.stop();
            }
        },
        |running| {
            running.at_end(|| panic!("told"));
            running.at_end(move || tell.send(()).unwrap_or_default());
            is_registered.store(true, Relaxed);
            machine.counter().ring();
            told.recv().unwrap_or_default();
            running.wait();
            Stop::Leave
        },
    );
    let report = report.unwrap();
    assert_eq!(report.panicked, 1);
    assert_eq!(report.panics[0].message, "told");
}

#[test]
fn a_main_that_waits_for_room_in_a_queue_hears_of_the_end() {
    let machine: Machine<Job, Shared> = Machine::heap(Capacity::slots(1));
    let (sender, queue) = queue(1, machine.counter());
    let run = failing().run_with(
        |cx, _| wait(cx),
        |running| {
            running.at_end(|| queue.close());
            // The second one waits for room, unless the queue is closed by then.
            let pushed = [1, 2, 3].map(|item| sender.push_blocking(item));
            assert_eq!(pushed[2], Err(Closed(3)));
            Stop::Drain
        },
    );
    assert!(matches!(run, Err(RunError::Fault(_))), "{run:?}");
}

/// Takes items from the queue, and expects more until its senders have gone.
fn take(cx: &mut Turn<'_, Job, Shared>, worker: &Worker, queue: &Queue<Job>) {
    while let Ok(slot) = cx.reserve()
        && let Some(item) = queue.pop()
    {
        slot.commit(item);
    }
    if !queue.is_finished() {
        worker.expect_more();
    }
}

fn release(cx: &mut Turn<'_, Job, Shared>) {
    let new = cx.arrivals();
    cx.stage(point!("compute", Workload::CPU), new).release();
}

#[test]
fn what_one_worker_expects_holds_the_drain_for_all_and_they_sleep() {
    let (machine, mut workers) = three(2);
    let (sender, queue) = queue(100, machine.counter());
    let (tell, told) = mpsc::channel();
    let report = thread::scope(|scope| {
        scope.spawn(move || {
            // Each of the others has had a turn of the drain, and nothing lives.
            for _ in 0..2 {
                told.recv().unwrap();
            }
            for item in 0..5 {
                thread::sleep(Duration::from_millis(20));
                sender.push(item).unwrap();
            }
        });
        let entry = |cx: &mut Turn<'_, Job, Shared>, worker: &Worker, queue: &Queue<Job>| {
            if worker.serves().contains(Workload::IO) {
                take(cx, worker, queue);
            } else if worker.is_draining() {
                // The other end may have heard enough.
                let _ = tell.send(());
            }
            release(cx);
        };
        workers.run(|cx, worker| entry(cx, worker, &queue), || Stop::Drain)
    });
    let report = report.unwrap();
    assert_eq!((queue.len(), queue.is_finished()), (0, true));
    assert_eq!(machine.live(), 0);
    for worker in report.workers {
        // Some turns for each item, each time it is about to sleep, and no more.
        assert!(worker.turns < 1000, "{worker:?}");
    }
}

#[test]
fn a_worker_expects_more_even_if_another_one_is_called_for_it() {
    let machine = Machine::heap(Capacity::slots(2).drivers(2).workloads(2));
    let mut workers = Workers::new(machine).unwrap();
    workers.add(Role::new("idle", Workload::IO));
    workers.add(Role::new("taking", Workload::IO));
    for _ in 0..20 {
        let (sender, queue) = queue(100, machine.counter());
        let entry = |cx: &mut Turn<'_, Job, Shared>, worker: &Worker, queue: &Queue<Job>| {
            if worker.index() == 1 {
                take(cx, worker, queue);
            }
            cx.arrivals().release();
        };
        thread::scope(|scope| {
            scope.spawn(move || {
                for item in 0..5 {
                    thread::sleep(Duration::from_micros(500));
                    sender.push(item).unwrap();
                }
            });
            let run = workers.run(|cx, worker| entry(cx, worker, &queue), || Stop::Drain);
            run.unwrap();
        });
        assert_eq!((queue.len(), queue.is_finished()), (0, true));
    }
}

#[test]
fn a_turn_that_panics_does_not_end_the_drain() {
    let machine = Machine::heap(Capacity::slots(2));
    let mut workers = Workers::new(machine).unwrap();
    workers.add(Role::new("io", Workload::IO));
    let (sender, queue) = queue(100, machine.counter());
    let panics = AtomicUsize::new(0);
    let entry = |cx: &mut Turn<'_, Job, Shared>, worker: &Worker, queue: &Queue<Job>| {
        // Outside of a closure, and before it can say that it expects more.
        let is_first = worker.is_draining() && panics.fetch_add(1, Relaxed) == 0;
        assert!(!is_first, "the first");
        take(cx, worker, queue);
        panic_at_odd(cx);
    };
    let run = thread::scope(|scope| {
        let panics = &panics;
        scope.spawn(move || {
            while panics.load(Relaxed) == 0 {
                thread::yield_now();
            }
            for item in 1..=3 {
                thread::sleep(Duration::from_millis(5));
                sender.push(item).unwrap();
            }
        });
        workers.run(|cx, worker| entry(cx, worker, &queue), || Stop::Drain)
    });
    assert_eq!(run.unwrap().panicked, 3);
    assert_eq!((queue.len(), queue.is_finished()), (0, true));
    assert_eq!(machine.live(), 0);
}

#[test]
fn a_turn_that_began_before_the_drain_does_not_end_it() {
    let machine = Machine::heap(Capacity::slots(2));
    let mut workers = Workers::new(machine).unwrap();
    workers.add(Role::new("io", Workload::IO));
    let (sender, queue) = queue(100, machine.counter());
    let has_looked = Barrier::new(2);
    let entry = |cx: &mut Turn<'_, Job, Shared>, worker: &Worker, queue: &Queue<Job>| {
        if let Some(item) = queue.pop() {
            cx.allocate(item).unwrap();
        }
        release(cx);
        if !worker.is_draining() {
            has_looked.wait();
            // Most likely the drain begins meanwhile; it must come to the item whenever it does.
            thread::sleep(Duration::from_millis(20));
        }
    };
    let main = || {
        has_looked.wait();
        sender.push(1).unwrap();
        Stop::Drain
    };
    // Its only worker serves all.
    workers.roles[0].serves = Workloads::ALL;
    workers
        .run(|cx, worker| entry(cx, worker, &queue), main)
        .unwrap();
    assert_eq!((queue.len(), machine.live()), (0, 0));
}

/// Panics when it is dropped, which a payload of a panic is by whoever catches it.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if let Some(left) = self.0.checked_sub(1) {
            panic_any(Bomb(left));
        }
    }
}

#[test]
fn a_panic_that_panics_when_it_is_dropped_ends_no_worker() {
    for policy in [OnPanic::GoOn, OnPanic::Stop] {
        for bombs in [1, 2, 100] {
            let (machine, mut workers) = three(16);
            for _ in 0..2 {
                machine.allocate(1).unwrap();
            }
            workers.on_panic(policy);
            let entry = |cx: &mut Turn<'_, Job, Shared>| {
                cx.arrivals().advance(|_, _| panic_any(Bomb(bombs)));
            };
            let run = workers.run(|cx, _| entry(cx), || Stop::Drain);
            let message = "a panic without a message";
            match policy {
                OnPanic::GoOn => {
                    let report = run.unwrap();
                    assert_eq!((report.panicked, report.workers.len()), (2, 3));
                    assert_eq!(report.panics[0].message, message);
                    assert_eq!(machine.live(), 0);
                }
                OnPanic::Stop => {
                    let is_it =
                        matches!(run, Err(RunError::Panicked(panic)) if panic.message == message);
                    assert!(is_it);
                }
            }
        }
    }
}

#[test]
fn a_state_that_panics_when_it_is_released_at_the_end_is_noted() {
    struct Falling(bool);
    impl Drop for Falling {
        fn drop(&mut self) {
            assert!(!self.0, "falls");
        }
    }
    let machine = Machine::heap(Capacity::slots(4));
    let mut workers = Workers::new(machine).unwrap();
    workers.add(Role::new("all", Workloads::ALL));
    let mut run = |policy| {
        let start = || {
            for falls in [false, true, false] {
                assert!(machine.allocate(Falling(falls)).is_ok());
            }
            Stop::Cancel
        };
        workers.on_panic(policy).run(|_, _| (), start)
    };
    let report = run(OnPanic::GoOn).unwrap();
    assert_eq!((report.released, report.left, machine.live()), (3, 0, 0));
    assert_eq!(
        (report.panicked, report.panics[0].message.as_str()),
        (1, "falls")
    );
    let failed = run(OnPanic::Stop);
    assert!(matches!(failed, Err(RunError::Panicked(panic)) if panic.message == "falls"));
    assert_eq!(machine.live(), 0);
}

#[test]
fn a_run_that_fails_releases_nothing() {
    let (machine, mut workers) = three(16);
    machine.allocate(1).unwrap();
    machine.allocate(2).unwrap();
    let (tell, told) = mpsc::channel();
    let entry = |cx: &mut Turn<'_, Job, Shared>| {
        cx.arrivals().advance(|job, _| {
            if *job == 2 {
                tell.send(()).unwrap();
                panic!("two");
            }
            Step::Wait
        });
    };
    let main = || {
        told.recv().unwrap();
        Stop::Cancel
    };
    let run = workers.on_panic(OnPanic::Stop).run(|cx, _| entry(cx), main);
    assert!(matches!(run, Err(RunError::Panicked(_))));
    assert_eq!(machine.live(), 1);
}

#[test]
fn a_worker_that_cannot_be_spawned_takes_the_others_with_it() {
    let machine: Machine<Job, Shared> = Machine::heap(Capacity::slots(1).drivers(2));
    let mut workers = Workers::new(machine).unwrap();
    workers.add(Role::new("io", Workload::IO));
    workers.add(Role::new("c\0u", Workload::IO | Workload::CPU));
    for _ in 0..2 {
        let run = workers.run(|_, _| (), || panic!("it does not come to that"));
        let Err(RunError::Thread(error)) = run else {
            panic!("{run:?}");
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
    workers.roles.pop();
    workers.run(|_, _| (), || Stop::Drain).unwrap();
}

#[test]
fn a_drain_for_some_time_ends_even_if_more_is_expected() {
    let (machine, mut workers) = three(16);
    machine.allocate(1).unwrap();
    let entry = |cx: &mut Turn<'_, Job, Shared>, worker: &Worker| {
        wait(cx);
        worker.expect_more();
    };
    let patience = Duration::from_millis(10);
    let report = workers.run(entry, || Stop::DrainFor(patience)).unwrap();
    assert_eq!((report.released, report.left), (1, 0));
    // As long as it takes, which is not that long.
    let report = workers.run(|cx, _| wait(cx), || Stop::DrainFor(Duration::MAX));
    assert_eq!(report.unwrap().released, 0);
}

#[test]
fn workers_serve_what_has_no_bell_yet() {
    let machine: Machine<Job, Shared> = Machine::heap(Capacity::slots(4).drivers(3).workloads(2));
    let bell: &'static BlockingBell = Box::leak(Box::default());
    machine.set_bell_for(Workload::IO, bell).unwrap();
    let mut workers = Workers::new(machine).unwrap();
    assert!(Workers::new(machine).is_err(), "nothing is left");
    let run = workers.run(|_, _| (), || Stop::Drain);
    assert!(matches!(run, Err(RunError::NoWorkers)));
    workers.add(Role::new("both", Workload::IO | Workload::CPU));
    let run = workers.run(|_, _| (), || Stop::Drain);
    let Err(RunError::OtherBell { worker, workloads }) = run else {
        panic!("{run:?}");
    };
    assert_eq!((worker.as_str(), workloads), ("both", Workload::IO.into()));
    workers.roles.clear();
    workers
        .add(Role::new("cpu 0", Workload::CPU))
        .add(Role::new("cpu 1", Workload::CPU));
    let sum = AtomicUsize::new(0);
    let drained = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sum, drained) = (&sum, &drained);
        scope.spawn(move || {
            let mut driver = machine.driver_for(Workload::IO).unwrap();
            let io = Worker::new(9, Workload::IO.into(), false);
            while drained.load(Relaxed) == 0 {
                driver.turn(|cx| double(cx, &io, sum)).unwrap();
                bell.sleep(&driver.watch());
            }
        });
        let main = || {
            for job in 0..1000 {
                let mut job = Err(Full(job));
                while let Err(Full(again)) = job {
                    thread::yield_now();
                    job = machine.allocate(again).map(|_| 0);
                }
            }
            Stop::Drain
        };
        // The last state ends in the other driver's turn.
        let report = workers
            .run(|cx, worker| double(cx, worker, sum), main)
            .unwrap();
        assert_eq!(report.left, 0);
        drained.store(1, Relaxed);
        machine.counter().ring();
    });
    assert_eq!(sum.into_inner(), 999 * 1000);
}

#[test]
fn workers_for_some_workloads_leave_the_others() {
    let machine: Machine<Job, Shared> = Machine::heap(Capacity::slots(4).workloads(3));
    let computing = Workers::new_for(machine, Workload::CPU).unwrap();
    assert!(!machine.counter().has_bell());
    let again = Workers::new_for(machine, Workload::CPU | Workload::custom(0));
    assert!(again.is_err());
    assert!(!machine.counter_of(Workload::custom(0)).has_bell());
    assert_eq!(computing.lot.workloads(), Workload::CPU.into());
    let others = Workers::new(machine).unwrap();
    assert_eq!(
        others.lot.workloads(),
        Workloads::ALL.without(Workload::CPU.into())
    );
}

/// Items from several threads, some of which panic, while workers are drained: none is left.
#[test]
fn whatever_happens_meanwhile_a_drain_leaves_nothing() {
    for round in 0..10_u64 {
        let machine = Machine::heap(Capacity::slots(3).drivers(4).workloads(2));
        let mut workers = Workers::new(machine).unwrap();
        workers
            .add(Role::new("io 0", Workload::IO))
            .add(Role::new("io 1", Workload::IO))
            .add(Role::new("cpu", Workload::CPU))
            .add(Role::new("all", Workloads::ALL));
        let (sender, queue) = queue(5, machine.counter());
        let items = AtomicUsize::new(0);
        let entry = |cx: &mut Turn<'_, Job, Shared>, worker: &Worker, queue: &Queue<Job>| {
            if worker.index() != 1 {
                take(cx, worker, queue);
            }
            let new = cx.arrivals();
            let done = cx
                .stage(point!("compute", Workload::CPU), new)
                .for_each(|job, _| {
                    items.fetch_add(1, Relaxed);
                    if *job % 7 == 0 {
                        // Without a message each time.
                        panic::resume_unwind(Box::new("seven"));
                    }
                });
            cx.stage(point!("end", Workload::IO), done)
                .advance(|_, _| Step::Release);
        };
        let report = thread::scope(|scope| {
            for thread in 0..3_u64 {
                let sender = sender.clone();
                scope.spawn(move || {
                    for item in 1..=20 {
                        if (item + thread + round) % 5 == 0 {
                            thread::sleep(Duration::from_micros(70 * (thread + 1)));
                        }
                        sender.push_blocking(item as Job).unwrap();
                    }
                });
            }
            drop(sender);
            workers.run(|cx, worker| entry(cx, worker, &queue), || Stop::Drain)
        });
        assert_eq!(report.unwrap().panicked, 6);
        assert_eq!(items.load(Relaxed), 60);
        assert_eq!((queue.len(), machine.live()), (0, 0));
    }
}
