//! Plans for tabs: the server plans a model, and the tab runs what comes out.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream};
use gpu_kernels::gpu_program::Package;
use onnx::ModelError;
use wire::{BlobHash, ErrorCode, InferTask};

use super::recompute::shared_feeds;
use crate::app::App;
use crate::http::error::{ApiError, invalid};

/// Constants go out in pieces of so many bytes.
const PIECE: usize = 256 << 10;

/// A plan as it travels, and the constants that travel beside it, in order.
pub struct PackedPlan {
    pub package: Package,
    stored: Vec<Arc<[u32]>>,
}

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
    let graph = app.models.load(&app.blobs, task.model).await.map_err(anyhow::Error::from)?;
    let mut values = Vec::new();
    for (blob, range) in shared {
        values.extend_from_slice(&app.blobs.read_range(blob, range).await?);
    }
    let inputs = task.inputs.clone();
    let packing = tokio::task::spawn_blocking(move || -> anyhow::Result<PackedPlan> {
        let feeds = shared_feeds(&inputs, &values)?;
        let plan = graph.plan(usize::try_from(rows)?, &feeds).map_err(|error: ModelError| error)?;
        let (program, constants) = plan.gpu_program();
        let sizes = [plan.device_bytes(), plan.buffer_bytes_max()];
        let package = Package::new(program, &constants, sizes, |bytes| *blake3::hash(bytes).as_bytes());
        let stored = constants.into_iter().filter(|words| Package::is_stored(words.len())).collect();
        Ok(PackedPlan { package, stored })
    });
    Ok(packing.await.map_err(anyhow::Error::from)??)
}

impl PackedPlan {
    /// In postcard's format.
    pub fn plan(&self) -> Result<Vec<u8>, ApiError> {
        Ok(postcard::to_stdvec(&self.package).map_err(anyhow::Error::from)?)
    }

    /// The constants beside the plan, one after another.
    pub fn weights(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
        let pieces = self.stored.into_iter().flat_map(|words| {
            let pieces = (0..words.len()).step_by(PIECE / 4);
            pieces.map(move |first| {
                let piece = &words[first..words.len().min(first + PIECE / 4)];
                Ok(Bytes::from(piece.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>()))
            })
        });
        stream::iter(pieces)
    }
}
