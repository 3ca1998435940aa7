//! What the gate refuses, and what comes out of it, on a GPU.

mod admit;
mod barriers;
mod customers;
mod fuel;
mod generated;
#[path = "../kernels/mod.rs"]
mod kernels;
mod llvmpipe;
#[path = "../kernels/random.rs"]
mod random;
mod refusals;
mod round_trip;
mod trigonometry;

use std::ops::ControlFlow;
use std::sync::LazyLock;

use gate::AdmittedKernel;
use gpu_kernels::customer_kernel::session::{MapSession, Records};
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

/// The words that a kernel makes of records of these sizes, in one tile; none without a GPU.
fn run(admitted: &AdmittedKernel, params: &[u32], input: &[u32], sizes: (u32, u32)) -> Option<Vec<u32>> {
    // One for all cases: opening it takes longer than a case.
    static DEVICE: LazyLock<Option<Device>> = LazyLock::new(gpu);
    let Some(Device::Gpu(device)) = &*DEVICE else { return None };
    let (record_bytes, out_bytes) = (u64::from(sizes.0), u64::from(sizes.1));
    let count = 4 * input.len() as u64 / record_bytes;
    let records = Records { records: count, tile: count, record_bytes, out_bytes };
    let (kernel, limit) = (admitted.kernel.clone(), gpu_kernels::device::budget::NATIVE);
    let output = pollster::block_on(async {
        let mut session = MapSession::new(device, kernel, bytemuck::cast_slice(params), limit).await?;
        session.run(device, records, bytemuck::cast_slice(input), async |_| ControlFlow::Continue(())).await
    });
    Some(bytemuck::pod_collect_to_vec(&output.expect("a run").records))
}
