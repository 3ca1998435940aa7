//! Plans for tabs: a compiler plans a model, and the tab runs what comes out.

use wire::{BlobHash, ErrorCode, InferTask};

use super::kept_plans::PackedPlan;
use crate::app::App;
use crate::compile::pool::Purpose;
use crate::http::error::{ApiError, invalid};

/// Plans `rows` rows of a model at once, at most `most`.
pub async fn pack(
    app: &App,
    task: &InferTask,
    shared: Vec<(BlobHash, std::ops::Range<u64>)>,
    rows: u64,
    most: u64,
) -> Result<PackedPlan, ApiError> {
    if rows == 0 || rows > most {
        return Err(invalid(ErrorCode::MalformedRequest, "rows", format!("plan 1 to {most} rows")));
    }
    let key = serde_json::to_vec(&(task, &shared, rows)).map_err(anyhow::Error::from)?;
    let key = *blake3::hash(&key).as_bytes();
    let packed = app.plans.find_or_pack(key, async {
        let mut values = Vec::new();
        for (blob, range) in shared {
            values.extend_from_slice(&app.blobs.read_range(blob, range).await?);
        }
        let mut model = app.compilers.open(&app.blobs, task.model, Purpose::Plan).await?;
        let (plan, weights) = model.pack(task, rows, values.into()).await?;
        Ok(PackedPlan { plan, weights })
    });
    Ok(packed.await?)
}
