//! Tiles of which two runs disagreed, as their job's owner sees them.

use bytes::Bytes;
use gpu_kernels::dtype::DType;
use rules::verification::dispute::Outcome;
use store::DbConnection;
use store::verdicts::DisputedTile;
use wire::{BlobHash, DisputeState, Field, Job, JobDispute, number};

use crate::app::App;

const DISPUTES_MAX: i64 = 16;
const VALUES_MAX: usize = 16;
/// Bytes of each output that are looked at for a difference.
const LOOKED_AT_MAX: u64 = 1 << 20;

pub(super) async fn of_job(app: &App, conn: &mut DbConnection, job: &Job) -> anyhow::Result<Vec<JobDispute>> {
    let mut shown = Vec::new();
    for dispute in store::verdicts::list_disputes(conn, job.id, DISPUTES_MAX).await? {
        shown.push(show(app, job, dispute).await?);
    }
    Ok(shown)
}

async fn show(app: &App, job: &Job, dispute: DisputedTile) -> anyhow::Result<JobDispute> {
    let state = match dispute.outcome {
        None => DisputeState::Open,
        Some(Outcome::DeviceWrong) => DisputeState::DeviceWrong,
        Some(Outcome::CheckerWrong) => DisputeState::CheckerWrong,
        Some(Outcome::NotReproducible) => DisputeState::NotReproducible,
    };
    let (tile, at, device) = (dispute.tile, dispute.created_at, dispute.device);
    let Some(field) = job.outputs.first() else { anyhow::bail!("a job should have an output") };
    let outputs = (dispute.signed_output, dispute.finder_output);
    let Some(shown) = read_difference(app, job, field, tile, outputs).await? else {
        return Ok(JobDispute { tile, at, device, state, first_value: 0, signed: Vec::new(), recomputed: Vec::new() });
    };
    let Difference { first_value, signed, recomputed } = shown;
    let (signed, recomputed) = (show_values(field, &signed), show_values(field, &recomputed));
    Ok(JobDispute { tile, at, device, state, first_value, signed, recomputed })
}

/// Values of two outputs from where they begin to differ.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Difference {
    first_value: u64,
    signed: Vec<u8>,
    recomputed: Vec<u8>,
}

/// Looks for it in the tile's first output. `None` where what is kept of them is not there any more.
async fn read_difference(
    app: &App,
    job: &Job,
    field: &Field,
    tile: u64,
    (signed, recomputed): (BlobHash, Option<BlobHash>),
) -> anyhow::Result<Option<Difference>> {
    // Outputs lie side by side in each row: of several, the first row's is looked at.
    let rows =
        if job.outputs.len() == 1 { job.tile_rows.min(job.rows.saturating_sub(tile * job.tile_rows)) } else { 1 };
    let bytes = (rows * field.bytes()).min(LOOKED_AT_MAX);
    if app.blobs.size(signed).await?.is_none() {
        return Ok(None);
    }
    let signed = app.blobs.read_range(signed, 0..bytes).await?;
    let recomputed = match recomputed {
        None => Bytes::new(),
        Some(hash) if app.blobs.size(hash).await?.is_some() => app.blobs.read_range(hash, 0..bytes).await?,
        Some(_gone) => return Ok(None),
    };
    Ok(Some(difference(number::to(field.dtype.bytes()), &signed, &recomputed)))
}

fn difference(value_bytes: usize, signed: &[u8], recomputed: &[u8]) -> Difference {
    let differs = |(one, other): (&[u8], &[u8])| one != other;
    let mut pairs = signed.chunks(value_bytes).zip(recomputed.chunks(value_bytes));
    let first = pairs.position(differs).unwrap_or(0);
    let from = |bytes: &[u8]| {
        let rest = bytes.get(first * value_bytes..).unwrap_or_default();
        rest[..rest.len().min(VALUES_MAX * value_bytes)].to_vec()
    };
    Difference { first_value: number::to(first), signed: from(signed), recomputed: from(recomputed) }
}

fn show_values(field: &Field, bytes: &[u8]) -> Vec<String> {
    let dtype = DType::from_name(field.dtype.name()).expect("every type of the wire should be one of the kernels'");
    // An int64 that no device could have computed is shown as nothing.
    let words = dtype.words(bytes).unwrap_or_default();
    let show = |word: &u32| match dtype {
        DType::F32 | DType::F16 => f32::from_bits(*word).to_string(),
        DType::I64 | DType::I32 | DType::I16 | DType::I8 => word.cast_signed().to_string(),
        _ => word.to_string(),
    };
    words.iter().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_begins_where_two_outputs_differ() {
        let words = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let counted: Vec<u32> = (0..40).collect();
        let mut other = counted.clone();
        other[17] = 99;

        let found = difference(4, &words(&counted), &words(&other));

        assert_eq!((found.first_value, found.signed), (17, words(&counted[17..33])));
        assert_eq!(found.recomputed, words(&other[17..33]));
        let ran_dry = difference(4, &words(&counted), &[]);
        assert_eq!((ran_dry.first_value, ran_dry.signed, ran_dry.recomputed), (0, words(&counted[..16]), Vec::new()));
    }

    #[test]
    fn values_are_shown_by_their_type() {
        let field =
            |dtype| serde_json::from_value(serde_json::json!({ "name": "y", "dtype": dtype, "shape": [2] })).unwrap();

        assert_eq!(show_values(&field("float32"), &[0, 0, 128, 63, 0, 0, 0, 192]), ["1", "-2"]);
        assert_eq!(show_values(&field("int32"), &[255, 255, 255, 255]), ["-1"]);
        assert_eq!(show_values(&field("uint32"), &[255, 255, 255, 255]), ["4294967295"]);
    }
}
