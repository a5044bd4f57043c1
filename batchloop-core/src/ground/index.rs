//! Numbers of slots, nodes and sets that are known to be inside their machine.
//!
//! One is made where a number is compared with a limit, or read from a cell that holds nothing else. What it leads to
//! is then looked up without another comparison. A number is used with the machine that it is of: R5.

use crate::ground::sync::{AtomicU16, AtomicU32, Ordering};

/// One of a machine's slots.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SlotId(u32);

impl SlotId {
    /// Every machine has one.
    pub(crate) const FIRST: SlotId = SlotId(0);

    /// # Safety
    ///
    /// R5: the machine that it is used with has more slots than this number. So the number has at most 31 bits.
    #[inline(always)]
    pub(crate) const unsafe fn new_unchecked(number: usize) -> Self {
        SlotId(number as u32)
    }

    #[inline(always)]
    pub(crate) const fn number(self) -> usize {
        self.0 as usize
    }

    /// As handles and tokens carry it.
    #[inline(always)]
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }
}

/// One of a machine's nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NodeId(u16);

impl NodeId {
    /// The root of the trie, and "no node" as a child or sibling: the root is neither. Every machine has one.
    pub(crate) const ROOT: NodeId = NodeId(0);

    /// # Safety
    ///
    /// R5: the machine that it is used with has more nodes than this number. So the number has at most 16 bits.
    #[inline(always)]
    pub(crate) const unsafe fn new_unchecked(number: usize) -> Self {
        NodeId(number as u16)
    }

    #[inline(always)]
    pub(crate) const fn number(self) -> usize {
        self.0 as usize
    }
}

/// The active set of one of a machine's points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SetId(u16);

impl SetId {
    /// The set of the states that wait at the entrance. Every machine has one.
    pub(crate) const ENTRANCE: SetId = SetId(0);

    /// # Safety
    ///
    /// R5: the machine that it is used with has at least so many points. So the number has at most 15 bits.
    #[inline(always)]
    pub(crate) const unsafe fn new_unchecked(number: usize) -> Self {
        SetId(number as u16)
    }

    #[inline(always)]
    pub(crate) const fn number(self) -> usize {
        self.0 as usize
    }
}

/// Holds the number of a node of the machine that the cell is of: the root's, when all its bytes are zero.
#[derive(Default)]
pub(crate) struct NodeCell(AtomicU16);

/// Holds the number of a set of the machine that the cell is of: the entrance's, when all its bytes are zero.
#[derive(Default)]
#[repr(transparent)]
pub(crate) struct SetCell(AtomicU16);

macro_rules! cell {
    ($cell:ident of $index:ident) => {
        impl $cell {
            #[inline(always)]
            pub(crate) fn load(&self, order: Ordering) -> $index {
                $index(self.0.load(order))
            }

            #[inline(always)]
            pub(crate) fn store(&self, index: $index, order: Ordering) {
                self.0.store(index.0, order);
            }
        }
    };
}

cell!(NodeCell of NodeId);
cell!(SetCell of SetId);

/// A way from one node to a sibling of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    /// The root where there is none.
    pub(crate) node: NodeId,
    /// Whether no traversal has taken it: the sibling need not come after the node.
    pub(crate) is_loose: bool,
}

/// Holds a link to a node of the machine that the cell is of: to the root, when all its bytes are zero.
#[derive(Default)]
pub(crate) struct LinkCell(AtomicU32);

impl LinkCell {
    /// Above the number of the node.
    const LOOSE: u32 = 1 << 16;

    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> Link {
        let bits = self.0.load(order);
        Link {
            node: NodeId(bits as u16),
            is_loose: bits & Self::LOOSE != 0,
        }
    }

    pub(crate) fn store(&self, link: Link, order: Ordering) {
        let loose = if link.is_loose { Self::LOOSE } else { 0 };
        self.0.store(u32::from(link.node.0) | loose, order);
    }
}
