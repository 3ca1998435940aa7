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

#[test]
fn shaders_read_parameters_where_the_host_puts_them() {
    for kernel in all_kernels() {
        let module = naga::front::wgsl::parse_str(&kernel.shader()).unwrap();
        let (_, params) = module.types.iter().find(|(_, found)| found.name.as_deref() == Some("Params")).unwrap();
        let naga::TypeInner::Struct { members, span } = &params.inner else { panic!("{kernel:?}: no struct") };
        let layout = kernel.params();

        let found: Vec<_> = members.iter().map(|member| (member.name.as_deref().unwrap(), member.offset)).collect();
        let mut words = 0;
        let expected: Vec<_> = layout
            .fields
            .iter()
            .map(|(name, field)| {
                let offset = u32::try_from(4 * words).unwrap();
                words += field.words();
                (*name, offset)
            })
            .collect();
        assert_eq!(found, expected, "{kernel:?}");
        assert_eq!(usize::try_from(*span).unwrap(), 4 * layout.words(), "{kernel:?}");
    }
}

#[test]
fn every_kernels_folder_is_among_all_kernels() {
    let folder = format!("{}/src/kernels", std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let folders = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let kernels = folders.filter(|entry| entry.file_type().unwrap().is_dir());
    let kernels: std::collections::BTreeSet<String> =
        kernels.map(|entry| entry.file_name().into_string().unwrap()).collect();

    let listed = all_kernels().iter().map(|kernel| kernel.label().to_owned()).collect();

    assert_eq!(kernels, listed, "a kernel is labelled as its folder is called, and has its texts in all_kernels.rs");
}
