//! The append-only trie of contexts: which points the entry point visits, in which order.
//!
//! A node is a program point, an iteration number and a parent. Children are a list in the order of their first
//! visit. Nodes are appended and never moved or removed; a traversal predicts that the node after the one it visited
//! last comes next, which costs one comparison when it is deterministic. Looking a node up in any other way walks
//! the parent's list, and happens only on the first traversal and when a traversal differs.

use crate::{
    error::{Diverged, Fault, Site},
    frame::Frame,
    point::ProgramPoint,
    shape::{Projection, Shape},
    sync::{AtomicPtr, AtomicU16, AtomicU32, AtomicUsize, Ordering, spin_loop},
};

/// The root of the trie, and "no node" as a child or sibling: the root is neither.
pub(crate) const ROOT: u16 = 0;

/// The set of the states that wait at the entrance.
pub(crate) const ENTRANCE: u16 = 0;

/// A node of the trie, in storage that the caller supplies.
pub struct Node {
    point: AtomicPtr<ProgramPoint>,
    iteration: AtomicU32,
    parent: AtomicU16,
    first_child: AtomicU16,
    next: AtomicU16,
    /// The active set of a stage; 0 for the root and for scopes, which have none.
    set: AtomicU16,
    /// Whether a traversal has come to the end of the children, so that further ones are late.
    complete: AtomicU16,
    /// What the stage works on.
    shape: AtomicU16,
    /// The workload of the point whose set has this node's number, which has nothing to do with this node.
    pub(crate) workload_of_set: AtomicU16,
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
        parent: AtomicU16::new(0),
        first_child: AtomicU16::new(0),
        next: AtomicU16::new(0),
        set: AtomicU16::new(0),
        complete: AtomicU16::new(0),
        shape: AtomicU16::new(0),
        workload_of_set: AtomicU16::new(0),
        projection: Projection::EMPTY,
    };

    #[cfg(loom)]
    pub(crate) fn empty() -> Node {
        Node {
            point: AtomicPtr::new(core::ptr::null_mut()),
            iteration: AtomicU32::new(0),
            parent: AtomicU16::new(0),
            first_child: AtomicU16::new(0),
            next: AtomicU16::new(0),
            set: AtomicU16::new(0),
            complete: AtomicU16::new(0),
            shape: AtomicU16::new(0),
            workload_of_set: AtomicU16::new(0),
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

    pub(crate) fn parent(&self) -> u16 {
        self.parent.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set(&self) -> u16 {
        // ORDERING: Acquire; the partner is the Release store in `bind`, so the shape is seen with the set.
        self.set.load(Ordering::Acquire)
    }

    fn shape(&self) -> Shape {
        // ORDERING: Relaxed; published with `set`.
        Shape::from_index(self.shape.load(Ordering::Relaxed))
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
    pub(crate) fn shapes(&self) -> u16 {
        // ORDERING: Acquire; the partner is the Release store in `count_shape`.
        self.shapes.load(Ordering::Acquire)
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
        // ORDERING: Release; the partner is the Acquire load in `Growth::shapes`.
        self.0.shapes.store(self.0.shapes() + 1, Ordering::Release);
    }
}

impl Drop for Extending<'_> {
    fn drop(&mut self) {
        self.0.extending.store(0, Ordering::Release);
    }
}

/// Where a traversal stands among the children of one node.
#[derive(Clone, Copy)]
pub(crate) struct Cursor {
    pub(crate) parent: u16,
    last: u16,
}

/// What a visit found. A node, or a fault, or both.
pub(crate) struct Visit {
    pub(crate) node: Option<u16>,
    pub(crate) fault: Option<Fault>,
}

impl Visit {
    fn found(node: u16) -> Self {
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
    pub(crate) fn at(parent: u16) -> Self {
        Cursor { parent, last: ROOT }
    }

    /// Inside a scope that found no room: nothing is recorded here, and no stage has states.
    pub(crate) const NOWHERE: u16 = u16::MAX;

    /// Goes to the child that comes next, if that has this point and iteration: what happens in a program that always
    /// visits the same points.
    #[inline(always)]
    pub(crate) fn predict(
        &mut self,
        frame: &Frame,
        point: &'static ProgramPoint,
        iteration: u32,
    ) -> Option<u16> {
        let next = self.successor(frame);
        if next == ROOT || !frame.node(next).is(point, iteration) {
            return None;
        }
        self.last = next;
        Some(next)
    }

    /// The child that comes next; the root if there is none.
    #[inline(always)]
    fn successor(&self, frame: &Frame) -> u16 {
        // ORDERING: Acquire; the partner is the Release store of the link in `append`.
        if self.last != ROOT {
            return frame.node(self.last).next.load(Ordering::Acquire);
        }
        match frame.nodes.get(self.parent as usize) {
            Some(parent) => parent.first_child.load(Ordering::Acquire),
            None => ROOT,
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
        if self.parent == Self::NOWHERE {
            return Visit::failed(exhausted(frame));
        }
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
            ROOT => None,
            next => frame.node(next).site(),
        };
        let first = frame.node(self.parent).first_child.load(Ordering::Acquire);
        let known = find(frame, first, found);
        let node = match known {
            Some((node, _)) => node,
            None => match append(frame, self.parent, self.last, found) {
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
    fn skip_to(&mut self, frame: &Frame, site: Site) -> Option<u16> {
        let (node, skipped) = find(frame, self.successor(frame), site)?;
        if skipped > 0 {
            frame.growth().skipped.fetch_add(skipped, Ordering::Relaxed);
        }
        self.last = node;
        Some(node)
    }

    /// The child with this point that some traversal has visited.
    pub(crate) fn known(&self, frame: &Frame, point: &'static ProgramPoint) -> Option<u16> {
        let parent = frame.nodes.get(self.parent as usize)?;
        let first = parent.first_child.load(Ordering::Acquire);
        let iteration = 0;
        find(frame, first, Site { point, iteration }).map(|(node, _)| node)
    }

    /// The traversal leaves this node; counts what it did not visit.
    #[inline]
    pub(crate) fn leave(&self, frame: &Frame) {
        let parent = frame.node(self.parent);
        // ORDERING: Relaxed; the mark only sorts what is counted.
        if parent.complete.load(Ordering::Relaxed) == 0 {
            parent.complete.store(1, Ordering::Relaxed);
        }
        let mut next = self.successor(frame);
        if next == ROOT {
            return;
        }
        let mut skipped = 0;
        while next != ROOT {
            skipped += 1;
            next = frame.node(next).next.load(Ordering::Acquire);
        }
        frame.growth().skipped.fetch_add(skipped, Ordering::Relaxed);
    }
}

/// The node of this site from `node` on, and how many come before it.
fn find(frame: &Frame, mut node: u16, site: Site) -> Option<(u16, usize)> {
    let mut before = 0;
    while node != ROOT {
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
fn append(frame: &Frame, parent: u16, last: u16, site: Site) -> Result<u16, Fault> {
    let growth = frame.growth();
    let mut link = match last {
        ROOT => &frame.node(parent).first_child,
        last => &frame.node(last).next,
    };
    loop {
        match link.load(Ordering::Acquire) {
            ROOT => break,
            child => link = &frame.node(child).next,
        }
    }
    let index = growth.nodes.load(Ordering::Relaxed);
    if index as usize >= frame.capacity().nodes() {
        return Err(exhausted(frame));
    }
    growth.nodes.store(index + 1, Ordering::Relaxed);
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
    To(u16, Shape),
    /// Nothing has ever arrived.
    Nothing,
    /// All sets belong to other points.
    NoRoom,
}

/// The first batch that arrives binds the point: all that wait there must have the same shape, since the code below
/// works on all of them alike.
#[inline]
pub(crate) fn bind(frame: &Frame, index: u16, point: &ProgramPoint, arriving: Shape) -> Binding {
    let node = frame.node(index);
    let set = node.set();
    if set != ENTRANCE {
        Binding::To(set, node.shape())
    } else if arriving.is_known() {
        bind_first(frame, node, point, arriving)
    } else {
        Binding::Nothing
    }
}

#[cold]
fn bind_first(frame: &Frame, node: &Node, point: &ProgramPoint, arriving: Shape) -> Binding {
    let growth = frame.growth();
    let _extending = growth.extend();
    let set = node.set();
    if set != ENTRANCE {
        return Binding::To(set, node.shape());
    }
    let set = growth.sets.load(Ordering::Relaxed);
    if set as usize > frame.capacity().points {
        return Binding::NoRoom;
    }
    growth.sets.store(set + 1, Ordering::Relaxed);
    node.shape.store(arriving.index(), Ordering::Relaxed);
    let workload = point.workload().index() as u16;
    let of_set = &frame.node(set).workload_of_set;
    of_set.store(workload, Ordering::Relaxed);
    // ORDERING: Release publishes the shape and the workload; the partner is the Acquire load in `Node::set`.
    node.set.store(set, Ordering::Release);
    Binding::To(set, arriving)
}

/// The stage whose active set this is; `None` for the entrance. Walks the nodes.
pub(crate) fn stage_of(frame: &Frame, set: u16) -> Option<u16> {
    if set == ENTRANCE {
        return None;
    }
    let nodes = frame.growth().nodes.load(Ordering::Relaxed);
    (1..nodes).find(|&index| frame.node(index).set() == set)
}
