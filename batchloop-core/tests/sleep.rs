//! Nothing that may concern a driver is slept through, whatever makes the change and on whatever thread.
#![cfg(all(feature = "alloc", not(loom)))]

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use batchloop_core::{machine::Admits, program::ProgramPoint, slab::Wrap, *};

/// Counts its rings, and panics if it is told to.
#[derive(Default)]
struct Counts {
    rings: AtomicUsize,
    breaks: AtomicBool,
}

impl Bell for Counts {
    fn ring(&self) {
        self.rings.fetch_add(1, Ordering::Relaxed);
        if self.breaks.load(Ordering::Relaxed) {
            resume_unwind(Box::new("the bell breaks"));
        }
    }
}

fn with_bell<T: 'static, A: Access>(machine: Machine<T, A>) -> &'static Counts {
    let bell: &'static Counts = Box::leak(Box::default());
    machine.set_bell(bell).unwrap();
    bell
}

impl Counts {
    fn rings(&self) -> usize {
        self.rings.swap(0, Ordering::Relaxed)
    }
}

struct State {
    stays: bool,
}

fn entry<A: Access>(cx: &mut Turn<'_, State, A>) {
    let new = cx.arrivals();
    cx.stage(point!("wait"), new)
        .advance(|state, _| match state.stays {
            true => Step::Wait,
            false => Step::Release,
        });
}

fn quiet<A: Access>(driver: &mut Driver<State, A>) {
    while driver.turn(entry).unwrap() == Progress::More {}
}

fn stay() -> State {
    State { stays: true }
}

type Change<A> = fn(Machine<State, A>, Handle<State>);

/// What a thread may do to a machine whose driver sleeps, so that the driver must look.
fn changes<A: Access>() -> [Change<A>; 7] {
    [
        |machine, _| {
            let _ = machine.allocate(stay()).unwrap();
        },
        |machine, _| {
            let _ = machine.reserve().map(|slot| slot.commit(stay()));
        },
        |machine, state| machine.wake(state).unwrap(),
        |machine, state| machine.post(state, Events::READABLE).unwrap(),
        |machine, state| machine.post_token(state.token(), Events::NONE).unwrap(),
        |machine, state| machine.waker(state).wake().unwrap(),
        |machine, state| {
            let wake = |_: &mut State| Reaction::Wake;
            assert!(machine.signal(state, wake).is_ok());
        },
    ]
}

fn changes_of_the_own_thread<A: Admits<State>>() {
    for change in changes::<A>() {
        let machine: Machine<State, A> = Machine::heap(Capacity::slots(4));
        let bell = with_bell(machine);
        let mut driver = machine.driver().unwrap();
        let state = machine.allocate(stay()).unwrap();
        quiet(&mut driver);
        assert_eq!(bell.rings(), 0, "nothing sleeps");
        let asleep = driver.watch().announce().unwrap();
        change(machine, state);
        assert_eq!(bell.rings(), 1);
        assert!(driver.watch().is_due());
        drop(asleep);
    }
}

#[test]
fn a_change_of_the_own_thread_ends_a_sleep() {
    changes_of_the_own_thread::<Local>();
    changes_of_the_own_thread::<Shared>();
}

/// Ways for a slot to become free or to be lost.
fn ends<A: Access>() -> [Change<A>; 2] {
    [
        |machine, state| machine.release(state).unwrap(),
        |machine, state| {
            let last = machine.signal(state, |state: &mut State| {
                state.stays = false;
                Reaction::Wake
            });
            assert!(last.is_ok());
            quiet(&mut machine.driver().unwrap());
        },
    ]
}

fn every_end_rings<A: Admits<State>>() {
    for (wrap, end) in [Wrap::Reuse, Wrap::Retire]
        .into_iter()
        .flat_map(|wrap| ends::<A>().map(|end| (wrap, end)))
    {
        let capacity = Capacity::slots(2).drivers(2).version_bits(1).wrap(wrap);
        let machine: Machine<State, A> = Machine::heap(capacity);
        let bell = with_bell(machine);
        let mut driver = machine.driver().unwrap();
        let state = machine.allocate(stay()).unwrap();
        quiet(&mut driver);
        machine.ring_when_freed();
        let asleep = driver.watch().announce().unwrap();
        end(machine, state);
        assert!(bell.rings() >= 1, "{wrap:?}");
        assert!(driver.watch().is_due());
        assert_eq!(machine.live(), 0);
        drop(asleep);
    }
}

#[test]
fn every_end_of_a_state_rings_whatever_becomes_of_its_slot() {
    every_end_rings::<Local>();
    every_end_rings::<Shared>();
}

fn a_reservation_that_is_dropped_rings<A: Admits<State>>() {
    for (wrap, is_told) in [
        (Wrap::Reuse, false),
        (Wrap::Reuse, true),
        (Wrap::Retire, false),
        (Wrap::Retire, true),
    ] {
        let capacity = Capacity::slots(2).version_bits(1).wrap(wrap);
        let machine: Machine<State, A> = Machine::heap(capacity);
        let bell = with_bell(machine);
        let mut driver = machine.driver().unwrap();
        let reservation = machine.reserve().unwrap();
        if is_told {
            let _ = reservation.handle();
        }
        quiet(&mut driver);
        machine.ring_when_freed();
        let asleep = driver.watch().announce().unwrap();
        drop(reservation);
        assert_eq!((bell.rings(), machine.live()), (1, 0));
        drop(asleep);
    }
}

#[test]
fn a_reservation_that_is_dropped_rings_whatever_becomes_of_its_slot() {
    a_reservation_that_is_dropped_rings::<Local>();
    a_reservation_that_is_dropped_rings::<Shared>();
}

fn compute<A: Access>(cx: &mut Turn<'_, State, A>) {
    let new = cx.arrivals();
    cx.stage(point!("compute", Workload::CPU), new)
        .advance(|state, _| match state.stays {
            true => Step::Wait,
            false => Step::Release,
        });
}

fn drivers_by_workload<A: Admits<State>>() {
    let capacity = Capacity::slots(4).drivers(2).workloads(2);
    let machine: Machine<State, A> = Machine::heap(capacity);
    let bell = with_bell(machine);
    let mut io = machine.driver_for(Workload::IO).unwrap();
    let mut cpu = machine.driver_for(Workload::CPU).unwrap();
    let state = machine.allocate(stay()).unwrap();
    while io.turn(compute).unwrap() == Progress::More {}
    assert!(cpu.watch().is_due(), "a state has come to its point");
    while cpu.turn(compute).unwrap() == Progress::More {}
    for change in changes::<A>() {
        let asleep = (
            io.watch().announce().expect("IO has nothing to do"),
            cpu.watch().announce().expect("CPU has nothing to do"),
        );
        change(machine, state);
        assert!(bell.rings() > 0);
        drop(asleep);
        assert!(io.watch().is_due() || cpu.watch().is_due());
        // What is due has its turn, in either order, until both may sleep.
        let mut turns = 0;
        while io.watch().is_due() || cpu.watch().is_due() {
            turns += 1;
            assert!(turns < 10);
            if io.watch().is_due() {
                io.turn(compute).unwrap();
            }
            if cpu.watch().is_due() {
                cpu.turn(compute).unwrap();
            }
        }
        let text = machine.dump().to_string();
        assert!(!text.contains("active"), "slept through: {text}");
        let all: Vec<_> = machine.handles().filter(|other| *other != state).collect();
        all.into_iter()
            .for_each(|other| machine.release(other).unwrap());
        while io.watch().is_due() || cpu.watch().is_due() {
            io.turn(compute).unwrap();
            cpu.turn(compute).unwrap();
        }
        bell.rings();
    }
}

#[test]
fn a_driver_of_one_workload_hears_of_what_comes_to_its_points() {
    drivers_by_workload::<Local>();
    drivers_by_workload::<Shared>();
}

/// The only driver there is serves a workload with a counter of its own, and its state stays active, or wakes itself as
/// another thread would.
fn a_restless_state<A: Admits<State>>(wakes_itself: bool) {
    let machine: Machine<State, A> = Machine::heap(Capacity::slots(4).workloads(2));
    machine.allocate(stay()).unwrap();
    let restless = |cx: &mut Turn<'_, State, A>| {
        let new = cx.arrivals();
        cx.stage(point!("compute", Workload::CPU), new)
            .advance(|_, me| {
                if wakes_itself {
                    me.waker().wake().unwrap();
                    return Step::Wait;
                }
                Step::Again
            });
    };
    let mut io = machine.driver_for(Workload::IO).unwrap();
    while io.turn(restless).unwrap() == Progress::More {}
    drop(io);
    let mut cpu = machine.driver_for(Workload::CPU).unwrap();
    for _ in 0..5 {
        assert_eq!(cpu.turn(restless), Ok(Progress::More));
        assert!(cpu.watch().announce().is_none());
    }
}

#[test]
fn a_state_of_another_workload_that_wakes_itself_keeps_its_driver_awake() {
    for wakes_itself in [false, true] {
        a_restless_state::<Local>(wakes_itself);
        a_restless_state::<Shared>(wakes_itself);
    }
}

fn before() -> &'static ProgramPoint {
    point!("before")
}

fn one_at_a_time() -> &'static ProgramPoint {
    point!("at most one", Workload::IO, at_most: 1)
}

fn both() -> &'static ProgramPoint {
    point!("both")
}

/// Ends what is found at any of the places.
fn release_all<A: Access>(cx: &mut Turn<'_, State, A>) {
    cx.arrivals().release();
    for point in [before(), one_at_a_time(), both()] {
        cx.waiting::<State>(point).release();
    }
}

/// Where a bell may break while a turn has states in hand.
const PLACES: usize = 6;

fn breaking<A: Access>(cx: &mut Turn<'_, State, A>, place: usize) {
    let one = cx.arrivals();
    let two = cx.waiting::<State>(before());
    match place {
        0 => drop((one, two)),
        1 => drop(one.merge(two)),
        2 => {
            let one = one.for_each(|_, _| ());
            let (some, others) = one.partition(|state, _| state.stays);
            drop((two, others, some));
        }
        3 => {
            drop(cx.stage(one_at_a_time(), one));
            drop(two);
        }
        4 => {
            let machine = cx.machine();
            one.advance(|_, me| {
                machine.wake(me.handle()).unwrap();
                Step::Wait
            });
            drop(two);
        }
        _ => {
            let both = cx.stage(both(), one);
            drop((both, two));
        }
    }
}

fn no_state_is_lost<A: Admits<State>>() {
    for (place, batch) in (0..PLACES).flat_map(|place| [(place, 2), (place, 8)]) {
        let capacity = Capacity::slots(8).batch(batch).drivers(2);
        let machine: Machine<State, A> = Machine::heap(capacity);
        let bell = with_bell(machine);
        let mut sleeping = machine.driver().unwrap();
        let mut driver = machine.driver().unwrap();
        for _ in 0..8 {
            machine.allocate(stay()).unwrap();
        }
        while sleeping.turn(|_| ()).unwrap() == Progress::More {}
        let asleep = sleeping.watch().announce().unwrap();
        bell.breaks.store(true, Ordering::Relaxed);
        for _ in 0..3 {
            let turn = AssertUnwindSafe(|| driver.turn(|cx| breaking(cx, place)));
            let _ = catch_unwind(turn);
            let text = machine.dump().to_string();
            assert!(
                !text.contains("in a batch") && !text.contains("waits"),
                "{text}"
            );
            assert_eq!(machine.live(), 8);
        }
        bell.breaks.store(false, Ordering::Relaxed);
        drop(asleep);
        // Each of them is still found, though the way is another one.
        for _ in 0..20 {
            let _ = driver.turn(release_all);
        }
        assert_eq!(machine.live(), 0, "{}", machine.dump());
    }
}

#[test]
fn a_bell_that_panics_loses_no_state() {
    no_state_is_lost::<Local>();
    no_state_is_lost::<Shared>();
}

#[test]
fn a_ring_that_has_panicked_is_made_up_for() {
    let capacity = Capacity::slots(8).batch(2).drivers(2);
    let machine: Machine<State, Shared> = Machine::heap(capacity);
    let bell = with_bell(machine);
    let (mut driver, mut sleeping) = (machine.driver().unwrap(), machine.driver().unwrap());
    for _ in 0..8 {
        machine.allocate(stay()).unwrap();
    }
    while sleeping.turn(|_| ()).unwrap() == Progress::More {}
    let _asleep = sleeping.watch().announce().unwrap();
    bell.breaks.store(true, Ordering::Relaxed);
    let turn = AssertUnwindSafe(|| driver.turn(|cx| cx.arrivals().release()));
    assert!(catch_unwind(turn).is_err());
    assert_eq!(
        bell.rings(),
        1,
        "it is not rung again while the panic goes on"
    );
    machine.counter().ring();
    assert_eq!(bell.rings(), 0);
    bell.breaks.store(false, Ordering::Relaxed);
    let progress = driver.turn(|_| ());
    assert!(bell.rings() > 0);
    assert!(progress.is_ok());
}
