//! What is fuzzed, and within which limits.

use crate::draw::Draw;

/// Something that reads what strangers send.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) limits: Limits,
    /// Makes an input and holds what reads it to its property. An error is a finding, and so is a panic.
    pub(crate) run: fn(&mut Draw) -> anyhow::Result<()>,
    /// It asks a `PostgreSQL` server, which is left out where there is none.
    pub(crate) needs_postgres: bool,
}

/// What one input may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of the whole process, in MiB of addresses.
    pub(crate) memory_mib: u64,
    /// Of a processor.
    pub(crate) seconds: u32,
    /// Of the thread that reads it.
    pub(crate) stack_mib: usize,
}
