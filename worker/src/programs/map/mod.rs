//! A customer's kernel over records. A native device passes the customer's own text through its own
//! gate, whatever the server says of it. A tab takes the server's: it takes its whole program from
//! there, and its browser checks each shader once more.

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod tab;

use std::ops::ControlFlow;
use std::time::Duration;

use gpu_kernels::customer_kernel::session::{MapError, MapSession, Records};
use gpu_kernels::customer_kernel::{Driver, GatedKernel, MapOutput};
use gpu_kernels::device::{Device, DeviceInfo};
use gpu_kernels::dtype::DType;
use gpu_kernels::records::Column;
use wire::program::map::join_tiles;
use wire::{Check, MapTask, WordRun};

#[cfg(not(target_arch = "wasm32"))]
use self::native::{SUBMISSION, fetch_gated};
#[cfg(target_arch = "wasm32")]
use self::tab::{SUBMISSION, fetch_gated};
use super::cache::PreparedCache;
use super::program::{Agreement, Input, OutputFormat, Program};
use crate::failure::{DeviceState, RunFailure};
use crate::transfer::{BlobPaths, Transfer};

/// More are shown as one.
const COLUMNS_MAX: usize = 4096;

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
            MapError::Cut => Self::CannotCompile { reason: error.to_string(), device: DeviceState::Sound },
            MapError::Stopped => Self::Abandoned,
            MapError::OutOfFuel { tile, fault } => Self::OutOfFuel { tile, fault },
            MapError::Input { .. } | MapError::Tile { .. } => Self::program(error),
        }
    }
}

impl Program for Map {
    type Task = MapTask;
    /// Kernel and parameters are those that the task names, the kernel as this device's driver takes it.
    type Missing = (MapTask, Driver);
    type Fetched = Code;

    fn missing(&self, device: &Device, task: &MapTask, _input: &Input) -> Option<(MapTask, Driver)> {
        self.prepared.peek(task).is_none().then(|| (task.clone(), device.driver()))
    }

    async fn fetch(
        http: &impl Transfer,
        paths: &BlobPaths,
        (task, driver): (MapTask, Driver),
    ) -> Result<Code, RunFailure> {
        let params = if task.params.is_some() { http.get(&paths.path("params")).await? } else { Vec::new() };
        let kernel = fetch_gated(http, paths, &task, driver).await?;
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
        self.prepared.insert(task.clone(), session, 0);
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
        let MapOutput { records: computed, fuel_left, .. } =
            session.run(gpu, records, input.row_values(), rest).await?;
        let tile_bytes = input.tile_rows.saturating_mul(records.out_bytes);
        Ok(join_tiles(&computed, wire::number::to(tile_bytes), &fuel_left))
    }

    /// What breaks a device over a stranger's kernel is the kernel.
    fn broken(reason: String) -> RunFailure {
        RunFailure::CannotCompile { reason, device: DeviceState::Broken }
    }

    /// Beside a CPU a software adapter runs kernels.
    fn backend(info: &DeviceInfo) -> &'static str {
        info.kernels.unwrap_or(info.backend)
    }

    /// A record is its kernel's words over and over; where nobody says what they are, unsigned integers.
    fn output_format(task: &MapTask, check: Check) -> OutputFormat {
        let len = wire::number::to(task.out_bytes / 4);
        let columns = record_columns(&task.words, len);
        let columns = columns.unwrap_or_else(|| vec![Column { dtype: DType::U32, len }]);
        OutputFormat { columns, first_dtype: None, agreement: Agreement::Stated(check, task.clone()) }
    }
}

/// Columns of a record of `len` words. `None` where nobody says what they are, or where it would be too many.
fn record_columns(runs: &[WordRun], len: usize) -> Option<Vec<Column>> {
    let element: usize = runs.iter().map(|run| wire::number::to::<usize>(run.words)).sum();
    let count = len.checked_div(element).filter(|count| (1..=COLUMNS_MAX / runs.len()).contains(count))?;
    let column = |run: &WordRun| Column {
        dtype: DType::from_name(run.dtype.name()).unwrap_or(DType::U32),
        len: wire::number::to(run.words),
    };
    let columns: Vec<Column> = std::iter::repeat_n(runs, count).flatten().map(column).collect();
    let merged = columns.chunk_by(|a, b| a.dtype == b.dtype);
    Some(merged.map(|run| Column { dtype: run[0].dtype, len: run.iter().map(|column| column.len).sum() }).collect())
}
