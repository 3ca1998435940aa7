//! How many rows a tile holds.

use super::limits::{TILE_BYTES_AIM, TILE_FLOPS_AIM, TILES_AIM, TILES_MAX};
use crate::admission::error::AdmitError;

/// What a row takes, as far as cutting needs to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowCost {
    pub(super) flops: u64,
    /// In and out.
    pub(super) bytes: u64,
    /// Rows that one tile should hold at most.
    pub(super) rows_max: u64,
}

/// Rows a tile: as many as the customer asks for, else about a moment's work. `field` is the request's field
/// that asks, which a refusal names.
pub(super) fn tile_rows(rows: u64, row: RowCost, wanted: Option<u64>, field: &'static str) -> Result<u64, AdmitError> {
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
