//! Max and average pooling over planes of `[height, width]`; global pooling is a window of the
//! whole plane. Max is bit-exact on every backend and hands NaN on; average is not bit-exact.

pub mod reference;

/// `len` outputs over any number of planes.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    pub start: u32,
    pub units: u32,
    pub len: u32,
    pub height: u32,
    pub width: u32,
    pub out_height: u32,
    pub out_width: u32,
    pub kernel_height: u32,
    pub kernel_width: u32,
    pub stride_y: u32,
    pub stride_x: u32,
    pub pad_top: u32,
    pub pad_left: u32,
    pub pad_bottom: u32,
    pub pad_right: u32,
    pub dilation_y: u32,
    pub dilation_x: u32,
    pub average: u32,
    pub count_include_pad: u32,
}

impl Params {
    pub fn flops(&self) -> u64 {
        u64::from(self.len).saturating_mul(u64::from(self.kernel_height) * u64::from(self.kernel_width))
    }
}

pub fn shader() -> String {
    super::elementwise_shader(include_str!("pool.wgsl"))
}
