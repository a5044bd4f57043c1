//! Sets and takes that meet, under loom: no bit is lost, and no bit is taken twice.

use std::{boxed::Box, vec::Vec};

use loom::thread;

use super::*;
use crate::ground::{
    bitmap::{BITS, Geometry},
    word::{Shared, Word},
};

type Set = ActiveSet<'static, Shared>;

/// A set over so many slots, and the same again for each thread.
fn set(slots: usize) -> impl Fn() -> Set + Copy + Send {
    let geometry: &'static Geometry = Box::leak(Box::new(Geometry::of(slots)));
    let words: Vec<Word> = (0..geometry.words()).map(|_| Word::default()).collect();
    let words: &'static [Word] = words.leak();
    move || ActiveSet::new(Bitmap::new(geometry, words))
}

fn insert(set: &Set, slot: usize) -> bool {
    set.insert(set.bitmap.geometry().slot(slot).unwrap())
}

fn take(set: &Set, room: usize) -> Vec<usize> {
    let (taken, _) = set.take(Vec::new(), |taken, leaf| {
        let fitting = leaf.take_first(room - taken.len());
        taken.extend(fitting.map(SlotId::number));
    });
    taken
}

/// Takes until the set says that it is empty.
fn take_all(set: &Set, room: usize) -> Vec<usize> {
    let mut taken = Vec::new();
    while !set.is_empty() {
        taken.extend(take(set, room));
    }
    taken
}

/// Two threads insert a slot each while a third takes; `before` is there already.
fn inserts_and_takes(before: &'static [usize], slots: [usize; 2], room: usize) {
    let highest = before.iter().chain(&slots).max();
    let size = highest.map_or(0, |slot| slot + 1);
    loom::model(move || {
        let set = set(size);
        for slot in before {
            insert(&set(), *slot);
        }
        let inserters = slots.map(|slot| thread::spawn(move || insert(&set(), slot)));
        let mut taken = take(&set(), room);
        for inserter in inserters {
            inserter.join().unwrap();
        }
        taken.extend(take_all(&set(), room));
        taken.sort_unstable();
        let mut expected = [before, &slots[..]].concat();
        expected.sort_unstable();
        assert_eq!(taken, expected);
    });
}

#[test]
fn a_take_between_two_inserts_loses_neither() {
    inserts_and_takes(&[], [0, 1], usize::MAX);
}

#[test]
fn a_take_between_inserts_into_two_leaves_loses_neither() {
    inserts_and_takes(&[1], [0, BITS], usize::MAX);
}

/// The slots have different bits in the root.
#[test]
fn a_take_between_inserts_far_apart_loses_neither() {
    inserts_and_takes(&[], [0, BITS * BITS], usize::MAX);
}

#[test]
fn a_take_that_leaves_something_loses_nothing() {
    inserts_and_takes(&[0, BITS], [1, 2 * BITS], 1);
}

#[test]
fn two_takes_share_what_there_is() {
    loom::model(|| {
        let set = set(3 * BITS);
        for slot in [0, 1, BITS] {
            insert(&set(), slot);
        }
        let other = thread::spawn(move || take(&set(), 1));
        let mut taken = take(&set(), 2);
        taken.extend(other.join().unwrap());
        taken.extend(take_all(&set(), 2));
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, BITS]);
    });
}

/// What makes the set not empty is told so, since nothing else rings for the bit.
#[test]
fn a_bit_that_is_left_was_rung_for() {
    loom::model(|| {
        let set = set(3 * BITS);
        let other = thread::spawn(move || [insert(&set(), 0), insert(&set(), BITS)]);
        let taken = take(&set(), usize::MAX);
        let rung = other.join().unwrap();
        let left = take_all(&set(), usize::MAX);
        assert_eq!(taken.len() + left.len(), 2);
        // The one insert that is not rung for finds the set as the other one left it.
        assert!(rung[0] || rung[1] || !taken.is_empty());
        assert!(!taken.is_empty() || rung[0]);
    });
}
