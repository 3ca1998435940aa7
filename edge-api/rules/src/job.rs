//! A job: what it computes over which bytes, how it is cut into tiles, and what a tile costs.

use std::ops::Range;

use wire::{AccountId, BlobHash, Check, CheckedBy, Credits, CreditsOverflow, JobId, PricePerCu, Privacy, Task};

use crate::{billing, program};

/// Where an input's values begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    pub blob: BlobHash,
    pub offset: u64,
}

/// An order that was admitted. Nothing of it changes while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub id: JobId,
    pub customer: AccountId,
    pub privacy: Privacy,
    pub task: Task,
    /// Where each input's values begin, in the task's order.
    pub sources: Vec<Source>,
    pub check: Check,
    pub rows: u64,
    /// Rows of each tile but the last, which may hold fewer.
    pub tile_rows: u64,
    /// Operations of a row.
    pub row_flops: u64,
    pub price: PricePerCu,
    /// Of the largest buffer that a device needs for a tile.
    pub device_bytes: u64,
    /// Of all that is alive at once on a device, for one tile.
    pub peak_bytes: u64,
}

/// What a job asks of the devices that compute it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    pub customer: AccountId,
    pub privacy: Privacy,
    pub device_bytes: u64,
    /// Customers' kernels run on GPUs and software adapters alone.
    pub kernels: bool,
    pub tile_flops: u64,
    /// Input and output of one tile.
    pub tile_bytes: u64,
}

impl Job {
    pub fn tile_count(&self) -> u64 {
        self.rows.div_ceil(self.tile_rows)
    }

    pub fn tile_flops(&self) -> u64 {
        self.row_flops.saturating_mul(self.tile_rows)
    }

    /// Operations of the whole job.
    pub fn flops(&self) -> u64 {
        self.row_flops.saturating_mul(self.rows)
    }

    pub fn needs(&self) -> Needs {
        let row_bytes = self.task.row_bytes().saturating_add(self.task.out_bytes());
        Needs {
            customer: self.customer,
            privacy: self.privacy,
            device_bytes: self.device_bytes,
            kernels: program::rules_of(&self.task).needs_kernels(),
            tile_flops: self.tile_flops(),
            tile_bytes: row_bytes.saturating_mul(self.tile_rows),
        }
    }

    /// Who recomputes its tiles.
    pub fn checked_by(&self, has_checkers: bool) -> CheckedBy {
        program::rules_of(&self.task).checked_by(self.tile_flops(), has_checkers)
    }

    /// A part of the job, counted in tiles from its first.
    pub fn tiles(&self, tiles: Range<u64>) -> TileRange<'_> {
        TileRange { job: self, tiles }
    }

    /// The most that the job can cost.
    pub fn cost(&self) -> Result<Credits, CreditsOverflow> {
        self.tiles(0..self.tile_count()).cost()
    }
}

/// Tiles of a job that lie side by side: a lease's, or those of a re-check.
#[derive(Clone, Debug)]
pub struct TileRange<'a> {
    job: &'a Job,
    tiles: Range<u64>,
}

impl TileRange<'_> {
    pub fn count(&self) -> u64 {
        self.tiles.end - self.tiles.start
    }

    fn row_range(&self) -> Range<u64> {
        let tile_rows = self.job.tile_rows;
        self.tiles.start * tile_rows..(self.tiles.end * tile_rows).min(self.job.rows)
    }

    pub fn rows(&self) -> u64 {
        let rows = self.row_range();
        rows.end - rows.start
    }

    pub fn flops(&self) -> u64 {
        self.job.row_flops.saturating_mul(self.rows())
    }

    pub fn output_bytes(&self) -> u64 {
        self.rows().saturating_mul(self.job.task.out_bytes())
    }

    /// What is paid for these tiles, each rounded up by itself, so that a job costs the same however its
    /// tiles are lent out.
    pub fn cost(&self) -> Result<Credits, CreditsOverflow> {
        let (job, count) = (self.job, self.count());
        let of_rows = |rows: u64| billing::cost(job.row_flops.saturating_mul(rows), job.price);
        let holds_last = count > 0 && self.tiles.end >= job.tile_count();
        let full_tiles = i64::try_from(count - u64::from(holds_last)).map_err(|_too_many| CreditsOverflow)?;
        let full = of_rows(job.tile_rows)?.checked_mul(full_tiles)?;
        if !holds_last {
            return Ok(full);
        }
        let last_rows = job.rows - (job.tile_count() - 1) * job.tile_rows;
        full.checked_add(of_rows(last_rows)?)
    }

    /// Where the rows lie in the input blobs: those of each input, then what all rows share.
    pub fn input_parts(&self) -> Vec<(BlobHash, Range<u64>)> {
        let rows = self.row_range();
        let fields = self.job.task.inputs();
        let fields: Vec<_> = fields.iter().zip(&self.job.sources).collect();
        let of_rows = fields.iter().filter(|(field, _)| !field.shared).map(|(field, source)| {
            let start_of = |row: u64| source.offset + row * field.bytes();
            (source.blob, start_of(rows.start)..start_of(rows.end))
        });
        let shared = fields.iter().filter(|(field, _)| field.shared);
        of_rows
            .chain(shared.map(|(field, source)| (source.blob, source.offset..source.offset + field.bytes())))
            .collect()
    }

    /// Where some of these tiles lie in the range's output, in bytes; `tiles` counts from the range's first.
    pub fn output_range(&self, tiles: Range<u32>) -> Range<usize> {
        let first = self.tiles.start;
        let part = self.job.tiles(first + u64::from(tiles.start)..first + u64::from(tiles.end)).row_range();
        let offset_of = |row: u64| wire::number::to((row - self.row_range().start) * self.job.task.out_bytes());
        offset_of(part.start)..offset_of(part.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(rows: u64, tile_rows: u64, row_flops: u64) -> Job {
        Job { rows, tile_rows, row_flops, ..crate::scheduling::tests::open_job() }
    }

    #[test]
    fn a_job_costs_the_same_however_its_tiles_are_lent() {
        for (rows, tile_rows, flops) in [(1, 1, 5), (100, 7, 123_456_789_012), (64, 8, 1), (10, 100, 1 << 50)] {
            let job = job(rows, tile_rows, flops);

            let one_by_one =
                (0..job.tile_count()).map(|tile| job.tiles(tile..tile + 1).cost().unwrap().micros()).sum::<i64>();

            assert_eq!(job.cost().unwrap().micros(), one_by_one, "{job:?}");
        }
    }
}
