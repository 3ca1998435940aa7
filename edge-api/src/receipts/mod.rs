//! Devices' signed statements and what became of them.

pub use ::store::receipts as store;
