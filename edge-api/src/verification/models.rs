//! Parsed models, kept while they are in use.

use std::sync::{Arc, Mutex, PoisonError};

use gpu_kernels::graph::{Graph, ModelError};
use wire::BlobHash;

use crate::blobs::Blobs;

/// Models kept; the one used longest ago goes first.
const KEPT: usize = 16;

#[derive(Debug, Default)]
pub struct Models {
    recent: Mutex<Vec<(BlobHash, Arc<Graph>)>>,
}

impl Models {
    /// The model at `hash`, parsed. The outer error is the store's, the inner the model's.
    pub async fn load(&self, blobs: &Blobs, hash: BlobHash) -> anyhow::Result<Result<Arc<Graph>, ModelError>> {
        if let Some(graph) = self.recall(hash) {
            return Ok(Ok(graph));
        }
        let bytes = blobs.read(hash).await?;
        let parsed = tokio::task::spawn_blocking(move || Graph::parse(&bytes)).await?;
        Ok(parsed.map(|graph| self.keep(hash, Arc::new(graph))))
    }

    fn recall(&self, hash: BlobHash) -> Option<Arc<Graph>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let place = recent.iter().position(|(kept, _)| *kept == hash)?;
        let entry = recent.remove(place);
        let graph = Arc::clone(&entry.1);
        recent.push(entry);
        Some(graph)
    }

    fn keep(&self, hash: BlobHash, graph: Arc<Graph>) -> Arc<Graph> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|(kept, _)| *kept != hash);
        if recent.len() >= KEPT {
            recent.remove(0);
        }
        recent.push((hash, Arc::clone(&graph)));
        graph
    }
}
