//! Parsed models, kept while they are in use.

use std::sync::Arc;

use anyhow::Context;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use onnx::{Graph, ModelError};
use tokio::sync::Semaphore;
use wire::BlobHash;

use crate::blobs::Blobs;

/// Models kept, and their files together in KiB; the one used longest ago goes first.
const KEPT: u32 = 64;
const KEPT_KIB: u32 = 2 << 20;
/// Files being parsed at once, in MiB: parsing takes a few times their size.
const PARSED_AT_ONCE: u32 = 1024;

#[derive(Debug)]
pub struct Models {
    kept: Cache<BlobHash, Kept>,
    parsing: Semaphore,
}

#[derive(Clone, Debug)]
struct Kept {
    graph: Arc<Graph>,
    file_bytes: u64,
}

/// Why a stored model is not at hand.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the model could not be read")]
    Store(#[source] anyhow::Error),
    #[error("{0}")]
    Model(ModelError),
}

impl Default for Models {
    fn default() -> Self {
        let kept = Cache::builder()
            .weigher(|_hash, kept: &Kept| weight(kept.file_bytes))
            .max_capacity(u64::from(KEPT_KIB))
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { kept, parsing: Semaphore::new(PARSED_AT_ONCE as usize) }
    }
}

/// In KiB, and never so little that more than [`KEPT`] models would be kept.
fn weight(file_bytes: u64) -> u32 {
    u32::try_from(file_bytes >> 10).unwrap_or(u32::MAX).clamp(KEPT_KIB / KEPT, KEPT_KIB)
}

impl Models {
    /// The model at `hash`, parsed. Whoever asks for it at the same time waits for the same parse.
    pub async fn load(&self, blobs: &Blobs, hash: BlobHash) -> Result<Arc<Graph>, Arc<LoadError>> {
        let kept = self.kept.try_get_with(hash, self.parse(blobs, hash)).await?;
        Ok(kept.graph)
    }

    async fn parse(&self, blobs: &Blobs, hash: BlobHash) -> Result<Kept, LoadError> {
        let parsed = async {
            let file_bytes = blobs.size(hash).await?.context("a model should be stored")?;
            let share = u32::try_from(file_bytes >> 20).unwrap_or(u32::MAX).saturating_add(1).min(PARSED_AT_ONCE);
            let _permit = self.parsing.acquire_many(share).await.context("models are no longer parsed")?;
            let file = blobs.read(hash).await?;
            let parsed = tokio::task::spawn_blocking(move || Graph::parse(&file)).await?;
            Ok((parsed, file_bytes))
        };
        let (parsed, file_bytes) = parsed.await.map_err(LoadError::Store)?;
        Ok(Kept { graph: Arc::new(parsed.map_err(LoadError::Model)?), file_bytes })
    }
}
