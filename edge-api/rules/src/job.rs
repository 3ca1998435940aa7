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
    /// Of the model or the kernel, as the customer sent it.
    pub code_bytes: u64,
}

/// What a job asks of the devices that compute it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    pub customer: AccountId,
    pub privacy: Privacy,
    /// What a device's standing goes by.
    pub program: &'static str,
    pub device_bytes: u64,
    /// Customers' kernels run on GPUs and software adapters alone.
    pub kernels: bool,
    pub tile_flops: u64,
    /// Input and output of one tile.
    pub tile_bytes: u64,
    pub tile_out_bytes: u64,
    /// The model or the kernel, which a device keeps from one lease to the next.
    pub code: BlobHash,
    pub code_bytes: u64,
}

impl Job {
    pub fn tile_count(&self) -> u64 {
        self.rows.div_ceil(self.tile_rows)
    }

    pub fn tile_flops(&self) -> u64 {
        self.row_flops.saturating_mul(self.tile_rows)
    }

    /// Operations of the whole job, as far as they are shown.
    pub fn flops(&self) -> u64 {
        self.row_flops.saturating_mul(self.rows)
    }

    pub fn needs(&self) -> Needs {
        let row_bytes = self.task.row_bytes().saturating_add(self.task.out_bytes());
        Needs {
            customer: self.customer,
            privacy: self.privacy,
            program: self.task.program_name(),
            device_bytes: self.device_bytes,
            kernels: program::rules_of(&self.task).needs_kernels(),
            tile_flops: self.tile_flops(),
            tile_bytes: row_bytes.saturating_mul(self.tile_rows).saturating_add(self.task.tile_note_bytes()),
            tile_out_bytes: self.task.output_bytes(self.tile_rows, 1),
            code: self.task.code(),
            code_bytes: self.code_bytes,
        }
    }

    /// Who recomputes its tiles.
    pub fn checked_by(&self, has_checkers: bool) -> CheckedBy {
        match program::rules_of(&self.task).checked_by(self.tile_flops(), has_checkers) {
            CheckedBy::Quorum if self.privacy == Privacy::Own => CheckedBy::Owner,
            by => by,
        }
    }

    /// A part of the job, counted in tiles from its first.
    pub fn tiles(&self, tiles: Range<u64>) -> TileRange<'_> {
        TileRange { job: self, tiles }
    }

    /// The most that the job can cost.
    pub fn cost(&self) -> Result<Credits, CreditsOverflow> {
        billing::most(u128::from(self.row_flops).saturating_mul(self.rows.into()), self.price)
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
        self.job.task.output_bytes(self.rows(), self.count())
    }

    /// Operations that were not needed, by what an output says of them; `None` where it says more than there were.
    pub fn flops_left(&self, output: &[u8]) -> Option<u64> {
        let mut of_tiles = self.job.task.flops_left(output, self.job.tile_rows).zip(self.tiles.clone());
        of_tiles.try_fold(0u64, |sum, (left, tile)| {
            (left < self.job.tiles(tile..tile + 1).flops()).then(|| sum.saturating_add(left))
        })
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

    /// Where some of these tiles lie in the range's output, in bytes, with what is noted after each; `tiles` counts from the
    /// range's first.
    pub fn output_range(&self, tiles: Range<u32>) -> Range<usize> {
        let first = self.tiles.start;
        let part = self.job.tiles(first + u64::from(tiles.start)..first + u64::from(tiles.end)).row_range();
        let offset_of = |row: u64, tile: u32| {
            wire::number::to(self.job.task.output_bytes(row - self.row_range().start, tile.into()))
        };
        offset_of(part.start, tiles.start)..offset_of(part.end, tiles.end)
    }
}

#[cfg(test)]
mod tests {
    use wire::MapTask;
    use wire::program::map::join_tiles;

    use super::*;
    use crate::scheduling::tests::open_job;

    /// Five records in tiles of two, with 12 operations each.
    fn map_job() -> Job {
        let kernel = BlobHash([0; 32]);
        let task = MapTask { kernel, record_bytes: 4, out_bytes: 4, fuel: 10, params: None, words: Vec::new() };
        Job { task: Task::Map(task), rows: 5, tile_rows: 2, row_flops: 12, ..open_job() }
    }

    #[test]
    fn tiles_lie_with_what_they_left_in_an_output() {
        let job = map_job();
        let tiles = job.tiles(0..3);

        assert_eq!(tiles.output_bytes(), 5 * 4 + 3 * 4);
        assert_eq!([0, 1, 2].map(|tile| tiles.output_range(tile..tile + 1)), [0..12, 12..24, 24..32]);
        assert_eq!(job.tiles(1..3).output_range(1..2), 12..20);
    }

    #[test]
    fn what_a_leases_tiles_left_is_summed_and_no_more_than_there_was() {
        let job = map_job();
        let output = |left: &[u32]| join_tiles(&[0; 20], 8, left);

        assert_eq!(job.tiles(0..3).flops_left(&output(&[20, 7, 10])), Some(37));
        assert_eq!(job.tiles(0..3).flops_left(&output(&[20, 24, 0])), None, "of two records' 24 operations");
        assert_eq!(open_job().tiles(0..1).flops_left(&[0; 512]), Some(0));
    }
}
