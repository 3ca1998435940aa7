//! This machine's processor as a device. The worker of a tab that lends its GPU leaves it out: the loops
//! that run models here would be a third of its download.

use std::time::Duration;

use web_time::Instant;

use super::budget::Budget;
use super::gpu::Gpu;
use super::info::{DeviceInfo, Measured};
use crate::dtype::Repr;
use crate::kernels::{Call, matmul};
use crate::number;

/// Largest tensor that a run on the CPU may hold, in bytes.
const CPU_BUFFER_BYTES_MAX: u64 = 1 << 30;
/// Side of the matrices that the CPU is measured with, in values.
const CPU_SIDE: u32 = 512;

/// This machine's processor.
pub struct Cpu {
    pub info: DeviceInfo,
    pub budget: Budget,
    pub(super) kernels: Option<Box<Gpu>>,
}

impl Cpu {
    /// `limit` is how long a run may compute before `pace` is awaited. `kernels` is a software adapter,
    /// which is slower at models and alone able to run WGSL.
    pub fn open(limit: Duration, kernels: Option<Gpu>) -> Self {
        let info = DeviceInfo {
            name: name(),
            backend: "cpu",
            kernels: kernels.as_ref().map(|gpu| gpu.info.backend),
            software: false,
            buffer_bytes_max: CPU_BUFFER_BYTES_MAX,
        };
        Self { info, budget: Budget::new(limit), kernels: kernels.map(Box::new) }
    }

    pub(super) async fn measure(&self, time: Duration, pause: impl AsyncFn()) -> Measured {
        let matrix = vec![0u32; number::to(CPU_SIDE * CPU_SIDE)];
        let mut out = matrix.clone();
        let params = matmul::Params::contiguous(1, CPU_SIDE, CPU_SIDE, CPU_SIDE);
        let call = Call::Matmul(matmul::Matmul { repr: Repr::F32, params });
        let mut measured = Measured { flops: 0, busy: Duration::ZERO };
        let begun = Instant::now();
        while begun.elapsed() < time {
            let first = Instant::now();
            call.run(&[&matrix, &matrix, &matrix], &mut out);
            measured.flops += call.flops();
            measured.busy += first.elapsed();
            pause().await;
        }
        measured
    }
}

/// The processor's name where the system tells it, and its threads.
#[cfg(not(target_arch = "wasm32"))]
fn name() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("CPU", |(_, model)| model.trim());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {threads} threads")
}

/// A browser does not say which processor it runs on.
#[cfg(target_arch = "wasm32")]
fn name() -> String {
    "CPU by WebAssembly, 1 thread".to_owned()
}
