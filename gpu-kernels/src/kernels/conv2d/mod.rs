//! Two-dimensional convolution over `[n, channels, height, width]`, with groups, strides,
//! asymmetric padding and dilation. A one-dimensional one comes as height 1.
//!
//! Direct: one invocation an output. Not bit-exact across backends (fused multiply-add).

pub mod reference;

/// Shapes of one convolution. Padding below and right is implied by the output's size.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    pub start: u32,
    pub units: u32,
    pub len: u32,
    pub channels_in: u32,
    pub height: u32,
    pub width: u32,
    pub channels_out: u32,
    pub out_height: u32,
    pub out_width: u32,
    pub kernel_height: u32,
    pub kernel_width: u32,
    pub stride_y: u32,
    pub stride_x: u32,
    pub pad_top: u32,
    pub pad_left: u32,
    pub dilation_y: u32,
    pub dilation_x: u32,
    pub groups: u32,
    pub has_bias: u32,
}

impl Params {
    pub fn flops(&self) -> u64 {
        2 * u64::from(self.len)
            * u64::from(self.channels_in / self.groups)
            * u64::from(self.kernel_height)
            * u64::from(self.kernel_width)
    }
}

pub fn shader() -> String {
    super::elementwise_shader(include_str!("conv2d.wgsl"))
}
