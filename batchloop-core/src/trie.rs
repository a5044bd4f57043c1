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

use crate::{
    error::{Fault, Site},
    frame::Frame,
    index::{Link, LinkCell, NodeCell, NodeId, SetCell, SetId},
    point::ProgramPoint,
    shape::{Projection, Shape, ShapeCell},
    sync::{AtomicPtr, AtomicU16, AtomicU32, AtomicUsize, Ordering, spin_loop},
};

/// A node of the trie, in storage that the caller supplies.
pub struct Node {
    point: AtomicPtr<ProgramPoint>,
    iteration: AtomicU32,
    next: LinkCell,
    parent: NodeCell,
    first_child: NodeCell,
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

/// What a node is visited as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Visited {
    Stage,
    Scope,
}

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
        next: LinkCell::EMPTY,
        parent: NodeCell::EMPTY,
        first_child: NodeCell::EMPTY,
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
            next: LinkCell::empty(),
            parent: NodeCell::empty(),
            first_child: NodeCell::empty(),
            set: SetCell::empty(),
            complete: AtomicU16::new(0),
            shape: ShapeCell::empty(),
            workload: AtomicU16::new(0),
            projection: Projection::empty(),
        }
    }

    #[inline]
    pub(crate) fn is(&self, point: &'static ProgramPoint, iteration: u32) -> bool {
        // ORDERING: Relaxed; the node was reached through an Acquire load of the link that published it.
        core::ptr::eq(self.point.load(Ordering::Relaxed), point)
            && self.iteration.load(Ordering::Relaxed) == iteration
    }

    /// The site, if the node is in use and not the root.
    pub(crate) fn site(&self) -> Option<Site> {
        let point = self.point.load(Ordering::Relaxed);
        // SAFETY: R1: the pointer is null or was made from a `&'static ProgramPoint` in `insert`.
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
        // ORDERING: Relaxed; a stage's set was stored before the link that led here. A set that a node gets later, because
        // it was a scope at first, may be missed for a while, as a wake is that comes behind the turn.
        self.set.load(Ordering::Relaxed)
    }

    /// The active set and the shape of a stage that a batch has come to.
    #[inline]
    fn bound(&self) -> Option<(SetId, Shape)> {
        // ORDERING: Acquire; the partner is the Release store in `bind_first`, so the set is seen with the shape.
        let shape = self.shape.load(Ordering::Acquire)?;
        Some((self.set.load(Ordering::Relaxed), shape))
    }

    /// The child that is visited first; the root if there is none.
    #[inline(always)]
    pub(crate) fn first_child(&self) -> NodeId {
        // ORDERING: Acquire; the partner is the Release store of the link in `set_link`.
        self.first_child.load(Ordering::Acquire)
    }

    /// The way to the sibling that is visited next, as far as is known.
    #[inline(always)]
    pub(crate) fn link(&self) -> Link {
        // ORDERING: Acquire; as in `first_child`.
        self.next.load(Ordering::Acquire)
    }

    pub(crate) fn next(&self) -> NodeId {
        self.link().node
    }

    /// A traversal has come to the end of the children.
    #[inline]
    pub(crate) fn complete(&self) {
        // ORDERING: Relaxed; the mark only sorts what is counted.
        if self.complete.load(Ordering::Relaxed) == 0 {
            self.complete.store(1, Ordering::Relaxed);
        }
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

/// How far the trie has grown, and what is extending it.
pub(crate) struct Growth {
    nodes: AtomicU16,
    sets: AtomicU16,
    scopes: AtomicU16,
    shapes: AtomicU16,
    /// Taken for the rare change, by threads only: interrupt handlers do not traverse.
    extending: AtomicUsize,
    pub(crate) skipped: AtomicUsize,
    pub(crate) late: AtomicUsize,
}

impl Growth {
    pub(crate) fn new() -> Self {
        Growth {
            nodes: AtomicU16::new(1),
            sets: AtomicU16::new(1),
            scopes: AtomicU16::new(0),
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
        // ORDERING: Acquire; the partner is the Release store when the last one that extended let go.
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

/// The right to append, and to change links.
pub(crate) struct Extending<'a>(&'a Growth);

impl Extending<'_> {
    pub(crate) fn count_shape(&self) {
        let known = self.0.shapes.load(Ordering::Relaxed);
        // ORDERING: Release; the partner is the Acquire load in `Growth::shapes`.
        self.0.shapes.store(known + 1, Ordering::Release);
    }

    /// A traversal has gone from one node to another, which was linked behind it.
    pub(crate) fn tighten(&self, frame: &Frame, node: NodeId, next: NodeId) {
        let cell = &frame.node(node).next;
        if cell.load(Ordering::Relaxed).node == next {
            let is_loose = false;
            let link = Link {
                node: next,
                is_loose,
            };
            cell.store(link, Ordering::Release);
        }
    }

    /// Whether traversals have said that one sibling comes before another: each link between them was taken.
    pub(crate) fn is_before(&self, frame: &Frame, mut node: NodeId, later: NodeId) -> bool {
        while node != later {
            let link = frame.node(node).link();
            if node == NodeId::ROOT || link.is_loose {
                return false;
            }
            node = link.node;
        }
        true
    }

    /// Links a new node behind `last`, or as the first child where that is the root.
    pub(crate) fn insert(
        &self,
        frame: &Frame,
        parent: NodeId,
        last: NodeId,
        site: Site,
        visited: Visited,
    ) -> Result<NodeId, Fault> {
        let number = self.0.nodes.load(Ordering::Relaxed);
        let room = frame.node_id(number.into());
        let set = match visited {
            Visited::Stage => self.new_set(frame, site.point),
            Visited::Scope => self.count_scope(frame).then_some(SetId::ENTRANCE),
        };
        let (Some(index), Some(set)) = (room, set) else {
            return Err(match visited {
                Visited::Stage => points_exhausted(frame, site),
                Visited::Scope => scopes_exhausted(frame, site),
            });
        };
        self.0.nodes.store(number + 1, Ordering::Relaxed);
        if frame.node(parent).complete.load(Ordering::Relaxed) != 0 {
            self.0.late.fetch_add(1, Ordering::Relaxed);
        }
        let node = frame.node(index);
        let pointer = core::ptr::from_ref(site.point).cast_mut();
        node.point.store(pointer, Ordering::Relaxed);
        node.iteration.store(site.iteration, Ordering::Relaxed);
        node.parent.store(parent, Ordering::Relaxed);
        node.set.store(set, Ordering::Relaxed);
        self.link(frame, parent, last, index);
        Ok(index)
    }

    /// One scope more, if there is room.
    fn count_scope(&self, frame: &Frame) -> bool {
        let scopes = self.0.scopes.load(Ordering::Relaxed);
        let fits = usize::from(scopes) < frame.capacity().scopes;
        if fits {
            self.0.scopes.store(scopes + 1, Ordering::Relaxed);
        }
        fits
    }

    /// The set of one stage more, if there is room.
    fn new_set(&self, frame: &Frame, point: &ProgramPoint) -> Option<SetId> {
        let number = self.0.sets.load(Ordering::Relaxed);
        let set = frame.set(number.into())?;
        self.0.sets.store(number + 1, Ordering::Relaxed);
        let workload = point.workload().index() as u16;
        frame.workload_cell(set).store(workload, Ordering::Relaxed);
        Some(set)
    }

    /// Links a node in behind `last`, from where a traversal has come. What follows may have to come before it.
    fn link(&self, frame: &Frame, parent: NodeId, last: NodeId, node: NodeId) {
        let next = match last {
            NodeId::ROOT => frame.node(parent).first_child(),
            last => frame.node(last).next(),
        };
        let link = Link {
            node: next,
            is_loose: next != NodeId::ROOT,
        };
        // ORDERING: Release; as in `set_link`. A traversal may stand at a node that moves.
        frame.node(node).next.store(link, Ordering::Release);
        let is_loose = false;
        self.set_link(frame, parent, last, Link { node, is_loose });
    }

    /// The link behind `last`, or to the first child.
    fn set_link(&self, frame: &Frame, parent: NodeId, last: NodeId, link: Link) {
        // ORDERING: Release publishes the node that it leads to; the partners are the Acquire loads of links.
        match last {
            NodeId::ROOT => {
                let first = &frame.node(parent).first_child;
                first.store(link.node, Ordering::Release);
            }
            last => frame.node(last).next.store(link, Ordering::Release),
        }
    }

    /// Moves a node that stands somewhere before `last` to the place behind it. A traversal that stands at the node goes on
    /// behind `last`, and looks for what it has missed there.
    pub(crate) fn move_behind(&self, frame: &Frame, parent: NodeId, last: NodeId, node: NodeId) {
        let mut previous = NodeId::ROOT;
        let mut at = frame.node(parent).first_child();
        while at != node && at != NodeId::ROOT {
            previous = at;
            at = frame.node(at).next();
        }
        let mut link = frame.node(node).link();
        link.is_loose |= previous != NodeId::ROOT && frame.node(previous).link().is_loose;
        self.set_link(frame, parent, previous, link);
        self.link(frame, parent, last, node);
    }
}

impl Drop for Extending<'_> {
    fn drop(&mut self) {
        self.0.extending.store(0, Ordering::Release);
    }
}

#[cold]
pub(crate) fn scopes_exhausted(frame: &Frame, at: Site) -> Fault {
    Fault::ScopesExhausted {
        at,
        capacity: frame.capacity().scopes,
    }
}

#[cold]
pub(crate) fn points_exhausted(frame: &Frame, at: Site) -> Fault {
    Fault::PointsExhausted {
        at,
        capacity: frame.capacity().points,
    }
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
    let extending = frame.growth().extend();
    if let Some((set, shape)) = node.bound() {
        return Binding::To(set, shape);
    }
    let mut set = node.set();
    if set == SetId::ENTRANCE {
        // The node was a scope so far.
        let Some(new) = extending.new_set(frame, point) else {
            return Binding::NoRoom;
        };
        set = new;
        node.set.store(set, Ordering::Relaxed);
    }
    // ORDERING: Release publishes the set and its workload; the partner is the Acquire load in `Node::bound`.
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
    let stage = grown.position(|node| node.bound().is_some_and(|(bound, _)| bound == set))?;
    frame.node_id(stage)
}
