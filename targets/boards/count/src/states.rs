//! The work as states of a machine.

use core::hint::black_box;

use batchloop_core::{
    Capacity, Handle, Machine, Progress, Step, Turn, Waker, machine::Admits, point, storage,
};
use board::firmware::semihosting::println;

use crate::{TASKS, clock::Clock, measure as rounds};

const ONE: Capacity = Capacity::slots(TASKS).points(1).scopes(0);
const EIGHT: Capacity = Capacity::slots(TASKS).points(8).scopes(0);
storage!(static LOCAL: State = ONE);
storage!(static LOCAL_EIGHT: State = EIGHT);
storage!(static SHARED: State = ONE);

pub(crate) struct State {
    pub(crate) sum: u32,
    pub(crate) point: usize,
}

impl State {
    pub(crate) fn work(&mut self) {
        self.sum = black_box(self.sum.wrapping_add(1));
    }
}

/// All states wait at one point.
fn one<A: Admits<State>>(cx: &mut Turn<'_, State, A>) {
    let new = cx.arrivals();
    cx.stage(point!("one"), new).advance(|state, _| {
        state.work();
        Step::Wait
    });
}

/// The states wait at eight points, evenly.
fn eight<A: Admits<State>>(cx: &mut Turn<'_, State, A>) {
    let at = |index| {
        move |state: &mut State, _: batchloop_core::Me<State, A>| {
            if state.point == index {
                state.work();
                Step::Wait
            } else {
                Step::Next
            }
        }
    };
    let passing = cx.arrivals();
    let passing = cx.stage(point!(), passing).advance(at(0));
    let passing = cx.stage(point!(), passing).advance(at(1));
    let passing = cx.stage(point!(), passing).advance(at(2));
    let passing = cx.stage(point!(), passing).advance(at(3));
    let passing = cx.stage(point!(), passing).advance(at(4));
    let passing = cx.stage(point!(), passing).advance(at(5));
    let passing = cx.stage(point!(), passing).advance(at(6));
    cx.stage(point!(), passing).advance(at(7));
}

/// Rounds in which the driver's own thread wakes, and others in which a waker does, as an interrupt handler would.
fn machine<A: Admits<State>>(
    clock: &Clock,
    names: [&str; 2],
    machine: Machine<State, A>,
    entry: fn(&mut Turn<'_, State, A>),
) {
    let mut handles: [Option<Handle<State>>; TASKS] = [None; TASKS];
    for (index, handle) in handles.iter_mut().enumerate() {
        let state = State {
            sum: 0,
            point: index % 8,
        };
        *handle = machine.allocate(state).ok();
    }
    let wakers: [Option<Waker<A>>; TASKS] =
        handles.map(|handle| handle.map(|handle| machine.waker(handle)));
    let Ok(mut driver) = machine.driver() else {
        return;
    };
    let mut run = || while matches!(driver.turn(entry), Ok(Progress::More)) {};
    for woken in [TASKS, 1] {
        rounds(clock, names[0], woken, |woken| {
            for handle in handles[..woken].iter().flatten() {
                let _ = machine.wake(*handle);
            }
            run();
        });
        rounds(clock, names[1], woken, |woken| {
            for waker in wakers[..woken].iter().flatten() {
                let _ = waker.wake();
            }
            run();
        });
    }
}

pub(crate) fn measure(clock: &Clock) {
    if let (Ok(one_local), Ok(eight_local), Ok(one_shared)) =
        (LOCAL.local(), LOCAL_EIGHT.local(), SHARED.shared())
    {
        machine(clock, ["local", "local_waker"], one_local, one);
        machine(
            clock,
            ["local_8_points", "local_8_points_waker"],
            eight_local,
            eight,
        );
        machine(clock, ["shared", "shared_waker"], one_shared, one);
    }
    let footprint = EIGHT.footprint::<State>();
    let beside = footprint.bookkeeping as u32 * 100 / TASKS as u32;
    let all = (footprint.bookkeeping + footprint.fixed) as u32 * 100 / TASKS as u32;
    println!("bytes_a_state {}.{:02}", beside / 100, beside % 100);
    println!(
        "bytes_a_state_with_all_that_is_fixed {}.{:02}",
        all / 100,
        all % 100
    );
}
