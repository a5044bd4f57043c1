//! The way of one traversal through the trie.

use crate::{
    ground::index::NodeId,
    program::{
        fault::{Diverged, Fault},
        point::{ProgramPoint, Site},
        trie::{Node, Trie, Visited},
    },
};

/// Where a traversal stands among the children of one node. It is used with the machine whose links it follows: R5.
#[derive(Clone, Copy)]
pub(crate) struct Cursor {
    /// Nowhere, inside a scope that found no room: nothing is recorded here, and no stage has states.
    parent: Option<NodeId>,
    /// The child that was visited last; the root if none was.
    last: NodeId,
}

/// What a visit found. A node, or a fault, or both; neither inside a scope that found no room, whose fault has been told.
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

    fn failed(fault: Option<Fault>) -> Self {
        Visit { node: None, fault }
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

    /// Whether it is in the scope that the other one has visited last, or nowhere.
    pub(crate) fn is_inside(&self, outer: &Cursor) -> bool {
        self.parent.is_none_or(|parent| parent == outer.last)
    }

    /// What it is below of: `None` for nowhere.
    pub(crate) fn scope<'f>(&self, trie: &'f Trie) -> Option<&'f Node> {
        self.parent.map(|parent| trie.node(parent))
    }

    /// Goes to the child that comes next, if that has this point and iteration: what happens in a program that always
    /// visits the same points.
    #[inline(always)]
    pub(crate) fn predict(
        &mut self,
        trie: &Trie,
        point: &'static ProgramPoint,
        iteration: u32,
    ) -> Option<NodeId> {
        let next = if self.last != NodeId::ROOT {
            let link = trie.node(self.last).link();
            if link.is_loose {
                return None;
            }
            link.node
        } else {
            self.scope(trie)?.first_child()
        };
        if next == NodeId::ROOT || !trie.node(next).is(point, iteration) {
            return None;
        }
        self.last = next;
        Some(next)
    }

    /// The child that comes next, as far as is known; the root if there is none.
    fn successor(&self, trie: &Trie) -> NodeId {
        match self.last {
            NodeId::ROOT => self.scope(trie).map_or(NodeId::ROOT, Node::first_child),
            last => trie.node(last).next(),
        }
    }

    /// Goes to the child with this point and iteration, wherever it stands, and inserts it if there is none.
    #[cold]
    pub(crate) fn visit(
        &mut self,
        trie: &Trie,
        point: &'static ProgramPoint,
        iteration: u32,
        visited: Visited,
    ) -> Visit {
        let Some(parent) = self.parent else {
            return Visit::failed(None);
        };
        let site = Site { point, iteration };
        if let Some(node) = self.skip_to(trie, site) {
            return Visit::found(node);
        }
        let extending = trie.extend();
        if find(trie, self.successor(trie), site).is_some() {
            // Another worker has inserted it meanwhile.
            drop(extending);
            return self.visit(trie, point, iteration, visited);
        }
        let first = trie.node(parent).first_child();
        let Some((node, _)) = find(trie, first, site) else {
            return match extending.insert(parent, self.last, site, visited) {
                Ok(node) => {
                    self.last = node;
                    Visit::found(node)
                }
                Err(fault) => Visit::failed(Some(fault)),
            };
        };
        if !extending.is_before(node, self.last) {
            extending.move_behind(parent, self.last, node);
            self.last = node;
            return Visit::found(node);
        }
        let expected = match self.successor(trie) {
            NodeId::ROOT => None,
            next => trie.node(next).site(),
        };
        Visit {
            node: Some(node),
            fault: Some(Fault::Diverged(Diverged {
                expected,
                found: site,
            })),
        }
    }

    /// Goes to the site if it is still ahead, and counts what lies between.
    fn skip_to(&mut self, trie: &Trie, site: Site) -> Option<NodeId> {
        let (node, skipped) = find(trie, self.successor(trie), site)?;
        if skipped > 0 {
            trie.count_skipped(skipped);
        } else if self.last != NodeId::ROOT && trie.node(self.last).link().is_loose {
            trie.extend().tighten(self.last, node);
        }
        self.last = node;
        Some(node)
    }

    /// The child with this point that some traversal has visited.
    pub(crate) fn known(&self, trie: &Trie, point: &'static ProgramPoint) -> Option<NodeId> {
        let first = self.scope(trie)?.first_child();
        let iteration = 0;
        let known = find(trie, first, Site { point, iteration });
        known.map(|(node, _)| node)
    }

    /// The traversal leaves this node; counts what it did not visit.
    #[inline]
    pub(crate) fn leave(&self, trie: &Trie) {
        let Some(parent) = self.scope(trie) else {
            return;
        };
        parent.complete();
        let mut next = self.successor(trie);
        if next == NodeId::ROOT {
            return;
        }
        let mut skipped = 0;
        while next != NodeId::ROOT {
            skipped += 1;
            next = trie.node(next).next();
        }
        trie.count_skipped(skipped);
    }
}

/// The node of this site from `node` on, and how many come before it.
fn find(trie: &Trie, mut node: NodeId, site: Site) -> Option<(NodeId, usize)> {
    let mut before = 0;
    while node != NodeId::ROOT {
        if trie.node(node).is(site.point, site.iteration) {
            return Some((node, before));
        }
        before += 1;
        node = trie.node(node).next();
    }
    None
}
