//! What is decided of each program without I/O: how its rows are cut into tiles, and who computes tiles
//! again. A program is a file here, with one line in [`rules_of`].

pub mod infer;
pub mod map;

use wire::{CheckedBy, Task};

use crate::admission::AdmitError;
use crate::job::Job;

/// Work of a tile that the edge chooses: a CPU redoes it well inside 50 ms.
pub const TILE_FLOPS_AIM: u64 = 20_000_000;
/// Tiles that a job is cut into where it has rows enough, so that many devices can share it.
const TILES_AIM: u64 = 256;
/// Input and output of one tile together, in bytes.
pub const TILE_BYTES_AIM: u64 = 4 << 20;
const TILES_MAX: u64 = 1 << 20;

/// Work of a tile that this server's processor redoes within 50 ms.
pub const EDGE_FLOPS: u64 = 500_000_000;
/// Most work of a tile that it redoes where there is no checker.
pub const EDGE_FLOPS_MAX: u64 = 20_000_000_000;
/// Most work of a tile that a checker redoes: a few seconds of a GPU.
pub const CHECKER_FLOPS_MAX: u64 = 2_000_000_000_000;

/// What is decided of a task by its program.
pub trait TaskRules {
    /// Who redoes tiles of so much work.
    fn checked_by(&self, tile_flops: u64, has_checkers: bool) -> CheckedBy;
    /// Devices run the customer's own kernels for it.
    fn needs_kernels(&self) -> bool;
}

/// A program's rules: one line each.
pub fn rules_of(task: &Task) -> &dyn TaskRules {
    match task {
        Task::Infer(task) => task,
        Task::Map(task) => task,
    }
}

pub fn checked_by(job: &Job, has_checkers: bool) -> CheckedBy {
    rules_of(&job.task).checked_by(job.tile_flops(), has_checkers)
}

/// What a row takes, as far as cutting needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowCost {
    pub(crate) flops: u64,
    /// In and out.
    pub(crate) bytes: u64,
    /// Rows that one tile should hold at most.
    pub(crate) rows_max: u64,
}

/// Rows a tile: as many as are wanted, or a moment's work of them. `field` is the request's that wants.
pub(crate) fn tile_rows(rows: u64, row: RowCost, wanted: Option<u64>, field: &'static str) -> Result<u64, AdmitError> {
    let tile_rows = wanted.unwrap_or_else(|| {
        let by_work = TILE_FLOPS_AIM / row.flops.max(1);
        let by_bytes = TILE_BYTES_AIM / row.bytes.max(1);
        by_work.min(by_bytes).min(row.rows_max).min(rows.div_ceil(TILES_AIM)).max(rows.div_ceil(TILES_MAX)).max(1)
    });
    if tile_rows == 0 || tile_rows > rows || rows.div_ceil(tile_rows) > TILES_MAX {
        return Err(AdmitError::TileRows { field, least: rows.div_ceil(TILES_MAX), most: rows });
    }
    Ok(tile_rows)
}

#[cfg(test)]
mod tests {
    use wire::{InferTask, MapTask};

    use super::*;

    #[test]
    fn a_checker_redoes_kernels_and_what_would_hold_the_server_up() {
        let hash = wire::BlobHash([0; 32]);
        let model = InferTask { model: hash, inputs: Vec::new(), outputs: Vec::new() };
        let kernel = MapTask { kernel: hash, params: None, record_bytes: 4, out_bytes: 4, fuel: 1 };

        assert_eq!(model.checked_by(EDGE_FLOPS, true), CheckedBy::Edge);
        assert_eq!(model.checked_by(EDGE_FLOPS + 1, true), CheckedBy::Checker);
        assert_eq!(model.checked_by(EDGE_FLOPS_MAX, false), CheckedBy::Edge);
        assert_eq!(kernel.checked_by(1, true), CheckedBy::Checker);
        assert_eq!(kernel.checked_by(1, false), CheckedBy::Quorum);
    }
}
