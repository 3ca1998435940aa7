//! A lease's output against its receipt and against the CPU's answer.

use bytes::Bytes;
use gpu_kernels::graph::{Feed, Graph};
use wire::{LeaseId, TileHash, merkle};

use gpu_kernels::tolerance::agrees;

/// The rows of one lease, as far as a check needs to know them.
#[derive(Clone, Debug)]
pub struct Work {
    pub lease: LeaseId,
    pub tiles: u32,
    /// Rows of the whole lease.
    pub rows: u64,
    pub tile_rows: u64,
    pub row_shape: Vec<u64>,
    /// Values of an output row.
    pub output_row_len: u64,
}

/// Why an output is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the output has another size than the lease's rows")]
    Size,
    #[error("the output is not what the receipt was signed for")]
    Root,
    #[error("a recomputed tile differs from the output")]
    Values,
}

impl Work {
    fn tile(&self, tile: u32) -> std::ops::Range<u64> {
        let first = u64::from(tile) * self.tile_rows;
        first..(first + self.tile_rows).min(self.rows)
    }

    fn output_range(&self, tile: u32) -> std::ops::Range<usize> {
        let rows = self.tile(tile);
        let at = |row: u64| usize::try_from(row * self.output_row_len * 4).unwrap_or(usize::MAX);
        at(rows.start)..at(rows.end)
    }

    pub fn output_bytes(&self) -> u64 {
        self.rows * self.output_row_len * 4
    }

    /// Where a tile's input lies in an input of this lease's rows, in bytes.
    pub fn input_range(&self, tile: u32) -> std::ops::Range<u64> {
        let row_bytes = self.row_shape.iter().product::<u64>() * 4;
        let rows = self.tile(tile);
        rows.start * row_bytes..rows.end * row_bytes
    }
}

/// Whether the output is the one that the receipt commits to.
pub fn check_root(work: &Work, output: &Bytes, root: TileHash) -> Result<(), Mismatch> {
    if u64::try_from(output.len()).ok() != Some(work.output_bytes()) {
        return Err(Mismatch::Size);
    }
    let leaves = (0..work.tiles).map(|tile| {
        let bytes = merkle::leaf_bytes(work.lease, &output[work.output_range(tile)]);
        TileHash(*blake3::hash(&bytes).as_bytes())
    });
    let found = merkle::root(leaves, |bytes| *blake3::hash(bytes).as_bytes());
    if found == root { Ok(()) } else { Err(Mismatch::Root) }
}

/// Redoes one tile on the CPU. `input` holds that tile's rows.
pub fn check_tile(
    graph: &Graph,
    work: &Work,
    tile: u32,
    input: &Bytes,
    output: &Bytes,
) -> anyhow::Result<Result<(), Mismatch>> {
    let rows = work.tile(tile);
    let batch = usize::try_from(rows.end - rows.start)?;
    let shape: Vec<usize> = work.row_shape.iter().map(|&size| usize::try_from(size)).collect::<Result<_, _>>()?;
    let plan = graph.plan(batch, &[Feed::Rows(shape)])?;
    let expected: Vec<f32> = plan.run(&[&words(input)]).into_iter().flatten().map(f32::from_bits).collect();
    let found: Vec<f32> = words(&output[work.output_range(tile)]).into_iter().map(f32::from_bits).collect();
    Ok(if agrees(&found, &expected) { Ok(()) } else { Err(Mismatch::Values) })
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect()
}
