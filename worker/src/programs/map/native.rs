use std::time::Duration;

use gate::{Contract, admit};
use gpu_kernels::device::budget;
use gpu_kernels::wgsl::GatedKernel;
use wire::{MapTask, Task};

use crate::run::{RunFailure, Transfer};

/// Budget of one submission.
pub(super) const SUBMISSION: Duration = budget::NATIVE;

/// The customer's own text through this device's own gate.
pub(super) async fn gated(
    http: &impl Transfer,
    task: &Task,
    path: impl Fn(&str) -> String,
) -> Result<GatedKernel, RunFailure> {
    let Task::Map(MapTask { record_bytes, out_bytes, fuel, .. }) = *task else { return Err(RunFailure::Evicted) };
    let bytes = http.get(&path("code")).await?;
    let text = String::from_utf8(bytes).map_err(|_binary| RunFailure::Kernel("it is not text".to_owned()))?;
    let admitted = admit(&text, Contract { record_bytes, out_bytes, fuel });
    Ok(admitted.map_err(|error| RunFailure::Kernel(error.to_string()))?.kernel)
}
