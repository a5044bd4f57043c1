//! Panics in user code: one state ends, nothing else is lost, and the driver goes on.
#![cfg(all(feature = "alloc", not(loom)))]

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use batchloop_core::{machine::Admits, program::ProgramPoint, *};

/// Panics without a message on standard error.
fn stop() -> ! {
    resume_unwind(Box::new("stop"))
}

struct Numbered {
    number: u32,
    /// Whether it panics when it is dropped.
    thorny: bool,
    _count: Arc<()>,
}

impl Drop for Numbered {
    fn drop(&mut self) {
        if self.thorny {
            stop();
        }
    }
}

/// A machine with states 0 to 4 that wait, active, at one point.
struct Fixture<A: Access> {
    machine: Machine<Numbered, A>,
    driver: Driver<Numbered, A>,
    handles: Vec<Handle<Numbered>>,
    count: Arc<()>,
}

fn work() -> &'static ProgramPoint {
    point!("work")
}

impl<A: Admits<Numbered>> Fixture<A> {
    fn new() -> Self {
        let machine: Machine<Numbered, A> = Machine::heap(Capacity::slots(5).points(2).scopes(1));
        let mut driver = machine.driver().unwrap();
        let count = Arc::new(());
        let state = |number| Numbered {
            number,
            thorny: false,
            _count: count.clone(),
        };
        let allocate = |number| machine.allocate(state(number)).unwrap();
        let handles: Vec<_> = (0..5).map(allocate).collect();
        let turn = driver.turn(|cx| {
            let new = cx.arrivals();
            cx.stage(work(), new).advance(|_, _| Step::Wait);
        });
        turn.unwrap();
        for handle in &handles {
            machine.wake(*handle).unwrap();
        }
        Fixture {
            machine,
            driver,
            handles,
            count,
        }
    }

    /// Runs one turn that panics.
    fn panics(&mut self, body: impl for<'t> FnOnce(Batch<'t, Numbered, A>)) {
        let turn = catch_unwind(AssertUnwindSafe(|| {
            self.driver.turn(|cx| {
                let _ = cx.arrivals().len();
                body(cx.waiting(work()));
            })
        }));
        assert!(turn.is_err(), "the panic goes on to whoever called `turn`");
    }

    /// Only `ended` has ended, and exactly `active` of the others come again in the next turn. The slot that was
    /// given back can be used.
    fn check(&mut self, ended: &[u32], active: &[u32]) {
        let text = self.machine.dump().to_string();
        assert!(!text.contains("in a batch"), "{text}");
        assert_eq!(self.machine.live(), 5 - ended.len());
        assert_eq!(Arc::strong_count(&self.count), 6 - ended.len());
        for (number, handle) in (0..).zip(&self.handles) {
            assert_eq!(self.machine.is_live(*handle), !ended.contains(&number));
        }
        let mut seen = Vec::new();
        let turn = self.driver.turn(|cx| {
            let _ = cx.arrivals().len();
            cx.waiting::<Numbered>(work()).advance(|state, _| {
                seen.push(state.number);
                Step::Wait
            });
        });
        turn.unwrap();
        assert_eq!(seen, active);
        for (number, handle) in (0..).zip(&self.handles) {
            let answer = self.machine.signal(*handle, |_| Reaction::Wake);
            assert_eq!(answer.is_ok(), !ended.contains(&number));
        }
        if let Some(first) = ended.first() {
            let again = self.machine.allocate(Numbered {
                number: 9,
                thorny: false,
                _count: self.count.clone(),
            });
            assert_eq!(again.unwrap().slot(), *first as usize);
        }
    }
}

/// Each test, on a machine of each kind.
macro_rules! on_both {
    ($($name:ident: $test:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            $test(Fixture::<Local>::new());
            $test(Fixture::<Shared>::new());
        }
    )*};
}

on_both! {
    a_panic_in_advance_ends_one_state_and_puts_the_others_back: advance,
    a_panic_in_a_later_pass_puts_those_back_that_had_gone_on: second_pass,
    a_panic_in_for_each_ends_one_state: for_each,
    a_panic_in_partition_puts_both_parts_back: partition,
    a_panic_between_two_passes_puts_everything_back: between,
    a_panic_in_a_field_ends_the_whole_state: field,
    a_panic_in_a_signal_ends_its_state: signal,
    a_panic_in_a_hook_ends_its_state: hook,
    a_panic_in_a_hook_on_a_state_of_the_batch_ends_that_one: hook_within,
    a_panic_in_drop_still_frees_the_slot: drop_of_payload,
    a_panic_in_drop_of_a_cancelled_state_still_frees_the_slot: drop_of_cancelled,
    a_panic_in_debug_ends_its_state: debug,
    a_panic_in_the_entry_point_leaves_a_driver_that_goes_on: entry,
}

fn advance<A: Admits<Numbered>>(mut fixture: Fixture<A>) {
    fixture.panics(|batch| {
        batch.advance(|state, _| match state.number {
            0 => Step::Next,
            1 => Step::Wait,
            2 => stop(),
            _ => unreachable!("the pass has ended"),
        });
    });
    fixture.check(&[2], &[0, 3, 4]);
}

fn second_pass<A: Admits<Numbered>>(mut fixture: Fixture<A>) {
    fixture.panics(|batch| {
        let all = batch.for_each(|_, _| ());
        all.advance(|state, _| match state.number {
            3 => stop(),
            _ => Step::Wait,
        });
    });
    fixture.check(&[3], &[4]);
}

fn for_each<A: Admits<Numbered>>(mut fixture: Fixture<A>) {
    fixture.panics(|batch| {
        let _ = batch.for_each(|state, _| {
            if state.number == 4 {
                stop();
            }
        });
    });
    fixture.check(&[4], &[0, 1, 2, 3]);
}

fn partition<A: Admits<Numbered>>(mut fixture: Fixture<A>) {
    fixture.panics(|batch| {
        let _ = batch.partition(|state, _| match state.number {
            3 => stop(),
            number => number % 2 == 0,
        });
    });
    fixture.check(&[3], &[0, 1, 2, 4]);
}

/// As `partition`, where another batch leaves no room to put the others aside.
fn crowded_partition<A: Admits<u32>>() {
    let machine: Machine<u32, A> = Machine::heap(Capacity::slots(10).points(2).scopes(0).batch(5));
    let mut driver = machine.driver().unwrap();
    let points = [point!("low"), point!("high")];
    for number in 0..10 {
        machine.allocate(number).unwrap();
    }
    for _ in 0..3 {
        let turn = driver.turn(|cx| {
            let (low, high) = cx.arrivals().partition(|number, _| *number < 5);
            cx.stage(points[0], low).advance(|_, _| Step::Wait);
            cx.stage(points[1], high).advance(|_, _| Step::Wait);
        });
        turn.unwrap();
    }
    for handle in machine.handles() {
        machine.wake(handle).unwrap();
    }
    let turn = catch_unwind(AssertUnwindSafe(|| {
        driver.turn(|cx| {
            let _ = cx.arrivals().len();
            let low = cx.waiting::<u32>(points[0]);
            let high = cx.waiting::<u32>(points[1]);
            assert_eq!((low.len(), high.len()), (5, 4));
            let _ = low.partition(|number, _| match *number {
                3 => stop(),
                number => number % 2 == 1,
            });
        })
    }));
    assert!(turn.is_err());
    let mut seen = Vec::new();
    let mut see = |batch: Batch<'_, u32, A>| {
        drop(batch.advance(|number, _| {
            seen.push(*number);
            Step::Wait
        }));
    };
    let mut round = || {
        driver.turn(|cx| {
            let _ = cx.arrivals().len();
            for point in points {
                see(cx.waiting(point));
            }
        })
    };
    // The take at the second point stopped in the middle and goes on from there, which needs another turn.
    assert_eq!(round(), Ok(Progress::More));
    assert_eq!(round(), Ok(Progress::Quiet));
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_panic_in_partition_without_room_puts_both_parts_back() {
    crowded_partition::<Local>();
    crowded_partition::<Shared>();
}

fn between<A: Admits<Numbered>>(mut fixture: Fixture<A>) {
    fixture.panics(|batch| {
        let (even, odd) = batch.partition(|state, _| state.number % 2 == 0);
        assert_eq!((even.len(), odd.len()), (3, 2));
        stop();
    });
    fixture.check(&[], &[0, 1, 2, 3, 4]);
}

fn field<A: Admits<Numbered>>(mut fixture: Fixture<A>) {
    fixture.panics(|batch| {
        batch
            .project(field!(Numbered, number))
            .advance(|number, _| match *number {
                1 => stop(),
                _ => Step::Wait,
            });
    });
    fixture.check(&[1], &[2, 3, 4]);
}

fn signal<A: Admits<Numbered>>(mut fixture: Fixture<A>) {
    let (machine, handle) = (fixture.machine, fixture.handles[2]);
    let signalled = catch_unwind(AssertUnwindSafe(|| machine.signal(handle, |_| stop())));
    assert!(signalled.is_err(), "the panic goes on to who signalled");
    fixture.check(&[2], &[0, 1, 3, 4]);
}

fn panicking(_: &mut Numbered, _: ()) -> Reaction {
    stop()
}

fn hook<A: Admits<Numbered>>(mut fixture: Fixture<A>) {
    let mut hooks = Vec::new();
    let turn = fixture.driver.turn(|cx| {
        let _ = cx.arrivals().len();
        let here = cx.waiting::<Numbered>(work());
        here.advance(|_, me| {
            hooks.push(me.hook(panicking));
            Step::Wait
        });
    });
    turn.unwrap();
    let signalled = catch_unwind(AssertUnwindSafe(|| hooks[1].signal(())));
    assert!(signalled.is_err());
    assert_eq!(hooks[1].signal(()), Err(SignalError::Stale(())));
    fixture.check(&[1], &[]);
}

/// The state is in the hands of a batch when its hook panics, so its slot is freed when the batch comes to it.
fn hook_within<A: Admits<Numbered>>(mut fixture: Fixture<A>) {
    let mut hooks = Vec::new();
    let machine = fixture.machine;
    let turn = fixture.driver.turn(|cx| {
        let _ = cx.arrivals().len();
        let here = cx.waiting::<Numbered>(work());
        let owned = here.for_each(|_, me| hooks.push(me.hook(panicking)));
        let mut seen = Vec::new();
        owned.advance(|state, _| {
            seen.push(state.number);
            if state.number == 1 {
                let signalled = catch_unwind(AssertUnwindSafe(|| hooks[3].signal(())));
                assert!(signalled.is_err());
                assert_eq!(machine.live(), 5);
            }
            Step::Wait
        });
        assert_eq!(seen, [0, 1, 2, 4]);
    });
    turn.unwrap();
    fixture.check(&[3], &[]);
}

fn drop_of_payload<A: Admits<Numbered>>(mut fixture: Fixture<A>) {
    fixture.panics(|batch| {
        batch.advance(|state, _| match state.number {
            2 => {
                state.thorny = true;
                Step::Release
            }
            _ => Step::Next,
        });
    });
    fixture.check(&[2], &[0, 1, 3, 4]);
}

fn drop_of_cancelled<A: Admits<Numbered>>(mut fixture: Fixture<A>) {
    let (machine, handle) = (fixture.machine, fixture.handles[2]);
    let marked = machine.signal(handle, |state| {
        state.thorny = true;
        Reaction::Ignore
    });
    assert!(marked.is_ok());
    let released = catch_unwind(AssertUnwindSafe(|| machine.release(handle)));
    assert!(released.is_err());
    assert_eq!(machine.release(handle), Err(SignalError::Stale(())));
    fixture.check(&[2], &[0, 1, 3, 4]);
}

impl std::fmt::Debug for Numbered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.number {
            2 => stop(),
            number => write!(f, "number {number}"),
        }
    }
}

fn debug<A: Admits<Numbered>>(mut fixture: Fixture<A>) {
    let machine = fixture.machine;
    let printed = catch_unwind(AssertUnwindSafe(|| machine.dump().states().to_string()));
    assert!(printed.is_err());
    fixture.check(&[2], &[0, 1, 3, 4]);
}

fn entry<A: Admits<Numbered>>(mut fixture: Fixture<A>) {
    fixture.panics(|batch| {
        let owned = batch.for_each(|_, _| ());
        assert_eq!(owned.len(), 5);
        stop();
    });
    fixture.check(&[], &[0, 1, 2, 3, 4]);
}
