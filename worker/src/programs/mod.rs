//! What a lease runs: rows in, rows out.

pub mod infer;
pub mod map;
pub mod recompute;

use std::ops::ControlFlow;
use std::time::Duration;

use gpu_kernels::device::Device;
use wire::Task;

use self::infer::Infer;
use self::map::Map;
use crate::run::{RunFailure, Transfer};

/// A device with the programs that stand ready on it.
pub struct Bench {
    pub device: Device,
    infer: Infer,
    map: Map,
}

/// What of a task has to be fetched before it can run.
pub enum Fetched {
    Nothing,
    Model(Vec<u8>),
    Kernel(Box<map::Code>),
}

impl Bench {
    pub fn new(device: Device) -> Self {
        Self { device, infer: Infer::default(), map: Map::default() }
    }

    /// Whether the task's program stands ready for such shared inputs.
    pub fn has(&self, task: &Task, shared: &[u8]) -> bool {
        match task {
            Task::Infer { .. } => self.infer.has(task, shared),
            Task::Map { .. } => self.map.has(task),
        }
    }

    /// Computes rows. `input` holds the rows of each input, then what all rows share.
    pub async fn run(
        &mut self,
        task: &Task,
        fetched: Fetched,
        rows: u64,
        tile_rows: u64,
        input: &[u8],
        pace: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<u8>, RunFailure> {
        match fetched {
            Fetched::Nothing => {}
            Fetched::Model(bytes) => self.infer.prepare(task, shared_part(task, input), &bytes)?,
            Fetched::Kernel(code) => self.map.prepare(&self.device, task, *code).await?,
        }
        match task {
            Task::Infer { .. } => self.infer.run(&mut self.device, task, rows, input, pace).await,
            Task::Map { .. } => self.map.run(&mut self.device, task, rows, tile_rows, input, pace).await,
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

/// Fetches a task's program. `path` tells where a part of it lies.
pub async fn fetch(http: &impl Transfer, task: &Task, path: impl Fn(&str) -> String) -> Result<Fetched, RunFailure> {
    Ok(match task {
        Task::Infer { .. } => Fetched::Model(http.get(&path("code")).await?),
        Task::Map { .. } => Fetched::Kernel(Box::new(map::fetch(http, task, path).await?)),
    })
}
