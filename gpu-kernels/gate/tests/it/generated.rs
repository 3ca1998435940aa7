//! Kernels made up at random: what the gate writes into them changes no answer.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use gate::{Contract, Driver, FUEL_MAX, admit, admit_on};
use gpu_kernels::customer_kernel::GatedKernel;
use gpu_kernels::customer_kernel::session::{MapSession, Records};
use gpu_kernels::device::Device;
use proptest::prelude::*;

use crate::gpu;
use crate::random::kernel;

/// Whose records get the fuel that the gate finds they need.
const CONTRACT: Contract = Contract { record_bytes: 8, out_bytes: 16, fuel: None };
const RECORDS: u64 = 96;

fn run(kernel: GatedKernel, input: &[u32]) -> Option<Vec<u32>> {
    // One for all cases: opening it takes longer than a case.
    static DEVICE: LazyLock<Option<Device>> = LazyLock::new(gpu);
    let Some(Device::Gpu(device)) = &*DEVICE else { return None };
    let records = Records { records: RECORDS, tile: RECORDS, record_bytes: 8, out_bytes: 16 };
    pollster::block_on(async {
        let limit = gpu_kernels::device::budget::NATIVE;
        let mut session = MapSession::new(device, kernel, &[], limit).await.expect("a session");
        let ran = session.run(device, records, bytemuck::cast_slice(input), async |_| ControlFlow::Continue(())).await;
        Some(bytemuck::pod_collect_to_vec(&ran.expect("a run").records))
    })
}

fn input() -> Vec<u32> {
    (0..2 * 96u32).map(|i| i.wrapping_mul(0x9e37_79b9) >> (i % 23)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Fuel and bounds change no answer of a kernel that needs neither, and no record runs out of what it was found to need.
    #[test]
    fn the_gate_changes_no_answer(choices in prop::collection::vec(any::<u8>(), 1..400)) {
        let source = kernel(&choices);
        let admitted = match admit(&source, CONTRACT) {
            Ok(admitted) => admitted,
            Err(error) => return Err(TestCaseError::fail(format!("{error}\n{source}"))),
        };
        let bare = GatedKernel { wgsl: source.clone(), ..admitted.kernel.clone() };
        let Some(found) = run(admitted.kernel.clone(), &input()) else { return Ok(()) };
        prop_assert_eq!(found, run(bare, &input()).unwrap_or_default(), "{}", source);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// With much fuel, loops are written several times in a row there.
    #[test]
    fn what_is_written_for_llvmpipe_changes_no_answer(choices in prop::collection::vec(any::<u8>(), 1..200)) {
        let source = kernel(&choices);
        let Ok(plain) = admit(&source, CONTRACT) else { return Ok(()) };
        let generous = Contract { fuel: Some(FUEL_MAX), ..CONTRACT };
        let Ok(guarded) = admit_on(&source, generous, Driver::Llvmpipe) else { return Ok(()) };
        let Some(found) = run(guarded.kernel, &input()) else { return Ok(()) };
        prop_assert_eq!(found, run(plain.kernel, &input()).unwrap_or_default(), "{}", source);
    }
}
