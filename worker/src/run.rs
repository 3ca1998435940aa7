//! A lease turned into a signed receipt: fetch, compute, upload, sign.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use gpu_kernels::device::{Device, DeviceInfo};
use gpu_kernels::error::GpuError;
use gpu_kernels::graph::ModelError;
use gpu_kernels::graph::forward::RunError;
use gpu_kernels::measure::Measured;
use wire::device::INFER;
use wire::explorer::Sample;
use wire::lend::Recomputed;
use wire::{BlobHash, JobId, LeaseGrant, Receipt, Signature, TileHash, merkle};

use crate::identity::Identity;
use crate::programs::infer::Infer;
use crate::programs::recompute::{Fetched, recompute};
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
    Model(#[from] ModelError),
    #[error(transparent)]
    Run(#[from] RunError),
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
        matches!(self, Self::Run(RunError::Gpu(GpuError::Lost { .. })))
    }
}

/// How hard a device may work, and whether one lease is still wanted.
#[derive(Clone, Debug)]
pub struct Pace {
    /// The share of time that the GPU may be busy, 5 to 100.
    pub duty_percent: Arc<AtomicU8>,
    /// Set once the lease is not this device's any more.
    pub abandoned: Arc<AtomicBool>,
}

impl Pace {
    pub fn new(duty_percent: &Arc<AtomicU8>) -> Self {
        Self { duty_percent: Arc::clone(duty_percent), abandoned: Arc::default() }
    }

    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Rests as the duty cycle asks; breaks off a run whose lease is gone.
    async fn rest(&self, busy: Duration) -> ControlFlow<()> {
        let rest = link::rest_after(busy, self.duty_percent.load(Ordering::Relaxed));
        if !rest.is_zero() && !self.is_abandoned() {
            device::sleep(rest).await;
        }
        if self.is_abandoned() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// One device at work.
pub struct Engine {
    pub identity: Identity,
    pub info: DeviceInfo,
    device: device::Held<(Device, Infer)>,
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
        Self { identity, info: device.info().clone(), device: device::Held::new((device, Infer::default())) }
    }

    /// Computes a lease and uploads its output.
    pub async fn compute(&self, http: &impl Transfer, grant: &LeaseGrant, pace: Pace) -> Result<Outcome, RunFailure> {
        let path = |part: &str| format!("/v1/leases/{}/{part}", grant.pass);
        // The input comes down while another lease may still hold the GPU.
        let input = http.get(&path("input")).await?;
        let expected = usize::try_from(grant.rows * grant.row_shape.iter().product::<u64>() * 4).unwrap_or(usize::MAX);
        if input.len() != expected {
            return Err(RunFailure::Input { expected, found: input.len() });
        }
        let (model, shape) = (grant.model, grant.row_shape.clone());
        let ready = self.device.with(async move |(_, infer): &mut (Device, Infer)| infer.has(model, &shape)).await;
        let bytes = if ready { None } else { Some(http.get(&path("model")).await?) };

        let (grant_copy, wanted) = (grant.clone(), pace.clone());
        let run = async move |(device, infer): &mut (Device, Infer)| {
            infer_rows(device, infer, &grant_copy, bytes, &input, &wanted).await
        };
        let (output, busy) = self.device.with(run).await?;
        if pace.is_abandoned() {
            return Err(RunFailure::Abandoned);
        }
        let receipt = self.receipt(grant, &output);
        http.put(&path("output"), output).await?;
        let signature = self.identity.sign_receipt(&receipt);
        Ok(Outcome { receipt, signature, busy })
    }

    /// Measures the device with nothing else on it.
    pub async fn measure(&self, time: Duration) -> Result<Measured, GpuError> {
        // A breath between submissions keeps a tab's page alive.
        let run = async move |(device, _): &mut (Device, Infer)| {
            device.measure(time, async || device::sleep(BREATH).await).await
        };
        self.device.with(run).await
    }

    /// Computes one tile of a published job again.
    pub async fn recompute(&self, http: &impl Transfer, job: JobId) -> Result<Recomputed, RunFailure> {
        let drawn = http.get(&format!("/v1/public/jobs/{job}/sample")).await?;
        let sample: Sample = serde_json::from_slice(&drawn).map_err(|error| RunFailure::Sample(error.to_string()))?;
        let path =
            |part: &str| format!("/v1/public/jobs/{}/sample/{part}?tile={}", sample.statement.receipt.job, sample.tile);
        let fetched = Fetched {
            model: http.get(&path("model")).await?,
            input: http.get(&path("input")).await?,
            output: http.get(&path("output")).await?,
            sample,
        };
        let run = async move |(device, infer): &mut (Device, Infer)| recompute(device, infer, &fetched).await;
        self.device.with(run).await
    }

    fn receipt(&self, grant: &LeaseGrant, output: &[u8]) -> Receipt {
        let tile_bytes = usize::try_from(grant.tile_rows * grant.output_row_len * 4).unwrap_or(usize::MAX);
        let leaves = output
            .chunks(tile_bytes)
            .map(|tile| TileHash(*blake3::hash(&merkle::leaf_bytes(grant.lease, tile)).as_bytes()));
        let root = merkle::root(leaves, |bytes| *blake3::hash(bytes).as_bytes());
        Receipt {
            lease: grant.lease,
            job: grant.job,
            first_tile: grant.first_tile,
            tiles: grant.tiles,
            root,
            output: BlobHash(*blake3::hash(output).as_bytes()),
            program: INFER.to_owned(),
            backend: self.info.backend.to_owned(),
            time: device::now(),
        }
    }
}

/// Rows in, rows out, as bytes, with the time that the GPU was busy.
async fn infer_rows(
    device: &mut Device,
    infer: &mut Infer,
    grant: &LeaseGrant,
    model: Option<Vec<u8>>,
    input: &[u8],
    pace: &Pace,
) -> Result<(Vec<u8>, Duration), RunFailure> {
    if pace.is_abandoned() {
        return Err(RunFailure::Abandoned);
    }
    if let Some(model) = model {
        infer.prepare(grant.model, &grant.row_shape, &model)?;
    }
    let input: Vec<u32> = bytemuck::pod_collect_to_vec(input);
    let rows = usize::try_from(grant.rows).unwrap_or(usize::MAX);
    let busy = Cell::new(Duration::ZERO);
    let paced = async |took: Duration| {
        busy.set(busy.get() + took);
        pace.rest(took).await
    };
    let output =
        infer.run(device, grant.model, &grant.row_shape, rows, &input, paced).await.ok_or(RunFailure::Evicted)??;
    Ok((bytemuck::cast_slice(&output).to_vec(), busy.get()))
}
