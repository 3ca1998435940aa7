//! Tessera's kernels and the ONNX graph executor over them.
//!
//! Without features only the plain-Rust references build: that is what the edge re-checks results
//! with. Feature `wgpu` adds devices: Vulkan, Metal and DirectX 12 natively, WebGPU in Wasm.

pub mod budget;
pub mod error;
#[cfg(feature = "wgpu")]
pub mod gpu;
pub mod graph;
pub mod kernels;
#[cfg(feature = "wgpu")]
pub mod measure;
pub mod tolerance;
