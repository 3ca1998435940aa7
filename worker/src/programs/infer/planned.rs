//! A model that the server planned: a tab runs the plan and is spared the planner. What it takes from
//! there it takes on trust, as it takes its own program.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use gpu_kernels::device::{Device, DeviceInfo};
use gpu_kernels::gpu_program::run::GpuProgramError;
use gpu_kernels::gpu_program::session::{GpuProgramSession, Missing, batch_sizes, tiles_at_once, unit_of};
use gpu_kernels::gpu_program::{DanglingReference, Package, Packed};
use wire::{Check, InferTask};

use super::arrays::{Key, key, output_bytes, output_format, row_arrays};
use crate::failure::RunFailure;
use crate::programs::cache::PreparedCache;
use crate::programs::program::{Input, OutputFormat, Program};
use crate::transfer::{BlobPaths, Transfer};

#[derive(Default)]
pub(crate) struct Infer {
    prepared: PreparedCache<Key, GpuProgramSession>,
}

/// What has to be fetched before rows can run.
pub(crate) struct MissingPlans {
    missing: Missing,
    rows: u64,
    tile_rows: u64,
    buffer_bytes_max: u64,
}

/// A plan for so many rows at once, and the constants that came beside it.
pub(crate) struct Plan {
    rows: u64,
    package: Package,
    constants: Vec<Constant>,
}

/// A constant with its hash.
type Constant = ([u8; 32], Arc<[u32]>);

/// Why a plan of the server's cannot be used.
#[derive(Debug, thiserror::Error)]
enum PlanError {
    #[error("the plan cannot be used: {0}")]
    Malformed(postcard::Error),
    #[error("the plan cannot be used: {0}")]
    Dangling(DanglingReference),
    #[error("the plan cannot be used: its constants are cut short")]
    CutShort,
    #[error("the plan cannot be used: a constant is damaged")]
    Damaged,
    #[error("what a tab runs of the server's plans has no floats to move")]
    Nudged,
}

impl From<PlanError> for RunFailure {
    fn from(error: PlanError) -> Self {
        Self::program(error)
    }
}

impl From<GpuProgramError> for RunFailure {
    fn from(error: GpuProgramError) -> Self {
        match error {
            GpuProgramError::Gpu(error) => Self::Gpu(error),
            GpuProgramError::Stopped => Self::Abandoned,
        }
    }
}

impl Program for Infer {
    type Task = InferTask;
    type Missing = MissingPlans;
    type Fetched = Vec<Plan>;

    fn missing(&self, device: &Device, task: &InferTask, input: &Input) -> Option<MissingPlans> {
        let (rows, tile_rows, buffer_bytes_max) = (input.rows, input.tile_rows, device.info().buffer_bytes_max);
        let missing = match self.prepared.peek(&key(task, input)) {
            Some(session) => session.missing(rows, tile_rows, buffer_bytes_max),
            None => GpuProgramSession::default().missing(rows, tile_rows, buffer_bytes_max),
        };
        (!missing.batches.is_empty()).then_some(MissingPlans { missing, rows, tile_rows, buffer_bytes_max })
    }

    async fn fetch(http: &impl Transfer, paths: &BlobPaths, missing: MissingPlans) -> Result<Vec<Plan>, RunFailure> {
        let MissingPlans { mut missing, rows, tile_rows, buffer_bytes_max } = missing;
        let mut plans: Vec<Plan> = Vec::new();
        while let Some(batch) = missing.batches.pop() {
            let plan = fetch_plan(http, paths, batch, &missing).await?;
            missing.known.extend(plan.constants.iter().map(|(hash, _)| *hash));
            if plans.is_empty() && batch == tile_rows.min(rows) {
                // Only a tile's own plan tells how many tiles fit at once.
                let most = tiles_at_once(unit_of(&plan.package), buffer_bytes_max);
                missing.batches.extend(batch_sizes(rows, tile_rows, most).into_iter().filter(|other| *other != batch));
            }
            plans.push(plan);
        }
        Ok(plans)
    }

    async fn prepare(
        &mut self,
        device: &mut Device,
        task: &InferTask,
        input: &Input,
        plans: Vec<Plan>,
    ) -> Result<(), RunFailure> {
        let gpu = device.gpu().ok_or(RunFailure::Evicted)?;
        let key = key(task, input);
        if self.prepared.peek(&key).is_none() {
            // Its weights lie on the GPU.
            self.prepared.insert(key.clone(), GpuProgramSession::default(), 0);
        }
        let session = self.prepared.get_mut(&key).ok_or(RunFailure::Evicted)?;
        for Plan { rows, package, constants } in plans {
            session.add(gpu, rows, package, constants).await?.map_err(PlanError::Dangling)?;
        }
        Ok(())
    }

    async fn run(
        &mut self,
        device: &mut Device,
        task: &InferTask,
        input: &Input,
        rest: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<u8>, RunFailure> {
        if input.nudge.is_some() {
            return Err(PlanError::Nudged.into());
        }
        let gpu = device.gpu().ok_or(RunFailure::Evicted)?;
        let session = self.prepared.get_mut(&key(task, input)).ok_or(RunFailure::Evicted)?;
        let arrays = row_arrays(task, input)?;
        let words: Vec<(&[u32], usize)> = arrays.iter().map(|(words, len)| (words.as_slice(), *len)).collect();
        let outputs = session.run(gpu, input.rows, input.tile_rows, &words, rest).await?;
        Ok(output_bytes(task, input, &outputs.ok_or(RunFailure::Evicted)?))
    }

    fn backend(info: &DeviceInfo) -> &'static str {
        info.backend
    }

    fn output_format(task: &InferTask, _check: Check) -> OutputFormat {
        output_format(task)
    }
}

/// A plan, and those of its constants that are not known yet.
async fn fetch_plan(http: &impl Transfer, paths: &BlobPaths, rows: u64, missing: &Missing) -> Result<Plan, RunFailure> {
    let bytes = http.get(&batch_path(paths, "plan", rows)).await?;
    let package: Package = postcard::from_bytes(&bytes).map_err(PlanError::Malformed)?;
    let stored = package.constants.iter().filter_map(|packed| match packed {
        Packed::Stored { hash, words } => Some((*hash, *words)),
        Packed::Words(_) => None,
    });
    let stored: Vec<([u8; 32], u64)> = stored.collect();
    if stored.iter().all(|(hash, _)| missing.known.contains(hash)) {
        return Ok(Plan { rows, package, constants: Vec::new() });
    }
    let weights = http.get(&batch_path(paths, "weights", rows)).await?;
    let constants = read_constants(&stored, &weights)?;
    Ok(Plan { rows, package, constants })
}

/// Where a blob lies that differs by how many rows go at once.
fn batch_path(paths: &BlobPaths, blob: &str, rows: u64) -> String {
    let path = paths.path(blob);
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}rows={rows}")
}

/// Constants of so many words each, after one another.
fn read_constants(stored: &[([u8; 32], u64)], bytes: &[u8]) -> Result<Vec<Constant>, PlanError> {
    let mut rest = bytes;
    let mut constants = Vec::with_capacity(stored.len());
    for &(hash, words) in stored {
        let len = usize::try_from(words).ok().and_then(|words| words.checked_mul(4));
        let (own, after) = len.and_then(|len| rest.split_at_checked(len)).ok_or(PlanError::CutShort)?;
        if *blake3::hash(own).as_bytes() != hash {
            return Err(PlanError::Damaged);
        }
        let words: Vec<u32> = own.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect();
        constants.push((hash, words.into()));
        rest = after;
    }
    Ok(constants)
}
