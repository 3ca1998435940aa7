//! A model that the server planned: a tab runs the plan and is spared the planner. What it takes from
//! there it takes on trust, as it takes its own program.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use gpu_kernels::device::{Device, GpuError};
use gpu_kernels::gpu_program::run::GpuProgramError;
use gpu_kernels::gpu_program::session::{GpuProgramSession, Missing, batches, tiles_at_once, unit_of};
use gpu_kernels::gpu_program::{Package, Packed};
use gpu_kernels::records::{columns, interleave, split};
use wire::{Field, InferTask, Task};

use super::{Key, key};
use crate::programs::cache::PreparedCache;
use crate::programs::{input_bytes, shared_part};
use crate::run::{RunFailure, Transfer};

#[derive(Default)]
pub struct Infer {
    prepared: PreparedCache<Key, GpuProgramSession>,
}

/// Why a model did not run.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    #[error(transparent)]
    Run(#[from] GpuProgramError),
    #[error("the plan cannot be used: {0}")]
    Plan(String),
}

impl InferError {
    pub fn gpu(&self) -> Option<&GpuError> {
        match self {
            Self::Run(GpuProgramError::Gpu(error)) => Some(error),
            Self::Run(GpuProgramError::Stopped) | Self::Plan(_) => None,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unusable(reason: impl ToString) -> RunFailure {
    InferError::Plan(reason.to_string()).into()
}

/// What has to be fetched before rows can run.
pub struct MissingModel {
    missing: Missing,
    rows: u64,
    tile_rows: u64,
    buffer_bytes_max: u64,
}

/// A plan with its batch size, and the constants that fetched beside it.
type Plan = (u64, Package, Vec<([u8; 32], Arc<[u32]>)>);

/// And what fetched.
pub struct FetchedModel(Vec<Plan>);

pub async fn fetch(http: &impl Transfer, wanted: MissingModel, path: &impl Fn(&str) -> String) -> Result<FetchedModel, RunFailure> {
    let MissingModel { mut missing, rows, tile_rows, buffer_bytes_max } = wanted;
    let mut plans = Vec::new();
    while let Some(batch) = missing.batches.pop_first() {
        let plan = fetch_plan(http, batch, &missing, path).await?;
        missing.known.extend(plan.2.iter().map(|(hash, _)| *hash));
        if plans.is_empty() && batch == tile_rows.min(rows) {
            // Only now is it known how many tiles fit at once.
            let most = tiles_at_once(unit_of(&plan.1), buffer_bytes_max);
            missing.batches.extend(batches(rows, tile_rows, most).into_iter().filter(|other| *other != batch));
        }
        plans.push(plan);
    }
    Ok(FetchedModel(plans))
}

async fn fetch_plan(
    http: &impl Transfer,
    batch: u64,
    missing: &Missing,
    path: &impl Fn(&str) -> String,
) -> Result<Plan, RunFailure> {
    let at = |part: &str| {
        let path = path(part);
        let joint = if path.contains('?') { '&' } else { '?' };
        format!("{path}{joint}rows={batch}")
    };
    let bytes = http.get(&at("plan")).await?;
    let package: Package = postcard::from_bytes(&bytes).map_err(unusable)?;
    let stored: Vec<([u8; 32], u64)> = package
        .constants
        .iter()
        .filter_map(|packed| match packed {
            Packed::Stored { hash, words } => Some((*hash, *words)),
            Packed::Words(_) => None,
        })
        .collect();
    if stored.iter().all(|(hash, _)| missing.known.contains(hash)) {
        return Ok((batch, package, Vec::new()));
    }
    let weights = http.get(&at("weights")).await?;
    let mut rest = &weights[..];
    let mut constants = Vec::with_capacity(stored.len());
    for (hash, words) in stored {
        let len = usize::try_from(words).ok().and_then(|words| words.checked_mul(4));
        let (own, after) =
            len.and_then(|len| rest.split_at_checked(len)).ok_or_else(|| unusable("its constants are cut short"))?;
        if *blake3::hash(own).as_bytes() != hash {
            return Err(unusable("a constant is damaged"));
        }
        let words: Vec<u32> = own.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect();
        constants.push((hash, words.into()));
        rest = after;
    }
    Ok((batch, package, constants))
}

impl Infer {
    pub fn missing(&self, device: &Device, task: &Task, shared: &[u8], [rows, tile_rows]: [u64; 2]) -> Option<MissingModel> {
        let wanted = key(task, shared);
        let buffer_bytes_max = device.info().buffer_bytes_max;
        let missing = match self.prepared.peek(&wanted) {
            Some(session) => session.missing(rows, tile_rows, buffer_bytes_max),
            None => GpuProgramSession::default().missing(rows, tile_rows, buffer_bytes_max),
        };
        (!missing.batches.is_empty()).then_some(MissingModel { missing, rows, tile_rows, buffer_bytes_max })
    }

    /// Makes plans ready.
    pub async fn prepare(
        &mut self,
        device: &mut Device,
        task: &Task,
        shared: &[u8],
        fetched: FetchedModel,
    ) -> Result<(), RunFailure> {
        let gpu = device.gpu().ok_or(RunFailure::Evicted)?;
        let wanted = key(task, shared);
        if self.prepared.peek(&wanted).is_none() {
            // Its weights lie on the GPU.
            self.prepared.insert(wanted.clone(), GpuProgramSession::default(), 0);
        }
        let session = self.prepared.get_mut(&wanted).ok_or(RunFailure::Evicted)?;
        for (rows, package, constants) in fetched.0 {
            let added = session.add(gpu, rows, package, constants).await.map_err(InferError::from)?;
            added.map_err(unusable)?;
        }
        Ok(())
    }

    /// Computes rows for which everything is ready: the outputs of each row side by side.
    pub async fn run(
        &mut self,
        device: &mut Device,
        task: &Task,
        [rows, tile_rows]: [u64; 2],
        input: &[u8],
        pace: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<u8>, RunFailure> {
        let (Task::Infer(InferTask { inputs, outputs, .. }), Some(gpu)) = (task, device.gpu()) else {
            return Err(RunFailure::Evicted);
        };
        let shared = shared_part(task, input);
        let session = self.prepared.get_mut(&key(task, shared)).ok_or(RunFailure::Evicted)?;
        let expected = input_bytes(task, rows).unwrap_or(usize::MAX);
        let size = || RunFailure::Input { expected, found: input.len() };
        let count = usize::try_from(rows).unwrap_or(usize::MAX);
        let of_rows = columns(inputs.iter().filter(|field| !field.shared).map(Field::array));
        let values = &input[..input.len() - shared.len()];
        let words = split(values, count, &of_rows).ok_or_else(size)?.map_err(RunFailure::Value)?;
        let fed: Vec<(&[u32], usize)> =
            words.iter().zip(&of_rows).map(|(words, column)| (words.as_slice(), column.len)).collect();
        let answers = session
            .run(gpu, rows, tile_rows, &fed, pace)
            .await
            .map_err(InferError::from)?
            .ok_or(RunFailure::Evicted)?;
        Ok(interleave(count, &columns(outputs.iter().map(Field::array)), &answers))
    }
}
