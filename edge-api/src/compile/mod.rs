//! Strangers' kernels and models are read, planned and computed in processes apart, with limits on memory and
//! time: what a compiler does with a text that was written to hurt it, it does to a process that can go.
//!
//! [`pool`] is what the server asks; [`process`] is one child as the server sees it; [`child`] is the same
//! program as that child; [`message`] is what travels between them.

pub mod child;
pub mod message;
pub mod pool;
pub mod process;
