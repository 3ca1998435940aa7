//! Changes to a graph or a plan, and what is read off one: each a file, none knows the others' insides.

mod f16_weights;
mod fuse;
pub(crate) mod memory;
mod micro_batch;
mod prune;
pub(crate) mod rows;
mod simplify;
