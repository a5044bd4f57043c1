//! The append-only trie of contexts: which points the entry point visits, in which order.
//!
//! A node is a program point, an iteration number and a parent. Children are a list in the order of their first
//! visit. Nodes are appended and never moved or removed; a traversal predicts that the node after the one it visited
//! last comes next, which costs one comparison when it is deterministic. Looking a node up in any other way walks
//! the parent's list, and happens only on the first traversal and when a traversal differs.

use crate::{
    error::{Diverged, Fault, Site},
    frame::Frame,
    index::{NodeCell, NodeId, SetCell, SetId},
    point::ProgramPoint,
    shape::{Projection, Shape, ShapeCell},
    sync::{AtomicPtr, AtomicU16, AtomicU32, AtomicUsize, Ordering, spin_loop},
};

/// A node of the trie, in storage that the caller supplies.
pub struct Node {
    point: AtomicPtr<ProgramPoint>,
    iteration: AtomicU32,
    parent: NodeCell,
    first_child: NodeCell,
    next: NodeCell,
    /// The active set of a stage; the entrance's for the root and for scopes, which have none.
    set: SetCell,
    /// Whether a traversal has come to the end of the children, so that further ones are late.
    complete: AtomicU16,
    /// What the stage works on.
    shape: ShapeCell,
    /// Room for the workload of some set, which has nothing to do with this node; see [`Frame::workload_index`].
    workload: AtomicU16,
    /// Room for a field of some shape, which has nothing to do with this node.
    pub(crate) projection: Projection,
}

opaque_debug!(Node);

impl Node {
    /// An unused node: all zero.
    #[cfg(not(loom))]
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "a fresh node for each array element is what is wanted"
    )]
    pub const EMPTY: Node = Node {
        point: AtomicPtr::new(core::ptr::null_mut()),
        iteration: AtomicU32::new(0),
        parent: NodeCell::EMPTY,
        first_child: NodeCell::EMPTY,
        next: NodeCell::EMPTY,
        set: SetCell::EMPTY,
        complete: AtomicU16::new(0),
        shape: ShapeCell::EMPTY,
        workload: AtomicU16::new(0),
        projection: Projection::EMPTY,
    };

    #[cfg(loom)]
    pub(crate) fn empty() -> Node {
        Node {
            point: AtomicPtr::new(core::ptr::null_mut()),
            iteration: AtomicU32::new(0),
            parent: NodeCell::empty(),
            first_child: NodeCell::empty(),
            next: NodeCell::empty(),
            set: SetCell::empty(),
            complete: AtomicU16::new(0),
            shape: ShapeCell::empty(),
            workload: AtomicU16::new(0),
            projection: Projection::empty(),
        }
    }

    #[inline]
    fn is(&self, point: &'static ProgramPoint, iteration: u32) -> bool {
        // ORDERING: Relaxed; the node was reached through an Acquire load of the link that published it.
        core::ptr::eq(self.point.load(Ordering::Relaxed), point)
            && self.iteration.load(Ordering::Relaxed) == iteration
    }

    /// The site, if the node is in use and not the root.
    pub(crate) fn site(&self) -> Option<Site> {
        let point = self.point.load(Ordering::Relaxed);
        // SAFETY: R1: the pointer is null or was made from a `&'static ProgramPoint` in `append`.
        let point = unsafe { point.as_ref() }?;
        Some(Site {
            point,
            iteration: self.iteration.load(Ordering::Relaxed),
        })
    }

    pub(crate) fn parent(&self) -> NodeId {
        self.parent.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set(&self) -> SetId {
        // ORDERING: Acquire; the partner is the Release store in `bind_first`, so the workload is seen with the set.
        self.set.load(Ordering::Acquire)
    }

    /// The active set and the shape of a stage that a batch has come to.
    #[inline]
    fn bound(&self) -> Option<(SetId, Shape)> {
        // ORDERING: Acquire; the partner is the Release store in `bind_first`, so the set is seen with the shape.
        let shape = self.shape.load(Ordering::Acquire)?;
        Some((self.set.load(Ordering::Relaxed), shape))
    }
}

impl Frame {
    /// There are more nodes than sets, so that each set has room in the node of its number.
    #[inline]
    fn workload_cell(&self, set: SetId) -> &AtomicU16 {
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
}

/// How far the trie has grown, and who is extending it.
pub(crate) struct Growth {
    nodes: AtomicU16,
    sets: AtomicU16,
    shapes: AtomicU16,
    /// Taken for the rare append, by threads only: interrupt handlers do not traverse.
    extending: AtomicUsize,
    pub(crate) skipped: AtomicUsize,
    pub(crate) late: AtomicUsize,
}

impl Growth {
    pub(crate) fn new() -> Self {
        Growth {
            nodes: AtomicU16::new(1),
            sets: AtomicU16::new(1),
            shapes: AtomicU16::new(1),
            extending: AtomicUsize::new(0),
            skipped: AtomicUsize::new(0),
            late: AtomicUsize::new(0),
        }
    }

    /// One more than the number of shapes that are projections.
    #[inline]
    pub(crate) fn shapes(&self) -> usize {
        // ORDERING: Acquire; the partner is the Release store in `count_shape`.
        self.shapes.load(Ordering::Acquire).into()
    }

    pub(crate) fn extend(&self) -> Extending<'_> {
        // ORDERING: Acquire; the partner is the Release store when the last one who extended let go.
        while self
            .extending
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            spin_loop();
        }
        Extending(self)
    }
}

/// The right to append.
pub(crate) struct Extending<'a>(&'a Growth);

impl Extending<'_> {
    pub(crate) fn count_shape(&self) {
        let known = self.0.shapes.load(Ordering::Relaxed);
        // ORDERING: Release; the partner is the Acquire load in `Growth::shapes`.
        self.0.shapes.store(known + 1, Ordering::Release);
    }
}

impl Drop for Extending<'_> {
    fn drop(&mut self) {
        self.0.extending.store(0, Ordering::Release);
    }
}

/// Where a traversal stands among the children of one node. It is used with the machine whose links it follows: R5.
#[derive(Clone, Copy)]
pub(crate) struct Cursor {
    /// Nowhere, inside a scope that found no room: nothing is recorded here, and no stage has states.
    parent: Option<NodeId>,
    last: NodeId,
}

/// What a visit found. A node, or a fault, or both.
pub(crate) struct Visit {
    pub(crate) node: Option<NodeId>,
    pub(crate) fault: Option<Fault>,
}

impl Visit {
    fn found(node: NodeId) -> Self {
        Visit {
            node: Some(node),
            fault: None,
        }
    }

    fn failed(fault: Fault) -> Self {
        Visit {
            node: None,
            fault: Some(fault),
        }
    }
}

impl Cursor {
    pub(crate) fn at(parent: Option<NodeId>) -> Self {
        Cursor {
            parent,
            last: NodeId::ROOT,
        }
    }

    pub(crate) fn is_below_the_same(&self, other: &Cursor) -> bool {
        self.parent == other.parent
    }

    /// What it is below of: `None` for nowhere.
    pub(crate) fn scope<'f>(&self, frame: &'f Frame) -> Option<&'f Node> {
        self.parent.map(|parent| frame.node(parent))
    }

    /// Goes to the child that comes next, if that has this point and iteration: what happens in a program that always
    /// visits the same points.
    #[inline(always)]
    pub(crate) fn predict(
        &mut self,
        frame: &Frame,
        point: &'static ProgramPoint,
        iteration: u32,
    ) -> Option<NodeId> {
        let next = self.successor(frame);
        if next == NodeId::ROOT || !frame.node(next).is(point, iteration) {
            return None;
        }
        self.last = next;
        Some(next)
    }

    /// The child that comes next; the root if there is none.
    #[inline(always)]
    fn successor(&self, frame: &Frame) -> NodeId {
        // ORDERING: Acquire; the partner is the Release store of the link in `append`.
        if self.last != NodeId::ROOT {
            return frame.node(self.last).next.load(Ordering::Acquire);
        }
        match self.scope(frame) {
            Some(parent) => parent.first_child.load(Ordering::Acquire),
            None => NodeId::ROOT,
        }
    }

    /// Goes to the child with this point and iteration, and appends it if the recorded list ends here.
    #[cold]
    pub(crate) fn visit(
        &mut self,
        frame: &Frame,
        point: &'static ProgramPoint,
        iteration: u32,
    ) -> Visit {
        let Some(parent) = self.parent else {
            return Visit::failed(exhausted(frame));
        };
        let found = Site { point, iteration };
        if let Some(node) = self.skip_to(frame, found) {
            return Visit::found(node);
        }
        let _extending = frame.growth().extend();
        // Another worker may have appended it meanwhile.
        if let Some(node) = self.skip_to(frame, found) {
            return Visit::found(node);
        }
        let expected = match self.successor(frame) {
            NodeId::ROOT => None,
            next => frame.node(next).site(),
        };
        let first = frame.node(parent).first_child.load(Ordering::Acquire);
        let known = find(frame, first, found);
        let node = match known {
            Some((node, _)) => node,
            None => match append(frame, parent, self.last, found) {
                Ok(node) => {
                    self.last = node;
                    node
                }
                Err(fault) => return Visit::failed(fault),
            },
        };
        // Appending right behind the node visited last is how a trie grows. Anything else is another order than the
        // recorded one.
        let grows = known.is_none() && expected.is_none();
        Visit {
            node: Some(node),
            fault: (!grows).then_some(Fault::Diverged(Diverged { expected, found })),
        }
    }

    /// Goes to the site if it is still ahead, and counts what lies between.
    fn skip_to(&mut self, frame: &Frame, site: Site) -> Option<NodeId> {
        let (node, skipped) = find(frame, self.successor(frame), site)?;
        if skipped > 0 {
            frame.growth().skipped.fetch_add(skipped, Ordering::Relaxed);
        }
        self.last = node;
        Some(node)
    }

    /// The child with this point that some traversal has visited.
    pub(crate) fn known(&self, frame: &Frame, point: &'static ProgramPoint) -> Option<NodeId> {
        let first = self.scope(frame)?.first_child.load(Ordering::Acquire);
        let iteration = 0;
        find(frame, first, Site { point, iteration }).map(|(node, _)| node)
    }

    /// The traversal leaves this node; counts what it did not visit.
    #[inline]
    pub(crate) fn leave(&self, frame: &Frame) {
        let Some(parent) = self.scope(frame) else {
            return;
        };
        // ORDERING: Relaxed; the mark only sorts what is counted.
        if parent.complete.load(Ordering::Relaxed) == 0 {
            parent.complete.store(1, Ordering::Relaxed);
        }
        let mut next = self.successor(frame);
        if next == NodeId::ROOT {
            return;
        }
        let mut skipped = 0;
        while next != NodeId::ROOT {
            skipped += 1;
            next = frame.node(next).next.load(Ordering::Acquire);
        }
        frame.growth().skipped.fetch_add(skipped, Ordering::Relaxed);
    }
}

/// The node of this site from `node` on, and how many come before it.
fn find(frame: &Frame, mut node: NodeId, site: Site) -> Option<(NodeId, usize)> {
    let mut before = 0;
    while node != NodeId::ROOT {
        if frame.node(node).is(site.point, site.iteration) {
            return Some((node, before));
        }
        before += 1;
        node = frame.node(node).next.load(Ordering::Acquire);
    }
    None
}

#[cold]
fn exhausted(frame: &Frame) -> Fault {
    Fault::ScopesExhausted {
        capacity: frame.capacity().nodes() - 1,
    }
}

/// Appends a child behind `last` and those that follow it, for whoever has the right to.
fn append(frame: &Frame, parent: NodeId, last: NodeId, site: Site) -> Result<NodeId, Fault> {
    let growth = frame.growth();
    let mut link = match last {
        NodeId::ROOT => &frame.node(parent).first_child,
        last => &frame.node(last).next,
    };
    loop {
        match link.load(Ordering::Acquire) {
            NodeId::ROOT => break,
            child => link = &frame.node(child).next,
        }
    }
    let number = growth.nodes.load(Ordering::Relaxed);
    let Some(index) = frame.node_id(number.into()) else {
        return Err(exhausted(frame));
    };
    growth.nodes.store(number + 1, Ordering::Relaxed);
    if frame.node(parent).complete.load(Ordering::Relaxed) != 0 {
        growth.late.fetch_add(1, Ordering::Relaxed);
    }
    let node = frame.node(index);
    let pointer = core::ptr::from_ref(site.point).cast_mut();
    node.point.store(pointer, Ordering::Relaxed);
    node.iteration.store(site.iteration, Ordering::Relaxed);
    node.parent.store(parent, Ordering::Relaxed);
    // ORDERING: Release publishes the node; the partners are the Acquire loads of links.
    link.store(index, Ordering::Release);
    Ok(index)
}

/// What a stage is bound to.
pub(crate) enum Binding {
    /// Its active set, and the shape of the states that wait there.
    To(SetId, Shape),
    /// Nothing has ever arrived.
    Nothing,
    /// All sets belong to other points.
    NoRoom,
}

/// The first batch that arrives binds the point: all that wait there must have the same shape, since the code below
/// works on all of them alike.
#[inline]
pub(crate) fn bind(
    frame: &Frame,
    index: NodeId,
    point: &ProgramPoint,
    arriving: Option<Shape>,
) -> Binding {
    let node = frame.node(index);
    match (node.bound(), arriving) {
        (Some((set, shape)), _) => Binding::To(set, shape),
        (None, Some(arriving)) => bind_first(frame, node, point, arriving),
        (None, None) => Binding::Nothing,
    }
}

#[cold]
fn bind_first(frame: &Frame, node: &Node, point: &ProgramPoint, arriving: Shape) -> Binding {
    let growth = frame.growth();
    let _extending = growth.extend();
    if let Some((set, shape)) = node.bound() {
        return Binding::To(set, shape);
    }
    let number = growth.sets.load(Ordering::Relaxed);
    let Some(set) = frame.set(number.into()) else {
        return Binding::NoRoom;
    };
    growth.sets.store(number + 1, Ordering::Relaxed);
    let workload = point.workload().index() as u16;
    frame.workload_cell(set).store(workload, Ordering::Relaxed);
    // ORDERING: Release publishes the workload; the partner is the Acquire load in `Node::set`.
    node.set.store(set, Ordering::Release);
    // ORDERING: Release publishes the set and the workload; the partner is the Acquire load in `Node::bound`.
    node.shape.store(arriving, Ordering::Release);
    Binding::To(set, arriving)
}

/// The stage whose active set this is; `None` for the entrance. Walks the nodes.
pub(crate) fn stage_of(frame: &Frame, set: SetId) -> Option<NodeId> {
    if set == SetId::ENTRANCE {
        return None;
    }
    let nodes = frame.growth().nodes.load(Ordering::Relaxed);
    let mut grown = frame.nodes.iter().take(nodes.into());
    let stage = grown.position(|node| node.set() == set)?;
    frame.node_id(stage)
}
