//! What a lease runs: rows in, rows out.

pub mod infer;
