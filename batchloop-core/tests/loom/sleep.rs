//! The protocol of sleeping and ringing.
//!
//! A lost wake-up is a sleep that never ends, which loom reports as a deadlock.

use batchloop_core::{
    machine::Admits,
    sleep::{ChangeCounter, Snapshot},
    *,
};
use loom::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

/// A bell that ends every wait that has begun, as the futex of batchloop-std does.
struct Gong {
    rings: Mutex<u32>,
    changed: Condvar,
}

impl Bell for Gong {
    fn ring(&self) {
        *self.rings.lock().unwrap() += 1;
        self.changed.notify_all();
    }
}

impl Gong {
    fn on(counter: &ChangeCounter) -> &'static Gong {
        let gong: &'static Gong = Box::leak(Box::new(Gong {
            rings: Mutex::new(0),
            changed: Condvar::new(),
        }));
        counter.set_bell(gong).unwrap();
        gong
    }

    fn sleep(&self, counter: &ChangeCounter, since: Snapshot) {
        let before = *self.rings.lock().unwrap();
        counter.sleep(since, || self.wait(before));
    }

    /// As `sleep`, on the counters of a driver.
    fn sleep_for(&self, watch: &Watch) {
        let before = *self.rings.lock().unwrap();
        watch.sleep(|| self.wait(before));
    }

    fn wait(&self, before: u32) {
        let mut rings = self.rings.lock().unwrap();
        while *rings == before {
            rings = self.changed.wait(rings).unwrap();
        }
    }
}

/// Sleeps until there is work.
fn await_work(counter: &ChangeCounter, gong: &Gong, work: &AtomicU32) {
    loop {
        let before = counter.snapshot();
        if work.load(Ordering::Relaxed) == 1 {
            break;
        }
        gong.sleep(counter, before);
    }
}

fn counter() -> &'static ChangeCounter {
    Box::leak(Box::new(ChangeCounter::new()))
}

#[test]
fn nobody_sleeps_through_a_change() {
    loom::model(|| {
        let counter = counter();
        let gong = Gong::on(counter);
        let work = Arc::new(AtomicU32::new(0));
        let done = work.clone();
        let other = thread::spawn(move || {
            work.store(1, Ordering::Relaxed);
            counter.ring();
        });
        await_work(counter, gong, &done);
        other.join().unwrap();
    });
}

#[test]
fn two_sleepers_are_both_woken() {
    loom::model(|| {
        let counter = counter();
        let gong = Gong::on(counter);
        let work = Arc::new(AtomicU32::new(0));
        let done = work.clone();
        let other = thread::spawn(move || await_work(counter, gong, &done));
        let done = work.clone();
        let another = thread::spawn(move || await_work(counter, gong, &done));
        work.store(1, Ordering::Relaxed);
        counter.ring();
        other.join().unwrap();
        another.join().unwrap();
    });
}

/// The work is done when both have come; the second may find the first's announcement gone.
#[test]
fn two_ringers_wake_one_sleeper() {
    loom::model(|| {
        let counter = counter();
        let gong = Gong::on(counter);
        let work = Arc::new(AtomicU32::new(0));
        let ringers = [1, 2].map(|_| {
            let work = work.clone();
            thread::spawn(move || {
                work.fetch_add(1, Ordering::Relaxed);
                counter.ring();
            })
        });
        loop {
            let before = counter.snapshot();
            if work.load(Ordering::Relaxed) == 2 {
                break;
            }
            gong.sleep(counter, before);
        }
        for ringer in ringers {
            ringer.join().unwrap();
        }
    });
}

fn release_the_woken<A: Access>(cx: &mut Turn<'_, bool, A>) {
    let new = cx.arrivals();
    cx.stage(point!("woken"), new)
        .advance(|arrived, _| match core::mem::replace(arrived, true) {
            true => Step::Release,
            false => Step::Wait,
        });
}

/// A driver that sleeps whenever a turn was quiet, and a wake that comes at any time.
fn sleeping_driver<A: Admits<bool>>(wake: impl FnOnce(Waker<A>) + Send + 'static)
where
    Waker<A>: Send,
{
    let machine: Machine<bool, A> = Machine::heap(Capacity::slots(1).points(1).scopes(0));
    let gong = Gong::on(machine.counter());
    let waker = machine.waker(machine.allocate(false).unwrap());
    let mut driver = machine.driver().unwrap();
    super::quiet(&mut driver, release_the_woken);
    let other = thread::spawn(move || wake(waker));
    while machine.live() > 0 {
        if driver.turn(release_the_woken) == Ok(Progress::Quiet) && machine.live() > 0 {
            gong.sleep_for(&driver.watch());
        }
    }
    other.join().unwrap();
}

#[test]
fn a_wake_ends_the_sleep_of_a_driver() {
    loom::model(|| sleeping_driver::<Shared>(|waker| waker.wake().unwrap()));
}

#[test]
fn a_wake_from_elsewhere_ends_the_sleep_of_the_owner() {
    loom::model(|| sleeping_driver::<Local>(|waker| waker.wake().unwrap()));
}

/// One thread, one bell, two machines with a driver each; a wake for each comes from elsewhere.
#[test]
fn a_thread_with_two_drivers_sleeps_through_neither() {
    loom::model(|| {
        let capacity = Capacity::slots(1).points(1).scopes(0);
        let machines: [Machine<bool>; 2] = [Machine::heap(capacity), Machine::heap(capacity)];
        let gong = Gong::on(machines[0].counter());
        machines[1].counter().set_bell(gong).unwrap();
        let wakers = machines.map(|machine| machine.waker(machine.allocate(false).unwrap()));
        let mut drivers = machines.map(|machine| machine.driver().unwrap());
        for driver in &mut drivers {
            super::quiet(driver, release_the_woken);
        }
        let other = thread::spawn(move || wakers.map(|waker| waker.wake().unwrap()));
        while machines.iter().any(|machine| machine.live() > 0) {
            for driver in &mut drivers {
                driver.turn(release_the_woken).unwrap();
            }
            let before = *gong.rings.lock().unwrap();
            let [one, another] = drivers.each_ref().map(Driver::watch);
            if machines.iter().any(|machine| machine.live() > 0)
                && let Some(_one) = one.announce()
                && let Some(_another) = another.announce()
            {
                gong.wait(before);
            }
        }
        other.join().unwrap();
    });
}

/// While one driver takes from a point, it looks empty to the other, who may then sleep. So what the first leaves
/// behind is rung for.
#[test]
fn what_one_driver_leaves_another_does_not_sleep_through() {
    loom::model(|| {
        let capacity = Capacity::slots(2).points(1).scopes(0).batch(1).drivers(2);
        let machine: Machine<bool, Shared> = Machine::heap(capacity);
        let states = [1, 2].map(|_| machine.allocate(false).unwrap());
        let mut driver = machine.driver().unwrap();
        super::quiet(&mut driver, release_the_woken);
        for state in states {
            machine.wake(state).unwrap();
        }
        let other = thread::spawn(move || {
            let mut driver = machine.driver().unwrap();
            let _ = driver.turn(release_the_woken);
        });
        super::quiet(&mut driver, release_the_woken);
        let watch = driver.watch();
        other.join().unwrap();
        assert!(machine.live() == 0 || watch.has_moved());
    });
}

/// A driver of another workload, with a counter and a bell of its own, is rung for what is handed to it.
#[test]
fn what_is_handed_to_another_workload_is_rung_for() {
    fn hand_over(cx: &mut Turn<'_, bool, Shared>) {
        let new = cx.arrivals();
        cx.stage(point!("compute", Workload::CPU), new).release();
    }
    loom::model(|| {
        let capacity = Capacity::slots(1)
            .points(1)
            .scopes(0)
            .workloads(2)
            .drivers(2);
        let machine: Machine<bool, Shared> = Machine::heap(capacity);
        let gong = Gong::on(machine.counter_of(Workload::CPU));
        let mut computing = machine.driver_for(Workload::CPU).unwrap();
        machine.allocate(false).unwrap();
        let other = thread::spawn(move || {
            let mut moving = machine.driver_for(Workload::IO).unwrap();
            super::quiet(&mut moving, hand_over);
        });
        while machine.live() > 0 {
            if computing.turn(hand_over) == Ok(Progress::Quiet) && machine.live() > 0 {
                gong.sleep_for(&computing.watch());
            }
        }
        other.join().unwrap();
    });
}

/// Counts its rings, and has no sleepers.
struct Tally(AtomicU32);

impl Bell for Tally {
    fn ring(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The other gets its error, and all that is rung is the bell of the one that was faster.
#[test]
fn one_of_two_threads_gives_a_counter_its_bell() {
    loom::model(|| {
        let counter: &'static ChangeCounter = Box::leak(Box::new(ChangeCounter::new()));
        let [ours, theirs] = [(); 2].map(|()| &*Box::leak(Box::new(Tally(AtomicU32::new(0)))));
        let other = thread::spawn(move || counter.set_bell(theirs).is_ok());
        let won = counter.set_bell(ours).is_ok();
        assert!(won != other.join().unwrap(), "one, and not both or none");
        counter.sleep(counter.snapshot(), || counter.ring());
        let rings = [ours, theirs].map(|bell| bell.0.load(Ordering::Relaxed));
        assert_eq!(rings, [u32::from(won), u32::from(!won)]);
    });
}
