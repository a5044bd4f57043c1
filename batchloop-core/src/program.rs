//! What the programmer wrote, and the way that turns take through it.

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
