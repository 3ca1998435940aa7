//! How much work a tile may be, and who can check that.

/// Work of a tile that the edge chooses: a CPU redoes it well inside 50 ms.
pub const TILE_FLOPS_AIM: u64 = 20_000_000;
/// Tiles that a job is cut into where it has rows enough, so that many devices can share it.
pub(super) const TILES_AIM: u64 = 256;
/// Input and output of one tile together, in bytes.
pub const TILE_BYTES_AIM: u64 = 4 << 20;
pub(super) const TILES_MAX: u64 = 1 << 20;

/// Work of a tile that this server's processor redoes within 50 ms.
pub const EDGE_FLOPS: u64 = 500_000_000;
/// Most work of a tile that it redoes where there is no checker.
pub const EDGE_FLOPS_MAX: u64 = 20_000_000_000;
/// Most work of a tile that a checker redoes: a few seconds of a GPU.
pub const CHECKER_FLOPS_MAX: u64 = 2_000_000_000_000;
