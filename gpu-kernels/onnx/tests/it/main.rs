//! Models against onnxruntime's answers, and kernels on the device against the CPU's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

mod build;
mod cases;
mod conformance;
mod control;
mod external;
mod half;
mod refusals;
mod rows;
mod trees;

use gpu_kernels::device::Device;

/// This crate's folder. A kept target folder outlives the checkout that `env!` would name.
fn folder() -> std::path::PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").unwrap().into()
}

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

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn floats(words: &[u32]) -> Vec<f32> {
    words.iter().map(|&word| f32::from_bits(word)).collect()
}

async fn no_pause(_busy: std::time::Duration) -> std::ops::ControlFlow<()> {
    std::ops::ControlFlow::Continue(())
}

/// |a − b| ≤ `rtol`·|b| + `atol`·max|b|; NaN equals NaN.
#[track_caller]
fn assert_close(label: &str, found: &[f32], expected: &[f32], atol: f32, rtol: f32) {
    assert_eq!(found.len(), expected.len(), "{label}: length");
    let top = expected.iter().filter(|v| v.is_finite()).fold(0.0f32, |top, v| top.max(v.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let close =
            a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || (a - b).abs() <= atol * top + rtol * b.abs();
        assert!(close, "{label}: place {i}: {a} where {b} was expected");
    }
}
