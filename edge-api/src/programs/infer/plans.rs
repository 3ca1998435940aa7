//! Plans for tabs: a compiler plans a model, and the tab runs what comes out.

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use moka::future::Cache;
use wire::{BlobHash, ErrorCode, InferTask};

use crate::app::App;
use crate::compile::pool::Purpose;
use crate::http::error::{ApiError, invalid};

/// Plans kept with their constants, in KiB: tabs that compute one job ask for the same.
const KEPT_KIB: u64 = 512 << 10;

/// Plans that were asked for lately.
#[derive(Debug)]
pub struct Plans(Cache<[u8; 32], PackedPlan>);

/// A plan as it travels, in postcard's format, and the constants beside it, one after another.
#[derive(Clone, Debug)]
pub struct PackedPlan {
    pub plan: Bytes,
    pub weights: Bytes,
}

impl Default for Plans {
    fn default() -> Self {
        let kib = |_key: &[u8; 32], packed: &PackedPlan| {
            u32::try_from((packed.plan.len() + packed.weights.len()) / 1024 + 1).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().weigher(kib).max_capacity(KEPT_KIB).build())
    }
}

/// Plans `rows` rows of a model at once, at most `most`. Whoever asks for the same at once waits for the same plan.
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
    let packed = app.plans.0.try_get_with(key, async {
        let mut values = Vec::new();
        for (blob, range) in shared {
            values.extend_from_slice(&app.blobs.read_range(blob, range).await?);
        }
        let mut model = app.compilers.open(&app.blobs, task.model, Purpose::Plan).await?;
        let (plan, weights) = model.pack(task, rows, values.into()).await?;
        anyhow::Ok(PackedPlan { plan, weights })
    });
    Ok(packed.await.map_err(|error: Arc<anyhow::Error>| anyhow::anyhow!("{error:#}")).context("a plan was not made")?)
}
