#![doc = include_str!("../README.md")]

pub mod challenge;
mod cpu;
pub mod customer_kernel;
#[cfg(feature = "wgpu")]
pub mod device;
pub mod dtype;
pub mod gpu_program;
pub mod kernels;
pub mod number;
pub mod records;
pub mod tolerance;
