//! What is known of a device: its description and its measured speed.

use std::time::Duration;

/// A device's description.
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

/// Work that a device did, and the time it took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Floating-point operations done.
    pub flops: u64,
    /// Time that the device was busy with them.
    pub busy: Duration,
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "a speed, shown with one decimal")]
    pub fn gflops(&self) -> f64 {
        self.flops as f64 / self.busy.as_secs_f64().max(1e-9) / 1e9
    }
}
