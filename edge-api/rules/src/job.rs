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
            tile_bytes: row_bytes.saturating_mul(self.tile_rows),
            tile_out_bytes: self.task.out_bytes().saturating_mul(self.tile_rows),
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
        self.rows().saturating_mul(self.job.task.out_bytes())
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
