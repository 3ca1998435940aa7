//! Tiles of a model by this server's processor, and whether two outputs of a tile agree.

use gpu_kernels::dtype::DType;
use gpu_kernels::graph::{Feed, Graph, Tensor};
use gpu_kernels::records::{Column, deinterleave, interleave, split};
use gpu_kernels::tolerance::agrees_as;
use rules::verification::Mismatch;
use wire::{Field, InferTask};

/// One tile of a model by the CPU: its outputs as a device would upload them. `input` holds its `rows`
/// rows of each input, then what all rows share.
pub fn recompute_tile(graph: &Graph, task: &InferTask, rows: u64, input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let rows = usize::try_from(rows)?;
    let of_rows = columns(task.inputs.iter().filter(|field| !field.shared));
    let row_bytes = rows * of_rows.iter().map(Column::bytes).sum::<usize>();
    anyhow::ensure!(row_bytes <= input.len(), "a tile's input is cut short");
    let (row_values, shared_values) = input.split_at(row_bytes);
    let row_words = split(row_values, rows, &of_rows).ok_or_else(|| anyhow::anyhow!("an input has another size"))??;
    let feeds = shared_feeds(&task.inputs, shared_values)?;
    let plan = graph.plan(rows, &feeds)?;
    let fed: Vec<&[u32]> = row_words.iter().map(Vec::as_slice).collect();
    Ok(interleave(rows, &columns(task.outputs.iter()), &plan.run(&fed)))
}

/// Whether a tile of a model's output is what it should be. Both come as they are uploaded, so that a
/// float16 is compared as one.
pub fn same_values(task: &InferTask, found: &[u8], expected: &[u8]) -> Result<(), Mismatch> {
    let answers = columns(task.outputs.iter());
    let (found, expected) = (deinterleave(found, &answers), deinterleave(expected, &answers));
    let (Some(Ok(expected)), Some(found)) = (expected, found) else { return Err(Mismatch::Size) };
    // An int64 that no device could have computed.
    let Ok(found) = found else { return Err(Mismatch::Values) };
    let same = answers.iter().zip(found.iter().zip(&expected)).all(|(column, (a, b))| agrees_as(column.dtype, a, b));
    if same { Ok(()) } else { Err(Mismatch::Values) }
}

/// What the planner is told: rows of a shape, or a shared input's values, which `shared` holds one
/// after another.
pub fn shared_feeds(inputs: &[Field], shared: &[u8]) -> anyhow::Result<Vec<Feed>> {
    let whole = columns(inputs.iter().filter(|field| field.shared));
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

fn columns<'a>(fields: impl Iterator<Item = &'a Field>) -> Vec<Column> {
    let len = |field: &Field| usize::try_from(field.bytes() / field.dtype.bytes()).unwrap_or(usize::MAX);
    fields.map(|field| Column { dtype: dtype(field), len: len(field) }).collect()
}
