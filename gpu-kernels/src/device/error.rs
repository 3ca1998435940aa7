//! What goes wrong on a device.

/// Why a device could not finish a run. No result was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    #[error("no GPU adapter: install a Vulkan, Metal or DirectX 12 driver, or use a browser with WebGPU ({reason})")]
    NoAdapter { reason: String },
    #[error("the device could not be opened: {reason}")]
    NoDevice { reason: String },
    #[error("{label} needs {needed} bytes in one buffer and the device allows {limit}")]
    TooLarge { label: String, needed: u64, limit: u64 },
    #[error("the device ran out of memory: {reason}")]
    OutOfMemory { reason: String },
    #[error("the device refused a command: {reason}")]
    Validation { reason: String },
    #[error("the device was lost: {reason}")]
    Lost { reason: String },
}
