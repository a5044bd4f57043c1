//! A race detector for payloads, in models.

use crate::ground::index::SlotId;

/// Tells loom of each access to a payload, so that two holders of one state are reported as a race.
///
/// Outside loom it is empty and costs nothing.
pub(crate) struct Witness {
    #[cfg(loom)]
    cells: &'static [loom::cell::UnsafeCell<()>],
}

impl Witness {
    pub(crate) fn new(slots: usize) -> Self {
        #[cfg(loom)]
        return Witness {
            cells: (0..slots)
                .map(|_| loom::cell::UnsafeCell::new(()))
                .collect::<std::vec::Vec<_>>()
                .leak(),
        };
        #[cfg(not(loom))]
        {
            let _ = slots;
            Witness {}
        }
    }

    /// Records that the caller is about to use the payload of `slot` alone.
    #[inline(always)]
    pub(crate) fn exclusive(&self, slot: SlotId) {
        #[cfg(loom)]
        self.cells[slot.number()].with_mut(|_| ());
        #[cfg(not(loom))]
        let _ = slot;
    }
}
