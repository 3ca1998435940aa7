//! The devices that compute: a GPU, or this machine's CPU.

pub mod budget;
#[cfg(feature = "cpu")]
mod cpu;
mod error;
mod gpu;
mod info;
mod measure;

use std::time::Duration;

#[cfg(feature = "cpu")]
pub use self::cpu::Cpu;
pub use self::error::GpuError;
pub use self::gpu::Gpu;
pub use self::info::{DeviceInfo, Measured};
use crate::customer_kernel::Driver;

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

    /// The adapter that runs WGSL: the GPU itself, or the software adapter beside a CPU.
    pub fn gpu(&mut self) -> Option<&mut Gpu> {
        match self {
            Self::Gpu(gpu) => Some(gpu),
            #[cfg(feature = "cpu")]
            Self::Cpu(cpu) => cpu.kernels.as_deref_mut(),
        }
    }

    /// What customers' kernels are written for.
    pub fn driver(&self) -> Driver {
        match self {
            Self::Gpu(gpu) => gpu.driver(),
            #[cfg(feature = "cpu")]
            Self::Cpu(cpu) => cpu.kernels.as_ref().map_or(Driver::Any, |gpu| gpu.driver()),
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
