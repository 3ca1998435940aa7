//! A customer's own kernel: one WGSL invocation per record.
//!
//! The crate `gate` refuses what is outside the contract and writes fuel and bounds into the rest; `session`
//! runs the result. The contract: entry point `main`, binding 0 the input records of a tile
//! (`var<storage, read>`), binding 1 its output records (`var<storage, read_write>`), binding 2
//! parameters (`var<uniform>`, may be left out), all in group 0.

#[cfg(feature = "wgpu")]
pub mod session;

/// Words of the status buffer, at binding 3 of the kernel that the gate emits.
pub const STATUS_WORDS: usize = 4;
/// The loop that ran out of fuel or of iterations, counted from one; 0 when none did.
pub const STATUS_FAULT: usize = 0;
/// Set beside the loop's number when it ran out of iterations.
pub const STATUS_TURNS: u32 = 1 << 31;
/// Set beside the loop's number unless the record had been stopped before.
pub const STATUS_FIRST: u32 = 1 << 30;
/// The whole word where the driver left a loop of which no condition had ended: see [`Driver::Llvmpipe`].
pub const STATUS_CUT: u32 = u32::MAX;
/// The most fuel that any record used, in operations.
pub const STATUS_USED: usize = 1;
/// Written by the host: the tile's records.
pub const STATUS_RECORDS: usize = 2;
/// The fuel that the tile's records left, all together, in operations.
pub const STATUS_LEFT: usize = 3;

/// What runs a kernel, where it matters how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Driver {
    #[default]
    Any,
    /// Mesa's Vulkan on processors. Without a word it leaves every loop once all the loops of a record, and of the seven
    /// beside it, have turned 65,535 times together, and forgets conditions that lie more than 80 deep
    /// (`gallivm/lp_bld_limits.h`: `LP_MAX_TGSI_LOOP_ITERATIONS`, `LP_MAX_TGSI_NESTING`).
    Llvmpipe,
}

/// Most iterations of one loop. Software adapters silently leave a loop soon after, and a result must not
/// depend on the device.
pub const TURNS_MAX: u32 = 65_000;

/// Most records in one dispatch, in workgroups: WebGPU's limit along one dimension.
pub const GROUPS_MAX: u64 = 65_535;

/// A kernel as the gate emits it: what devices run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatedKernel {
    pub wgsl: String,
    /// Invocations of a workgroup, along x.
    pub workgroup_size: u32,
    /// Size of the parameters, in bytes; none where the kernel takes none.
    pub params_bytes: Option<u32>,
    /// Line of each loop in the customer's text, counted from one.
    pub loop_lines: Vec<u32>,
    /// The most operations that a record can take, its fuel included.
    pub ops: u64,
}

/// The results of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapOutput {
    pub records: Vec<u8>,
    /// The most fuel that any record used, in operations.
    pub fuel_used: u32,
    /// What the records of each tile left of theirs, all together; 0 for a kernel without loops, which has none.
    pub fuel_left: Vec<u32>,
}

/// A loop that was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Of the loop in the customer's text, counted from one.
    pub line: u32,
    /// It ran out of iterations, though there was fuel left.
    pub turns: bool,
}

impl GatedKernel {
    /// The fault that a status word stands for, if any.
    pub fn fault(&self, word: u32) -> Option<Fault> {
        let index = usize::try_from((word & !(STATUS_TURNS | STATUS_FIRST)).checked_sub(1)?).ok()?;
        Some(Fault { line: self.loop_lines.get(index).copied().unwrap_or(1), turns: word & STATUS_TURNS != 0 })
    }
}
