//! Every shader parses and validates, on a machine without a GPU too.

use crate::all_kernels::all_kernels;

#[test]
fn every_shader_is_valid_wgsl_with_the_default_capabilities() {
    for kernel in all_kernels() {
        let text = kernel.shader();

        let module = naga::front::wgsl::parse_str(&text)
            .unwrap_or_else(|error| panic!("{kernel:?}: {}", error.emit_to_string(&text)));
        // WebGPU has it wherever it is; natively every backend of ours does.
        let unpacking = naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32;
        let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), unpacking);
        let result = validator.validate(&module);

        assert!(result.is_ok(), "{kernel:?}: {}", result.unwrap_err().emit_to_string(&text));
    }
}
