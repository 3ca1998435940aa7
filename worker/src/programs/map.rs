//! A customer's kernel over records. A native device passes the customer's own text through its own
//! gate, whatever the server says of it. A tab takes the server's: it takes its whole program from
//! there, and its browser checks each shader once more.

use std::ops::ControlFlow;
use std::time::Duration;

use gpu_kernels::budget;
use gpu_kernels::device::Device;
use gpu_kernels::wgsl::GatedKernel;
use gpu_kernels::wgsl::run::{MapSession, Records};
use wire::Task;

use crate::run::{RunFailure, Transfer};

/// Kernels kept compiled; the one used longest ago goes first.
const READY_MAX: usize = 4;

#[derive(Default)]
pub struct Map {
    ready: Vec<(Task, MapSession)>,
}

/// A kernel that may run, with its parameters.
pub struct Code {
    kernel: GatedKernel,
    params: Vec<u8>,
}

/// Fetches a kernel and its parameters.
pub async fn fetch(http: &impl Transfer, task: &Task, path: impl Fn(&str) -> String) -> Result<Code, RunFailure> {
    let Task::Map { params, .. } = task else { return Err(RunFailure::Evicted) };
    let params = if params.is_some() { http.get(&path("params")).await? } else { Vec::new() };
    let kernel = gated(http, task, path).await?;
    Ok(Code { kernel, params })
}

#[cfg(not(target_arch = "wasm32"))]
async fn gated(http: &impl Transfer, task: &Task, path: impl Fn(&str) -> String) -> Result<GatedKernel, RunFailure> {
    use gpu_kernels::wgsl::gate::{Contract, pass};

    let Task::Map { record_bytes, out_bytes, fuel, .. } = *task else { return Err(RunFailure::Evicted) };
    let bytes = http.get(&path("code")).await?;
    let text = String::from_utf8(bytes).map_err(|_binary| RunFailure::Kernel("it is not text".to_owned()))?;
    let passed = pass(&text, Contract { record_bytes, out_bytes, fuel });
    Ok(passed.map_err(|error| RunFailure::Kernel(error.to_string()))?.kernel)
}

#[cfg(target_arch = "wasm32")]
async fn gated(http: &impl Transfer, _task: &Task, path: impl Fn(&str) -> String) -> Result<GatedKernel, RunFailure> {
    let bytes = http.get(&path("kernel")).await?;
    let kernel: wire::GatedKernel =
        serde_json::from_slice(&bytes).map_err(|error| RunFailure::Kernel(error.to_string()))?;
    Ok(GatedKernel {
        wgsl: kernel.wgsl,
        workgroup_size: kernel.workgroup_size,
        params_bytes: kernel.params_bytes,
        loop_lines: kernel.loop_lines,
        ops: kernel.ops,
    })
}

fn no_gpu() -> RunFailure {
    RunFailure::Kernel("this device runs no kernels".to_owned())
}

impl Map {
    pub fn has(&self, task: &Task) -> bool {
        self.ready.iter().any(|(kept, _)| kept == task)
    }

    /// Compiles a kernel for the device.
    pub async fn prepare(&mut self, device: &mut Device, task: &Task, code: Code) -> Result<(), RunFailure> {
        let gpu = device.gpu().ok_or_else(no_gpu)?;
        let limit = if cfg!(target_arch = "wasm32") { budget::TAB } else { budget::NATIVE };
        let session = MapSession::new(gpu, code.kernel, &code.params, limit).await?;
        if self.ready.len() >= READY_MAX {
            self.ready.remove(0);
        }
        self.ready.push((task.clone(), session));
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
        let (Some(gpu), Task::Map { record_bytes, out_bytes, .. }) = (device.gpu(), task) else {
            return Err(no_gpu());
        };
        let place = self.ready.iter().position(|(kept, _)| kept == task).ok_or(RunFailure::Evicted)?;
        let entry = self.ready.remove(place);
        self.ready.push(entry);
        let (_, session) = self.ready.last_mut().ok_or(RunFailure::Evicted)?;
        let records = Records {
            records: rows,
            tile: tile_rows,
            record_bytes: u64::from(*record_bytes),
            out_bytes: u64::from(*out_bytes),
        };
        Ok(session.run(gpu, records, input, pace).await?.records)
    }
}
