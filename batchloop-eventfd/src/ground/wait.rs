//! How long a thread sleeps.

use std::time::{Duration, Instant};

/// How long to wait for something to happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    Not,
    Until(Instant),
    ForEver,
}

impl Wait {
    pub(crate) fn until(deadline: Option<Instant>) -> Self {
        deadline.map_or(Wait::ForEver, Wait::Until)
    }

    pub(crate) fn left(self) -> Option<Duration> {
        match self {
            Wait::Not => Some(Duration::ZERO),
            Wait::Until(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            Wait::ForEver => None,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_wait_ends_with_its_deadline() {
        assert_eq!(Wait::Not.left(), Some(Duration::ZERO));
        assert_eq!(Wait::until(None).left(), None);
        let hour = Duration::from_secs(3600);
        let left = Wait::until(Some(Instant::now() + hour)).left().unwrap();
        assert!(hour / 2 < left && left <= hour);
        let past = Instant::now();
        assert_eq!(Wait::until(Some(past)).left(), Some(Duration::ZERO));
    }
}
