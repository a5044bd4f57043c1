//! The limits of a machine, and what they cost.

use crate::{ground::bitmap::Geometry, program::workload::Workload};

/// What happens when the version of a slot has gone round.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Wrap {
    /// The version starts again at 0. A handle that was kept while its slot had exactly 2⁵⁵ tenants (2²³ on 32-bit
    /// targets), or a multiple of that, is then taken for the new tenant's.
    #[default]
    Reuse,
    /// The slot is retired: no handle is ever mistaken, and the machine has a slot less.
    Retire,
}

/// Every limit of a machine.
///
/// | limit | what happens at it |
/// |---|---|
/// | `slots` | [`Full`](crate::Full) gives the value back, and a slot that frees rings the counter |
/// | `points` | [`Fault::PointsExhausted`](crate::Fault); the states stay where they were |
/// | `scopes` | [`Fault::ScopesExhausted`](crate::Fault); the states stay where they were |
/// | `batch` | what does not fit stays active, and the turn says [`Progress::More`](crate::Progress) |
/// | `drivers` | [`DriversTaken`](crate::turn::DriversTaken) |
///
/// Limits that ask for more memory than the target can address do not make a machine: a wrong `static` does not compile,
/// and [`Machine::heap`](crate::Machine::heap) panics with the name of the limit.
///
/// ```
/// use batchloop_core::Capacity;
/// const CAPACITY: Capacity = Capacity::slots(1000).points(8).batch(64);
/// const BYTES: usize = CAPACITY.footprint::<[u8; 64]>().bookkeeping;
/// const { assert!(BYTES / 1000 <= 16) };
/// ```
///
/// ```compile_fail,E0080
/// # use batchloop_core::{Capacity, storage};
/// storage!(static PAGES: [u8; 1 << 40] = Capacity::slots(1 << 30));
/// # assert!(PAGES.local().is_ok());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "each limit is set in the value that is returned"]
pub struct Capacity {
    pub(crate) slots: usize,
    pub(crate) points: usize,
    pub(crate) scopes: usize,
    pub(crate) batch: usize,
    pub(crate) drivers: usize,
    pub(crate) workloads: usize,
    pub(crate) parents: bool,
    pub(crate) tasks: bool,
    pub(super) wrap: Wrap,
    pub(crate) version_bits: u32,
}

impl Capacity {
    /// Room for this many states, 16 points, 16 scopes, batches of 256 (or of all the slots, if fewer), one driver
    /// and no parents.
    ///
    /// # Panics
    ///
    /// With no slots, or more than 2³¹ - 1. In a `const` that is an error of the compiler.
    #[track_caller]
    pub const fn slots(slots: usize) -> Self {
        assert!(slots > 0, "`slots` must be at least 1");
        assert!(
            slots as u64 <= (u32::MAX >> 1) as u64,
            "`slots` must be below 2^31"
        );
        Capacity {
            slots,
            points: 16,
            scopes: 16,
            batch: if slots < 256 { slots } else { 256 },
            drivers: 1,
            workloads: 1,
            parents: false,
            tasks: false,
            wrap: Wrap::Reuse,
            version_bits: crate::slab::lifecycle::VERSION_BITS,
        }
    }

    /// Room for this many stages of the entry point.
    ///
    /// # Panics
    ///
    /// Beyond 2¹⁵ - 1.
    #[track_caller]
    pub const fn points(mut self, points: usize) -> Self {
        assert!(points < 1 << 15, "`points` must be below 2^15");
        self.points = points;
        self
    }

    /// Room for this many scopes of the entry point, each iteration counted.
    ///
    /// # Panics
    ///
    /// Beyond 2¹⁵ - 1.
    #[track_caller]
    pub const fn scopes(mut self, scopes: usize) -> Self {
        assert!(scopes < 1 << 15, "`scopes` must be below 2^15");
        self.scopes = scopes;
        self
    }

    /// At most this many states are taken from a point at once. Some hundreds keep them in the cache from stage to
    /// stage. More than there are slots is as many as there are slots.
    ///
    /// # Panics
    ///
    /// At 0.
    #[track_caller]
    pub const fn batch(mut self, batch: usize) -> Self {
        assert!(batch > 0, "`batch` must be at least 1");
        // Places in the scratch space are numbered with 32 bits.
        let most = if self.slots < 1 << 30 {
            self.slots
        } else {
            1 << 30
        };
        self.batch = if batch < most { batch } else { most };
        self
    }

    /// Room for this many drivers, so that as many threads can run a [`Shared`](crate::Shared) machine.
    ///
    /// # Panics
    ///
    /// At 0, or beyond the bits of a word.
    #[track_caller]
    pub const fn drivers(mut self, drivers: usize) -> Self {
        assert!(
            drivers > 0 && drivers <= usize::BITS as usize,
            "`drivers` must be between 1 and `usize::BITS`"
        );
        self.drivers = drivers;
        self
    }

    /// Change counters of their own for this many [`Workload`](crate::Workload)s, from IO on; the others share the first.
    /// With one counter each, a driver of one workload sleeps through the changes of another.
    ///
    /// # Panics
    ///
    /// At 0, or beyond [`Workload::COUNT`](Workload::COUNT).
    #[track_caller]
    pub const fn workloads(mut self, workloads: usize) -> Self {
        assert!(workloads > 0, "`workloads` must be at least 1");
        assert!(
            workloads <= Workload::COUNT,
            "`workloads` must be at most 8"
        );
        self.workloads = workloads;
        self
    }

    /// Lets states name their parent. Costs three words a slot.
    pub const fn parents(mut self, parents: bool) -> Self {
        self.parents = parents;
        self
    }

    /// Lets states poll futures; see [`Me::poll`](crate::Me::poll). Costs a word a slot.
    pub const fn tasks(mut self, tasks: bool) -> Self {
        self.tasks = tasks;
        self
    }

    /// What happens when the version of a slot has gone round.
    pub const fn wrap(mut self, wrap: Wrap) -> Self {
        self.wrap = wrap;
        self
    }

    /// For tests: gives the version fewer bits than the word has, so that it wraps soon.
    ///
    /// # Panics
    ///
    /// At 0, or beyond [`Version::BITS`](crate::slab::Version::BITS).
    #[doc(hidden)]
    #[track_caller]
    pub const fn version_bits(mut self, bits: u32) -> Self {
        assert!(
            bits >= 1 && bits <= crate::slab::lifecycle::VERSION_BITS,
            "`version_bits` must be between 1 and `Version::BITS`"
        );
        self.version_bits = bits;
        self
    }

    /// The number of slots.
    pub const fn slot_count(&self) -> usize {
        self.slots
    }

    pub(crate) const fn geometry(&self) -> Geometry {
        Geometry::of(self.slots)
    }

    /// Bitmaps that belong to no point: of the free slots, the inbox, the withdrawn deadlines, and the entrance.
    pub(crate) const SETS_BESIDE_POINTS: usize = 4;

    /// Below 2³²: a batch is at most 2³⁰.
    pub(crate) const fn scratch_of_driver(&self) -> usize {
        2 * self.batch + self.points + 1
    }
}
