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
