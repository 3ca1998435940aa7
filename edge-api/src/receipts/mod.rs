//! Devices' signed statements and what became of them.

pub mod store;
