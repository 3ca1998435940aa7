//! What the gate refuses, and what comes out of it, on a GPU.

mod admit;
mod generated;

use gpu_kernels::device::Device;

/// The device under test. Where there is none the test says SKIP, and under `REQUIRE_GPU=1` fails.
fn gpu() -> Option<Device> {
    match pollster::block_on(gpu_kernels::device::Gpu::open(gpu_kernels::device::budget::NATIVE)) {
        Ok(gpu) => Some(Device::Gpu(Box::new(gpu))),
        Err(error) => {
            assert!(std::env::var_os("REQUIRE_GPU").is_none(), "REQUIRE_GPU is set: {error}");
            eprintln!("SKIP {error}");
            None
        }
    }
}
