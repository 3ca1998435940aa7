//! What computes: a GPU, or the CPU where there is none.

use std::time::Duration;

#[cfg(feature = "cpu")]
pub use self::cpu::Cpu;
use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::measure::Measured;

/// What a device says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    pub name: String,
    /// `vulkan`, `metal`, `dx12`, `webgpu` or `cpu`.
    pub backend: &'static str,
    /// What runs customers' WGSL here: its backend, which beside a CPU is a software adapter's.
    pub kernels: Option<&'static str>,
    /// A GPU's interface over a CPU: llvmpipe, `SwiftShader` and the like.
    pub software: bool,
    /// Largest tensor that it may read, in bytes.
    pub buffer_bytes_max: u64,
}

pub enum Device {
    Gpu(Box<Gpu>),
    #[cfg(feature = "cpu")]
    Cpu(Cpu),
}

impl Device {
    pub fn info(&self) -> &DeviceInfo {
        match self {
            Self::Gpu(gpu) => &gpu.info,
            #[cfg(feature = "cpu")]
            Self::Cpu(cpu) => &cpu.info,
        }
    }

    /// What runs WGSL: the GPU, or the software adapter beside a CPU.
    pub fn gpu(&mut self) -> Option<&mut Gpu> {
        match self {
            Self::Gpu(gpu) => Some(gpu),
            #[cfg(feature = "cpu")]
            Self::Cpu(cpu) => cpu.kernels.as_deref_mut(),
        }
    }

    /// Multiplies float32 matrices for `time`, in pieces that keep to the budget. `pause` is awaited
    /// after each of them.
    pub async fn measure(&mut self, time: Duration, pause: impl AsyncFn()) -> Result<Measured, GpuError> {
        match self {
            Self::Gpu(gpu) => gpu.measure(time, pause).await,
            #[cfg(feature = "cpu")]
            Self::Cpu(cpu) => Ok(cpu.measure(time, pause).await),
        }
    }
}

/// The worker of a tab that lends its GPU leaves these loops out: they would be a third of its download.
#[cfg(feature = "cpu")]
mod cpu {
    use std::time::Duration;

    use web_time::Instant;

    use super::DeviceInfo;
    use crate::budget::Budget;
    use crate::dtype::Repr;
    use crate::gpu::Gpu;
    use crate::kernels::{Call, matmul};
    use crate::measure::Measured;

    /// Largest tensor that a run on the CPU may hold, in bytes.
    const CPU_BUFFER_BYTES_MAX: u64 = 1 << 30;
    /// Side of the matrices that the CPU is measured with, in values.
    const CPU_SIDE: u32 = 512;

    /// This machine's processor.
    pub struct Cpu {
        pub info: DeviceInfo,
        pub(crate) budget: Budget,
        pub(super) kernels: Option<Box<Gpu>>,
    }

    impl Cpu {
        /// `limit` is how long a run may go on before its pace is asked. `kernels` is a software adapter,
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
            let matrix = vec![0u32; usize::try_from(CPU_SIDE * CPU_SIDE).unwrap_or(0)];
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
}
