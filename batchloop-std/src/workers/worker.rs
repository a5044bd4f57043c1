//! What an entry point knows of the worker that runs it.

use std::cell::Cell;

use batchloop_core::Workloads;

/// The worker that runs a turn.
#[derive(Debug)]
pub struct Worker {
    index: usize,
    serves: Workloads,
    draining: bool,
    more: Cell<bool>,
}

impl Worker {
    pub(super) fn new(index: usize, serves: Workloads, draining: bool) -> Self {
        Worker {
            index,
            serves,
            draining,
            more: Cell::new(false),
        }
    }

    /// Returns its number, from 0; the most specialised workers come first.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the workloads that it serves.
    pub fn serves(&self) -> Workloads {
        self.serves
    }

    /// Says that there is work without a state, or that such work may come. A drain does not end before this worker has had
    /// a later turn, to its end, without saying so, whatever other workers say.
    ///
    /// The worker may sleep meanwhile. What ends the expectation must ring a counter of its workloads, as a
    /// [`queue`](fn@crate::queue) does for each item and when its last sender is dropped.
    pub fn expect_more(&self) {
        self.more.set(true);
    }

    /// Returns whether the workers end when nothing lives any more: the program should start nothing new.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether the entry point expected more in this turn.
    pub(super) fn expects_more(&self) -> bool {
        self.more.get()
    }
}
