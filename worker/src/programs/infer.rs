//! A model over rows. Models stay ready on the device while their job's leases come in.

use std::ops::ControlFlow;
use std::time::Duration;

use gpu_kernels::device::Device;
use gpu_kernels::graph::forward::{RunError, Session};
use gpu_kernels::graph::{Feed, Graph, ModelError};
use wire::BlobHash;

/// Models kept ready; the one used longest ago goes first.
const READY_MAX: usize = 4;

#[derive(Default)]
pub struct Infer {
    ready: Vec<(Key, Session)>,
}

type Key = (BlobHash, Vec<u64>);

impl Infer {
    pub fn has(&self, model: BlobHash, row_shape: &[u64]) -> bool {
        self.ready.iter().any(|((kept, shape), _)| *kept == model && shape == row_shape)
    }

    /// Makes a model ready for rows of one shape.
    pub fn prepare(&mut self, model: BlobHash, row_shape: &[u64], bytes: &[u8]) -> Result<(), ModelError> {
        let shape: Vec<usize> = row_shape.iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect();
        let session = Session::new(Graph::parse(bytes)?, vec![Feed::Rows(shape)])?;
        if self.ready.len() >= READY_MAX {
            self.ready.remove(0);
        }
        self.ready.push(((model, row_shape.to_vec()), session));
        Ok(())
    }

    /// Computes rows with a model that was made ready. `None`: it was not.
    pub async fn run(
        &mut self,
        device: &mut Device,
        model: BlobHash,
        row_shape: &[u64],
        rows: usize,
        input: &[u32],
        pace: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Option<Result<Vec<u32>, RunError>> {
        let place = self.ready.iter().position(|((kept, shape), _)| *kept == model && shape == row_shape)?;
        let entry = self.ready.remove(place);
        self.ready.push(entry);
        let (_, session) = self.ready.last_mut()?;
        let outputs = session.run(device, rows, &[input], pace).await;
        Some(outputs.map(|outputs| outputs.into_iter().next().unwrap_or_default()))
    }
}
