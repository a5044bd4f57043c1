use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use batchloop_core::{Capacity, Fault, Full, Handle, Step, point};

use super::*;

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
    assert!(matches!(run, Err(RunError::NobodyServesIo)));
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
        assert!(worker.sleeps <= 5, "{worker:?}");
    }
}
