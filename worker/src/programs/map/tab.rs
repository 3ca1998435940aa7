use std::time::Duration;

use gpu_kernels::device::budget;
use gpu_kernels::wgsl::GatedKernel;
use wire::Task;

use crate::run::{RunFailure, Transfer};

/// Budget of one submission.
pub(super) const SUBMISSION: Duration = budget::TAB;

/// The kernel as the server's gate emits it.
pub(super) async fn gated(
    http: &impl Transfer,
    _task: &Task,
    path: impl Fn(&str) -> String,
) -> Result<GatedKernel, RunFailure> {
    let bytes = http.get(&path("kernel")).await?;
    let kernel: wire::GatedKernel =
        serde_json::from_slice(&bytes).map_err(|error| RunFailure::Kernel(error.to_string()))?;
    Ok(GatedKernel {
        wgsl: kernel.wgsl,
        workgroup_size: kernel.workgroup_size,
        params_bytes: kernel.params_bytes,
        loop_lines: kernel.loop_lines,
        ops: kernel.ops,
    })
}
