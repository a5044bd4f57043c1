use std::{collections::BTreeSet, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::ground::{
    bitmap::Geometry,
    word::{Local, Shared, Word},
};

/// Slots around the edges of words, summaries and groups.
const SIZES: [usize; 9] = [1, 2, 63, 64, 65, 4095, 4096, 4097, 64 * 64 * 64 + 1];

struct Fixture {
    geometry: Geometry,
    words: Vec<Word>,
}

impl Fixture {
    fn new(slots: usize) -> Self {
        let geometry = Geometry::of(slots);
        // A set may begin anywhere; here, behind three words that are not its own.
        let words = (0..geometry.words() + 3).map(|_| Word::default()).collect();
        Fixture { geometry, words }
    }

    fn set<A: Access>(&self) -> ActiveSet<'_, A> {
        ActiveSet::new(Bitmap::new(&self.geometry, &self.words[3..]))
    }

    fn slot(&self, number: usize) -> SlotId {
        self.geometry.slot(number).expect("the slot is there")
    }

    fn take<A: Access>(&self, room: usize) -> (Vec<usize>, bool) {
        self.set::<A>().take(Vec::new(), |taken, leaf| {
            assert!(leaf.bits() != 0, "no leaf is handed over empty");
            let fitting = leaf.take_first(room - taken.len());
            taken.extend(fitting.map(SlotId::number));
        })
    }
}

/// The same, the obvious way.
#[derive(Default)]
struct Model {
    slots: BTreeSet<usize>,
    start: usize,
}

impl Model {
    fn take(&mut self, room: usize) -> (Vec<usize>, bool) {
        if self.slots.is_empty() {
            return (Vec::new(), false);
        }
        let from: Vec<usize> = self.slots.range(self.start..).copied().collect();
        let taken: Vec<usize> = from.iter().copied().take(room).collect();
        self.start = from.get(room).copied().unwrap_or(0);
        for slot in &taken {
            self.slots.remove(slot);
        }
        (taken, !self.slots.is_empty())
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Insert(usize),
    Take(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => any::<prop::sample::Index>().prop_map(|index| Operation::Insert(index.index(usize::MAX))),
        1 => prop_oneof![1..4_usize, 1..200_usize, Just(usize::MAX)].prop_map(Operation::Take),
    ]
}

fn agrees<A: Access>(slots: usize, operations: &[Operation]) {
    let fixture = Fixture::new(slots);
    let mut model = Model::default();
    for operation in operations {
        match *operation {
            Operation::Insert(slot) => {
                let slot = slot % slots;
                let was_empty = model.slots.is_empty();
                let new = model.slots.insert(slot);
                assert_eq!(
                    fixture.set::<A>().insert(fixture.slot(slot)),
                    was_empty && new
                );
            }
            Operation::Take(room) => assert_eq!(fixture.take::<A>(room), model.take(room)),
        }
        assert_eq!(fixture.set::<A>().is_empty(), model.slots.is_empty());
    }
}

proptest! {
    #[test]
    fn it_is_a_set_that_is_taken_in_order(
        size in prop::sample::select(&SIZES[..]),
        operations in prop::collection::vec(operation(), 0..300),
    ) {
        agrees::<Local>(size, &operations);
        agrees::<Shared>(size, &operations);
    }

    /// Whatever is inserted between the takes, a bit waits for no more takes than are needed to go round once.
    #[test]
    fn no_bit_starves(
        size in prop::sample::select(&SIZES[2..6]),
        room in 1..100_usize,
        victim in any::<prop::sample::Index>(),
    ) {
        let fixture = Fixture::new(size);
        let victim = victim.index(size);
        let mut takes = 0;
        loop {
            for slot in 0..size {
                fixture.set::<Local>().insert(fixture.slot(slot));
            }
            takes += 1;
            prop_assert!(takes <= size.div_ceil(room) + 1);
            if fixture.take::<Local>(room).0.contains(&victim) {
                break;
            }
        }
    }
}

#[test]
fn a_full_million_is_taken_in_order() {
    let fixture = Fixture::new(1_000_000);
    for slot in (0..1_000_000).rev() {
        fixture.set::<Local>().insert(fixture.slot(slot));
    }
    let (taken, remain) = fixture.take::<Local>(usize::MAX);
    assert!(taken.iter().copied().eq(0..1_000_000));
    assert!(!remain);
}
