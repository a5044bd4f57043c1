//! Kinds of work, so that threads can be specialised.

use core::{fmt, ops::BitOr};

/// The kind of work that the code behind a program point does; see [`point!`](crate::point).
///
/// A driver serves a set of kinds ([`Machine::driver_for`](crate::Machine::driver_for)). At a point of another kind it
/// takes none, and states that arrive there wait, active, for a driver that serves the kind. If no driver does, they wait
/// until one is made; a [dump](crate::Machine::dump) shows them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Workload(u8);

impl Workload {
    /// How many kinds there are.
    pub const COUNT: usize = 8;

    /// Short closures that move bytes; the kind of the entrance, and of a point that names none.
    pub const IO: Workload = Workload(0);

    /// Closures that compute for some time. States of such a point are taken one at a time, so that the drivers that
    /// serve it share them; `at_most` changes that.
    pub const CPU: Workload = Workload(1);

    /// A kind of the program's own: 0 to 5.
    ///
    /// # Panics
    ///
    /// From 6 on. In a `const` that is an error of the compiler.
    pub const fn custom(number: u8) -> Workload {
        assert!(
            number < 6,
            "the number of a custom workload must be from 0 to 5"
        );
        Workload(number + 2)
    }

    /// From 0 to [`COUNT`](Self::COUNT) - 1.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn from_index(index: u16) -> Self {
        Workload(index as u8 % Workload::COUNT as u8)
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Workload::IO => f.write_str("IO"),
            Workload::CPU => f.write_str("CPU"),
            Workload(number) => write!(f, "custom({})", number - 2),
        }
    }
}

/// A set of [`Workload`]s.
///
/// ```
/// use batchloop_core::{Workload, Workloads};
/// let both = Workload::IO | Workload::CPU;
/// assert!(both.contains(Workload::CPU));
/// assert!(!both.contains(Workload::custom(0)));
/// assert_eq!(Workloads::from(Workload::IO) | Workload::CPU, both);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Workloads(u8);

impl Workloads {
    /// All of them.
    pub const ALL: Workloads = Workloads(u8::MAX);

    /// Whether the kind is in the set.
    #[inline]
    pub const fn contains(self, workload: Workload) -> bool {
        self.0 & (1 << workload.0) != 0
    }

    /// None of them.
    pub const NONE: Workloads = Workloads(0);

    /// The set as bits: that of a kind is the one of its [index](Workload::index).
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set that [`bits`](Self::bits) took apart.
    pub const fn from_bits(bits: u8) -> Self {
        Workloads(bits)
    }

    /// Whether the sets have a kind in common.
    pub const fn intersects(self, other: Workloads) -> bool {
        self.0 & other.0 != 0
    }

    /// The kinds that are not in the other set.
    #[must_use]
    pub const fn without(self, other: Workloads) -> Self {
        Workloads(self.0 & !other.0)
    }

    /// The kinds in the set.
    pub fn iter(self) -> impl Iterator<Item = Workload> {
        (0..Workload::COUNT as u8)
            .map(Workload)
            .filter(move |workload| self.contains(*workload))
    }
}

impl From<Workload> for Workloads {
    fn from(workload: Workload) -> Self {
        Workloads(1 << workload.0)
    }
}

impl FromIterator<Workload> for Workloads {
    fn from_iter<I: IntoIterator<Item = Workload>>(workloads: I) -> Self {
        workloads.into_iter().fold(Workloads::NONE, BitOr::bitor)
    }
}

impl BitOr for Workload {
    type Output = Workloads;

    fn bitor(self, other: Workload) -> Workloads {
        Workloads::from(self) | Workloads::from(other)
    }
}

impl BitOr for Workloads {
    type Output = Workloads;

    fn bitor(self, other: Workloads) -> Workloads {
        Workloads(self.0 | other.0)
    }
}

impl BitOr<Workload> for Workloads {
    type Output = Workloads;

    fn bitor(self, other: Workload) -> Workloads {
        self | Workloads::from(other)
    }
}

impl fmt::Debug for Workloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
