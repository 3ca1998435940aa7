//! What every program does, and the rows that it does it to.

use std::ops::ControlFlow;
use std::time::Duration;

use gpu_kernels::device::{Device, DeviceInfo};
use gpu_kernels::records::Column;
use wire::{Check, DType, MapTask, Task};

use crate::failure::RunFailure;
use crate::transfer::{BlobPaths, Transfer};

/// A program: a way to compute rows from rows. It keeps what it prepared for one task until that task's
/// next lease.
pub(crate) trait Program: Default {
    /// What of a [`Task`] is this program's.
    type Task;
    /// What has to be fetched before rows can run.
    type Missing;
    /// What was fetched.
    type Fetched;

    /// What is missing for these rows; `None` where all is prepared.
    fn missing(&self, device: &Device, task: &Self::Task, input: &Input) -> Option<Self::Missing>;

    /// Fetches it. Other leases may use the device meanwhile.
    async fn fetch(
        http: &impl Transfer,
        paths: &BlobPaths,
        missing: Self::Missing,
    ) -> Result<Self::Fetched, RunFailure>;

    /// Makes the device ready for rows of the task.
    async fn prepare(
        &mut self,
        device: &mut Device,
        task: &Self::Task,
        input: &Input,
        fetched: Self::Fetched,
    ) -> Result<(), RunFailure>;

    /// Computes rows: the outputs of each, side by side. `rest` is awaited after each submission with
    /// the time that the device was busy; where it breaks, nothing more is submitted.
    async fn run(
        &mut self,
        device: &mut Device,
        task: &Self::Task,
        input: &Input,
        rest: impl AsyncFn(Duration) -> ControlFlow<()>,
    ) -> Result<Vec<u8>, RunFailure>;

    /// The device broke down over this program, and is to be opened anew.
    fn broken(reason: String) -> RunFailure {
        RunFailure::Broken { reason }
    }

    /// What computes it on such a device, as receipts name it.
    fn backend(info: &DeviceInfo) -> &'static str;

    /// How its output is read and compared. `check` is what the job's customer asked for.
    fn output_format(task: &Self::Task, check: Check) -> OutputFormat;
}

/// How an output is read, and compared with another of the same rows.
#[derive(Clone, Debug)]
pub(crate) struct OutputFormat {
    /// The arrays of a row.
    pub columns: Vec<Column>,
    /// What the first array holds; `None` where only the customer knows.
    pub first_dtype: Option<DType>,
    pub agreement: Agreement,
}

/// When two outputs are the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Agreement {
    /// Each array by the rule of its type.
    ByType,
    /// As the customer of a kernel stated.
    Stated(Check, MapTask),
}

/// A task with the rows to compute.
pub(crate) struct Work {
    pub task: Task,
    pub input: Input,
}

impl Work {
    /// Refuses an input that is not so many rows of the task.
    pub(crate) fn new(task: Task, rows: u64, tile_rows: u64, bytes: Vec<u8>) -> Result<Self, RunFailure> {
        let input = Input::new(&task, rows, tile_rows, bytes)?;
        Ok(Self { task, input })
    }

    /// The same rows with each float that is computed moved a little, by this seed.
    pub(crate) fn nudged(self, nudge: Option<u64>) -> Self {
        let Self { task, input } = self;
        Self { task, input: Input { nudge, ..input } }
    }
}

/// The rows of a lease, or of one tile.
pub(crate) struct Input {
    pub rows: u64,
    /// Rows of a tile; the last may have fewer.
    pub tile_rows: u64,
    /// A seed by which each computed float is to be moved ([`wire::LeaseGrant::nudge`]).
    pub nudge: Option<u64>,
    /// The rows of each input after one another, then what all rows share.
    bytes: Vec<u8>,
    shared_bytes: usize,
}

impl Input {
    fn new(task: &Task, rows: u64, tile_rows: u64, bytes: Vec<u8>) -> Result<Self, RunFailure> {
        let shared = task.shared_bytes();
        let expected = rows.checked_mul(task.row_bytes()).and_then(|own| own.checked_add(shared));
        // More than memory holds is no input's size.
        let expected = expected.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX);
        let fits = usize::try_from(rows).is_ok() && bytes.len() == expected;
        let shared_bytes = usize::try_from(shared).ok().filter(|_| fits);
        match shared_bytes {
            Some(shared_bytes) => Ok(Self { rows, tile_rows: tile_rows.max(1), nudge: None, bytes, shared_bytes }),
            None => Err(RunFailure::Input { expected, found: bytes.len() }),
        }
    }

    /// The rows as memory counts them.
    pub(crate) fn row_count(&self) -> usize {
        wire::number::to(self.rows)
    }

    /// The rows of each input, one input after another.
    pub(crate) fn row_values(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - self.shared_bytes]
    }

    /// What all rows share.
    pub(crate) fn shared_values(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - self.shared_bytes..]
    }
}
