//! Sources of work that belong to no state yet.

use std::{cell::Cell, rc::Rc};

/// A source of work that belongs to no state yet: a listener, a pipe that signals come through.
///
/// [`Multiplexer::add_producer`](crate::Multiplexer::add_producer) makes it. It stays ready until the program says that
/// the source is empty, because the kernel reports an edge once.
#[derive(Clone, Debug)]
pub struct Producer {
    ready: Rc<Cell<bool>>,
}

impl Producer {
    /// Whether the source may have something.
    pub fn is_ready(&self) -> bool {
        self.ready.get()
    }

    /// The source said that it would block: wait for the next edge.
    pub fn exhausted(&self) {
        self.ready.set(false);
    }
}

/// All producers of a multiplexer, by number.
#[derive(Debug, Default)]
pub(super) struct Producers(Vec<Producer>);

impl Producers {
    /// A producer that is held nowhere else any more is replaced. An event that is still under way for it makes the new one
    /// ready, spuriously.
    pub(super) fn add(&mut self) -> (u32, Producer) {
        let left = |producer: &Producer| Rc::strong_count(&producer.ready) == 1;
        let number = self.0.iter().position(left).unwrap_or_else(|| {
            self.0.push(Producer {
                ready: Rc::default(),
            });
            self.0.len() - 1
        });
        let producer = self.0[number].clone();
        producer.exhausted();
        (number as u32, producer)
    }

    /// Returns whether there is such a producer.
    pub(super) fn make_ready(&self, number: u32) -> bool {
        let producer = self.0.get(number as usize);
        producer
            .inspect(|producer| producer.ready.set(true))
            .is_some()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_one_that_is_left_goes_to_the_next_one_and_no_other() {
        let mut producers = Producers::default();
        let (first, one) = producers.add();
        let (second, two) = producers.add();
        assert_eq!((first, second), (0, 1));
        assert!(producers.make_ready(second));
        assert!(two.is_ready() && !one.is_ready());
        let clone = one.clone();
        drop(one);
        assert_eq!(producers.add().0, 2, "a clone of the first is held");
        assert!(producers.make_ready(first) && clone.is_ready());
        drop(clone);
        let (again, three) = producers.add();
        assert_eq!(again, first);
        assert!(!three.is_ready(), "it was the other one that was ready");
        assert!(!producers.make_ready(3), "there is none");
    }
}
