//! Whole machines beside naive models, on random programs.
#![cfg(all(feature = "alloc", not(loom)))]

mod batches;
mod fairness;
mod plans;
mod slab;
mod traversals;
mod world;
