//! Drivers that serve some workloads, and points with small batches.
#![cfg(all(feature = "alloc", not(loom)))]

use batchloop_core::*;

const CAPACITY: Capacity = Capacity::slots(100)
    .points(3)
    .scopes(0)
    .drivers(3)
    .workloads(2);

/// Notes what each stage takes.
#[derive(Default)]
struct Seen {
    moved: Vec<usize>,
    computed: Vec<usize>,
}

fn entry(cx: &mut Turn<'_, u8, Shared>, seen: &mut Seen) {
    let new = cx.arrivals();
    let moved = cx.stage(point!("move", Workload::IO), new);
    seen.moved.push(moved.len());
    let computed = cx.stage(point!("compute", Workload::CPU, at_most: 4), moved);
    seen.computed.push(computed.len());
    computed.advance(|rounds, _| match rounds.checked_sub(1) {
        Some(left) => {
            *rounds = left;
            Step::Wait
        }
        None => Step::Release,
    });
}

struct Fixture {
    machine: Machine<u8, Shared>,
    moving: Driver<u8, Shared>,
    computing: Driver<u8, Shared>,
}

impl Fixture {
    fn new(states: usize) -> Self {
        let machine: Machine<u8, Shared> = Machine::heap(CAPACITY);
        for _ in 0..states {
            machine.allocate(1).unwrap();
        }
        Fixture {
            machine,
            moving: machine.driver_for(Workload::IO).unwrap(),
            computing: machine.driver_for(Workload::CPU).unwrap(),
        }
    }
}

fn turn(driver: &mut Driver<u8, Shared>) -> (Seen, Progress) {
    let mut seen = Seen::default();
    let progress = driver.turn(|cx| entry(cx, &mut seen)).unwrap();
    (seen, progress)
}

#[test]
fn a_driver_takes_nobody_at_points_of_other_workloads() {
    let mut fixture = Fixture::new(6);
    let (seen, progress) = turn(&mut fixture.computing);
    assert_eq!((seen.moved[0], seen.computed[0]), (0, 0));
    assert_eq!(
        progress,
        Progress::Quiet,
        "the entrance is none of its concern"
    );
    let (seen, _) = turn(&mut fixture.moving);
    assert_eq!((seen.moved[0], seen.computed[0]), (6, 0));
    let text = fixture.machine.dump().to_string();
    assert_eq!(text.matches("active at \"compute\"").count(), 6, "{text}");
    let (seen, progress) = turn(&mut fixture.computing);
    assert_eq!((seen.moved[0], seen.computed[0]), (0, 4));
    assert_eq!(progress, Progress::More, "two are left");
    let (seen, _) = turn(&mut fixture.computing);
    assert_eq!(seen.computed[0], 2);
}

#[test]
fn each_driver_sleeps_through_the_changes_of_the_other() {
    let mut fixture = Fixture::new(0);
    turn(&mut fixture.moving);
    turn(&mut fixture.computing);
    let (moving, computing) = (fixture.moving.watch(), fixture.computing.watch());
    let handle = fixture.machine.allocate(0).unwrap();
    assert!(moving.has_moved());
    assert!(!computing.has_moved());
    while turn(&mut fixture.moving).1 == Progress::More {}
    assert!(computing.has_moved(), "a state was handed over");
    while turn(&mut fixture.computing).1 == Progress::More {}
    assert!(!fixture.machine.is_live(handle));
    let (moving, computing) = (fixture.moving.watch(), fixture.computing.watch());
    fixture.machine.counter_of(Workload::CPU).ring();
    assert!(computing.has_moved() && !moving.has_moved());
    assert_eq!(computing.sleep(|| ()), None);
    assert_eq!(moving.sleep(|| "slept"), Some("slept"));
}

#[test]
fn a_driver_that_serves_all_takes_no_more_than_the_point_allows() {
    let machine: Machine<u8, Shared> = Machine::heap(CAPACITY);
    for _ in 0..10 {
        machine.allocate(1).unwrap();
    }
    let mut driver = machine.driver().unwrap();
    let mut sizes = Vec::new();
    while machine.live() > 0 {
        let (seen, _) = turn(&mut driver);
        sizes.push(seen.computed[0]);
        if sizes.len() == 3 {
            for handle in machine.handles() {
                machine.wake(handle).unwrap();
            }
        }
    }
    assert_eq!(sizes, [4, 4, 2, 4, 4, 2]);
}

/// Those who wait are not starved by those who arrive.
#[test]
fn at_a_point_with_small_batches_nobody_starves() {
    let machine: Machine<u8, Shared> = Machine::heap(CAPACITY);
    let mut driver = machine.driver().unwrap();
    let first = machine.allocate(1).unwrap();
    turn(&mut driver);
    for _ in 0..50 {
        machine.allocate(1).unwrap();
    }
    machine.wake(first).unwrap();
    for _ in 0..20 {
        while machine.allocate(1).is_ok() {}
        turn(&mut driver);
    }
    // 100 slots are taken four at a time, in address order.
    for _ in 0..26 {
        turn(&mut driver);
    }
    assert!(!machine.is_live(first));
}

#[test]
fn without_counters_of_their_own_workloads_share_the_first() {
    let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(4).drivers(2));
    let computing = machine.driver_for(Workload::CPU).unwrap();
    let mut moving = machine.driver_for(Workload::IO).unwrap();
    let watch = computing.watch();
    assert!(!watch.has_moved());
    machine.allocate(1).unwrap();
    assert!(watch.has_moved());
    turn(&mut moving);
    assert!(core::ptr::eq(
        machine.counter(),
        machine.counter_of(Workload::custom(5))
    ));
}

#[test]
fn a_local_machine_serves_all_with_one_counter() {
    fn entry(cx: &mut Turn<'_, u8>) {
        let new = cx.arrivals();
        cx.stage(point!("compute", Workload::CPU), new)
            .advance(|rounds, me| match rounds.checked_sub(1) {
                Some(left) => {
                    *rounds = left;
                    me.waker().wake().unwrap();
                    Step::Wait
                }
                None => Step::Release,
            });
    }
    let machine: Machine<u8> = Machine::heap(Capacity::slots(9).workloads(3));
    let mut driver = machine.driver().unwrap();
    for _ in 0..9 {
        machine.allocate(3).unwrap();
    }
    while driver.turn(entry).unwrap() == Progress::More {}
    assert_eq!(machine.live(), 0);
}
