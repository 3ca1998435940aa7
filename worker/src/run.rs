//! A lease turned into a signed receipt: fetch, compute, upload, sign.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use gpu_kernels::device::{Device, DeviceInfo, GpuError, Measured};
use gpu_kernels::dtype::OutOfRange;
use gpu_kernels::records::{columns, deinterleave};
use gpu_kernels::wgsl::Fault;
use gpu_kernels::wgsl::run::MapError;
use wire::explorer::Sample;
use wire::lend::{Recomputed, Tried};
use wire::{BlobHash, DType, Field, InferTask, JobId, LeaseGrant, Receipt, Signature, Task, merkle};

use crate::identity::Identity;
use crate::programs::infer::InferError;
use crate::programs::recompute::{Drawn, recompute};
use crate::programs::{Executor, FetchedAssets, fetch, input_bytes, shared_part};
use crate::{device, link};

use crate::device::MaybeSend;

/// Between two submissions of a measurement.
const BREATH: Duration = Duration::from_millis(1);

/// Bytes over HTTP: `reqwest` natively, `fetch` in a tab.
pub trait Transfer {
    fn get(&self, path: &str) -> impl Future<Output = Result<Vec<u8>, TransferError>> + MaybeSend;
    fn put(&self, path: &str, body: Vec<u8>) -> impl Future<Output = Result<(), TransferError>> + MaybeSend;
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    #[error("the server answered {status}")]
    Status { status: u16 },
    #[error("the server could not be reached: {reason}")]
    Network { reason: String },
}

/// Why a lease was not computed. It goes back to the edge.
#[derive(Debug, thiserror::Error)]
pub enum RunFailure {
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    Infer(#[from] InferError),
    #[error(transparent)]
    Map(#[from] MapError),
    #[error("the kernel cannot run here: {0}")]
    Kernel(String),
    #[error(transparent)]
    Value(OutOfRange),
    #[error("the input has {found} bytes where {expected} were expected")]
    Input { expected: usize, found: usize },
    #[error("the server drew no tile: {0}")]
    Sample(String),
    #[error("the lease was taken back")]
    Abandoned,
    #[error("the model made room for others before it ran")]
    Evicted,
}

impl RunFailure {
    /// The GPU is gone: nothing more can be computed with it.
    pub fn is_device_lost(&self) -> bool {
        let error = match self {
            Self::Infer(error) => error.gpu(),
            Self::Map(MapError::Gpu(error)) => Some(error),
            _ => None,
        };
        matches!(error, Some(GpuError::Lost { .. }))
    }

    /// The lease's kernel ran out of fuel: in which tile of the lease, and at which loop.
    pub fn fault(&self) -> Option<(u64, Fault)> {
        match self {
            Self::Map(MapError::OutOfFuel { tile, fault }) => Some((*tile, *fault)),
            _ => None,
        }
    }
}

/// How hard a device may work, and whether one lease is still wanted.
#[derive(Clone, Debug)]
pub struct Pacing {
    /// The share of time that the GPU may be busy, 5 to 100.
    pub duty_percent: Arc<AtomicU8>,
    /// Set once the lease is not this device's any more.
    pub abandoned: Arc<AtomicBool>,
}

impl Pacing {
    pub fn new(duty_percent: &Arc<AtomicU8>) -> Self {
        Self { duty_percent: Arc::clone(duty_percent), abandoned: Arc::default() }
    }

    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Rests as the duty cycle asks; breaks off a run whose lease is gone.
    async fn rest(&self, busy: Duration) -> ControlFlow<()> {
        let rest = link::rest_after(busy, self.duty_percent.load(Ordering::Relaxed));
        if !self.is_abandoned() {
            device::sleep(rest).await;
        }
        if self.is_abandoned() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// One device at work.
pub struct Engine {
    pub identity: Identity,
    pub info: DeviceInfo,
    executor: device::Exclusive<Executor>,
}

/// A finished lease.
pub struct Outcome {
    pub receipt: Receipt,
    pub signature: Signature,
    /// How long the device was busy with it.
    pub busy: Duration,
}

impl Engine {
    pub fn new(device: Device, identity: Identity) -> Self {
        Self { identity, info: device.info().clone(), executor: device::Exclusive::new(Executor::new(device)) }
    }

    /// Computes a lease and uploads its output.
    pub async fn compute(&self, http: &impl Transfer, grant: &LeaseGrant, pacing: Pacing) -> Result<Outcome, RunFailure> {
        let (output, busy) = self.compute_here(http, grant, &pacing).await?;
        if pacing.is_abandoned() {
            return Err(RunFailure::Abandoned);
        }
        let receipt = self.receipt(grant, &output);
        http.put(&format!("/v1/leases/{}/output", grant.token), output).await?;
        let signature = self.identity.sign_receipt(&receipt);
        Ok(Outcome { receipt, signature, busy })
    }

    /// A lease's output, and how long the device was busy with it.
    async fn compute_here(
        &self,
        http: &impl Transfer,
        grant: &LeaseGrant,
        pacing: &Pacing,
    ) -> Result<(Vec<u8>, Duration), RunFailure> {
        let path = |part: &str| format!("/v1/leases/{}/{part}", grant.token);
        // The input comes down while another lease may still hold the GPU.
        let input = http.get(&path("input")).await?;
        let expected = input_bytes(&grant.task, grant.rows).unwrap_or(usize::MAX);
        if input.len() != expected {
            return Err(RunFailure::Input { expected, found: input.len() });
        }
        let (task, shared) = (grant.task.clone(), shared_part(&grant.task, &input).to_vec());
        let rows = [grant.rows, grant.tile_rows];
        let missing = self.executor.with(async move |executor: &mut Executor| executor.missing(&task, &shared, rows)).await;
        let fetched = fetch(http, &grant.task, missing, path).await?;

        let (grant_copy, wanted) = (grant.clone(), pacing.clone());
        let run = async move |executor: &mut Executor| compute_rows(executor, &grant_copy, fetched, &input, &wanted).await;
        self.executor.with(run).await
    }

    /// Computes a lease for whoever is at this device: nothing is uploaded and nothing signed.
    pub async fn try_tile(&self, http: &impl Transfer, grant: &LeaseGrant) -> Result<Tried, RunFailure> {
        let pacing = Pacing::new(&Arc::new(AtomicU8::new(100)));
        let mut tried = Tried {
            adapter: self.info.name.clone(),
            software: self.info.software,
            rows: grant.rows,
            micros: 0,
            words: Vec::new(),
            dtype: None,
            out_of_fuel: None,
        };
        match self.compute_here(http, grant, &pacing).await {
            Ok((output, busy)) => {
                tried.micros = u64::try_from(busy.as_micros()).unwrap_or(u64::MAX);
                (tried.words, tried.dtype) = first_words(&grant.task, &output);
            }
            Err(failure) => match failure.fault() {
                Some((_, fault)) => tried.out_of_fuel = Some(fault.line),
                None => return Err(failure),
            },
        }
        Ok(tried)
    }

    /// Measures the device with nothing else on it.
    pub async fn measure(&self, time: Duration) -> Result<Measured, GpuError> {
        // A breath between submissions keeps a tab's page alive.
        let run = async move |executor: &mut Executor| executor.device.measure(time, async || device::sleep(BREATH).await).await;
        self.executor.with(run).await
    }

    /// Computes one tile of a published job again.
    pub async fn recompute(&self, http: &impl Transfer, job: JobId) -> Result<Recomputed, RunFailure> {
        let drawn = http.get(&format!("/v1/public/jobs/{job}/sample")).await?;
        let sample: Sample = serde_json::from_slice(&drawn).map_err(|error| RunFailure::Sample(error.to_string()))?;
        let path =
            |part: &str| format!("/v1/public/jobs/{}/sample/{part}?tile={}", sample.statement.receipt.job, sample.tile);
        let input = http.get(&path("input")).await?;
        let (task, shared) = (sample.task.clone(), shared_part(&sample.task, &input).to_vec());
        let rows = [sample.rows; 2];
        let missing = self.executor.with(async move |executor: &mut Executor| executor.missing(&task, &shared, rows)).await;
        let drawn = Drawn {
            program: fetch(http, &sample.task, missing, path).await?,
            input,
            output: http.get(&path("output")).await?,
            sample,
        };
        let run = async move |executor: &mut Executor| recompute(executor, drawn).await;
        self.executor.with(run).await
    }

    fn receipt(&self, grant: &LeaseGrant, output: &[u8]) -> Receipt {
        let tile_bytes = grant.tile_rows.saturating_mul(grant.task.out_bytes());
        let root = merkle::output_root(grant.lease, output, tile_bytes, |bytes| *blake3::hash(bytes).as_bytes());
        let backend = match grant.task {
            Task::Infer(_) => self.info.backend,
            Task::Map(_) => self.info.kernels.unwrap_or(self.info.backend),
        };
        Receipt {
            lease: grant.lease,
            job: grant.job,
            first_tile: grant.first_tile,
            tiles: grant.tiles,
            root,
            output: BlobHash(*blake3::hash(output).as_bytes()),
            program: grant.task.program().to_owned(),
            backend: backend.to_owned(),
            time: device::now(),
        }
    }
}

/// The first values of a lease's first output, as words, with their type where it is known.
fn first_words(task: &Task, output: &[u8]) -> (Vec<u32>, Option<DType>) {
    const SHOWN: usize = 16;
    let Task::Infer(InferTask { outputs, .. }) = task else {
        let words = output.as_chunks::<4>().0.iter().take(SHOWN).map(|chunk| u32::from_le_bytes(*chunk));
        return (words.collect(), None);
    };
    let answers =
        deinterleave(output, &columns(outputs.iter().map(Field::array))).and_then(Result::ok).unwrap_or_default();
    let words = answers.into_iter().next().unwrap_or_default().into_iter().take(SHOWN).collect();
    (words, outputs.first().map(|output| output.dtype))
}

/// Rows in, rows out, as bytes, with the time that the device was busy.
async fn compute_rows(
    executor: &mut Executor,
    grant: &LeaseGrant,
    fetched: FetchedAssets,
    input: &[u8],
    pacing: &Pacing,
) -> Result<(Vec<u8>, Duration), RunFailure> {
    if pacing.is_abandoned() {
        return Err(RunFailure::Abandoned);
    }
    let busy = Cell::new(Duration::ZERO);
    let paced = async |took: Duration| {
        busy.set(busy.get() + took);
        pacing.rest(took).await
    };
    let output = executor.run(&grant.task, fetched, [grant.rows, grant.tile_rows], input, paced).await?;
    Ok((output, busy.get()))
}
