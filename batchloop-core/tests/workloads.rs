//! Drivers that serve some workloads, and points with small batches.
#![cfg(all(feature = "alloc", not(loom)))]

use batchloop_core::{sleep::BellTaken, *};

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
            .advance(|rounds, _| match rounds.checked_sub(1) {
                Some(left) => {
                    *rounds = left;
                    Step::Again
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

struct Quiet(u8);

impl Bell for Quiet {
    fn ring(&self) {}
}

/// Passes its rings on to the other bell.
struct Passing(&'static Quiet);

impl Bell for Passing {
    fn ring(&self) {
        self.0.ring();
    }

    fn reaches(&self, sleeper: &dyn Bell) -> bool {
        self.0.reaches(sleeper)
    }
}

static ONE: Quiet = Quiet(1);
static OTHER: Quiet = Quiet(2);
static PASSING: Passing = Passing(&OTHER);

#[test]
fn counters_get_a_bell_together_or_keep_what_they_have() {
    let counters = [Workload::IO, Workload::CPU, Workload::custom(0)];
    for taken in counters {
        let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(1).workloads(3));
        machine.set_bell_for(taken, &ONE).unwrap();
        assert_eq!(machine.set_bell(&OTHER), Err(BellTaken));
        let others = counters.into_iter().filter(|other| *other != taken);
        for other in others.clone() {
            assert_eq!(machine.set_bell_for(taken | other, &OTHER), Err(BellTaken));
            assert!(!machine.counter_of(other).has_bell(), "nothing has changed");
        }
        machine
            .set_bell_for(others.collect::<Workloads>(), &OTHER)
            .unwrap();
    }
}

#[test]
fn a_workload_without_a_counter_of_its_own_has_the_first_bell() {
    let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(1).workloads(2));
    machine.set_bell_for(Workload::custom(5), &ONE).unwrap();
    assert!(machine.counter().has_bell());
    assert!(!machine.counter_of(Workload::CPU).has_bell());
    assert_eq!(
        machine.set_bell_for(Workload::IO, &OTHER),
        Err(BellTaken),
        "it is the same counter"
    );
    machine.set_bell_for(Workloads::NONE, &OTHER).unwrap();
}

#[test]
fn a_watch_knows_whether_a_bell_is_rung_for_all_its_workloads() {
    let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(1).workloads(3).drivers(4));
    machine.set_bell_for(Workload::IO, &ONE).unwrap();
    machine.set_bell_for(Workload::CPU, &PASSING).unwrap();
    let watch = |serves: Workloads| machine.driver_for(serves).unwrap().watch();
    let moving = watch(Workload::IO.into());
    assert!(moving.is_rung_by(&ONE) && !moving.is_rung_by(&OTHER));
    let computing = watch(Workload::CPU.into());
    assert!(!computing.is_rung_by(&ONE) && computing.is_rung_by(&OTHER));
    let both = watch(Workload::IO | Workload::CPU);
    assert!(!both.is_rung_by(&ONE) && !both.is_rung_by(&OTHER));
    let unheard = watch(Workload::custom(0).into());
    assert!(!unheard.is_rung_by(&ONE), "its counter has no bell");
    assert_eq!((ONE.0, OTHER.0), (1, 2));
}

/// A driver that could not allocate may serve any workload.
#[test]
fn a_slot_that_is_given_back_is_news_for_every_workload() {
    let machine: Machine<u8, Shared> = Machine::heap(CAPACITY);
    let mut computing = machine.driver_for(Workload::CPU).unwrap();
    let held = machine.reserve().unwrap();
    turn(&mut computing);
    machine.ring_when_freed();
    assert!(!computing.watch().has_moved());
    drop(held);
    assert!(computing.watch().has_moved());
}
