//! A kernel, as the API's examples have it.

use wire::{GatedKernel, KernelReport, KernelToCheck};

const KERNEL: &str = "@group(0) @binding(0) var<storage, read> records: array<u32>;\n\
    @group(0) @binding(1) var<storage, read_write> results: array<u32>;\n\n\
    @compute @workgroup_size(64)\n\
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {\n    \
        results[id.x] = records[id.x] * 2u;\n\
    }\n";

pub(super) fn kernel_to_check() -> KernelToCheck {
    KernelToCheck { kernel: KERNEL.to_owned(), record_bytes: 4, out_bytes: 4, fuel: Some(65_536) }
}

pub(super) fn kernel_report() -> KernelReport {
    KernelReport {
        workgroup_size: 64,
        params_bytes: None,
        ops: 1_862,
        fuel: 1_856,
        fuel_needed: Some(1_856),
        loops: vec![6],
        floats: false,
        answers_floats: false,
        answers_integers: true,
    }
}

pub(super) fn gated_kernel() -> GatedKernel {
    GatedKernel { wgsl: KERNEL.to_owned(), workgroup_size: 64, params_bytes: None, loop_lines: Vec::new(), ops: 6 }
}
