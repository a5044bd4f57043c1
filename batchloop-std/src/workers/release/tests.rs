use std::sync::mpsc;

use batchloop_core::{Capacity, Reaction};

use super::*;

/// Counts those that are dropped.
struct Counted {
    number: u32,
    dropped: mpsc::Sender<u32>,
    /// Where it starts another one when it is dropped.
    heir: Option<Machine<Counted, Shared>>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let _ = self.dropped.send(self.number);
        if let Some(machine) = self.heir {
            let heir = Counted {
                number: self.number + 100,
                dropped: self.dropped.clone(),
                heir: None,
            };
            assert!(machine.allocate(heir).is_ok());
        }
        assert!(self.number != 1, "one");
    }
}

struct Fixture {
    machine: Machine<Counted, Shared>,
    dropped: mpsc::Receiver<u32>,
    sender: mpsc::Sender<u32>,
}

impl Fixture {
    fn new() -> Self {
        let (sender, dropped) = mpsc::channel();
        Fixture {
            machine: Machine::heap(Capacity::slots(8)),
            dropped,
            sender,
        }
    }

    fn state(&self, number: u32, heir: Option<Machine<Counted, Shared>>) -> Counted {
        Counted {
            number,
            dropped: self.sender.clone(),
            heir,
        }
    }

    fn dropped(&self) -> Vec<u32> {
        self.dropped.try_iter().collect()
    }
}

#[test]
fn a_state_that_panics_when_it_is_dropped_does_not_keep_the_others() {
    let fixture = Fixture::new();
    for number in 0..3 {
        let state = fixture.state(number, None);
        assert!(fixture.machine.allocate(state).is_ok());
    }
    let mut panics = Vec::new();
    let released = release_all(fixture.machine, |panic| {
        panics.push(panic.downcast_ref::<&str>().copied());
    });
    assert_eq!((released, panics), (3, vec![Some("one")]));
    assert_eq!(fixture.dropped(), [0, 1, 2]);
    assert_eq!(fixture.machine.live(), 0);
}

#[test]
fn what_is_started_meanwhile_is_released_too() {
    let fixture = Fixture::new();
    // The heir of the last one gets a slot before it.
    let first = fixture.machine.allocate(fixture.state(2, None));
    let heir = Some(fixture.machine);
    assert!(fixture.machine.allocate(fixture.state(3, heir)).is_ok());
    assert!(fixture.machine.release(first.ok().unwrap()).is_ok());
    let released = release_all(fixture.machine, |_| panic!("nobody panics"));
    assert_eq!((released, fixture.machine.live()), (2, 0));
    assert_eq!(fixture.dropped(), [2, 3, 103]);
}

#[test]
fn a_state_that_a_hook_holds_for_ever_lives_on_and_one_that_has_ended_is_not_counted() {
    let fixture = Fixture::new();
    let held = fixture.machine.allocate(fixture.state(2, None));
    let held = held.ok().unwrap();
    assert!(fixture.machine.allocate(fixture.state(3, None)).is_ok());
    let machine = fixture.machine;
    let mut released = None;
    let signalled = machine.signal(held, |_| {
        released = Some(release_all(machine, |_| panic!("nobody panics")));
        Reaction::Ignore
    });
    assert!(signalled.is_ok());
    assert_eq!((released, machine.live()), (Some(1), 1));
    assert_eq!(fixture.dropped(), [3]);
    assert!(machine.is_live(held));
    assert_eq!(release_all(machine, |_| ()), 1);
}

#[test]
fn a_hook_that_holds_a_state_for_a_moment_is_waited_for() {
    let fixture = Fixture::new();
    let held = fixture.machine.allocate(fixture.state(2, None));
    let (machine, held) = (fixture.machine, held.ok().unwrap());
    let (begun, begins) = mpsc::channel();
    let released = thread::scope(|scope| {
        scope.spawn(move || {
            let signalled = machine.signal(held, |_| {
                begun.send(()).unwrap();
                thread::sleep(Duration::from_millis(20));
                Reaction::Ignore
            });
            assert!(signalled.is_ok());
        });
        begins.recv().unwrap();
        release_all(machine, |_| panic!("nobody panics"))
    });
    assert_eq!((released, machine.live()), (1, 0));
}
