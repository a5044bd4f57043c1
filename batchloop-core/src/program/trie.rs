//! The append-only trie of contexts: which points the entry point visits, in which order.
//!
//! A node is a program point, an iteration number and a parent. Nodes are appended to an array and stay there for ever.
//! The children of a node are a list, in the order in which traversals visit them. A traversal predicts that the node
//! after the one it visited last comes next, which costs one comparison when it is deterministic. Looking a node up in
//! any other way walks the parent's list, and happens only on the first traversal and when a traversal differs.
//!
//! **Order.** A traversal may leave nodes out, and may find new ones anywhere: a stage inside an `if`, one more round of
//! a loop. A new node is linked behind the one that the traversal has come from. Where it stands relative to what follows is
//! not known then, and the link to that is *loose* until a traversal takes it. If a node that lies behind a traversal is
//! visited all the same, the links from it to the present place decide: if each of them has been taken by some traversal,
//! the recorded order says the opposite, which is a divergence. If one is loose, no traversal has said so, and the node
//! moves to the present place. So a program that visits subsets of one order is never at fault, whatever comes first, and
//! one that changes the order of nodes that follow each other is.

use core::any::TypeId;

use crate::{
    ground::{
        bitmap::Tops,
        index::{Link, NodeId, SetId},
        sync::{AtomicU16, AtomicUsize, Ordering, spin_loop},
        word::Word,
    },
    program::{fault::Fault, node::Node, point::Site, shape::Projection, type_name::TypeName},
};

/// How far the trie has grown, and what is extending it.
pub(super) struct Growth {
    pub(super) nodes: AtomicU16,
    pub(crate) sets: AtomicU16,
    pub(crate) scopes: AtomicU16,
    pub(super) shapes: AtomicU16,
    /// Taken for the rare change, by threads only: interrupt handlers do not traverse.
    pub(super) extending: AtomicUsize,
    /// Not 0 once a turn has come to its end without a fault.
    explored: AtomicU16,
    pub(crate) skipped: AtomicUsize,
    pub(crate) late: AtomicUsize,
}

impl Growth {
    fn new() -> Self {
        Growth {
            nodes: AtomicU16::new(1),
            sets: AtomicU16::new(1),
            scopes: AtomicU16::new(0),
            shapes: AtomicU16::new(1),
            extending: AtomicUsize::new(0),
            explored: AtomicU16::new(0),
            skipped: AtomicUsize::new(0),
            late: AtomicUsize::new(0),
        }
    }

    /// One more than the number of shapes that are projections.
    #[inline]
    fn shapes(&self) -> usize {
        // ORDERING: Acquire; the partner is the Release store in `count_shape`.
        self.shapes.load(Ordering::Acquire).into()
    }

    pub(crate) fn lock(&self) {
        // ORDERING: Acquire; the partner is the Release store when the last one that extended let go.
        while self
            .extending
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            spin_loop();
        }
    }
}

/// The type of a machine's states: what the shape of the whole state stands for.
pub(crate) struct Whole {
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
}

/// The nodes of a machine, how far they have grown, and what they are made for.
pub(crate) struct Trie {
    nodes: &'static [Node],
    pub(super) growth: Growth,
    tops: Tops,
    points: usize,
    pub(crate) scopes: usize,
    /// The type of the machine's states.
    pub(crate) whole: Whole,
}

impl Trie {
    /// # Safety
    ///
    /// R5: there is a node for the root, for each point and for each scope, and a top word for each point.
    pub(crate) unsafe fn new(
        nodes: &'static [Node],
        tops: Tops,
        points: usize,
        scopes: usize,
        whole: Whole,
    ) -> Self {
        Trie {
            nodes,
            growth: Growth::new(),
            tops,
            points,
            scopes,
            whole,
        }
    }

    /// The type of the machine's states.
    pub(crate) fn state_type(&self) -> TypeName {
        TypeName::new(self.whole.name)
    }

    /// The set of this number, if there is a point for it.
    pub(crate) fn set(&self, number: usize) -> Option<SetId> {
        if number > self.points {
            return None;
        }
        // SAFETY: R5: it has just been compared.
        Some(unsafe { SetId::new_unchecked(number) })
    }

    /// The top word of a set.
    pub(super) fn top(&self, set: SetId) -> &'static Word {
        self.tops.of(set)
    }

    /// The node of this number, if there is room for it.
    pub(super) fn node_id(&self, number: usize) -> Option<NodeId> {
        if number >= self.nodes.len() {
            return None;
        }
        // SAFETY: R5: it has just been compared.
        Some(unsafe { NodeId::new_unchecked(number) })
    }

    #[inline(always)]
    pub(crate) fn node(&self, node: NodeId) -> &'static Node {
        debug_assert!(node.number() < self.nodes.len());
        // SAFETY: R5: the number of a node.
        unsafe { self.nodes.get_unchecked(node.number()) }
    }

    /// Links a node to the sibling that is visited next, as far as is known.
    pub(super) fn lead(&self, node: NodeId, link: Link) {
        let ahead = match link.is_loose {
            true => NodeId::ROOT,
            false => link.node,
        };
        self.node(node).lead_to(link, self.node(ahead));
    }

    /// The room for fields in the nodes: one in each.
    pub(super) fn projection(&self, node: usize) -> Option<&Projection> {
        self.nodes.get(node).map(|node| &node.projection)
    }

    /// How many fields there is room for: the root keeps none.
    pub(super) fn most_projections(&self) -> usize {
        self.nodes.len() - 1
    }

    /// One more than the number of shapes that are projections.
    #[inline]
    pub(super) fn shapes(&self) -> usize {
        self.growth.shapes()
    }

    /// There are more nodes than sets, so that each set has room in the node of its number.
    #[inline]
    pub(super) fn workload_cell(&self, set: SetId) -> &AtomicU16 {
        debug_assert!(set.number() < self.nodes.len());
        // SAFETY: R5: the sets are those of the points and of the entrance, and the nodes one for each point, and the root.
        let node = unsafe { self.nodes.get_unchecked(set.number()) };
        &node.workload
    }

    /// The number of the workload of a set's point.
    #[inline]
    pub(crate) fn workload_index(&self, set: SetId) -> u16 {
        // ORDERING: Relaxed; written before the set's first state came to its point.
        self.workload_cell(set).load(Ordering::Relaxed)
    }

    /// The stage whose active set this is; `None` for the entrance. Walks the nodes.
    pub(crate) fn stage_of(&self, set: SetId) -> Option<NodeId> {
        if set == SetId::ENTRANCE {
            return None;
        }
        let nodes = self.growth.nodes.load(Ordering::Relaxed);
        let mut grown = self.nodes.iter().take(nodes.into());
        let stage = grown.position(|node| node.bound().is_some_and(|(bound, _)| bound == set))?;
        self.node_id(stage)
    }

    #[cold]
    pub(crate) fn points_exhausted(&self, at: Site) -> Fault {
        Fault::PointsExhausted {
            at,
            capacity: self.points,
        }
    }

    #[cold]
    pub(super) fn scopes_exhausted(&self, at: Site) -> Fault {
        Fault::ScopesExhausted {
            at,
            capacity: self.scopes,
        }
    }

    /// Whether a turn has come to its end without a fault, so that all it needs was there.
    #[inline(always)]
    pub(crate) fn is_explored(&self) -> bool {
        // ORDERING: Relaxed; it only tells what need not be looked at again.
        self.growth.explored.load(Ordering::Relaxed) != 0
    }

    /// A turn has come to its end without a fault.
    pub(crate) fn explored(&self) {
        self.growth.explored.store(1, Ordering::Relaxed);
    }

    /// Counts nodes that a traversal has left out.
    pub(super) fn count_skipped(&self, nodes: usize) {
        self.growth.skipped.fetch_add(nodes, Ordering::Relaxed);
    }

    /// How many visits have been left out so far, and how many nodes came late.
    pub(crate) fn irregularities(&self) -> Irregularities {
        Irregularities {
            skipped: self.growth.skipped.load(Ordering::Relaxed),
            late: self.growth.late.load(Ordering::Relaxed),
        }
    }
}

/// What differed from the recorded traversal without being a fault.
pub(crate) struct Irregularities {
    pub(crate) skipped: usize,
    pub(crate) late: usize,
}
