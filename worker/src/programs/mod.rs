//! What a lease runs: rows in, rows out.

pub mod infer;
pub mod recompute;
