use std::time::Duration;

use gate::{Contract, admit_on};
use gpu_kernels::customer_kernel::{Driver, GatedKernel};
use gpu_kernels::device::budget;
use wire::MapTask;

use crate::failure::{DeviceState, RunFailure};
use crate::transfer::{BlobPaths, Transfer};

/// Budget of one submission.
pub(super) const SUBMISSION: Duration = budget::NATIVE;

#[derive(Debug, thiserror::Error)]
#[error("the kernel cannot run here: it is not text")]
struct NotText(std::string::FromUtf8Error);

/// The customer's own text through this device's own gate.
pub(super) async fn fetch_gated(
    http: &impl Transfer,
    paths: &BlobPaths,
    task: &MapTask,
    driver: Driver,
) -> Result<GatedKernel, RunFailure> {
    let bytes = http.get(&paths.path("code")).await?;
    let text = String::from_utf8(bytes).map_err(|error| RunFailure::program(NotText(error)))?;
    let contract = Contract { record_bytes: task.record_bytes, out_bytes: task.out_bytes, fuel: Some(task.fuel) };
    let refuse = |reason: String| RunFailure::CannotCompile { reason, device: DeviceState::Sound };
    let admitted = admit_on(&text, contract, driver).map_err(|error| refuse(error.to_string()))?;
    Ok(admitted.kernel)
}
