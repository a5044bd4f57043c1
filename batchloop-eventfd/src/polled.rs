//! What a wait brings.

use std::ops::Add;

/// What a wait brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Polled {
    /// Events that were posted to states.
    pub delivered: usize,
    /// Events for states that have ended: dropped.
    pub stale: usize,
    /// Producers that became ready.
    pub producers: usize,
    /// Whether the bell was rung.
    pub rung: bool,
}

impl Add for Polled {
    type Output = Polled;

    /// What both brought.
    fn add(self, other: Polled) -> Polled {
        Polled {
            delivered: self.delivered + other.delivered,
            stale: self.stale + other.stale,
            producers: self.producers + other.producers,
            rung: self.rung | other.rung,
        }
    }
}
