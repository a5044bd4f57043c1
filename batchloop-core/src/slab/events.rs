//! What has happened to a state's file descriptors and timers.

use core::{
    fmt,
    ops::{BitAnd, BitOr},
};

/// A set of things that happened to a state.
///
/// Events travel in the slot's lifecycle word, so that posting them compares the version, adds the events and wakes
/// the state in one step: an event for a state that has ended never reaches the slot's next tenant.
///
/// They stay posted until the program takes them, by [`Me::take`](crate::Me::take). A closure that has nothing to do with
/// a descriptor loses none of its edges.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Events(u8);

impl Events {
    /// Nothing.
    pub const NONE: Events = Events(0);
    /// There may be something to read.
    pub const READABLE: Events = Events(1);
    /// There may be room to write.
    pub const WRITABLE: Events = Events(2);
    /// The other side has gone, or the descriptor is in error; reading or writing tells which.
    pub const CLOSED: Events = Events(4);
    /// A deadline has passed.
    pub const DEADLINE: Events = Events(8);

    /// All of them.
    pub const ALL: Events = Events(0xf);

    /// The set with these bits; bits beyond the four events are dropped.
    pub const fn from_bits(bits: u8) -> Events {
        Events(bits & 0xf)
    }

    /// The set as bits, in the low half of the byte.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Events) -> bool {
        self.0 & other.0 == other.0
    }

    /// The events that are not in the other set.
    #[must_use]
    pub const fn without(self, other: Events) -> Events {
        Events(self.0 & !other.0)
    }

    /// Whether the set has no event.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Events {
    type Output = Events;

    fn bitor(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }
}

impl BitAnd for Events {
    type Output = Events;

    /// The events that are in both sets.
    fn bitand(self, other: Events) -> Events {
        Events(self.0 & other.0)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Events::READABLE, "readable"),
            (Events::WRITABLE, "writable"),
            (Events::CLOSED, "closed"),
            (Events::DEADLINE, "deadline"),
        ];
        let mut separator = "";
        for (event, name) in names {
            if self.contains(event) {
                write!(f, "{separator}{name}")?;
                separator = "+";
            }
        }
        if self.is_empty() {
            f.write_str("none")?;
        }
        Ok(())
    }
}
