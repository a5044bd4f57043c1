//! States that poll futures, and drivers that are futures.
#![cfg(all(feature = "alloc", feature = "task-bell", not(loom)))]

use std::{
    future::{Pending, pending},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{self, Context, Poll, Wake},
    thread::{self, Thread},
};

use batchloop_core::{machine::Admits, signal::NoTasks, turn::TaskBell, *};

/// A value that another thread sends.
#[derive(Clone, Default)]
struct Letter(Arc<Mutex<(Option<u32>, Option<task::Waker>)>>);

impl Letter {
    fn send(&self, value: u32) {
        let mut letter = self.0.lock().unwrap();
        letter.0 = Some(value);
        if let Some(waker) = letter.1.take() {
            waker.wake();
        }
    }
}

impl Future for Letter {
    type Output = u32;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        let mut letter = self.0.lock().unwrap();
        letter.1 = Some(cx.waker().clone());
        letter.0.take().map_or(Poll::Pending, Poll::Ready)
    }
}

struct Reader {
    letter: Letter,
}

/// Runs until all letters are read.
fn read<A: Access>(cx: &mut Turn<'_, Reader, A>, sum: &mut u32) {
    let new = cx.arrivals();
    cx.stage(point!("letter"), new)
        .advance(|reader, me| match me.poll(&mut reader.letter) {
            Ok(Poll::Ready(value)) => {
                *sum += value;
                Step::Release
            }
            Ok(Poll::Pending) => Step::Wait,
            Err(NoTasks) => panic!("there is room"),
        });
    if cx.machine().live() == 0 {
        cx.stop();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

const LETTERS: u32 = 300;

/// Nothing else wakes the states, and nothing but the bell the driver: a wake that is lost is a test that hangs.
fn letters_reach_a_hosted_driver<A: Admits<Reader>>() {
    for _ in 0..20 {
        let bell: &'static TaskBell = Box::leak(Box::default());
        let capacity = Capacity::slots(LETTERS as usize).tasks(true);
        let machine: Machine<Reader, A> = Machine::heap(capacity);
        machine.set_bell(bell).unwrap();
        let letters: Vec<Letter> = (0..LETTERS).map(|_| Letter::default()).collect();
        for letter in &letters {
            let letter = letter.clone();
            assert!(machine.allocate(Reader { letter }).is_ok());
        }
        let senders = [0, 1].map(|odd| {
            let letters = letters.clone();
            thread::spawn(move || {
                for (number, letter) in letters.iter().enumerate() {
                    if number % 2 == odd {
                        letter.send(number as u32);
                        thread::yield_now();
                    }
                }
            })
        });
        let mut sum = 0;
        let mut driver = machine.driver().unwrap();
        block_on(driver.host(bell, |cx| read(cx, &mut sum))).unwrap();
        for sender in senders {
            sender.join().unwrap();
        }
        assert_eq!(sum, (0..LETTERS).sum());
    }
}

#[test]
fn letters_reach_a_local_machine() {
    letters_reach_a_hosted_driver::<Local>();
}

#[test]
fn letters_reach_a_shared_machine() {
    letters_reach_a_hosted_driver::<Shared>();
}

/// Keeps its task waker.
struct Keeps(Option<task::Waker>);

fn keep<A: Access>(cx: &mut Turn<'_, Keeps, A>, runs: &mut Vec<usize>) {
    let new = cx.arrivals();
    cx.stage(point!(), new).advance(|state, me| {
        runs.push(me.handle().slot());
        state.0 = me.task_waker().ok();
        Step::Wait
    });
}

fn a_waker_wakes_its_slot<A: Admits<Keeps>>() {
    let machine: Machine<Keeps, A> = Machine::heap(Capacity::slots(70).tasks(true));
    let mut driver = machine.driver().unwrap();
    let handles: Vec<_> = (0..70)
        .map(|_| machine.allocate(Keeps(None)).ok().unwrap())
        .collect();
    let mut runs = Vec::new();
    while driver.turn(|cx| keep(cx, &mut runs)).unwrap() == Progress::More {}
    for slot in [0, 33, 69] {
        let mut waker = None;
        let signalled = machine.signal(handles[slot], |state| {
            waker = state.0.clone();
            Reaction::Ignore
        });
        assert!(signalled.is_ok());
        let waker = waker.unwrap();
        assert!(waker.will_wake(&waker.clone()));
        runs.clear();
        waker.wake_by_ref();
        while driver.turn(|cx| keep(cx, &mut runs)).unwrap() == Progress::More {}
        assert_eq!(runs, [slot]);

        // After the end, it is the next tenant that is woken, for nothing; with nobody there, nobody is.
        machine.release(handles[slot]).unwrap();
        runs.clear();
        waker.wake_by_ref();
        while driver.turn(|cx| keep(cx, &mut runs)).unwrap() == Progress::More {}
        assert_eq!(runs, []);
        let next = machine.allocate(Keeps(None)).ok().unwrap();
        assert_eq!(next.slot(), slot);
        while driver.turn(|cx| keep(cx, &mut runs)).unwrap() == Progress::More {}
        runs.clear();
        waker.wake();
        while driver.turn(|cx| keep(cx, &mut runs)).unwrap() == Progress::More {}
        assert_eq!(runs, [slot]);
    }
}

#[test]
fn a_task_waker_wakes_its_slot() {
    a_waker_wakes_its_slot::<Local>();
    a_waker_wakes_its_slot::<Shared>();
}

storage!(static READERS: Pending<u8> = Capacity::slots(2).points(1).tasks(true));

#[test]
fn static_storage_has_room_for_tasks_and_other_storage_says_that_it_has_not() {
    let entry = |cx: &mut Turn<'_, Pending<u8>>, found: &mut Vec<bool>| {
        let new = cx.arrivals();
        cx.stage(point!(), new).advance(|future, me| {
            found.push(me.poll(future) == Ok(Poll::Pending));
            Step::Wait
        });
    };
    let without: Machine<Pending<u8>> = Machine::heap(Capacity::slots(2).points(1));
    for (machine, has_room) in [(READERS.local().unwrap(), true), (without, false)] {
        machine.allocate(pending()).unwrap();
        let mut found = Vec::new();
        machine
            .driver()
            .unwrap()
            .turn(|cx| entry(cx, &mut found))
            .unwrap();
        assert_eq!(found, [has_room]);
    }
    assert_eq!(
        NoTasks.to_string(),
        "the machine has no room for task wakers: `Capacity::tasks` is false"
    );
}

#[test]
fn a_wait_that_is_dropped_leaves_nothing_behind() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(1));
    let mut driver = machine.driver().unwrap();
    let bell = TaskBell::new();
    let mut context = Context::from_waker(task::Waker::noop());
    let mut at_first = Box::pin(bell.changed(driver.watch()));
    assert!(
        at_first.as_mut().poll(&mut context).is_ready(),
        "no turn yet"
    );
    assert_eq!(driver.turn(|_| ()), Ok(Progress::Quiet));
    let mut changed = Box::pin(bell.changed(driver.watch()));
    assert!(changed.as_mut().poll(&mut context).is_pending());
    assert!(changed.as_mut().poll(&mut context).is_pending());
    machine.counter().ring();
    assert!(changed.as_mut().poll(&mut context).is_ready());
    drop(changed);
    assert!(format!("{:?}", bell.changed(driver.watch())).contains("true"));
}

/// A sleep on a bell that changes do not ring would never end.
#[test]
fn a_task_that_would_not_be_woken_is_not_put_to_sleep() {
    static BELL: TaskBell = TaskBell::new();
    static OTHER: TaskBell = TaskBell::new();
    let refused = |wait: &mut dyn FnMut()| {
        let panic = catch_unwind(AssertUnwindSafe(wait)).expect_err("it is refused");
        let text = panic.downcast_ref::<String>().expect("a message");
        assert!(text.contains("does not have this bell"), "{text}");
    };
    let hosted = |driver: &mut Driver<u8, Shared>, bell: &TaskBell| {
        let mut context = Context::from_waker(task::Waker::noop());
        let mut hosted = pin!(driver.host(bell, |_| ()));
        while hosted.as_mut().poll(&mut context).is_ready() {}
    };
    let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(1).workloads(2).drivers(2));
    let mut all = machine.driver().unwrap();
    refused(&mut || hosted(&mut all, &BELL));
    machine.set_bell_for(Workload::IO, &BELL).unwrap();
    refused(&mut || hosted(&mut all, &BELL));
    machine.set_bell_for(Workload::CPU, &OTHER).unwrap();
    refused(&mut || hosted(&mut all, &BELL));
    refused(&mut || drop(BELL.changed(all.watch())));
    drop(all);
    let mut moving = machine.driver_for(Workload::IO).unwrap();
    hosted(&mut moving, &BELL);
    drop(BELL.changed(moving.watch()));
}
