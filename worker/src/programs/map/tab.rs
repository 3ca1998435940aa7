use std::time::Duration;

use gpu_kernels::customer_kernel::{Driver, GatedKernel};
use gpu_kernels::device::budget;
use wire::MapTask;

use crate::failure::RunFailure;
use crate::transfer::{BlobPaths, Transfer, read_json};

/// Budget of one submission.
pub(super) const SUBMISSION: Duration = budget::TAB;

#[derive(Debug, thiserror::Error)]
#[error("the kernel cannot run here: {0}")]
struct MalformedKernel(serde_json::Error);

/// The kernel as the server's gate emits it.
pub(super) async fn fetch_gated(
    http: &impl Transfer,
    paths: &BlobPaths,
    _task: &MapTask,
    _driver: Driver,
) -> Result<GatedKernel, RunFailure> {
    let bytes = http.get(&paths.path("kernel")).await?;
    let kernel: wire::GatedKernel = read_json(&bytes).map_err(|error| RunFailure::program(MalformedKernel(error)))?;
    Ok(GatedKernel {
        wgsl: kernel.wgsl,
        workgroup_size: kernel.workgroup_size,
        params_bytes: kernel.params_bytes,
        loop_lines: kernel.loop_lines,
        ops: kernel.ops,
    })
}
