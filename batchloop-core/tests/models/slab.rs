//! The slab: lowest slot first, and versions that know the past.

use batchloop_core::{
    machine::{Admits, Reservation},
    slab::Wrap,
    sleep::Snapshot,
    *,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Operation {
    Allocate,
    Reserve,
    Commit(usize),
    Abandon(usize),
    Release(usize),
    Wake(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let index = 0..1000_usize;
    prop_oneof![
        4 => Just(Operation::Allocate),
        1 => Just(Operation::Reserve),
        1 => index.clone().prop_map(Operation::Commit),
        1 => index.clone().prop_map(Operation::Abandon),
        5 => index.clone().prop_map(Operation::Release),
        1 => index.prop_map(Operation::Wake),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    Free,
    Reserved,
    Live(u32),
    Retired,
}

struct Model<A: Access> {
    machine: Machine<u32, A>,
    slots: Vec<(Slot, usize)>,
    versions: usize,
    wrap: Wrap,
    reservations: Vec<(usize, Reservation<u32, A>)>,
    /// Every handle that there has been, with its value and version.
    handles: Vec<(Handle<u32>, u32, usize)>,
    value: u32,
    /// Somebody has found no slot since the last one was given back.
    starved: bool,
}

impl<A: Admits<u32>> Model<A> {
    fn new(slots: usize, bits: u32, wrap: Wrap) -> Self {
        let capacity = Capacity::slots(slots).points(1).scopes(0);
        Model {
            machine: Machine::heap(capacity.version_bits(bits).wrap(wrap)),
            slots: vec![(Slot::Free, 0); slots],
            versions: 1 << bits,
            wrap,
            reservations: Vec::new(),
            handles: Vec::new(),
            value: 0,
            starved: false,
        }
    }

    fn lowest_free(&self) -> Option<usize> {
        self.slots.iter().position(|(slot, _)| *slot == Slot::Free)
    }

    fn settle(&mut self, slot: usize, value: u32, handle: Handle<u32>) {
        let version = (self.slots[slot].1 + 1) % self.versions;
        assert_eq!(handle.slot(), slot);
        assert_eq!(handle.version().to_string(), format!("v{version}"));
        self.slots[slot] = (Slot::Live(value), version);
        self.handles.push((handle, value, version));
        self.value += 1;
    }

    /// A slot has no tenant any more, and its version has moved on by so many.
    fn ends(&mut self, slot: usize, moves: usize, before: Snapshot) {
        let version = (self.slots[slot].1 + moves) % self.versions;
        let is_retired = moves > 0 && version == 0 && self.wrap == Wrap::Retire;
        let state = if is_retired {
            Slot::Retired
        } else {
            Slot::Free
        };
        self.slots[slot] = (state, version);
        let moved = self.machine.counter().moved_since(before);
        assert_eq!(moved, self.starved, "it rings exactly for those who wait");
        self.starved = false;
    }

    fn apply(&mut self, operation: &Operation) {
        let machine = self.machine;
        let before = machine.counter().snapshot();
        match *operation {
            Operation::Allocate => match (machine.allocate(self.value), self.lowest_free()) {
                (Ok(handle), Some(slot)) => self.settle(slot, self.value, handle),
                (answer, _) => {
                    assert_eq!(answer, Err(Full(self.value)));
                    assert_eq!(self.lowest_free(), None);
                    self.starved = true;
                }
            },
            Operation::Reserve => match (machine.reserve(), self.lowest_free()) {
                (Ok(reservation), Some(slot)) => {
                    assert_eq!(format!("{reservation:?}"), format!("Reservation(#{slot})"));
                    self.slots[slot].0 = Slot::Reserved;
                    self.reservations.push((slot, reservation));
                }
                (answer, slot) => {
                    assert!(answer.is_err() && slot.is_none());
                    self.starved = true;
                }
            },
            Operation::Commit(index) | Operation::Abandon(index) => {
                if self.reservations.is_empty() {
                    return;
                }
                let at = index % self.reservations.len();
                let (slot, reservation) = self.reservations.swap_remove(at);
                if matches!(operation, Operation::Commit(_)) {
                    let handle = reservation.commit(self.value);
                    self.settle(slot, self.value, handle);
                } else {
                    // The version of a tenant that was told of and does not come is not used again.
                    let is_told = index % 2 == 0;
                    if is_told {
                        let handle = reservation.handle();
                        assert!(!machine.is_live(handle));
                    }
                    drop(reservation);
                    self.ends(slot, if is_told { 2 } else { 0 }, before);
                }
            }
            Operation::Release(index) | Operation::Wake(index) => {
                if self.handles.is_empty() {
                    return;
                }
                let (handle, _, version) = self.handles[index % self.handles.len()];
                self.apply_to(operation, handle, version, before);
            }
        }
    }

    fn apply_to(
        &mut self,
        operation: &Operation,
        handle: Handle<u32>,
        version: usize,
        before: Snapshot,
    ) {
        let machine = self.machine;
        let slot = handle.slot();
        let is_live = self.resolves(handle, version).is_some();
        if matches!(operation, Operation::Wake(_)) {
            let expected = if is_live { Ok(()) } else { Err(Stale) };
            assert_eq!(machine.wake(handle), expected);
            assert_eq!(machine.waker(handle).wake(), expected);
            assert_eq!(machine.post_token(handle.token(), Events::NONE), expected);
        } else if is_live {
            assert_eq!(machine.release(handle), Ok(()));
            self.ends(slot, 1, before);
        } else {
            assert_eq!(machine.release(handle), Err(SignalError::Stale(())));
        }
    }

    /// The value that a handle leads to: that of its own state, or, once its version has come round, of a later one.
    fn resolves(&self, handle: Handle<u32>, version: usize) -> Option<u32> {
        match self.slots[handle.slot()] {
            (Slot::Live(value), now) if now == version => Some(value),
            _ => None,
        }
    }

    fn check(&self) {
        let machine = self.machine;
        let used = |(slot, _): &&(Slot, usize)| matches!(slot, Slot::Reserved | Slot::Live(_));
        assert_eq!(machine.live(), self.slots.iter().filter(used).count());
        for &(handle, own, version) in &self.handles {
            let expected = self.resolves(handle, version);
            assert_eq!(machine.is_live(handle), expected.is_some());
            assert!(expected.is_none() || expected == Some(own) || self.wrap == Wrap::Reuse);
            let mut found = None;
            let delivered = machine.signal(handle, |value| {
                found = Some(*value);
                Reaction::Ignore
            });
            assert_eq!(delivered.is_ok(), expected.is_some());
            assert_eq!(found, expected);
        }
        let live = |(slot, _): &(Slot, usize)| matches!(slot, Slot::Live(_));
        let expected = (0..).zip(&self.slots).filter(|(_, slot)| live(slot));
        let expected: Vec<usize> = expected.map(|(slot, _)| slot).collect();
        let found: Vec<usize> = machine.handles().map(Handle::slot).collect();
        assert_eq!(found, expected);
        let retired = |(slot, _): &&(Slot, usize)| *slot == Slot::Retired;
        let retired = self.slots.iter().filter(retired).count();
        let text = machine.dump().to_string();
        let named = text.contains(&format!("  {retired} slots retired\n"));
        assert_eq!(named, retired > 0);
    }
}

fn agrees<A: Admits<u32>>(slots: usize, bits: u32, wrap: Wrap, operations: &[Operation]) {
    let mut model = Model::<A>::new(slots, bits, wrap);
    for operation in operations {
        model.apply(operation);
        model.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn slots_and_versions_are_those_of_the_model(
        slots in 1..6_usize,
        bits in 1..4_u32,
        wrap in prop_oneof![Just(Wrap::Reuse), Just(Wrap::Retire)],
        operations in prop::collection::vec(operation(), 0..60),
    ) {
        agrees::<Local>(slots, bits, wrap, &operations);
        agrees::<Shared>(slots, bits, wrap, &operations);
    }
}

/// A stale handle of a larger machine names a slot that is not there.
#[test]
fn a_handle_beyond_the_capacity_is_stale() {
    let large: Machine<u8> = Machine::heap(Capacity::slots(2));
    let small: Machine<u8> = Machine::heap(Capacity::slots(1));
    large.allocate(0).unwrap();
    let beyond = large.allocate(1).unwrap();
    assert_eq!(small.wake(beyond), Err(Stale));
    assert_eq!(small.waker(beyond).wake(), Err(Stale));
    assert_eq!(small.release(beyond), Err(SignalError::Stale(())));
    assert_eq!(small.post_token(beyond.token(), Events::NONE), Err(Stale));
    assert!(small.signal(beyond, |_| Reaction::Wake).is_err());
    assert!(!small.is_live(beyond));
}
