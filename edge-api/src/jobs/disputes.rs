//! Tiles of which two runs disagreed, as their job's owner sees them.

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use gpu_kernels::dtype::DType as KernelType;
use gpu_kernels::tolerance::differing;
use rules::verification::dispute::Outcome;
use store::DbConnection;
use store::verdicts::DisputedTile;
use wire::{BlobHash, Check, DType, DisputeState, Job, JobDispute, Task, WordRun, number};

use crate::app::App;

const DISPUTES_MAX: i64 = 16;
const VALUES_MAX: usize = 16;
/// Bytes of each output that are looked at for a difference.
const LOOKED_AT_MAX: u64 = 1 << 20;

/// A job's disputes as they are on record, and how its values are compared.
pub(super) struct Recorded {
    disputes: Vec<DisputedTile>,
    values: Option<Values>,
}

pub(super) async fn find(conn: &mut DbConnection, job: &Job) -> anyhow::Result<Recorded> {
    let disputes = store::verdicts::list_disputes(conn, job.id, DISPUTES_MAX).await?;
    let values = if disputes.is_empty() {
        None
    } else {
        let admitted = store::jobs::load_job(conn, job.id).await?;
        Some(Values::of(&admitted.context("a job with disputes should be on record")?)?)
    };
    Ok(Recorded { disputes, values })
}

/// With the outputs that differ. No connection is held meanwhile.
pub(super) async fn show_all(app: &App, job: &Job, recorded: Recorded) -> anyhow::Result<Vec<JobDispute>> {
    let Some(values) = recorded.values.map(Arc::new) else { return Ok(Vec::new()) };
    let mut shown = Vec::new();
    for dispute in recorded.disputes {
        shown.push(show(app, job, &values, dispute).await?);
    }
    Ok(shown)
}

async fn show(app: &App, job: &Job, values: &Arc<Values>, dispute: DisputedTile) -> anyhow::Result<JobDispute> {
    let state = match dispute.outcome {
        None => DisputeState::Open,
        Some(Outcome::DeviceWrong) => DisputeState::DeviceWrong,
        Some(Outcome::CheckerWrong) => DisputeState::CheckerWrong,
        Some(Outcome::NotReproducible) => DisputeState::NotReproducible,
    };
    let (tile, at, device) = (dispute.tile, dispute.created_at, dispute.device);
    let outputs = (dispute.signed_output, dispute.finder_output);
    let Some((signed, recomputed)) = read_outputs(app, job, values, tile, outputs).await? else {
        return Ok(JobDispute { tile, at, device, state, first_value: 0, signed: Vec::new(), recomputed: Vec::new() });
    };
    let values = Arc::clone(values);
    let compare = move || {
        let first = values.first_difference(&signed, &recomputed);
        (first, values.show(&signed, first), values.show(&recomputed, first))
    };
    let (first, signed, recomputed) = tokio::task::spawn_blocking(compare).await?;
    Ok(JobDispute { tile, at, device, state, first_value: number::to(first), signed, recomputed })
}

/// The first output of a tile in both runs. `None` where what is kept of them is not there any more.
async fn read_outputs(
    app: &App,
    job: &Job,
    values: &Values,
    tile: u64,
    (signed, recomputed): (BlobHash, Option<BlobHash>),
) -> anyhow::Result<Option<(Bytes, Bytes)>> {
    // Outputs lie side by side in each row: of several, the first row's is looked at.
    let rows =
        if job.outputs.len() == 1 { job.tile_rows.min(job.rows.saturating_sub(tile * job.tile_rows)) } else { 1 };
    let bytes = (rows * values.row_bytes).min(LOOKED_AT_MAX);
    if app.blobs.size(signed).await?.is_none() {
        return Ok(None);
    }
    let signed = app.blobs.read_range(signed, 0..bytes).await?;
    let recomputed = match recomputed {
        None => Bytes::new(),
        Some(hash) if app.blobs.size(hash).await?.is_some() => app.blobs.read_range(hash, 0..bytes).await?,
        Some(_gone) => return Ok(None),
    };
    Ok(Some((signed, recomputed)))
}

/// What the values of a job's first output are, and when two of them are the same.
struct Values {
    row_bytes: u64,
    /// Types of a row's values, over and over.
    types: Vec<DType>,
    /// Of a kernel's records, what the customer said.
    check: Option<Check>,
}

impl Values {
    fn of(job: &rules::Job) -> anyhow::Result<Self> {
        let outputs = job.task.outputs();
        let field = outputs.first().context("a job should have an output")?;
        let row_bytes = field.bytes();
        let Task::Map(task) = &job.task else {
            return Ok(Self { row_bytes, types: vec![field.dtype], check: None });
        };
        let words = task.words.iter().flat_map(|run| std::iter::repeat_n(run.dtype, number::to(run.words)));
        let words: Vec<DType> = words.collect();
        let types = if words.is_empty() { vec![DType::Uint32] } else { words };
        Ok(Self { row_bytes, types, check: Some(job.check) })
    }

    fn value_bytes(&self) -> usize {
        number::to(self.types[0].bytes())
    }

    /// Where the two begin to differ by more than they may; by anything at all, where they differ elsewhere or in less.
    fn first_difference(&self, signed: &[u8], recomputed: &[u8]) -> usize {
        let pairs = || signed.chunks(self.value_bytes()).zip(recomputed.chunks(self.value_bytes()));
        let beyond = match self.check {
            None => self.first_beyond_closeness(signed, recomputed),
            Some(check) => pairs().zip(self.types.iter().cycle()).position(|((one, other), &dtype)| {
                // Integers that may differ by a share of the tile: the first that is farther than any may be.
                !check.holds(&[WordRun { dtype, words: 1 }], one, other)
            }),
        };
        beyond.or_else(|| pairs().position(|(one, other)| one != other)).unwrap_or(0)
    }

    /// A model's values, by the tolerance that they are checked by.
    fn first_beyond_closeness(&self, signed: &[u8], recomputed: &[u8]) -> Option<usize> {
        let dtype = kernel_type(self.types[0]);
        let whole = |bytes: &[u8]| {
            let len = signed.len().min(recomputed.len());
            dtype.words(&bytes[..len - len % self.value_bytes()]).ok()
        };
        differing(dtype, &whole(signed)?, &whole(recomputed)?).first().copied()
    }

    fn show(&self, bytes: &[u8], first: usize) -> Vec<String> {
        let values = bytes.chunks_exact(self.value_bytes()).zip(self.types.iter().cycle());
        values.skip(first).take(VALUES_MAX).map(|(value, &dtype)| show_value(dtype, value)).collect()
    }
}

fn kernel_type(dtype: DType) -> KernelType {
    KernelType::from_name(dtype.name()).expect("every type of the wire should be one of the kernels'")
}

/// An int64 that no device could have computed is shown as nothing.
fn show_value(dtype: DType, bytes: &[u8]) -> String {
    let Some(&word) = kernel_type(dtype).words(bytes).unwrap_or_default().first() else { return "–".to_owned() };
    match dtype {
        DType::Float32 | DType::Float16 => f32::from_bits(word).to_string(),
        DType::Int64 | DType::Int32 | DType::Int16 | DType::Int8 => word.cast_signed().to_string(),
        DType::Uint32 | DType::Uint16 | DType::Uint8 | DType::Bool => word.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use wire::{IntegerTolerance, Tolerance};

    use super::*;

    fn words(values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn values(types: &[DType], check: Option<Check>) -> Values {
        Values { row_bytes: 4, types: types.to_vec(), check }
    }

    #[test]
    fn what_is_shown_begins_where_two_outputs_differ() {
        let counted: Vec<u32> = (0..40).collect();
        let mut other = counted.clone();
        other[17] = 99;
        let of_kernel = values(&[DType::Uint32], Some(Check::Exact));

        assert_eq!(of_kernel.first_difference(&words(&counted), &words(&other)), 17);
        assert_eq!(of_kernel.show(&words(&other), 17).len(), VALUES_MAX);
        assert_eq!(of_kernel.show(&words(&other), 17)[..2], ["99", "18"]);
        assert_eq!(of_kernel.first_difference(&words(&counted), &[]), 0, "a run that ran dry has no output");
        assert_eq!(of_kernel.show(&[], 0), [""; 0]);
    }

    #[test]
    fn what_differs_by_less_than_it_may_is_passed_over() {
        let signed = floats(&[1.0, 2.0, 3.0, 4.0]);
        // Last bits first, then a difference.
        let recomputed = floats(&[1.000_001, 2.0, 3.5, 4.0]);
        let close = Check::FLOATS;

        assert_eq!(values(&[DType::Float32], None).first_difference(&signed, &recomputed), 2, "of a model");
        assert_eq!(values(&[DType::Float32], Some(close)).first_difference(&signed, &recomputed), 2, "of a kernel");
        let exact = values(&[DType::Float32], Some(Check::Exact));
        assert_eq!(exact.first_difference(&signed, &recomputed), 0, "where every bit counts");
        let near = floats(&[1.0, 2.0, 3.000_001, 4.0]);
        let elsewhere = values(&[DType::Float32], None).first_difference(&signed, &near);
        assert_eq!(elsewhere, 2, "nothing is beyond, so that it differs in another output");
    }

    #[test]
    fn integers_within_units_are_passed_over_and_words_keep_their_types() {
        let integers =
            IntegerTolerance { units: 1, fraction: wire::Fraction::default(), bits: wire::IntegerBits::default() };
        let tolerance = |value| Tolerance::try_from(value).unwrap();
        let check = Check::Tolerance { rtol: tolerance(1e-4), atol: tolerance(1e-6), integers: Some(integers) };
        let mixed = values(&[DType::Float32, DType::Int32], Some(check));
        let record = |float: f32, integer: i32| [float.to_le_bytes(), integer.to_le_bytes()].concat();
        let signed = [record(1.0, -5), record(1.0, -5)].concat();
        let recomputed = [record(1.0, -4), record(1.0, -3)].concat();

        assert_eq!(mixed.first_difference(&signed, &recomputed), 3);
        assert_eq!(mixed.show(&signed, 2), ["1", "-5"]);
        assert_eq!(values(&[DType::Uint32], None).show(&[255; 4], 0), ["4294967295"]);
    }
}
