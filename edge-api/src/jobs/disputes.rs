//! Tiles of which two runs disagreed, as their job's owner sees them.

use gpu_kernels::dtype::DType;
use rules::verification::dispute::Outcome;
use store::DbConnection;
use store::verdicts::DisputedTile;
use wire::{BlobHash, DisputeState, Field, Job, JobDispute};

use crate::app::App;

const DISPUTES_MAX: i64 = 16;
const VALUES_MAX: u64 = 16;

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
    let values = |output| first_values(app, job, dispute.tile, output);
    let signed = values(dispute.signed_output).await?;
    let recomputed = match dispute.finder_output {
        Some(hash) => values(hash).await?,
        None => Vec::new(),
    };
    Ok(JobDispute { tile: dispute.tile, at: dispute.created_at, device: dispute.device, state, signed, recomputed })
}

/// The first values of a tile's first output.
async fn first_values(app: &App, job: &Job, tile: u64, output: BlobHash) -> anyhow::Result<Vec<String>> {
    let Some(field) = job.outputs.first() else { return Ok(Vec::new()) };
    // Outputs lie side by side in each row: of several, the first row's is shown.
    let rows =
        if job.outputs.len() == 1 { job.tile_rows.min(job.rows.saturating_sub(tile * job.tile_rows)) } else { 1 };
    let of_output = rows * field.bytes();
    let bytes = of_output.min(VALUES_MAX * field.dtype.bytes());
    let bytes = app.blobs.read_range(output, 0..bytes).await?;
    Ok(show_values(field, &bytes))
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
    fn values_are_shown_by_their_type() {
        let field =
            |dtype| serde_json::from_value(serde_json::json!({ "name": "y", "dtype": dtype, "shape": [2] })).unwrap();

        assert_eq!(show_values(&field("float32"), &[0, 0, 128, 63, 0, 0, 0, 192]), ["1", "-2"]);
        assert_eq!(show_values(&field("int32"), &[255, 255, 255, 255]), ["-1"]);
        assert_eq!(show_values(&field("uint32"), &[255, 255, 255, 255]), ["4294967295"]);
    }
}
