//! GPU programs for several batch sizes of one model, and rows cut into such batches.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::run::{GpuProgramError, Prepared, Weights};
use super::{DanglingReference, Package, Packed};
use crate::device::Gpu;
use crate::number;

/// Device memory that one run may take, weights included.
const RUN_BYTES_MAX: u64 = 256 << 20;
/// Most tiles in one batch: with more, `pace` would be awaited too seldom.
const TILES_AT_ONCE: u64 = 64;
/// Most steps of one batch, as the planner bounds them.
const STEPS_MAX: u64 = 20_000;

/// A model that was planned elsewhere.
#[derive(Default)]
pub struct GpuProgramSession {
    prepared: HashMap<u64, Prepared>,
    weights: Weights,
    constants: HashMap<[u8; 32], Arc<[u32]>>,
    /// Known since the first program was added.
    tile: Option<TileNeeds>,
}

/// What a batch of one tile takes.
#[derive(Clone, Copy, Debug)]
pub struct TileNeeds {
    /// Memory of a run, in bytes.
    bytes: u64,
    /// Its largest buffer, in bytes.
    buffer_bytes: u64,
    steps: u64,
}

/// What must be fetched before rows can run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Batch sizes without a program, each once, the largest first.
    pub batches: Vec<u64>,
    /// Constants that need not be fetched.
    pub known: HashSet<[u8; 32]>,
}

/// The batches that `rows` are run in: each a power of two of tiles of `unit` rows, `most` tiles at the
/// largest, and last the rows that make no whole tile.
fn batches(rows: u64, unit: u64, most: u64) -> Vec<u64> {
    let (mut left, unit, mut batches) = (rows, unit.max(1), Vec::new());
    while left > 0 {
        let tiles = (left / unit).min(most.max(1));
        let batch = if tiles == 0 { left } else { unit << tiles.ilog2() };
        batches.push(batch);
        left -= batch;
    }
    batches
}

/// The sizes of the batches that `rows` are run in, each once.
pub fn batch_sizes(rows: u64, unit: u64, most: u64) -> Vec<u64> {
    let mut sizes = batches(rows, unit, most);
    // None is larger than the one before it.
    sizes.dedup();
    sizes
}

/// Tiles that one batch may have. Memory grows with them, and so do the steps of a model whose rows run one
/// after another.
pub fn tiles_at_once(tile: TileNeeds, buffer_bytes_max: u64) -> u64 {
    let by_bytes = (RUN_BYTES_MAX / tile.bytes.max(1)).min(buffer_bytes_max / tile.buffer_bytes.max(1));
    by_bytes.min(STEPS_MAX / tile.steps.max(1)).clamp(1, TILES_AT_ONCE)
}

/// What the batch takes that a package is for.
pub fn unit_of(package: &Package) -> TileNeeds {
    let steps = number::to(package.program.steps.len());
    TileNeeds { bytes: package.bytes, buffer_bytes: package.buffer_bytes, steps }
}

impl GpuProgramSession {
    /// What is missing for `rows` rows of a job whose tiles have `tile_rows`. Until a tile's own program
    /// is there, nothing more is asked for.
    pub fn missing(&self, rows: u64, tile_rows: u64, buffer_bytes_max: u64) -> Missing {
        let known = self.constants.keys().copied().collect();
        let mut batches = match self.tile {
            Some(tile) => batch_sizes(rows, tile_rows, tiles_at_once(tile, buffer_bytes_max)),
            None => vec![tile_rows.min(rows)],
        };
        batches.retain(|batch| !self.prepared.contains_key(batch));
        Missing { batches, known }
    }

    /// Prepares a program for batches of `rows`. `stored` are constants that were fetched separately.
    pub async fn add(
        &mut self,
        gpu: &mut Gpu,
        rows: u64,
        package: Package,
        stored: Vec<([u8; 32], Arc<[u32]>)>,
    ) -> Result<Result<(), DanglingReference>, GpuProgramError> {
        self.constants.extend(stored);
        let tile = unit_of(&package);
        let mut constants = Vec::with_capacity(package.constants.len());
        for packed in package.constants {
            constants.push(match packed {
                Packed::Words(words) => words.into(),
                Packed::Stored { hash, .. } => match self.constants.get(&hash) {
                    Some(words) => Arc::clone(words),
                    None => return Ok(Err(DanglingReference)),
                },
            });
        }
        if let Err(error) = package.program.check(constants.len()) {
            return Ok(Err(error));
        }
        let scopes = gpu.scopes();
        let prepared = Prepared::new(gpu, package.program, &constants, &mut self.weights);
        gpu.close(scopes).await?;
        self.prepared.insert(rows, prepared?);
        self.tile.get_or_insert(tile);
        Ok(Ok(()))
    }

    /// Computes `rows` rows for which nothing is missing: the outputs' words in order. `lens` are the
    /// values of a row of each input.
    pub async fn run(
        &mut self,
        gpu: &mut Gpu,
        rows: u64,
        tile_rows: u64,
        inputs: &[(&[u32], usize)],
        pace: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Option<Vec<Vec<u32>>>, GpuProgramError> {
        let Some(tile) = self.tile else { return Ok(None) };
        let most = tiles_at_once(tile, gpu.info.buffer_bytes_max);
        let mut outputs: Vec<Vec<u32>> = Vec::new();
        let mut first = 0;
        for batch in batches(rows, tile_rows, most) {
            let Some(prepared) = self.prepared.get(&batch) else { return Ok(None) };
            let batch = number::to::<usize, _>(batch);
            let parts: Vec<&[u32]> =
                inputs.iter().map(|(words, len)| &words[first * len..(first + batch) * len]).collect();
            let scopes = gpu.scopes();
            let ran = prepared.run(gpu, &parts, &pace).await;
            let closed = gpu.close(scopes).await;
            if closed.is_err() || ran.as_ref().is_err_and(|error| *error != GpuProgramError::Stopped) {
                // What was prepared while an error occurred may be broken: it is fetched again.
                *self = Self::default();
                gpu.forget_writes();
            }
            closed?;
            let found = ran?;
            outputs.resize_with(found.len(), Vec::new);
            outputs.iter_mut().zip(found).for_each(|(output, found)| output.extend(found));
            first += batch;
        }
        Ok(Some(outputs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_in_powers_of_two_of_a_tile_and_a_rest() {
        assert_eq!(batches(100, 8, 64), [64, 32, 4]);
        assert_eq!(batches(100, 8, 2), [16, 16, 16, 16, 16, 16, 4]);
        assert_eq!(batches(3, 8, 64), [3]);
        assert_eq!(batches(8, 8, 64), [8]);
        assert_eq!(batches(0, 8, 64), Vec::<u64>::new());
        for rows in 1..200 {
            assert_eq!(batches(rows, 7, 16).iter().sum::<u64>(), rows);
        }
    }

    #[test]
    fn each_size_of_a_batch_is_planned_once() {
        assert_eq!(batch_sizes(100, 8, 2), [16, 4]);
        for rows in 1..200 {
            let mut sizes = batch_sizes(rows, 7, 16);
            let planned = sizes.len();
            sizes.sort_unstable();
            sizes.dedup();
            assert_eq!(sizes.len(), planned, "of {rows} rows");
        }
    }
}
