//! Times that come again and again.
//!
//! They are counted from when the last one was due. Counted from when it was seen, each would be as late as all before it
//! together.

/// How many have come by now, if the next one was due then and one follows each `every`: one if it is not late, and more
/// if others were due meanwhile.
pub fn come(due: u64, every: u64, now: u64) -> u64 {
    now.checked_sub(due).map_or(0, |late| late / every + 1)
}

/// The first one after now.
pub fn next(due: u64, every: u64, now: u64) -> u64 {
    due + every * come(due, every, now)
}
