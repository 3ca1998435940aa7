//! The arrays of a model's rows, as bytes and as words.

use gpu_kernels::records::{Column, columns, interleave, split};
use wire::{BlobHash, Field, InferTask};

use crate::failure::RunFailure;
use crate::programs::program::{Agreement, Input, OutputFormat};

/// What a prepared model is known by: the task, which names the model and the shapes, and the hash of
/// what all rows share.
pub(super) type Key = (InferTask, BlobHash);

pub(super) fn key(task: &InferTask, input: &Input) -> Key {
    (task.clone(), BlobHash(*blake3::hash(input.shared_values()).as_bytes()))
}

/// The words of every input that has rows, with how many of them a row has.
pub(super) fn row_arrays(task: &InferTask, input: &Input) -> Result<Vec<(Vec<u32>, usize)>, RunFailure> {
    let columns = columns(task.inputs.iter().filter(|field| !field.shared).map(Field::array));
    let bytes = input.row_values();
    let words = split(bytes, input.row_count(), &columns).ok_or_else(|| {
        let row_bytes = columns.iter().map(Column::bytes).fold(0, usize::saturating_add);
        RunFailure::Input { expected: row_bytes.saturating_mul(input.row_count()), found: bytes.len() }
    })?;
    Ok(words.map_err(RunFailure::Value)?.into_iter().zip(columns.iter().map(|column| column.len)).collect())
}

fn output_columns(task: &InferTask) -> Vec<Column> {
    columns(task.outputs.iter().map(Field::array))
}

/// The outputs of each row, side by side.
pub(super) fn output_bytes(task: &InferTask, input: &Input, arrays: &[Vec<u32>]) -> Vec<u8> {
    interleave(input.row_count(), &output_columns(task), arrays)
}

pub(super) fn output_format(task: &InferTask) -> OutputFormat {
    OutputFormat {
        columns: output_columns(task),
        first_dtype: task.outputs.first().map(|output| output.dtype),
        agreement: Agreement::ByType,
    }
}
