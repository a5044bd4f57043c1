//! The way of one traversal through the trie.

use crate::{
    ground::{
        index::{NodeId, SetId},
        word::Access,
    },
    program::{
        fault::{Diverged, Fault},
        node::{Node, Visited},
        point::{ProgramPoint, Site},
        shape::{Kind, Shape},
        trie::Trie,
    },
};

/// Where a traversal stands among the children of one node. It is used with the machine whose links it follows: R5.
#[derive(Clone, Copy)]
pub(crate) struct Cursor {
    /// The child that is expected next, as known when the last one was visited; the root if none is.
    ahead: &'static Node,
    /// The child that was visited last; the root if none was.
    last: &'static Node,
    /// Points that this turn has come past, the entrance too, as counted up to some child.
    passed: usize,
    /// The child up to which they are counted; the root if none of this level is.
    counted: &'static Node,
    /// Nowhere, inside a scope that found no room: nothing is recorded here, and no stage has states.
    parent: Option<NodeId>,
}

/// What a visit found. A node, or a fault, or both; neither inside a scope that found no room, whose fault has been told.
pub(crate) struct Visit {
    pub(crate) node: Option<&'static Node>,
    pub(crate) fault: Option<Fault>,
}

impl Visit {
    fn found(node: &'static Node) -> Self {
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
    /// In front of all that a turn visits.
    #[inline]
    pub(crate) fn start(trie: &Trie) -> Self {
        let root = trie.node(NodeId::ROOT);
        Cursor {
            ahead: trie.node(root.first_child()),
            last: root,
            passed: 0,
            counted: root,
            parent: Some(NodeId::ROOT),
        }
    }

    /// In front of the children of the node; nowhere, if a scope found no room for one.
    pub(crate) fn below(&self, trie: &Trie, node: Option<NodeId>) -> Self {
        let first = node.map_or(NodeId::ROOT, |node| trie.node(node).first_child());
        Cursor {
            ahead: trie.node(first),
            last: trie.node(NodeId::ROOT),
            passed: self.passed,
            counted: trie.node(NodeId::ROOT),
            parent: node,
        }
    }

    /// The traversal comes back from the scope that it was in.
    pub(crate) fn come_back(&mut self, inner: &Cursor) {
        self.passed = inner.passed;
    }

    /// The turn comes past the entrance.
    #[inline(always)]
    pub(crate) fn pass_entrance(&mut self) {
        self.passed += 1;
    }

    /// How many points this turn has come past, at least. Those of a scope that it has left count as far as they were counted
    /// in it: a stage with nothing to do has no time for that.
    pub(crate) fn passed(&mut self, trie: &Trie) -> usize {
        let mut at = match self.counted.number() {
            NodeId::ROOT => self.scope(trie).map_or(NodeId::ROOT, Node::first_child),
            _ => self.counted.next(),
        };
        let mut stages = 0;
        while at != NodeId::ROOT {
            let node = trie.node(at);
            if node.set() != SetId::ENTRANCE {
                stages += 1;
            }
            if at == self.last() {
                self.passed += stages;
                break;
            }
            at = node.next();
        }
        self.counted = self.last;
        self.passed
    }

    pub(crate) fn is_below_the_same(&self, other: &Cursor) -> bool {
        self.parent == other.parent
    }

    /// Whether it is in the scope that the other one has visited last, or nowhere.
    pub(crate) fn is_inside(&self, outer: &Cursor) -> bool {
        self.parent.is_none_or(|parent| parent == outer.last())
    }

    /// What it is below of: `None` for nowhere.
    pub(crate) fn scope(&self, trie: &Trie) -> Option<&'static Node> {
        self.parent.map(|parent| trie.node(parent))
    }

    /// Goes on if the stage at this point comes next and nothing is active there: what happens mostly, in a program that
    /// always visits the same points. Returns whether that is so.
    #[inline(always)]
    pub(crate) fn passes<A: Access>(&mut self, point: &'static ProgramPoint) -> bool {
        let is_quiet = self.ahead.is_quiet_stage::<A>(point);
        if is_quiet {
            // SAFETY: R1: a link has led to it, since the root is at no point.
            unsafe { self.go_to::<A>(self.ahead) };
        }
        is_quiet
    }

    /// Goes on to the stage at this point, if it comes next and is known to lead to this kind. Returns what it is bound to.
    #[inline(always)]
    pub(crate) fn reaches<A: Access>(
        &mut self,
        point: &'static ProgramPoint,
        kind: &'static Kind,
    ) -> Option<(SetId, Shape)> {
        let bound = self.ahead.stage_bound_to::<A>(point, kind)?;
        // SAFETY: R1: a link has led to it, since the root is at no point.
        unsafe { self.go_to::<A>(self.ahead) };
        Some(bound)
    }

    /// Goes to a child.
    ///
    /// # Safety
    ///
    /// R1: it is linked in.
    #[inline(always)]
    unsafe fn go_to<A: Access>(&mut self, node: &'static Node) {
        self.last = node;
        // SAFETY: R1: the caller's promise.
        self.ahead = unsafe { node.ahead::<A>() };
    }

    /// The child that was visited last; the root if none was.
    fn last(&self) -> NodeId {
        self.last.number()
    }

    /// The child that comes next, as far as is known; the root if there is none.
    fn successor(&self, trie: &Trie) -> NodeId {
        match self.last() {
            NodeId::ROOT => self.scope(trie).map_or(NodeId::ROOT, Node::first_child),
            _ => self.last.next(),
        }
    }

    /// Goes to the child with this point and iteration, wherever it stands, and inserts it if there is none.
    #[inline]
    pub(crate) fn visit<A: Access>(&mut self, trie: &Trie, site: Site, visited: Visited) -> Visit {
        let is_next = self.ahead.is(site.point, site.iteration);
        let visit = match is_next {
            true => Visit::found(self.ahead),
            false => self.look_up(trie, site, visited),
        };
        if let Some(node) = visit.node
            && visit.fault.is_none()
        {
            // SAFETY: R1: it is a child that was found, or linked in.
            unsafe { self.go_to::<A>(node) };
        }
        visit
    }

    /// The node of a site that is not the one expected.
    #[cold]
    #[inline(never)]
    fn look_up(&self, trie: &Trie, site: Site, visited: Visited) -> Visit {
        let Some(parent) = self.parent else {
            return Visit::failed(None);
        };
        if let Some(node) = self.skip_to(trie, site) {
            return Visit::found(trie.node(node));
        }
        let extending = trie.extend();
        if find(trie, self.successor(trie), site).is_some() {
            // Another worker has inserted it meanwhile.
            drop(extending);
            return self.look_up(trie, site, visited);
        }
        let first = trie.node(parent).first_child();
        let Some((node, _)) = find(trie, first, site) else {
            return match extending.insert(parent, self.last(), site, visited) {
                Ok(node) => Visit::found(trie.node(node)),
                Err(fault) => Visit::failed(Some(fault)),
            };
        };
        if !extending.is_before(node, self.last()) {
            extending.move_behind(parent, self.last(), node);
            return Visit::found(trie.node(node));
        }
        let expected = match self.successor(trie) {
            NodeId::ROOT => None,
            next => trie.node(next).site(),
        };
        Visit {
            node: Some(trie.node(node)),
            fault: Some(Fault::Diverged(Diverged {
                expected,
                found: site,
            })),
        }
    }

    /// The node of the site, if it is still ahead. Counts what lies between.
    fn skip_to(&self, trie: &Trie, site: Site) -> Option<NodeId> {
        let (node, skipped) = find(trie, self.successor(trie), site)?;
        if skipped > 0 {
            trie.count_skipped(skipped);
        } else if self.last() != NodeId::ROOT && self.last.link().is_loose {
            trie.extend().tighten(self.last(), node);
        }
        Some(node)
    }

    /// The child with this point that some traversal has visited.
    pub(crate) fn known(&self, trie: &Trie, point: &'static ProgramPoint) -> Option<&'static Node> {
        let first = self.scope(trie)?.first_child();
        let iteration = 0;
        let known = find(trie, first, Site { point, iteration });
        known.map(|(node, _)| trie.node(node))
    }

    /// Whether it is behind a child that no other is known to follow.
    #[inline(always)]
    pub(crate) fn is_at_end(&self) -> bool {
        !self.last.has_next() && self.last() != NodeId::ROOT
    }

    /// The traversal leaves this node; counts what it did not visit.
    #[inline(never)]
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
#[inline(never)]
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
