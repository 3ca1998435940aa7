//! Tiles of a model by this server's processor, and whether two outputs of a tile agree.

use gpu_kernels::records::{Column, columns, deinterleave, interleave, split};
use gpu_kernels::tolerance::agrees_as;
use onnx::{Feed, Graph, InputArray};
use wire::{Field, InferTask};

/// One tile of a model by the CPU: its outputs as a device would upload them. `input` holds its `rows`
/// rows of each input, then what all rows share.
pub fn recompute_tile(graph: &Graph, task: &InferTask, rows: u64, input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let rows = usize::try_from(rows)?;
    let of_rows = columns(task.inputs.iter().filter(|field| !field.shared).map(Field::array));
    let row_bytes = rows * of_rows.iter().map(Column::bytes).sum::<usize>();
    anyhow::ensure!(row_bytes <= input.len(), "a tile's input is cut short");
    let (row_values, shared_values) = input.split_at(row_bytes);
    let row_words = split(row_values, rows, &of_rows).ok_or_else(|| anyhow::anyhow!("an input has another size"))??;
    let feeds = shared_feeds(&task.inputs, shared_values)?;
    let plan = graph.plan(rows, &feeds)?;
    let fed: Vec<&[u32]> = row_words.iter().map(Vec::as_slice).collect();
    Ok(interleave(rows, &columns(task.outputs.iter().map(Field::array)), &plan.run(&fed)))
}

/// Whether a tile of a model's output is what it should be. Both come as they are uploaded, so that a
/// float16 is compared as one.
pub fn same_values(task: &InferTask, found: &[u8], expected: &[u8]) -> bool {
    let answers = columns(task.outputs.iter().map(Field::array));
    let (found, expected) = (deinterleave(found, &answers), deinterleave(expected, &answers));
    let (Some(Ok(expected)), Some(found)) = (expected, found) else { return false };
    // An int64 that no device could have computed.
    let Ok(found) = found else { return false };
    answers.iter().zip(found.iter().zip(&expected)).all(|(column, (a, b))| agrees_as(column.dtype, a, b))
}

/// What the planner is told of each input. `shared` holds the values of the shared ones, one after another.
pub fn shared_feeds(inputs: &[Field], shared: &[u8]) -> anyhow::Result<Vec<Feed>> {
    let arrays = inputs.iter().map(|field| {
        let (dtype, shape) = field.array();
        InputArray { dtype, shape, shared: field.shared, whole: field.whole }
    });
    Ok(onnx::feeds(&arrays.collect::<Vec<_>>(), shared)?)
}
