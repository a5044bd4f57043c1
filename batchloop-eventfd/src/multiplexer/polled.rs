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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn two_waits_bring_what_both_did() {
        let first = Polled {
            delivered: 1,
            stale: 2,
            producers: 3,
            rung: true,
        };
        let second = Polled {
            delivered: 10,
            stale: 20,
            producers: 30,
            rung: false,
        };
        let both = Polled {
            delivered: 11,
            stale: 22,
            producers: 33,
            rung: true,
        };
        assert_eq!((first + second, second + first), (both, both));
        assert!((first + first).rung && !(second + second).rung);
    }
}
