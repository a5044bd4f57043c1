//! What turns cost in which little happens, and what a driver does between two of them.

use core::hint::black_box;

use batchloop_core::{
    Capacity, Driver, Machine, Me, Progress, Step, Turn, Waker, Watch, machine::Admits, point,
    storage,
};

use crate::{clock::Clock, print_each, states::State};

/// States, one at each point.
const STATES: usize = 16;
const CAPACITY: Capacity = Capacity::slots(STATES).points(STATES).scopes(0);
storage!(static LOCAL: State = CAPACITY);
storage!(static LOCAL_EIGHT: State = CAPACITY);
storage!(static SHARED: State = CAPACITY);

/// A state works if it is at its point, and goes on if it is not.
fn at<A: Admits<State>>(index: usize) -> impl FnMut(&mut State, Me<State, A>) -> Step {
    move |state, _| {
        if state.point == index {
            state.work();
            Step::Wait
        } else {
            Step::Next
        }
    }
}

/// One stage after the other; the last one keeps what comes.
macro_rules! stages {
    ($cx:ident, $($index:literal)*) => {
        let passing = $cx.arrivals();
        $(let passing = $cx.stage(point!(), passing).advance(at($index));)*
        passing.advance(|_, _| Step::Wait);
    };
}

fn eight<A: Admits<State>>(cx: &mut Turn<'_, State, A>) {
    stages!(cx, 0 1 2 3 4 5 6 7);
}

fn sixteen<A: Admits<State>>(cx: &mut Turn<'_, State, A>) {
    stages!(cx, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
}

type Entry<A> = fn(&mut Turn<'_, State, A>);

fn turn<A: Admits<State>>(driver: &mut Driver<State, A>, entry: Entry<A>) -> bool {
    black_box(matches!(driver.turn(entry), Ok(Progress::More)))
}

#[inline(never)]
fn wake<A: Admits<State>>(waker: &Waker<A>) {
    let _ = black_box(waker.wake());
}

/// Turns with nothing active, and such before which an interrupt handler would have woken one. Returns what the first cost.
fn turns<A: Admits<State>>(
    clock: &Clock,
    [quiet, woken]: [&str; 2],
    machine: Machine<State, A>,
    entry: Entry<A>,
) -> u64 {
    let mut waker = None;
    for point in 0..STATES {
        if let Ok(handle) = machine.allocate(State { sum: 0, point })
            && point == STATES / 4
        {
            waker = Some(machine.waker(handle));
        }
    }
    let (Ok(mut driver), Some(waker)) = (machine.driver(), waker) else {
        return 0;
    };
    while turn(&mut driver, entry) {}
    let cost = clock.each_hundredths(|| {
        turn(&mut driver, entry);
    });
    print_each(quiet, cost);
    print_each(
        woken,
        clock.each_hundredths(|| {
            wake(&waker);
            turn(&mut driver, entry);
        }),
    );
    cost
}

/// What the check takes before a driver sleeps: with interrupts held back.
fn look(clock: &Clock, watch: Watch) {
    let held = || critical_section::with(|_| black_box(()));
    let looked = || critical_section::with(|_| black_box(black_box(&watch).is_due()));
    let beside = clock.each_hundredths(held);
    let cost = clock.each_hundredths(|| {
        looked();
    });
    print_each("sleep_masked", cost.saturating_sub(beside));
}

pub(crate) fn measure(clock: &Clock) {
    let (Ok(local), Ok(local_eight), Ok(shared)) =
        (LOCAL.local(), LOCAL_EIGHT.local(), SHARED.shared())
    else {
        return;
    };
    let names = ["local_16_points_quiet", "local_16_points_woken"];
    let of_sixteen = turns(clock, names, local, sixteen);
    let names = ["local_8_points_quiet", "local_8_points_woken"];
    let of_eight = turns(clock, names, local_eight, eight);
    print_each("local_quiet_stage", of_sixteen.saturating_sub(of_eight) / 8);
    let names = ["shared_16_points_quiet", "shared_16_points_woken"];
    turns(clock, names, shared, sixteen);
    if let Ok(mut driver) = local.driver() {
        while turn(&mut driver, sixteen) {}
        look(clock, driver.watch());
    }
}
