//! A model planned here: a native device takes the customer's own file, and no plan of anybody else's.

use std::ops::ControlFlow;
use std::time::Duration;

use gpu_kernels::device::{Device, GpuError};
use gpu_kernels::records::{columns, interleave, split};
use onnx::forward::{RunError, Session};
use onnx::{Feed, FeedError, Graph, InputArray, ModelError};
use wire::{Field, InferTask, Task};

use super::{Key, key};
use crate::programs::cache::PreparedCache;
use crate::programs::{input_bytes, shared_part};
use crate::run::{RunFailure, Transfer};

#[derive(Default)]
pub struct Infer {
    prepared: PreparedCache<Key, Session>,
}

/// Why a model did not run.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Run(#[from] RunError),
}

impl InferError {
    pub fn gpu(&self) -> Option<&GpuError> {
        match self {
            Self::Run(RunError::Gpu(error)) => Some(error),
            Self::Run(_) | Self::Model(_) => None,
        }
    }
}

/// What has to be fetched before rows can run.
pub struct MissingModel;

/// And what fetched.
pub struct FetchedModel(Vec<u8>);

pub async fn fetch(http: &impl Transfer, _wanted: MissingModel, path: &impl Fn(&str) -> String) -> Result<FetchedModel, RunFailure> {
    Ok(FetchedModel(http.get(&path("code")).await?))
}

impl Infer {
    pub fn missing(&self, _device: &Device, task: &Task, shared: &[u8], _rows: [u64; 2]) -> Option<MissingModel> {
        self.prepared.peek(&key(task, shared)).is_none().then_some(MissingModel)
    }

    /// Makes a model ready for rows of one shape.
    #[expect(clippy::unused_async, reason = "a planned model waits for its device")]
    pub async fn prepare(
        &mut self,
        _device: &mut Device,
        task: &Task,
        shared: &[u8],
        fetched: FetchedModel,
    ) -> Result<(), RunFailure> {
        let FetchedModel(model) = fetched;
        let Task::Infer(InferTask { inputs, .. }) = task else { return Err(RunFailure::Evicted) };
        let bytes = model.len();
        let session = {
            let graph = Graph::parse(&model).map_err(InferError::from)?;
            Session::new(graph, feeds(inputs, shared)?).map_err(InferError::from)?
        };
        self.prepared.insert(key(task, shared), session, bytes);
        Ok(())
    }

    /// Computes rows with a model that was made ready: the outputs of each row side by side.
    pub async fn run(
        &mut self,
        device: &mut Device,
        task: &Task,
        [rows, _tile_rows]: [u64; 2],
        input: &[u8],
        pace: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<u8>, RunFailure> {
        let Task::Infer(InferTask { inputs, outputs, .. }) = task else { return Err(RunFailure::Evicted) };
        let shared = shared_part(task, input);
        let session = self.prepared.get_mut(&key(task, shared)).ok_or(RunFailure::Evicted)?;
        let expected = input_bytes(task, rows).unwrap_or(usize::MAX);
        let size = || RunFailure::Input { expected, found: input.len() };
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let of_rows = columns(inputs.iter().filter(|field| !field.shared).map(Field::array));
        let values = &input[..input.len() - shared.len()];
        let words = split(values, rows, &of_rows).ok_or_else(size)?.map_err(RunFailure::Value)?;
        let fed: Vec<&[u32]> = words.iter().map(Vec::as_slice).collect();
        let answers = session.run(device, rows, &fed, pace).await.map_err(InferError::from)?;
        Ok(interleave(rows, &columns(outputs.iter().map(Field::array)), &answers))
    }
}

/// What the planner is told of each input.
fn feeds(inputs: &[Field], shared: &[u8]) -> Result<Vec<Feed>, RunFailure> {
    let arrays = inputs.iter().map(|field| {
        let (dtype, shape) = field.array();
        InputArray { dtype, shape, shared: field.shared, whole: field.whole }
    });
    onnx::feeds(&arrays.collect::<Vec<_>>(), shared).map_err(|error| match error {
        FeedError::Size { expected, found } => RunFailure::Input { expected, found },
        FeedError::Value(error) => RunFailure::Value(error),
    })
}
