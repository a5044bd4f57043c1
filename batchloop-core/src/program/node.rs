//! The nodes of the trie: what is known of each place that the entry point visits.

use crate::{
    ground::{
        index::{Link, LinkCell, NodeCell, NodeId, SetCell, SetId},
        sync::{AtomicPtr, AtomicU16, AtomicU32, Ordering},
        word::{Access, Word},
    },
    program::{
        point::{ProgramPoint, Site},
        shape::{Kind, Projection, Shape, ShapeCell},
    },
};

/// A node of the trie.
///
/// What a stage with nothing to do reads comes first.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Node {
    /// The sibling that is expected next: where the link leads, if a traversal has taken it, else the root. Null until the
    /// node is in use.
    ahead: AtomicPtr<Node>,
    point: PointCell,
    /// The top word of a stage's active set. Null for the root and for scopes.
    top: AtomicPtr<Word>,
    /// What the shape of the stage leads to, as a traversal has found. Null before.
    kind: AtomicPtr<Kind>,
    pub(super) iteration: AtomicU32,
    next: LinkCell,
    /// Its own.
    number: NodeCell,
    pub(crate) parent: NodeCell,
    pub(super) first_child: NodeCell,
    /// The active set of a stage; the entrance's for the root and for scopes, which have none.
    pub(crate) set: SetCell,
    /// Whether a traversal has come to the end of the children, so that further ones are late.
    pub(super) complete: AtomicU16,
    /// What the stage works on.
    pub(super) shape: ShapeCell,
    /// Room for the workload of some set, which has nothing to do with this node; see the trie.
    pub(super) workload: AtomicU16,
    /// Room for a field of some shape, which has nothing to do with this node.
    pub(super) projection: Projection,
}

/// How a traversal reads what other traversals have published.
#[inline(always)]
fn published<A: Access>() -> Ordering {
    // ORDERING: Acquire. On a `Local` machine there is one driver, so the thread has written it itself.
    match A::SHARED {
        true => Ordering::Acquire,
        false => Ordering::Relaxed,
    }
}

/// Holds the point of a node, and whether the node is a stage's: no point, when all its bytes are zero.
///
/// A stage looks for its own, so the pointer to the point of a scope is one byte further: then one comparison tells both.
#[derive(Default)]
struct PointCell(AtomicPtr<ProgramPoint>);

impl PointCell {
    /// Before the node is linked in.
    fn store(&self, point: &'static ProgramPoint, visited: Visited) {
        const { assert!(align_of::<ProgramPoint>() > 1) };
        let tag = match visited {
            Visited::Stage => 0,
            Visited::Scope => 1,
        };
        let point = core::ptr::from_ref(point).wrapping_byte_add(tag);
        self.0.store(point.cast_mut(), Ordering::Relaxed);
    }

    #[inline(always)]
    fn is_stage(&self, point: &'static ProgramPoint) -> bool {
        core::ptr::eq(self.0.load(Ordering::Relaxed), point)
    }

    #[inline]
    fn untagged(&self) -> *const ProgramPoint {
        let point = self.0.load(Ordering::Relaxed);
        point.map_addr(|address| address & !1)
    }

    fn get(&self) -> Option<&'static ProgramPoint> {
        // SAFETY: R1: the pointer is null or was made from a `&'static ProgramPoint` in `store`.
        unsafe { self.untagged().as_ref() }
    }
}

/// What a node is visited as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Visited {
    Stage,
    Scope,
}

impl Node {
    /// Makes it the node of this number, at this site. It is published by the link that will lead to it.
    pub(super) fn begin(&self, number: NodeId, site: Site, visited: Visited) {
        self.number.store(number, Ordering::Relaxed);
        self.point.store(site.point, visited);
        self.iteration.store(site.iteration, Ordering::Relaxed);
    }

    /// Gives a stage its active set.
    pub(super) fn begin_stage(&self, set: SetId, top: &'static Word) {
        self.set.store(set, Ordering::Relaxed);
        let top = core::ptr::from_ref(top).cast_mut();
        self.top.store(top, Ordering::Relaxed);
    }

    // ORDERING: Relaxed; the node was reached through an Acquire load of the link that published it.
    #[inline]
    pub(super) fn is(&self, point: &'static ProgramPoint, iteration: u32) -> bool {
        core::ptr::eq(self.point.untagged(), point)
            && self.iteration.load(Ordering::Relaxed) == iteration
    }

    /// The site, if the node is in use and not the root.
    pub(crate) fn site(&self) -> Option<Site> {
        Some(Site {
            point: self.point.get()?,
            iteration: self.iteration.load(Ordering::Relaxed),
        })
    }

    /// Whether it is of a stage at this point, where nothing is active, as far as this thread can tell.
    #[inline(always)]
    pub(super) fn is_quiet_stage<A: Access>(&self, point: &'static ProgramPoint) -> bool {
        self.point.is_stage(point) && {
            let top = self.top.load(Ordering::Relaxed);
            // SAFETY: R1: it was made from a `&'static Word` in `begin_stage`, before a link led to this stage.
            let top = unsafe { &*top };
            A::load(top) == 0
        }
    }

    /// Whether nothing is active at it, as far as this thread can tell.
    pub(crate) fn is_quiet<A: Access>(&self) -> bool {
        // ORDERING: Relaxed; the word itself is for ever. As with the set, one that comes later may be missed for a while.
        let top = self.top.load(Ordering::Relaxed);
        // SAFETY: R1: the pointer is null or was made from a `&'static Word` in `begin_stage`.
        unsafe { top.as_ref() }.is_none_or(|top| A::load(top) == 0)
    }

    /// What the stage at this point is bound to, if it is known to lead to this kind: its set and its shape.
    #[inline(always)]
    pub(super) fn stage_bound_to<A: Access>(
        &self,
        point: &'static ProgramPoint,
        kind: &'static Kind,
    ) -> Option<(SetId, Shape)> {
        if !self.point.is_stage(point) {
            return None;
        }
        // ORDERING: the partner is the Release store in `remember`, which comes after the shape was seen.
        if !core::ptr::eq(self.kind.load(published::<A>()), kind) {
            return None;
        }
        let shape = self.shape.load(Ordering::Relaxed)?;
        Some((self.set.load(Ordering::Relaxed), shape))
    }

    /// A traversal has found that the shape of the stage leads to this kind.
    #[inline]
    pub(crate) fn remember(&self, kind: &'static Kind) {
        // ORDERING: Release; the partner is the Acquire load in `bound_to`.
        let kind = core::ptr::from_ref(kind).cast_mut();
        self.kind.store(kind, Ordering::Release);
    }

    /// Its own number.
    #[inline]
    pub(crate) fn number(&self) -> NodeId {
        self.number.load(Ordering::Relaxed)
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
    pub(super) fn bound(&self) -> Option<(SetId, Shape)> {
        // ORDERING: Acquire; the partner is the Release store in `bind_first`, so the set is seen with the shape.
        let shape = self.shape.load(Ordering::Acquire)?;
        Some((self.set.load(Ordering::Relaxed), shape))
    }

    /// The sibling that is expected next; the root if none is. For a node that a traversal stands at.
    ///
    /// # Safety
    ///
    /// R1: the node is linked in.
    #[inline(always)]
    pub(super) unsafe fn ahead<A: Access>(&self) -> &'static Node {
        // ORDERING: the partner is the Release store in `lead_to`.
        let ahead = self.ahead.load(published::<A>());
        // SAFETY: R1: it was made from a `&'static Node` in `lead_to`, before a link led to this node.
        unsafe { &*ahead }
    }

    /// Links it to the sibling that is visited next, as far as is known, and to the one that is expected.
    pub(super) fn lead_to(&self, link: Link, ahead: &'static Node) {
        let ahead = core::ptr::from_ref(ahead).cast_mut();
        // ORDERING: Release publishes the node that it leads to; the partners are the Acquire loads in `ahead` and `link`. A
        // traversal that sees one of the two stores and not the other looks for its way once more than needed.
        self.ahead.store(ahead, Ordering::Release);
        self.next.store(link, Ordering::Release);
    }

    /// The child that is visited first; the root if there is none.
    #[inline(always)]
    pub(super) fn first_child(&self) -> NodeId {
        // ORDERING: Acquire; the partner is the Release store in `set_link`.
        self.first_child.load(Ordering::Acquire)
    }

    /// The way to the sibling that is visited next, as far as is known.
    #[inline(always)]
    pub(super) fn link(&self) -> Link {
        // ORDERING: Acquire; as in `first_child`.
        self.next.load(Ordering::Acquire)
    }

    pub(super) fn next(&self) -> NodeId {
        self.link().node
    }

    /// Whether a sibling is visited after it, as far as is known.
    #[inline(always)]
    pub(super) fn has_next(&self) -> bool {
        // ORDERING: Relaxed; nothing is read through it.
        self.next.load(Ordering::Relaxed).node != NodeId::ROOT
    }

    /// A traversal has come to the end of the children.
    pub(super) fn complete(&self) {
        // ORDERING: Relaxed; the mark only sorts what is counted.
        if self.complete.load(Ordering::Relaxed) == 0 {
            self.complete.store(1, Ordering::Relaxed);
        }
    }
}
