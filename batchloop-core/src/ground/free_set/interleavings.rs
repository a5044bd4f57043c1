//! The marks of full leaves, under loom: a leaf with a free slot is never left marked.

use std::{boxed::Box, vec::Vec};

use loom::thread;

use super::*;
use crate::ground::{
    bitmap::Geometry,
    word::{Shared, Word},
};

#[test]
fn a_slot_that_is_given_back_while_its_leaf_fills_is_found() {
    loom::model(|| {
        let geometry: &'static Geometry = Box::leak(Box::new(Geometry::of(2 * BITS)));
        let slot = |number| geometry.slot(number).unwrap();
        let words: Vec<Word> = (0..geometry.words()).map(|_| Word::default()).collect();
        let words: &'static [Word] = words.leak();
        let set = FreeSet::<Shared>::new(Bitmap::new(geometry, words));
        for number in 0..BITS - 1 {
            assert_eq!(set.reserve(), geometry.slot(number));
        }
        let other = thread::spawn(move || {
            FreeSet::<Shared>::new(Bitmap::new(geometry, words)).give_back(slot(0));
        });
        // Takes the last slot of the first leaf, or the one that comes back.
        let first = set.reserve().unwrap();
        other.join().unwrap();
        let second = set.reserve().unwrap();
        let mut both = [first, second];
        both.sort_unstable();
        assert_eq!(both, [0, BITS - 1].map(slot));
    });
}
