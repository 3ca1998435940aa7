//! Parsed models, kept while they are in use.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use gpu_kernels::graph::{Graph, ModelError};
use tokio::sync::Semaphore;
use wire::BlobHash;

use crate::blobs::Blobs;

/// Models kept, and their files' bytes together, whatever one alone takes; the one used longest ago goes
/// first.
const KEPT: usize = 64;
const KEPT_BYTES: u64 = 2 << 30;
/// Files being parsed at once, in units of a megabyte: parsing takes a few times their size.
const PARSED_AT_ONCE: u32 = 1024;

#[derive(Debug)]
pub struct Models {
    recent: Mutex<Vec<Kept>>,
    parsing: Semaphore,
}

#[derive(Debug)]
struct Kept {
    hash: BlobHash,
    graph: Arc<Graph>,
    bytes: u64,
}

impl Default for Models {
    fn default() -> Self {
        Self { recent: Mutex::default(), parsing: Semaphore::new(PARSED_AT_ONCE as usize) }
    }
}

impl Models {
    /// The model at `hash`, parsed. The outer error is the store's, the inner the model's.
    pub async fn load(&self, blobs: &Blobs, hash: BlobHash) -> anyhow::Result<Result<Arc<Graph>, ModelError>> {
        if let Some(graph) = self.recall(hash) {
            return Ok(Ok(graph));
        }
        let bytes = blobs.size(hash).await?.context("a model should be stored")?;
        let turn = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).saturating_add(1).min(PARSED_AT_ONCE);
        let _turn = self.parsing.acquire_many(turn).await.context("models are no longer parsed")?;
        // Somebody may have parsed it meanwhile.
        if let Some(graph) = self.recall(hash) {
            return Ok(Ok(graph));
        }
        let file = blobs.read(hash).await?;
        let parsed = tokio::task::spawn_blocking(move || Graph::parse(&file)).await?;
        Ok(parsed.map(|graph| self.keep(hash, Arc::new(graph), bytes)))
    }

    fn recall(&self, hash: BlobHash) -> Option<Arc<Graph>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let place = recent.iter().position(|kept| kept.hash == hash)?;
        let entry = recent.remove(place);
        let graph = Arc::clone(&entry.graph);
        recent.push(entry);
        Some(graph)
    }

    fn keep(&self, hash: BlobHash, graph: Arc<Graph>, bytes: u64) -> Arc<Graph> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|kept| kept.hash != hash);
        recent.push(Kept { hash, graph: Arc::clone(&graph), bytes });
        while recent.len() > KEPT
            || (recent.len() > 1 && recent.iter().map(|kept| kept.bytes).sum::<u64>() > KEPT_BYTES)
        {
            recent.remove(0);
        }
        graph
    }
}
