//! Tessera's kernels and the ONNX graph executor over them.
//!
//! Feature `cpu` runs models on the processor at speed: that is what the edge re-checks results with.
//! Feature `wgpu` adds devices: Vulkan, Metal and DirectX 12 natively, WebGPU in Wasm. Feature `gate`
//! lets customers' own WGSL in.

mod cpu;
#[cfg(feature = "wgpu")]
pub mod device;
pub mod dtype;
pub mod gpu_program;
pub mod graph;
pub mod kernels;
pub mod number;
pub mod records;
pub mod tolerance;
pub mod wgsl;
