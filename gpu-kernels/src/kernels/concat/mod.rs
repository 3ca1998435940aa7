//! Copies one input of a concatenation to its place in the output; one call an input. Bit-exact.

pub mod reference;

/// `len` input values in runs of `run` (the input's axis and all that is inside it), each written
/// `offset` into an output run of `out_run`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    pub start: u32,
    pub units: u32,
    pub len: u32,
    pub run: u32,
    pub out_run: u32,
    pub offset: u32,
}

pub fn shader() -> String {
    super::elementwise_shader(include_str!("concat.wgsl"))
}
