//! A customer's kernel over records. A native device passes the customer's own text through its own
//! gate, whatever the server says of it. A tab takes the server's: it takes its whole program from
//! there, and its browser checks each shader once more.

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod tab;

use std::ops::ControlFlow;
use std::time::Duration;

use gpu_kernels::device::Device;
use gpu_kernels::wgsl::GatedKernel;
use gpu_kernels::wgsl::run::{MapSession, Records};
use wire::{MapTask, Task};

#[cfg(not(target_arch = "wasm32"))]
use self::native::{SUBMISSION, gated};
#[cfg(target_arch = "wasm32")]
use self::tab::{SUBMISSION, gated};
use super::cache::PreparedCache;
use crate::run::{RunFailure, Transfer};

#[derive(Default)]
pub struct Map {
    prepared: PreparedCache<Task, MapSession>,
}

/// A kernel that may run, with its parameters.
pub struct Code {
    kernel: GatedKernel,
    params: Vec<u8>,
}

/// Fetches a kernel and its parameters.
pub async fn fetch(http: &impl Transfer, task: &Task, path: impl Fn(&str) -> String) -> Result<Code, RunFailure> {
    let Task::Map(MapTask { params, .. }) = task else { return Err(RunFailure::Evicted) };
    let params = if params.is_some() { http.get(&path("params")).await? } else { Vec::new() };
    let kernel = gated(http, task, path).await?;
    Ok(Code { kernel, params })
}

fn no_gpu() -> RunFailure {
    RunFailure::Kernel("this device runs no kernels".to_owned())
}

impl Map {
    pub fn has(&self, task: &Task) -> bool {
        self.prepared.peek(task).is_some()
    }

    /// Compiles a kernel for the device.
    pub async fn prepare(&mut self, device: &mut Device, task: &Task, code: Code) -> Result<(), RunFailure> {
        let gpu = device.gpu().ok_or_else(no_gpu)?;
        let session = MapSession::new(gpu, code.kernel, &code.params, SUBMISSION).await?;
        self.prepared.insert(task.clone(), session, 0);
        Ok(())
    }

    pub async fn run(
        &mut self,
        device: &mut Device,
        task: &Task,
        [rows, tile_rows]: [u64; 2],
        input: &[u8],
        pace: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<u8>, RunFailure> {
        let (Some(gpu), Task::Map(MapTask { record_bytes, out_bytes, .. })) = (device.gpu(), task) else {
            return Err(no_gpu());
        };
        let session = self.prepared.get_mut(task).ok_or(RunFailure::Evicted)?;
        let records = Records {
            records: rows,
            tile: tile_rows,
            record_bytes: u64::from(*record_bytes),
            out_bytes: u64::from(*out_bytes),
        };
        Ok(session.run(gpu, records, input, pace).await?.records)
    }
}
