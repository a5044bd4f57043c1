use std::{collections::BTreeSet, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::ground::{
    bitmap::Geometry,
    word::{Local, Shared, Word},
};

const SIZES: [usize; 8] = [1, 2, 63, 64, 65, 4095, 4096, 4097];

fn words(geometry: &Geometry) -> Vec<Word> {
    (0..geometry.words()).map(|_| Word::default()).collect()
}

fn agrees<A: Access>(slots: usize, operations: &[Option<prop::sample::Index>]) {
    let geometry = Geometry::of(slots);
    let words = words(&geometry);
    let set = FreeSet::<A>::new(Bitmap::new(&geometry, &words));
    let mut used = BTreeSet::new();
    for operation in operations {
        match operation {
            Some(index) if !used.is_empty() => {
                let slots: Vec<usize> = used.iter().copied().collect();
                let slot = *index.get(&slots);
                used.remove(&slot);
                set.give_back(geometry.slot(slot).unwrap());
            }
            _ => {
                let lowest = (0..slots).find(|slot| !used.contains(slot));
                assert_eq!(set.reserve().map(SlotId::number), lowest);
                used.extend(lowest);
            }
        }
        assert_eq!(set.next_used(0).map(SlotId::number), used.first().copied());
    }
    let mut seen = Vec::new();
    let mut from = 0;
    while let Some(slot) = set.next_used(from) {
        seen.push(slot.number());
        from = slot.number() + 1;
    }
    assert!(seen.into_iter().eq(used));
}

proptest! {
    #[test]
    fn the_lowest_free_slot_comes_first(
        size in prop::sample::select(&SIZES[..3]),
        operations in prop::collection::vec(any::<Option<prop::sample::Index>>(), 0..300),
    ) {
        agrees::<Local>(size, &operations);
        agrees::<Shared>(size, &operations);
    }
}

/// Large sets are filled to the brim, holed, and filled again.
#[test]
fn full_sets_find_their_holes() {
    for slots in SIZES {
        let geometry = Geometry::of(slots);
        let words = words(&geometry);
        let set = FreeSet::<Shared>::new(Bitmap::new(&geometry, &words));
        for slot in 0..slots {
            assert_eq!(set.reserve(), geometry.slot(slot));
        }
        assert_eq!(set.reserve(), None);
        let holes = [slots - 1, slots / 2, 0];
        for hole in holes {
            let hole = geometry.slot(hole).unwrap();
            set.give_back(hole);
            assert_eq!(set.reserve(), Some(hole));
            assert_eq!(set.reserve(), None);
        }
    }
}
