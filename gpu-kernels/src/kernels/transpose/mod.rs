//! Copies a tensor in another order of axes; with a stride of 0 it broadcasts. Bit-exact.

pub mod reference;

use super::MAX_RANK;

/// `shape` is the output's; `strides` are the input's, in the output's order of axes.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    pub start: u32,
    pub units: u32,
    pub len: u32,
    pub rank: u32,
    pub shape: [u32; MAX_RANK],
    pub strides: [u32; MAX_RANK],
}

pub fn shader() -> String {
    super::elementwise_shader(include_str!("transpose.wgsl"))
}
