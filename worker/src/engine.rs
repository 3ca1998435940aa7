//! One device: a lease becomes a signed receipt by fetching, computing, uploading and signing.

use std::any::Any;
use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{AbortRegistration, Abortable, Either, FutureExt, LocalBoxFuture, select};
use futures::lock::{Mutex, MutexGuard};
use gpu_kernels::device::{Device, DeviceInfo, GpuError, Measured};
use gpu_kernels::records::deinterleave;
use wire::device::Backend;
use wire::explorer::Sample;
use wire::frame::SMALL_BYTES_MAX;
use wire::lend::{Recomputed, TrialResult};
use wire::{BlobHash, Check, DType, JobId, LeaseGrant, Receipt, Signature, SpeedChallenge, merkle};

use crate::backend::backend_of;
use crate::challenge::{ChallengeSlot, Product};
use crate::device;
use crate::duty::{DutyCycle, Pacing};
use crate::failure::RunFailure;
use crate::identity::Identity;
use crate::programs::program::Work;
use crate::programs::{Executor, FetchedAssets, backend, broken, output_format};
use crate::recompute::{Tile, compare};
use crate::transfer::{BlobPaths, Transfer, read_json, sample_path};

/// Between two submissions of a measurement: a tab's page stays alive.
const MEASURE_PAUSE: Duration = Duration::from_millis(1);
/// First values of an output that a trial shows.
const SHOWN: usize = 16;

/// One device at work.
pub struct Engine {
    pub identity: Identity,
    pub info: DeviceInfo,
    executor: device::Exclusive<Executor>,
    /// One lease at a time fetches what its program needs: the next may find it there.
    fetching: Mutex<()>,
    challenges: ChallengeSlot,
    reopen: Option<Reopen>,
}

/// Opens the device as it was opened first.
type Reopen = Box<dyn Fn() -> LocalBoxFuture<'static, Result<Device, GpuError>>>;

/// A finished lease.
pub struct Outcome {
    pub receipt: Receipt,
    pub signature: Signature,
    /// What goes along with the receipt; a larger output is uploaded.
    pub output: Option<Vec<u8>>,
    /// Operations that it took.
    pub flops: u64,
    /// How long the device was busy with it.
    pub busy: Duration,
}

/// What a task's rows need, while nobody else fetches.
struct Fetched<'a> {
    work: Arc<Work>,
    /// Nothing where the device has it prepared.
    assets: Option<FetchedAssets>,
    _turn: MutexGuard<'a, ()>,
}

/// Rows computed.
struct Computed {
    output: Vec<u8>,
    busy: Duration,
}

impl Engine {
    pub fn new(device: Device, identity: Identity) -> Self {
        let info = device.info().clone();
        let executor = device::Exclusive::new(Executor::new(device));
        Self { identity, info, executor, fetching: Mutex::new(()), challenges: ChallengeSlot::default(), reopen: None }
    }

    /// How a device that broke down is opened anew. Without it, such a device is lost.
    pub fn reopen_with(self, open: impl Fn() -> LocalBoxFuture<'static, Result<Device, GpuError>> + 'static) -> Self {
        Self { reopen: Some(Box::new(open)), ..self }
    }

    /// Opens the device anew, with nothing prepared on it.
    pub async fn restart(&self) -> Result<(), GpuError> {
        let Some(reopen) = &self.reopen else {
            return Err(GpuError::NoDevice { reason: "it is opened once".to_owned() });
        };
        let fresh = reopen().await?;
        if fresh.info().name != self.info.name {
            return Err(GpuError::NoDevice { reason: format!("there is {} instead", fresh.info().name) });
        }
        self.executor
            .with(async move |executor: &mut Executor| {
                let old = std::mem::replace(executor, Executor::new(fresh));
                // What is broken may panic once more as it is let go.
                drop(std::panic::catch_unwind(AssertUnwindSafe(|| drop(old))));
            })
            .await;
        Ok(())
    }

    /// Computes a lease, and uploads its output where that is large. Aborted, it fetches nothing more, keeps what it has fetched, and breaks off
    /// after the submission that is under way.
    pub async fn compute(
        &self,
        http: &impl Transfer,
        grant: &LeaseGrant,
        duty: DutyCycle,
        lease: AbortRegistration,
    ) -> Result<Outcome, RunFailure> {
        let pacing = Pacing::of_lease(duty, lease.handle());
        let fetch = Abortable::new(self.fetch_lease(http, grant), lease);
        let fetched = fetch.await.map_err(|_aborted| RunFailure::Abandoned)??;
        let work = self.prepare(fetched).await?;
        let Computed { output, busy } = self.run(work, pacing.clone()).await?;
        if pacing.is_over() {
            return Err(RunFailure::Abandoned);
        }
        let left: u64 = grant.task.flops_left(&output, grant.tile_rows).sum();
        let flops = grant.flops.saturating_sub(left);
        let (receipt, output) = self.receipt(grant, output).await;
        let output = if wire::number::to::<u64>(output.len()) <= SMALL_BYTES_MAX && !output.is_empty() {
            Some(output)
        } else {
            http.put(&BlobPaths::of_lease(&grant.token).path("output"), output).await?;
            None
        };
        let signature = self.identity.sign_receipt(&receipt);
        Ok(Outcome { receipt, signature, output, flops, busy })
    }

    /// Computes a lease for whoever is at this device: nothing is uploaded and nothing signed.
    pub async fn try_tile(&self, http: &impl Transfer, grant: &LeaseGrant) -> Result<TrialResult, RunFailure> {
        let mut tried = TrialResult {
            adapter: self.info.name.clone(),
            software: self.info.software,
            rows: grant.rows,
            micros: 0,
            words: Vec::new(),
            dtype: None,
            out_of_fuel: None,
        };
        let work = self.prepare(self.fetch_lease(http, grant).await?).await?;
        match self.run(work, Pacing::unlimited()).await {
            Ok(Computed { output, busy }) => {
                tried.micros = wire::number::to(busy.as_micros());
                (tried.words, tried.dtype) = first_words(grant, &output);
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
        let pause = async || device::sleep(MEASURE_PAUSE).await;
        let run = async move |executor: &mut Executor| executor.device.measure(time, pause).await;
        self.executor.with(run).await
    }

    /// Answers a challenge: at once, or as soon as the lease that holds the device has ended a submission.
    pub(crate) async fn prove(&self, challenge: &SpeedChallenge, duty: DutyCycle) -> Result<Product, GpuError> {
        let product = self.challenges.put(challenge, duty);
        let slot = self.challenges.clone();
        let serve = async move |executor: &mut Executor| {
            if !executor.is_broken {
                let mut prover = executor.take_prover();
                slot.serve(&mut prover).await;
                executor.prover = Some(prover);
            }
        };
        let idle = pin!(self.executor.with(serve));
        let lost = || GpuError::Lost { reason: "the device broke down, or another challenge came".to_owned() };
        match select(product, idle).await {
            Either::Left((product, _)) => product.unwrap_or_else(|_dropped| Err(lost())),
            // Nothing holds the device now: the challenge was answered here, by a lease before, or never.
            Either::Right(((), mut product)) => product.try_recv().ok().flatten().unwrap_or_else(|| Err(lost())),
        }
    }

    /// Computes one tile of a published job again, which the edge draws, and compares.
    pub async fn recompute(&self, http: &impl Transfer, job: JobId) -> Result<Recomputed, RunFailure> {
        let drawn = http.get(&sample_path(job)).await?;
        let sample: Sample = read_json(&drawn).map_err(RunFailure::Sample)?;
        let paths = BlobPaths::of_sample(sample.statement.receipt.job, sample.tile);
        let input = http.get(&paths.path("input")).await?;
        let work = Arc::new(Work::new(sample.task.clone(), sample.rows, sample.rows, input)?);
        let work = self.prepare(self.fetch(http, &paths, work).await?).await?;
        let signed = http.get(&paths.path("output")).await?;
        let Computed { output, busy } = self.run(work, Pacing::unlimited()).await?;
        Ok(compare(&sample, &Tile { signed: &signed, here: &output, busy }, &self.info))
    }

    /// A lease's rows, and what is missing to compute them.
    async fn fetch_lease(&self, http: &impl Transfer, grant: &LeaseGrant) -> Result<Fetched<'_>, RunFailure> {
        let paths = BlobPaths::of_lease(&grant.token);
        // The input comes down while another lease may still hold the GPU.
        let input = match &grant.input {
            Some(input) => input.clone(),
            None => http.get(&paths.path("input")).await?,
        };
        let work = Work::new(grant.task.clone(), grant.rows, grant.tile_rows, input)?.nudged(grant.nudge);
        let work = Arc::new(work);
        self.fetch(http, &paths, work).await
    }

    async fn fetch(&self, http: &impl Transfer, paths: &BlobPaths, work: Arc<Work>) -> Result<Fetched<'_>, RunFailure> {
        let turn = self.fetching.lock().await;
        let asked = Arc::clone(&work);
        let missing = self.executor.with(async move |executor: &mut Executor| executor.missing(&asked)).await;
        let assets = match missing {
            Some(missing) => Some(missing.fetch(http, paths).await?),
            None => None,
        };
        Ok(Fetched { work, assets, _turn: turn })
    }

    /// Compiles what was fetched, whatever has become of the lease by now: the next of its job needs it no less.
    async fn prepare(&self, fetched: Fetched<'_>) -> Result<Arc<Work>, RunFailure> {
        let Fetched { work, assets, _turn } = fetched;
        if let Some(assets) = assets {
            let asked = Arc::clone(&work);
            let prepare = async move |executor: &mut Executor| {
                guarded(executor, &asked, async |executor: &mut Executor| executor.prepare(&asked, assets).await).await
            };
            self.executor.with(prepare).await?;
        }
        Ok(work)
    }

    async fn run(&self, work: Arc<Work>, pacing: Pacing) -> Result<Computed, RunFailure> {
        let challenges = self.challenges.clone();
        let run = async move |executor: &mut Executor| compute_rows(executor, &work, &pacing, &challenges).await;
        self.executor.with(run).await
    }

    /// What the device says of a lease's output, with that output.
    async fn receipt(&self, grant: &LeaseGrant, output: Vec<u8>) -> (Receipt, Vec<u8>) {
        let backend = backend_of(backend(&grant.task, &self.info));
        let grant = grant.clone();
        device::run_blocking(move || (receipt(&grant, &output, backend), output)).await
    }
}

/// Rows in, rows out, with the time that the device was busy. Challenges are answered in between.
async fn compute_rows(
    executor: &mut Executor,
    work: &Work,
    pacing: &Pacing,
    challenges: &ChallengeSlot,
) -> Result<Computed, RunFailure> {
    if pacing.is_over() {
        return Err(RunFailure::Abandoned);
    }
    let busy = Cell::new(Duration::ZERO);
    let prover = Cell::new(Some(executor.take_prover()));
    let rest = async |took: Duration| {
        busy.set(busy.get() + took);
        if challenges.is_waited_for()
            && let Some(mut idle) = prover.take()
        {
            challenges.serve(&mut idle).await;
            prover.set(Some(idle));
        }
        pacing.rest(took).await
    };
    let output = guarded(executor, work, async |executor: &mut Executor| executor.run(work, rest).await).await;
    executor.prover = prover.into_inner();
    Ok(Computed { output: output?, busy: busy.get() })
}

/// Does something with a device that may break it.
async fn guarded<T>(
    executor: &mut Executor,
    work: &Work,
    act: impl AsyncFnOnce(&mut Executor) -> Result<T, RunFailure>,
) -> Result<T, RunFailure> {
    if executor.is_broken {
        return Err(RunFailure::Reopening);
    }
    // Compilers and drivers panic over strangers' kernels; nothing else of this process does.
    let done = AssertUnwindSafe(act(executor)).catch_unwind().await;
    let done = done.unwrap_or_else(|panic| Err(broken(&work.task, panic_text(&*panic))));
    let done = done.map_err(|failure| match failure {
        RunFailure::Gpu(GpuError::Lost { reason }) => broken(&work.task, reason),
        failure => failure,
    });
    executor.is_broken = done.as_ref().is_err_and(RunFailure::breaks_device);
    done
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn receipt(grant: &LeaseGrant, output: &[u8], backend: Backend) -> Receipt {
    let hash = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
    let tile_bytes = grant.task.output_bytes(grant.tile_rows, 1);
    Receipt {
        lease: grant.lease,
        job: grant.job,
        first_tile: grant.first_tile,
        tiles: grant.tiles,
        root: merkle::output_root(grant.lease, output, tile_bytes, hash),
        output: BlobHash(hash(output)),
        program: grant.task.program().to_owned(),
        backend,
        time: device::now(),
    }
}

/// The first values of a lease's first output, as words, with their type where it is known.
fn first_words(grant: &LeaseGrant, output: &[u8]) -> (Vec<u32>, Option<DType>) {
    let format = output_format(&grant.task, Check::Exact);
    let rows = grant.rows.min(grant.tile_rows).saturating_mul(grant.task.out_bytes());
    let first_tile = output.get(..wire::number::to(rows));
    // What cannot be read as values is shown as none; the trial has run all the same.
    let columns =
        first_tile.and_then(|tile| deinterleave(tile, &format.columns)).and_then(Result::ok).unwrap_or_default();
    let words = columns.into_iter().next().unwrap_or_default().into_iter().take(SHOWN).collect();
    (words, format.first_dtype)
}

#[cfg(test)]
mod tests {
    use gpu_kernels::customer_kernel::GatedKernel;
    use gpu_kernels::device::{Gpu, budget};
    use wire::{MapTask, Task};

    use super::*;
    use crate::failure::DeviceState;
    use crate::programs::Code;

    /// What a gate let through once: naga's writer for Vulkan panics over it.
    const BREAKS: &str = "
        struct Pair { a: u32, b: u32 }
        @group(0) @binding(0) var<storage, read> source: array<u32>;
        @group(0) @binding(1) var<storage, read_write> result: array<u32>;
        fn bump(x: ptr<function, u32>) { *x += 1u; }
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
            var pair = Pair(source[id.x], 2u);
            bump(&pair.a);
            result[id.x] = pair.a;
        }";
    const SOUND: &str = "
        @group(0) @binding(0) var<storage, read> source: array<u32>;
        @group(0) @binding(1) var<storage, read_write> result: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { result[id.x] = source[id.x] + 1u; }";

    async fn open() -> Result<Device, GpuError> {
        Ok(Device::Gpu(Box::new(Gpu::open(budget::NATIVE).await?)))
    }

    async fn compute(engine: &Engine, wgsl: &str) -> Result<Vec<u8>, RunFailure> {
        let kernel = BlobHash(*blake3::hash(wgsl.as_bytes()).as_bytes());
        let task = MapTask { kernel, params: None, record_bytes: 4, out_bytes: 4, fuel: 1, words: Vec::new() };
        let work = Arc::new(Work::new(Task::Map(task), 1, 1, 4u32.to_le_bytes().to_vec()).unwrap());
        let kernel =
            GatedKernel { wgsl: wgsl.to_owned(), workgroup_size: 64, params_bytes: None, loop_lines: vec![], ops: 1 };
        let assets = Some(FetchedAssets::Map(Code { kernel, params: Vec::new() }));
        let work = engine.prepare(Fetched { work, assets, _turn: engine.fetching.lock().await }).await?;
        engine.run(work, Pacing::unlimited()).await.map(|computed| computed.output)
    }

    #[tokio::test]
    async fn a_customers_kernel_cannot_stop_a_device() {
        let device = match open().await {
            Ok(device) => device,
            Err(error) => {
                assert!(std::env::var_os("REQUIRE_GPU").is_none(), "REQUIRE_GPU is set: {error}");
                eprintln!("SKIP {error}");
                return;
            }
        };
        let engine = Engine::new(device, Identity::from_secret(&[7; 32])).reopen_with(|| Box::pin(open()));

        let failure = compute(&engine, BREAKS).await.unwrap_err();
        let waiting = compute(&engine, SOUND).await.unwrap_err();
        engine.restart().await.unwrap();
        let output = compute(&engine, SOUND).await.unwrap();
        let output: Vec<u32> = output.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let refused = compute(&engine, "fn main() { not a kernel }").await.unwrap_err();

        assert!(matches!(failure, RunFailure::CannotCompile { device: DeviceState::Broken, .. }), "{failure}");
        assert!(matches!(waiting, RunFailure::Reopening), "{waiting}");
        assert_eq!(output, [5, 0], "and no fuel is left of none");
        assert!(matches!(refused, RunFailure::CannotCompile { device: DeviceState::Sound, .. }), "{refused}");
    }
}
