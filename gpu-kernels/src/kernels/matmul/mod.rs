//! Batched matrix product with ONNX `Gemm`'s extras: `out = alpha · A·B + beta · C`.
//!
//! A, B and C are read through strides, so transposed and broadcast operands need no copy.
//! Not bit-exact across backends: a shader may fuse multiply and add.

pub mod reference;

/// Side of the square of outputs that one workgroup of 64 computes.
pub const TILE: u32 = 32;
/// How much of `k` is staged in workgroup memory at a time.
pub const DEPTH: u32 = 16;

/// `out[batch, m, n]`, contiguous. Strides count elements; 0 broadcasts.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    pub start: u32,
    pub units: u32,
    pub batch: u32,
    pub m: u32,
    pub n: u32,
    pub k: u32,
    pub a_batch: u32,
    pub a_row: u32,
    pub a_col: u32,
    pub b_batch: u32,
    pub b_row: u32,
    pub b_col: u32,
    pub c_row: u32,
    pub c_col: u32,
    pub has_c: u32,
    pub alpha: f32,
    pub beta: f32,
}

impl Params {
    /// Workgroups of the whole call.
    pub fn whole(mut self) -> Self {
        self.units = self.batch * self.m.div_ceil(TILE) * self.n.div_ceil(TILE);
        self
    }

    pub fn flops(&self) -> u64 {
        2 * u64::from(self.batch) * u64::from(self.m) * u64::from(self.n) * u64::from(self.k)
    }
}

pub fn shader() -> String {
    format!(
        "const TILE: u32 = {TILE}u;\nconst DEPTH: u32 = {DEPTH}u;\nconst TILE_AREA: u32 = {}u;\n{}",
        TILE * DEPTH,
        include_str!("matmul.wgsl")
    )
}
