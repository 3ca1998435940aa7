//! A customer's kernel over records. A native device passes the customer's own text through its own
//! gate, whatever the server says of it. A tab takes the server's: it takes its whole program from
//! there, and its browser checks each shader once more.

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod tab;

use std::ops::ControlFlow;
use std::time::Duration;

use gpu_kernels::customer_kernel::GatedKernel;
use gpu_kernels::customer_kernel::session::{MapError, MapSession, Records};
use gpu_kernels::device::{Device, DeviceInfo};
use gpu_kernels::dtype::DType;
use gpu_kernels::records::Column;
use wire::{Check, MapTask};

#[cfg(not(target_arch = "wasm32"))]
use self::native::{SUBMISSION, fetch_gated};
#[cfg(target_arch = "wasm32")]
use self::tab::{SUBMISSION, fetch_gated};
use super::cache::PreparedCache;
use super::program::{Agreement, Input, OutputFormat, Program};
use crate::failure::{DeviceState, RunFailure};
use crate::transfer::{BlobPaths, Transfer};

#[derive(Default)]
pub(crate) struct Map {
    prepared: PreparedCache<MapTask, MapSession>,
}

/// A kernel that may run, with its parameters.
pub(crate) struct Code {
    pub(crate) kernel: GatedKernel,
    pub(crate) params: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
#[error("the kernel cannot run here: this device runs no kernels")]
struct NoGpu;

impl From<MapError> for RunFailure {
    fn from(error: MapError) -> Self {
        match error {
            MapError::Gpu(error) => Self::Gpu(error),
            MapError::Compile { reason } => Self::CannotCompile { reason, device: DeviceState::Sound },
            MapError::Stopped => Self::Abandoned,
            MapError::OutOfFuel { tile, fault } => Self::OutOfFuel { tile, fault },
            MapError::Input { .. } | MapError::Tile { .. } => Self::program(error),
        }
    }
}

impl Program for Map {
    type Task = MapTask;
    /// Kernel and parameters are those that the task names.
    type Missing = MapTask;
    type Fetched = Code;

    fn missing(&self, _device: &Device, task: &MapTask, _input: &Input) -> Option<MapTask> {
        self.prepared.peek(task).is_none().then_some(*task)
    }

    async fn fetch(http: &impl Transfer, paths: &BlobPaths, task: MapTask) -> Result<Code, RunFailure> {
        let params = if task.params.is_some() { http.get(&paths.path("params")).await? } else { Vec::new() };
        let kernel = fetch_gated(http, paths, &task).await?;
        Ok(Code { kernel, params })
    }

    async fn prepare(
        &mut self,
        device: &mut Device,
        task: &MapTask,
        _input: &Input,
        code: Code,
    ) -> Result<(), RunFailure> {
        let gpu = device.gpu().ok_or_else(|| RunFailure::program(NoGpu))?;
        let session = MapSession::new(gpu, code.kernel, &code.params, SUBMISSION).await?;
        self.prepared.insert(*task, session, 0);
        Ok(())
    }

    async fn run(
        &mut self,
        device: &mut Device,
        task: &MapTask,
        input: &Input,
        rest: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<u8>, RunFailure> {
        let gpu = device.gpu().ok_or_else(|| RunFailure::program(NoGpu))?;
        let session = self.prepared.get_mut(task).ok_or(RunFailure::Evicted)?;
        let records = Records {
            records: input.rows,
            tile: input.tile_rows,
            record_bytes: u64::from(task.record_bytes),
            out_bytes: u64::from(task.out_bytes),
        };
        Ok(session.run(gpu, records, input.row_values(), rest).await?.records)
    }

    /// What breaks a device over a stranger's kernel is the kernel.
    fn broken(reason: String) -> RunFailure {
        RunFailure::CannotCompile { reason, device: DeviceState::Broken }
    }

    /// Beside a CPU a software adapter runs kernels.
    fn backend(info: &DeviceInfo) -> &'static str {
        info.kernels.unwrap_or(info.backend)
    }

    /// Records are words, and floats where a tolerance was stated.
    fn output_format(task: &MapTask, check: Check) -> OutputFormat {
        let (dtype, agreement) = match check {
            Check::Exact => (DType::U32, Agreement::EveryByte),
            Check::Tolerance { rtol, atol } => (DType::F32, Agreement::Within { rtol: rtol.get(), atol: atol.get() }),
        };
        let len = wire::number::to(task.out_bytes / 4);
        OutputFormat { columns: vec![Column { dtype, len }], first_dtype: None, agreement }
    }
}
