//! A model planned here: a native device takes the customer's own file, and no plan of anybody else's.

use std::ops::ControlFlow;
use std::time::Duration;

use gpu_kernels::device::{Device, DeviceInfo};
use onnx::forward::{RunError, Session};
use onnx::{Feed, FeedError, Graph, InputArray, ModelError};
use wire::{Check, Field, InferTask};

use super::arrays::{Key, key, output_bytes, output_format, row_arrays};
use crate::failure::RunFailure;
use crate::programs::cache::PreparedCache;
use crate::programs::program::{Input, OutputFormat, Program};
use crate::transfer::{BlobPaths, Transfer};

#[derive(Default)]
pub(crate) struct Infer {
    prepared: PreparedCache<Key, Session>,
}

/// The model's file has to be fetched.
pub(crate) struct MissingModel;

impl From<ModelError> for RunFailure {
    fn from(error: ModelError) -> Self {
        Self::program(error)
    }
}

impl From<RunError> for RunFailure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Gpu(error) => Self::Gpu(error),
            RunError::Stopped => Self::Abandoned,
            RunError::Model(_) | RunError::Input { .. } => Self::program(error),
        }
    }
}

impl Program for Infer {
    type Task = InferTask;
    type Missing = MissingModel;
    type Fetched = Vec<u8>;

    fn missing(&self, _device: &Device, task: &InferTask, input: &Input) -> Option<MissingModel> {
        self.prepared.peek(&key(task, input)).is_none().then_some(MissingModel)
    }

    async fn fetch(http: &impl Transfer, paths: &BlobPaths, _missing: MissingModel) -> Result<Vec<u8>, RunFailure> {
        Ok(http.get(&paths.path("code")).await?)
    }

    /// A plan is made when the number of rows is known.
    async fn prepare(
        &mut self,
        _device: &mut Device,
        task: &InferTask,
        input: &Input,
        model: Vec<u8>,
    ) -> Result<(), RunFailure> {
        let session = Session::new(Graph::parse(&model)?, feeds(task, input)?)?;
        self.prepared.insert(key(task, input), session, model.len());
        Ok(())
    }

    async fn run(
        &mut self,
        device: &mut Device,
        task: &InferTask,
        input: &Input,
        rest: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<u8>, RunFailure> {
        let session = self.prepared.get_mut(&key(task, input)).ok_or(RunFailure::Evicted)?;
        let arrays = row_arrays(task, input)?;
        let words: Vec<&[u32]> = arrays.iter().map(|(words, _)| words.as_slice()).collect();
        let outputs = match input.nudge {
            Some(seed) => session.run_nudged(seed, input.row_count(), &words, rest).await?,
            None => session.run(device, input.row_count(), &words, rest).await?,
        };
        Ok(output_bytes(task, input, &outputs))
    }

    fn backend(info: &DeviceInfo) -> &'static str {
        info.backend
    }

    fn output_format(task: &InferTask, _check: Check) -> OutputFormat {
        output_format(task)
    }
}

/// What the planner is told of each input.
fn feeds(task: &InferTask, input: &Input) -> Result<Vec<Feed>, RunFailure> {
    let arrays: Vec<InputArray<'_>> = task.inputs.iter().map(input_array).collect();
    onnx::feeds(&arrays, input.shared_values()).map_err(|error| match error {
        FeedError::Size { expected, found } => RunFailure::Input { expected, found },
        FeedError::Value(error) => RunFailure::Value(error),
    })
}

fn input_array(field: &Field) -> InputArray<'_> {
    let (dtype, shape) = field.array();
    InputArray { dtype, shape, shared: field.shared, whole: field.whole }
}
