//! What the programmer wrote, and the way that turns take through it.
//!
//! Points, fields and workloads are made when the program is compiled. The *trie* learns in which order turns visit the
//! points, predicts the next one, and tells when a turn takes another way. It also knows which field the states of a point
//! are projected to.
//!
//! It knows no states: that some wait at a point is for the layers above.

pub(crate) mod cursor;
pub(crate) mod fault;
pub(crate) mod field;
pub(crate) mod growth;
pub(crate) mod node;
pub(crate) mod point;
mod projections;
pub(crate) mod shape;
pub(crate) mod trie;
pub(crate) mod type_name;
pub(crate) mod workload;

pub use fault::{Diverged, Mismatch};
pub use field::Field;
pub use point::{ProgramPoint, Site};
