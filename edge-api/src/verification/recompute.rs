//! A lease's output against its receipt, and tiles of it against what they should be.

use bytes::Bytes;
use gpu_kernels::dtype::DType;
use gpu_kernels::graph::{Feed, Graph, Tensor};
use gpu_kernels::records::{Part, deinterleave, interleave, split};
use gpu_kernels::tolerance::{agrees_as, within};
use wire::{Check, Field, InferTask, LeaseId, Task, TileHash, merkle};

/// The rows of one lease, as far as a check needs to know them.
#[derive(Clone, Debug)]
pub struct Work {
    pub lease: LeaseId,
    pub tiles: u32,
    /// Rows of the whole lease.
    pub rows: u64,
    pub tile_rows: u64,
    pub task: Task,
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

    /// Where tiles lie in the lease's output, in bytes.
    pub fn output_range(&self, tiles: std::ops::Range<u32>) -> std::ops::Range<usize> {
        let at = |row: u64| usize::try_from(row * self.task.out_bytes()).unwrap_or(usize::MAX);
        at(self.tile(tiles.start).start)..at(self.tile(tiles.end.saturating_sub(1)).end)
    }

    pub fn output_bytes(&self) -> u64 {
        self.rows * self.task.out_bytes()
    }
}

/// Whether the output is the one that the receipt commits to.
pub fn check_root(work: &Work, output: &Bytes, root: TileHash) -> Result<(), Mismatch> {
    if u64::try_from(output.len()).ok() != Some(work.output_bytes()) {
        return Err(Mismatch::Size);
    }
    let leaves = (0..work.tiles).map(|tile| {
        let bytes = merkle::leaf_bytes(work.lease, &output[work.output_range(tile..tile + 1)]);
        TileHash(*blake3::hash(&bytes).as_bytes())
    });
    let found = merkle::root(leaves, |bytes| *blake3::hash(bytes).as_bytes());
    if found == root { Ok(()) } else { Err(Mismatch::Root) }
}

/// One tile of a model by the CPU: its outputs as a device would upload them. `input` holds that tile's
/// rows of each input, then what all rows share.
pub fn redo_tile(graph: &Graph, work: &Work, tile: u32, input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let rows = work.tile(tile);
    let rows = usize::try_from(rows.end - rows.start)?;
    let Task::Infer(InferTask { inputs, outputs, .. }) = &work.task else {
        anyhow::bail!("only a model runs on the CPU")
    };
    let of_rows = parts(inputs.iter().filter(|field| !field.shared));
    let row_bytes = rows * of_rows.iter().map(Part::bytes).sum::<usize>();
    anyhow::ensure!(row_bytes <= input.len(), "a tile's input is cut short");
    let (row_values, shared_values) = input.split_at(row_bytes);
    let row_words = split(row_values, rows, &of_rows).ok_or_else(|| anyhow::anyhow!("an input has another size"))??;
    let feeds = shared_feeds(inputs, shared_values)?;
    let plan = graph.plan(rows, &feeds)?;
    let fed: Vec<&[u32]> = row_words.iter().map(Vec::as_slice).collect();
    Ok(interleave(rows, &parts(outputs.iter()), &plan.run(&fed)))
}

/// Whether a tile of a model's output is what it should be. Both come as they are uploaded, so that a
/// float16 is compared as one.
pub fn same_values(task: &Task, found: &[u8], expected: &[u8]) -> Result<(), Mismatch> {
    let answers = parts(task.outputs().iter());
    let (found, expected) = (deinterleave(found, &answers), deinterleave(expected, &answers));
    let (Some(Ok(expected)), Some(found)) = (expected, found) else { return Err(Mismatch::Size) };
    // An int64 that no device could have computed.
    let Ok(found) = found else { return Err(Mismatch::Values) };
    let same = answers.iter().zip(found.iter().zip(&expected)).all(|(part, (a, b))| agrees_as(part.dtype, a, b));
    if same { Ok(()) } else { Err(Mismatch::Values) }
}

/// What the planner is told: rows of a shape, or a shared input's values, which `shared` holds one
/// after another.
pub fn shared_feeds(inputs: &[Field], shared: &[u8]) -> anyhow::Result<Vec<Feed>> {
    let whole = parts(inputs.iter().filter(|field| field.shared));
    let words = split(shared, 1, &whole).ok_or_else(|| anyhow::anyhow!("a shared input has another size"))??;
    let mut words = words.into_iter();
    let feed = |field: &Field| -> anyhow::Result<Feed> {
        let shape = field.shape.iter().map(|&size| usize::try_from(size)).collect::<Result<Vec<_>, _>>()?;
        if !field.shared {
            return Ok(if field.whole { Feed::Whole(shape) } else { Feed::Rows(shape) });
        }
        Ok(Feed::Known(Tensor { dtype: dtype(field), shape, words: words.next().unwrap_or_default().into() }))
    };
    inputs.iter().map(feed).collect()
}

fn dtype(field: &Field) -> DType {
    DType::from_name(field.dtype.name()).expect("every type of the wire should be one of the kernels'")
}

fn parts<'a>(fields: impl Iterator<Item = &'a Field>) -> Vec<Part> {
    let len = |field: &Field| usize::try_from(field.bytes() / field.dtype.bytes()).unwrap_or(usize::MAX);
    fields.map(|field| Part { dtype: dtype(field), len: len(field) }).collect()
}

/// Whether two outputs of a kernel's tile are the same by its job's rule. `float_words` tells which
/// words of a record are floats.
pub fn same_records(check: Check, float_words: &[bool], found: &[u8], expected: &[u8]) -> bool {
    let Check::Tolerance { rtol, atol } = check else { return found == expected };
    let floats = |bytes: &[u8]| -> (Vec<f32>, Vec<u32>) {
        let words = bytes.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk));
        let (floats, others): (Vec<_>, Vec<_>) =
            words.zip(float_words.iter().cycle()).partition(|(_, is_float)| **is_float);
        (
            floats.into_iter().map(|(word, _)| f32::from_bits(word)).collect(),
            others.into_iter().map(|(w, _)| w).collect(),
        )
    };
    let ((found_floats, found_others), (floats, others)) = (floats(found), floats(expected));
    found.len() == expected.len() && found_others == others && within(&found_floats, &floats, rtol.get(), atol.get())
}

#[cfg(test)]
mod tests {
    use wire::Tolerance;

    use super::*;

    #[test]
    fn a_tolerance_is_for_floats_and_for_nothing_beside_them() {
        let tolerance = |value: f32| Tolerance::try_from(value).unwrap();
        let check = Check::Tolerance { rtol: tolerance(1e-3), atol: tolerance(0.0) };
        let record = |word: u32, value: f32| [word.to_le_bytes(), value.to_le_bytes()].concat();
        let floats = [false, true];

        assert!(same_records(check, &floats, &record(7, 1.0005), &record(7, 1.0)));
        assert!(!same_records(check, &floats, &record(7, 1.005), &record(7, 1.0)));
        assert!(!same_records(check, &floats, &record(8, 1.0), &record(7, 1.0)));
        assert!(!same_records(check, &floats, &record(7, f32::NAN), &record(7, 1.0)));
        assert!(!same_records(Check::Exact, &floats, &record(7, 1.0005), &record(7, 1.0)));
    }
}
