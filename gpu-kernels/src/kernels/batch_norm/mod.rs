//! Batch normalisation with stored statistics: `(x − mean) / √(variance + ε) · scale + bias`
//! for each channel. Not bit-exact: WGSL's `sqrt` and division may differ in the last places.

pub mod reference;

/// `len` values as `[outer, channels, inner]`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    pub start: u32,
    pub units: u32,
    pub len: u32,
    pub channels: u32,
    pub inner: u32,
    pub epsilon: f32,
}

impl Params {
    pub fn flops(&self) -> u64 {
        4 * u64::from(self.len)
    }
}

pub fn shader() -> String {
    super::elementwise_shader(include_str!("batch_norm.wgsl"))
}
