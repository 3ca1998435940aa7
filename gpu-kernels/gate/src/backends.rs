//! Every compiler that a device may put a kernel to, tried before any device is.
//!
//! naga's writers panic over some trees that its validator takes. `admit` runs this where a panic is caught.

use naga::back::{hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::ModuleInfo;
use naga::{Module, ShaderStage};

/// Writes the kernel for Vulkan, Metal and DirectX as wgpu does; the text is thrown away.
pub(super) fn try_all(module: &Module, info: &ModuleInfo) -> Result<(), String> {
    let refused = |backend: &str, error: String| format!("the compiler for {backend} refuses this kernel: {error}");
    vulkan(module, info).map_err(|error| refused("Vulkan", error.to_string()))?;
    metal(module, info).map_err(|error| refused("Metal", error.to_string()))?;
    directx(module, info).map_err(|error| refused("DirectX", error.to_string()))
}

const RESTRICT: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Restrict,
    buffer: BoundsCheckPolicy::Restrict,
    image_load: BoundsCheckPolicy::Restrict,
    binding_array: BoundsCheckPolicy::Unchecked,
};

fn vulkan(module: &Module, info: &ModuleInfo) -> Result<(), spv::Error> {
    let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: "main".to_owned() };
    // The oldest and the newest that wgpu asks for; they differ in what must be written out.
    let modes = [
        ((1, 0), RESTRICT, spv::ZeroInitializeWorkgroupMemoryMode::Polyfill),
        (
            (1, 6),
            BoundsCheckPolicies { buffer: BoundsCheckPolicy::Unchecked, ..RESTRICT },
            spv::ZeroInitializeWorkgroupMemoryMode::Native,
        ),
    ];
    for (lang_version, bounds_check_policies, zero_initialize_workgroup_memory) in modes {
        let options = spv::Options {
            lang_version,
            bounds_check_policies,
            zero_initialize_workgroup_memory,
            fake_missing_bindings: true,
            ..spv::Options::default()
        };
        spv::write_vec(module, info, &options, Some(&pipeline))?;
    }
    Ok(())
}

fn metal(module: &Module, info: &ModuleInfo) -> Result<(), msl::Error> {
    let options = msl::Options { lang_version: (2, 0), bounds_check_policies: RESTRICT, ..msl::Options::default() };
    let entry_point = Some((ShaderStage::Compute, "main".to_owned()));
    let pipeline = msl::PipelineOptions { entry_point, ..msl::PipelineOptions::default() };
    msl::write_string(module, info, &options, &pipeline).map(drop)
}

fn directx(module: &Module, info: &ModuleInfo) -> Result<(), hlsl::Error> {
    let options = hlsl::Options { shader_model: hlsl::ShaderModel::V5_1, ..hlsl::Options::default() };
    let entry_point = Some((ShaderStage::Compute, "main".to_owned()));
    let pipeline = hlsl::PipelineOptions { entry_point };
    hlsl::Writer::new(String::new(), &options, &pipeline).write(module, info, None).map(drop)
}
