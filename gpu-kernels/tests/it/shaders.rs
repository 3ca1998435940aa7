//! Every shader parses and validates, on a machine without a GPU too.

use gpu_kernels::kernels::Kernel;

#[test]
fn every_shader_is_valid_wgsl_with_the_default_capabilities() {
    for kernel in Kernel::ALL {
        let text = kernel.shader();

        let module =
            naga::front::wgsl::parse_str(&text).unwrap_or_else(|error| panic!("{}", error.emit_to_string(&text)));
        let mut validator =
            naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty());
        let result = validator.validate(&module);

        assert!(result.is_ok(), "{kernel:?}: {}", result.unwrap_err().emit_to_string(&text));
    }
}
