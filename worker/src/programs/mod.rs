//! What a lease runs: rows in, rows out.

pub mod infer;
pub mod map;
mod cache;
pub mod recompute;

use std::ops::ControlFlow;
use std::time::Duration;

use gpu_kernels::device::Device;
use wire::Task;

use self::infer::Infer;
use self::map::Map;
use crate::run::{RunFailure, Transfer};

/// A device with the programs that are prepared on it.
pub struct Executor {
    pub device: Device,
    infer: Infer,
    map: Map,
}

/// Bytes of what is prepared together, whatever one alone takes. A tab's memory ends at four gigabytes.
const PREPARED_BYTES_MAX: usize = if cfg!(target_arch = "wasm32") { 256 << 20 } else { 2 << 30 };

/// What of a task has to be fetched before it can run.
pub enum MissingAssets {
    Nothing,
    Model(infer::MissingModel),
    Kernel,
}

/// And what fetched.
pub enum FetchedAssets {
    Nothing,
    Model(infer::FetchedModel),
    Kernel(Box<map::Code>),
}

impl Executor {
    pub fn new(device: Device) -> Self {
        Self { device, infer: Infer::default(), map: Map::default() }
    }

    /// What is missing for so many rows, in tiles of so many.
    pub fn missing(&self, task: &Task, shared: &[u8], rows: [u64; 2]) -> MissingAssets {
        match task {
            Task::Infer(_) => self.infer.missing(&self.device, task, shared, rows).map_or(MissingAssets::Nothing, MissingAssets::Model),
            Task::Map(_) if self.map.has(task) => MissingAssets::Nothing,
            Task::Map(_) => MissingAssets::Kernel,
        }
    }

    /// Computes rows, in tiles of so many. `input` holds the rows of each input, then what all share.
    pub async fn run(
        &mut self,
        task: &Task,
        fetched: FetchedAssets,
        rows: [u64; 2],
        input: &[u8],
        pace: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<u8>, RunFailure> {
        match fetched {
            FetchedAssets::Nothing => {}
            FetchedAssets::Model(fetched) => {
                self.infer.prepare(&mut self.device, task, shared_part(task, input), fetched).await?;
            }
            FetchedAssets::Kernel(code) => self.map.prepare(&mut self.device, task, *code).await?,
        }
        match task {
            Task::Infer(_) => self.infer.run(&mut self.device, task, rows, input, pace).await,
            Task::Map(_) => self.map.run(&mut self.device, task, rows, input, pace).await,
        }
    }
}

/// Bytes of a task's input for so many rows; `None` where that is more than memory holds.
pub fn input_bytes(task: &Task, rows: u64) -> Option<usize> {
    let bytes = rows.checked_mul(task.row_bytes())?.checked_add(task.shared_bytes())?;
    usize::try_from(bytes).ok()
}

/// What all rows share stands at the end.
pub fn shared_part<'a>(task: &Task, input: &'a [u8]) -> &'a [u8] {
    let shared = usize::try_from(task.shared_bytes()).unwrap_or(usize::MAX);
    &input[input.len().saturating_sub(shared)..]
}

/// Fetches what is wanted. `path` tells where a part of it lies.
pub async fn fetch(
    http: &impl Transfer,
    task: &Task,
    missing: MissingAssets,
    path: impl Fn(&str) -> String,
) -> Result<FetchedAssets, RunFailure> {
    Ok(match missing {
        MissingAssets::Nothing => FetchedAssets::Nothing,
        MissingAssets::Model(missing) => FetchedAssets::Model(infer::fetch(http, missing, &path).await?),
        MissingAssets::Kernel => FetchedAssets::Kernel(Box::new(map::fetch(http, task, path).await?)),
    })
}
