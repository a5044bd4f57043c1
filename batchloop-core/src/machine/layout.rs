//! How much memory the limits of a machine ask for, and whether a target can address it.
//!
//! Everything is computed with 64 bits and checked, for any width of pointers: what a 32-bit target cannot have is found
//! by tests on a 64-bit one.

use core::fmt;

use crate::{
    ground::word::Word,
    program::node::Node,
    slab::{
        capacity::Capacity,
        entry::Index,
        raw::{ParentCell, Place, RawMachine, TaskCell},
    },
    sleep::counters::Shard,
};

/// What a target's pointers are like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Width {
    bits: u32,
}

impl Width {
    /// That of the target.
    pub(super) const HERE: Width = Width { bits: usize::BITS };

    #[cfg(test)]
    pub(crate) const fn of_bits(bits: u32) -> Self {
        Width { bits }
    }

    /// How many bytes an object may have: Rust's limit is `isize::MAX`.
    const fn most(self) -> u64 {
        u64::MAX >> (65 - self.bits)
    }

    /// The bytes of so many elements, if an object may have so many.
    const fn bytes(self, count: u64, size: u64) -> Option<u64> {
        match count.checked_mul(size) {
            Some(bytes) if bytes <= self.most() => Some(bytes),
            _ => None,
        }
    }

    /// The bytes of so many objects of a pointer's size.
    const fn words(self, count: u64) -> Option<u64> {
        self.bytes(count, self.bits as u64 / 8)
    }
}

/// Which limits ask for more than there can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TooLarge {
    /// The slots alone: their words, or their parents.
    Slots,
    /// The slots and the size of a state.
    States,
    /// The slots and the points: each point has a bitmap over the slots.
    Points,
    /// The batch and the drivers: each driver has room for two batches.
    Batch,
    /// None of them alone.
    All,
}

impl TooLarge {
    /// What to say of it.
    pub(super) const fn message(self) -> &'static str {
        match self {
            TooLarge::Slots => "`slots`: so many cannot be addressed",
            TooLarge::States => "`slots`: so many states of this size cannot be addressed",
            TooLarge::Points => "`points`: their bitmaps over so many slots cannot be addressed",
            TooLarge::Batch => {
                "`batch`: so large a one for each of the drivers cannot be addressed"
            }
            TooLarge::All => "`Capacity`: all that the limits ask for together cannot be addressed",
        }
    }
}

/// How many elements each part of a machine has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counts {
    set_words: u64,
    scratch: u64,
    nodes: u64,
    parents: u64,
    tasks: u64,
    shards: u64,
}

/// How many bytes the parts of a machine take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bytes {
    payloads: u64,
    bookkeeping: u64,
    parents: u64,
    fixed: u64,
}

/// The words of a bitmap over the slots: a tree, and the resume position.
const fn bitmap_words(slots: u64, width: Width) -> u64 {
    let mut words = 1;
    let mut level = slots;
    loop {
        level = level.div_ceil(width.bits as u64);
        words += level;
        if level <= 1 {
            return words;
        }
    }
}

macro_rules! or_too_large {
    ($bytes:expr, $what:ident) => {
        match $bytes {
            Some(bytes) => bytes,
            None => return Err(TooLarge::$what),
        }
    };
}

impl Capacity {
    /// The number of elements of each part, if a target of this width can have each of them.
    pub(super) const fn counts(&self, width: Width) -> Result<Counts, TooLarge> {
        let (slots, points) = (self.slots as u64, self.points as u64);
        or_too_large!(width.words(slots), Slots);
        // With at most 2³¹ slots, 2¹⁵ points and 64 drivers, none of these comes near 64 bits.
        let counts = Counts {
            set_words: (Capacity::SETS_BESIDE_POINTS as u64 + points) * bitmap_words(slots, width),
            scratch: self.drivers as u64 * self.scratch_of_driver() as u64,
            nodes: self.nodes() as u64,
            parents: self.parent_cells() as u64,
            tasks: self.task_cells() as u64,
            shards: self.shards() as u64,
        };
        // A parent is three words.
        or_too_large!(width.words(3 * counts.parents), Slots);
        or_too_large!(width.words(counts.set_words), Points);
        or_too_large!(
            width.bytes(counts.scratch, size_of::<Index>() as u64),
            Batch
        );
        Ok(counts)
    }

    /// The bytes of each part with states of this size, if they can be addressed together.
    pub(super) const fn bytes(&self, state: u64, width: Width) -> Result<Bytes, TooLarge> {
        let counts = match self.counts(width) {
            Ok(counts) => counts,
            Err(error) => return Err(error),
        };
        let slots = self.slots as u64;
        let payloads = or_too_large!(width.bytes(slots, state), States);
        // Each is far below 2⁶²: that of the slots and sets is below 2⁵⁰, whatever the width.
        let bytes = Bytes {
            payloads,
            bookkeeping: slots * (size_of::<Word>() + size_of::<Place>()) as u64
                + counts.set_words * size_of::<Word>() as u64
                + counts.tasks * size_of::<TaskCell>() as u64,
            parents: counts.parents * size_of::<ParentCell>() as u64,
            fixed: size_of::<RawMachine>() as u64
                + counts.nodes * size_of::<Node>() as u64
                + counts.shards * size_of::<Shard>() as u64
                + counts.scratch * size_of::<Index>() as u64,
        };
        let others = bytes.bookkeeping + bytes.parents + bytes.fixed;
        if payloads > width.most() - min(others, width.most()) {
            return Err(TooLarge::All);
        }
        Ok(bytes)
    }

    /// What a machine of these limits takes, in bytes.
    ///
    /// # Panics
    ///
    /// If that is more than the target can address, with the name of the limit. In a `const` that is an error of the
    /// compiler.
    #[track_caller]
    pub const fn footprint<T>(&self) -> Footprint {
        let bytes = match self.bytes(size_of::<T>() as u64, Width::HERE) {
            Ok(bytes) => bytes,
            Err(error) => panic!("{}", error.message()),
        };
        Footprint {
            slots: self.slots,
            payloads: bytes.payloads as usize,
            bookkeeping: bytes.bookkeeping as usize,
            parents: bytes.parents as usize,
            fixed: bytes.fixed as usize,
        }
    }
}

/// How long each part of a machine is, for limits that have been found to be addressable.
///
/// All parts but the record and the states lie one after the other in a row of words that starts out zero. Those whose
/// elements are aligned most come first, so there is nothing between them.
impl Capacity {
    pub(super) const fn shards(&self) -> usize {
        self.workloads - 1
    }

    /// The words of all bitmaps over the slots: of the entrance, the points, the inbox, the free slots and the withdrawn
    /// deadlines.
    pub(super) const fn set_words(&self) -> usize {
        (Capacity::SETS_BESIDE_POINTS + self.points) * self.geometry().words()
    }

    pub(super) const fn parent_cells(&self) -> usize {
        if self.parents { self.slots } else { 0 }
    }

    pub(super) const fn task_cells(&self) -> usize {
        if self.tasks { self.slots } else { 0 }
    }

    /// The root, the points and the scopes.
    pub(super) const fn nodes(&self) -> usize {
        1 + self.points + self.scopes
    }

    /// For each driver two batches, so that one can be sorted beside another, and one index for each point, so that each
    /// point moves in each turn.
    pub(super) const fn scratch(&self) -> usize {
        self.drivers * self.scratch_of_driver()
    }

    /// The words of the row.
    ///
    /// # Panics
    ///
    /// If the row is larger than what the target can address, with the name of the limit.
    #[cfg(not(loom))]
    #[track_caller]
    pub(super) const fn words(&self) -> usize {
        let bytes = match self.bytes(0, Width::HERE) {
            Ok(bytes) => bytes,
            Err(error) => panic!("{}", error.message()),
        };
        let row = bytes.bookkeeping + bytes.parents + bytes.fixed - size_of::<RawMachine>() as u64;
        row.div_ceil(size_of::<usize>() as u64) as usize
    }
}

/// What a machine takes, in bytes; see [`Capacity::footprint`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Footprint {
    /// Number of slots.
    pub slots: usize,
    /// The states themselves.
    pub payloads: usize,
    /// Lifecycle words, places, bitmaps and task cells: what grows with the slots.
    pub bookkeeping: usize,
    /// Parents.
    pub parents: usize,
    /// What does not grow with the slots: the machine itself, the trie, the scratch space.
    pub fixed: usize,
}

impl Footprint {
    /// All of it. It stays at `usize::MAX` where the fields, which are public, come to more.
    pub const fn total(&self) -> usize {
        self.payloads
            .saturating_add(self.bookkeeping)
            .saturating_add(self.parents)
            .saturating_add(self.fixed)
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // For the rest, 64 bits are enough: it is less than the slots.
        let (whole, rest) = (self.bookkeeping / self.slots, self.bookkeeping % self.slots);
        let hundredths = rest as u64 * 100 / self.slots as u64;
        write!(
            f,
            "{} slots: {} B of states, {}.{:02} B a slot beside them, {} B of parents, {} B fixed, {} B in all",
            self.slots,
            self.payloads,
            whole,
            hundredths,
            self.parents,
            self.fixed,
            self.total()
        )
    }
}

const fn min(one: u64, other: u64) -> u64 {
    if one < other { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Width = Width::of_bits(32);
    const WIDE: Width = Width::of_bits(64);

    #[test]
    fn what_an_object_may_have() {
        assert_eq!(NARROW.most(), i32::MAX as u64);
        assert_eq!(WIDE.most(), i64::MAX as u64);
        assert_eq!(NARROW.bytes(1 << 29, 4), None);
        assert_eq!(NARROW.bytes((1 << 29) - 1, 4), Some((1 << 31) - 4));
        assert_eq!(WIDE.bytes(1 << 31, u64::MAX), None);
    }

    #[test]
    fn what_is_cut_is_what_was_counted() {
        for slots in [1, 31, 32, 33, 64, 65, 4096, 4097, 1 << 20] {
            let capacity = Capacity::slots(slots).points(9).batch(3).drivers(2);
            let counts = capacity.counts(Width::HERE).expect("there is room");
            assert_eq!(counts.set_words, capacity.set_words() as u64);
            assert_eq!(counts.scratch, capacity.scratch() as u64);
        }
    }

    #[test]
    fn a_footprint_is_the_sum_of_the_parts() {
        const CAPACITY: Capacity = Capacity::slots(1000).points(8).parents(true).workloads(2);
        const FOOTPRINT: Footprint = CAPACITY.footprint::<u64>();
        let words = 1000 + CAPACITY.set_words();
        assert_eq!(FOOTPRINT.payloads, 1000 * size_of::<u64>());
        assert_eq!(
            FOOTPRINT.bookkeeping,
            words * size_of::<Word>() + 1000 * size_of::<Place>()
        );
        assert_eq!(FOOTPRINT.parents, 1000 * size_of::<ParentCell>());
        let fixed = size_of::<RawMachine>()
            + size_of::<Shard>()
            + (1 + 8 + 16) * size_of::<Node>()
            + (2 * 256 + 8 + 1) * size_of::<Index>();
        assert_eq!(FOOTPRINT.fixed, fixed);
        let parts =
            FOOTPRINT.payloads + FOOTPRINT.bookkeeping + FOOTPRINT.parents + FOOTPRINT.fixed;
        assert_eq!(FOOTPRINT.total(), parts);
    }

    /// Where 32 bits wrap, each product once: what wraps to a small number above all.
    #[test]
    fn what_wraps_in_32_bits_is_too_large() {
        let sets = Capacity::slots(4_125_088).points(32_272).scopes(0).batch(1);
        let words = (32_272 + 4) * bitmap_words(4_125_088, NARROW);
        assert!(
            (1 << 32..1 << 33).contains(&words),
            "it would wrap: {words}"
        );
        assert_eq!(sets.counts(NARROW), Err(TooLarge::Points));
        assert!(sets.counts(WIDE).is_ok());

        let slots = 1 << 26;
        let scratch = Capacity::slots(slots).points(0).scopes(0).batch(slots);
        assert_eq!(scratch.drivers(32).counts(NARROW), Err(TooLarge::Batch));
        assert!(scratch.drivers(3).counts(NARROW).is_ok());
        assert!(scratch.drivers(usize::BITS as usize).counts(WIDE).is_ok());

        let parents = Capacity::slots((1 << 29) - 1).points(0).scopes(0).batch(1);
        assert!(parents.counts(NARROW).is_ok());
        assert_eq!(parents.parents(true).counts(NARROW), Err(TooLarge::Slots));
        let slots = Capacity::slots(1 << 29).points(0).batch(1);
        assert_eq!(slots.counts(NARROW), Err(TooLarge::Slots));
    }

    #[test]
    fn states_that_are_too_many_for_their_size() {
        let capacity = Capacity::slots(1 << 16).points(0).scopes(0);
        assert_eq!(capacity.bytes(1 << 16, NARROW), Err(TooLarge::States));
        assert!(capacity.bytes(1 << 16, WIDE).is_ok());
        assert_eq!(capacity.bytes(1 << 48, WIDE), Err(TooLarge::States));
        // Just below the limit alone, and above it with the rest.
        assert_eq!(capacity.bytes((1 << 15) - 1, NARROW), Err(TooLarge::All));
        assert_eq!(capacity.bytes((1 << 47) - 1, WIDE), Err(TooLarge::All));
        assert!(capacity.bytes((1 << 15) - 64, NARROW).is_ok());
    }

    #[test]
    fn the_largest_limits_do_not_wrap_in_64_bits() {
        let most = Capacity::slots((1 << 31) - 1)
            .points((1 << 15) - 1)
            .scopes((1 << 15) - 1)
            .batch(1 << 30)
            .drivers(usize::BITS as usize)
            .workloads(crate::Workload::COUNT)
            .parents(true)
            .tasks(true);
        let bytes = most.bytes(1, WIDE).expect("there is an address for each");
        assert!(bytes.bookkeeping > 1 << 41 && bytes.bookkeeping < 1 << 50);
        assert!(most.counts(NARROW).is_err());
    }
}
