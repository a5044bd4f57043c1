//! How the trie grows: nodes that are new or move, and what stages are bound to.

use crate::{
    ground::{
        index::{Link, NodeId, SetId},
        sync::Ordering,
    },
    program::{
        fault::Fault,
        node::{Node, Visited},
        point::{ProgramPoint, Site},
        shape::Shape,
        trie::Trie,
    },
};

impl Trie {
    /// Takes the right to append, and to change links. Waits while another thread has it.
    pub(super) fn extend(&self) -> Extending<'_> {
        self.growth.lock();
        Extending(self)
    }

    /// The first batch that arrives binds the point: all that wait there must have the same shape, since the code below
    /// works on all of them alike.
    #[inline]
    pub(crate) fn bind(
        &self,
        node: &Node,
        point: &ProgramPoint,
        arriving: Option<Shape>,
    ) -> Binding {
        match (node.bound(), arriving) {
            (Some((set, shape)), _) => Binding::To(set, shape),
            (None, Some(arriving)) => self.bind_first(node, point, arriving),
            (None, None) => Binding::Nothing,
        }
    }

    #[cold]
    fn bind_first(&self, node: &Node, point: &ProgramPoint, arriving: Shape) -> Binding {
        let extending = self.extend();
        if let Some((set, shape)) = node.bound() {
            return Binding::To(set, shape);
        }
        let mut set = node.set();
        if set == SetId::ENTRANCE {
            // The node was a scope so far.
            let Some(new) = extending.new_set(point) else {
                return Binding::NoRoom;
            };
            set = new;
            node.begin_stage(set, self.top(set));
        }
        // ORDERING: Release publishes the set and its workload; the partner is the Acquire load in `Node::bound`.
        node.shape.store(arriving, Ordering::Release);
        Binding::To(set, arriving)
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

/// The right to append, and to change links.
pub(super) struct Extending<'a>(&'a Trie);

impl Extending<'_> {
    pub(super) fn count_shape(&self) {
        let known = self.0.growth.shapes.load(Ordering::Relaxed);
        // ORDERING: Release; the partner is the Acquire load in `Growth::shapes`.
        self.0.growth.shapes.store(known + 1, Ordering::Release);
    }

    /// A traversal has gone from one node to another, which was linked behind it.
    pub(super) fn tighten(&self, node: NodeId, next: NodeId) {
        if self.0.node(node).next() == next {
            let is_loose = false;
            let link = Link {
                node: next,
                is_loose,
            };
            self.0.lead(node, link);
        }
    }

    /// Whether traversals have said that one sibling comes before another: each link between them was taken.
    pub(super) fn is_before(&self, mut node: NodeId, later: NodeId) -> bool {
        while node != later {
            let link = self.0.node(node).link();
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
        parent: NodeId,
        last: NodeId,
        site: Site,
        visited: Visited,
    ) -> Result<NodeId, Fault> {
        let number = self.0.growth.nodes.load(Ordering::Relaxed);
        let room = self.0.node_id(number.into());
        let set = match visited {
            Visited::Stage => self.new_set(site.point),
            Visited::Scope => self.count_scope().then_some(SetId::ENTRANCE),
        };
        let (Some(index), Some(set)) = (room, set) else {
            return Err(match visited {
                Visited::Stage => self.0.points_exhausted(site),
                Visited::Scope => self.0.scopes_exhausted(site),
            });
        };
        self.0.growth.nodes.store(number + 1, Ordering::Relaxed);
        if self.0.node(parent).complete.load(Ordering::Relaxed) != 0 {
            self.0.growth.late.fetch_add(1, Ordering::Relaxed);
        }
        let node = self.0.node(index);
        node.begin(index, site, visited);
        node.parent.store(parent, Ordering::Relaxed);
        if visited == Visited::Stage {
            node.begin_stage(set, self.0.top(set));
        }
        self.link(parent, last, index);
        Ok(index)
    }

    /// One scope more, if there is room.
    fn count_scope(&self) -> bool {
        let scopes = self.0.growth.scopes.load(Ordering::Relaxed);
        let fits = usize::from(scopes) < self.0.scopes;
        if fits {
            self.0.growth.scopes.store(scopes + 1, Ordering::Relaxed);
        }
        fits
    }

    /// The set of one stage more, if there is room.
    fn new_set(&self, point: &ProgramPoint) -> Option<SetId> {
        let number = self.0.growth.sets.load(Ordering::Relaxed);
        let set = self.0.set(number.into())?;
        self.0.growth.sets.store(number + 1, Ordering::Relaxed);
        let workload = point.workload().index() as u16;
        self.0.workload_cell(set).store(workload, Ordering::Relaxed);
        Some(set)
    }

    /// Links a node in behind `last`, from where a traversal has come. What follows may have to come before it.
    fn link(&self, parent: NodeId, last: NodeId, node: NodeId) {
        let next = match last {
            NodeId::ROOT => self.0.node(parent).first_child(),
            last => self.0.node(last).next(),
        };
        let link = Link {
            node: next,
            is_loose: next != NodeId::ROOT,
        };
        // A traversal may stand at a node that moves.
        self.0.lead(node, link);
        let is_loose = false;
        self.set_link(parent, last, Link { node, is_loose });
    }

    /// The link behind `last`, or to the first child.
    fn set_link(&self, parent: NodeId, last: NodeId, link: Link) {
        match last {
            NodeId::ROOT => {
                let first = &self.0.node(parent).first_child;
                // ORDERING: Release publishes the node that it leads to; the partner is the Acquire load in `first_child`.
                first.store(link.node, Ordering::Release);
            }
            last => self.0.lead(last, link),
        }
    }

    /// Moves a node that stands somewhere before `last` to the place behind it. A traversal that stands at the node goes on
    /// behind `last`, and looks for what it has missed there.
    pub(super) fn move_behind(&self, parent: NodeId, last: NodeId, node: NodeId) {
        let mut previous = NodeId::ROOT;
        let mut at = self.0.node(parent).first_child();
        while at != node && at != NodeId::ROOT {
            previous = at;
            at = self.0.node(at).next();
        }
        let mut link = self.0.node(node).link();
        link.is_loose |= previous != NodeId::ROOT && self.0.node(previous).link().is_loose;
        self.set_link(parent, previous, link);
        self.link(parent, last, node);
    }
}

impl Drop for Extending<'_> {
    fn drop(&mut self) {
        self.0.growth.extending.store(0, Ordering::Release);
    }
}
