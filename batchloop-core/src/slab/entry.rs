//! The elements of batches.

use crate::ground::{index::SlotId, sync::Ordering};

/// One index of a batch.
#[derive(Default)]
#[repr(transparent)]
pub(crate) struct Index(core::sync::atomic::AtomicU32);

/// One state of a batch: a slot, and whether the batch owns it yet.
///
/// States that a stage takes from its active set are *claimed*: their bits are in hand, and they become owned when
/// their closure starts, in the exchange that locks them. Slots have 31 bits; the highest marks those that are owned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry(u32);

const OWNED: u32 = 1 << 31;

impl Entry {
    /// # Safety
    ///
    /// R3: the owner of the batch that it is written for owns the slot.
    #[inline(always)]
    pub(super) unsafe fn owned(slot: SlotId) -> Self {
        Entry(slot.bits() | OWNED)
    }

    #[inline(always)]
    pub(crate) fn claimed(slot: SlotId) -> Self {
        Entry(slot.bits())
    }

    // ORDERING: Relaxed; scratch space belongs to one driver, and a driver to one thread at a time.
    #[inline(always)]
    pub(crate) fn read(index: &Index) -> Self {
        Entry(index.0.load(Ordering::Relaxed))
    }

    // ORDERING: as in `read`.
    #[inline(always)]
    pub(crate) fn write(self, index: &Index) {
        index.0.store(self.0, Ordering::Relaxed);
    }

    #[inline(always)]
    pub(crate) fn slot(self) -> SlotId {
        // SAFETY: R5: it was made from the number of a slot, or is of an unused index, and every machine has a slot 0.
        unsafe { SlotId::new_unchecked((self.0 & !OWNED) as usize) }
    }

    #[inline(always)]
    pub(crate) fn is_claimed(self) -> bool {
        self.0 & OWNED == 0
    }
}
