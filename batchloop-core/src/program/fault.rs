//! What can go wrong in a turn.

use core::{error::Error, fmt};

use crate::program::{point::Site, type_name::TypeName};

/// The entry point took another way than the one that earlier turns recorded: it visited a point that comes before one
/// that it had visited already. A turn may leave points out, and may visit new ones anywhere; but it may not visit them in
/// another order, nor one of them twice. The rounds of a loop are told apart by a scope with an iteration number.
///
/// Points are found by identity, so no state went to a wrong one; but the program breaks its promise to visit the
/// same points in the same order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Diverged {
    /// What the recorded traversal visits next; `None` at its end.
    pub expected: Option<Site>,
    /// What the entry point visited, which the recorded traversal visits earlier.
    pub found: Site,
}

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("traversal diverged: expected ")?;
        match self.expected {
            Some(site) => write!(f, "{site}")?,
            None => f.write_str("the end of the scope")?,
        }
        write!(
            f,
            ", found {}, which comes earlier; a point is visited once in a turn, and the rounds of a loop need scopes",
            self.found
        )
    }
}

impl Error for Diverged {}

/// A batch does not have the shape that was asked of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// The point that the batch came to; `None` for [`unproject`](crate::Batch::unproject) and
    /// [`merge`](crate::Batch::merge).
    pub at: Option<Site>,
    /// The field that was asked for, or the shape that the point is bound to.
    pub expected: &'static str,
    /// What the batch was projected to last.
    pub found: &'static str,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("batch does not match")?;
        if let Some(site) = self.at {
            write!(f, " at {site}")?;
        }
        let [expected, found] = [self.expected, self.found].map(TypeName::new);
        write!(f, ": expected {expected}, found {found}")
    }
}

impl Error for Mismatch {}

/// What went wrong in a turn. The turn went on to its end, and no state was lost.
///
/// ```
/// # use batchloop_core::*;
/// fn entry(cx: &mut Turn<'_, u8>) {
///     let new = cx.arrivals();
///     let first = cx.stage(point!("first"), new);
///     cx.stage(point!("second"), first).release();
/// }
///
/// let machine: Machine<u8> = Machine::heap(Capacity::slots(4).points(1));
/// match machine.driver().unwrap().turn(entry) {
///     Err(Fault::PointsExhausted { at, capacity }) => {
///         assert_eq!((at.point.name(), capacity), (Some("second"), 1));
///     }
///     turn => panic!("there is no room for the second stage: {turn:?}"),
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The traversal differs from the recorded one.
    Diverged(Diverged),
    /// States went on from a point, by [`Step::Next`](crate::Step), and the batch was dropped: there is no stage that takes
    /// them. They went back to the point, which is `None` if it is the entrance, and are active there. A program for which
    /// that is right says so by [`Batch::put_back`](crate::Batch::put_back).
    NoStage(Option<Site>),
    /// States were brought by [`Context::again`](crate::Context::again) to a point that the scope does not have. They went
    /// back to their points.
    UnknownPoint(Site),
    /// The first stage for which the machine has no room. The states stayed where they were.
    PointsExhausted {
        /// The stage.
        at: Site,
        /// [`Capacity::points`](crate::Capacity::points) of the machine.
        capacity: usize,
    },
    /// The first scope for which the machine has no room. The states stayed where they were.
    ScopesExhausted {
        /// The scope, and its iteration.
        at: Site,
        /// [`Capacity::scopes`](crate::Capacity::scopes) of the machine.
        capacity: usize,
    },
    /// A batch came to a point outside the scope of its turn: there is none on this thread, or another turn's is. The
    /// states went back to their points.
    OutOfScope(Site),
    /// A context was to go on from a position that is not its own.
    Elsewhere,
    /// A batch of another shape than the point, or the `unproject`, is for. The states went back to their points.
    Mismatch(Mismatch),
    /// The first projection for which the machine has no room. The states went back to their points.
    ShapesExhausted {
        /// The field that was projected to.
        field: &'static str,
        /// [`Capacity::points`](crate::Capacity::points) and [`Capacity::scopes`](crate::Capacity::scopes) together.
        capacity: usize,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Diverged(diverged) => diverged.fmt(f),
            Fault::NoStage(from) => {
                f.write_str("states went on from ")?;
                match from {
                    Some(site) => write!(f, "{site}")?,
                    None => f.write_str("the entrance")?,
                }
                f.write_str(" and came to no stage: the batch was dropped")
            }
            Fault::UnknownPoint(site) => {
                write!(
                    f,
                    "states were brought to {site}, which is no stage of the scope"
                )
            }
            Fault::PointsExhausted { at, capacity } => write!(
                f,
                "no room for the stage {at}: Capacity::points is {capacity}"
            ),
            Fault::ScopesExhausted { at, capacity } => write!(
                f,
                "no room for the scope {at}: Capacity::scopes is {capacity}"
            ),
            Fault::OutOfScope(site) => {
                write!(f, "a batch came to {site} outside the scope of its turn")
            }
            Fault::Elsewhere => {
                f.write_str("`Context::resume` was given a position of another context or turn")
            }
            Fault::Mismatch(mismatch) => mismatch.fmt(f),
            Fault::ShapesExhausted { field, capacity } => write!(
                f,
                "no room for the projection to {field}: there is room for {capacity}, \
                 which is Capacity::points and Capacity::scopes together"
            ),
        }
    }
}

impl Error for Fault {}
