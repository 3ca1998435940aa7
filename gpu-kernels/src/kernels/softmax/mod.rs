//! Softmax along one axis of `[outer, axis, inner]`, a workgroup a row, shifted by the row's
//! maximum so that nothing overflows. A NaN makes its row NaN. Not bit-exact (exponential, order
//! of the sum).

pub mod reference;

/// `units` is `outer · inner`: one row each.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    pub start: u32,
    pub units: u32,
    pub axis: u32,
    pub inner: u32,
}

impl Params {
    pub fn flops(&self) -> u64 {
        5 * u64::from(self.units) * u64::from(self.axis)
    }
}

pub fn shader() -> String {
    super::elementwise_shader(include_str!("softmax.wgsl"))
}
