//! Add, subtract, multiply, divide with numpy's broadcasting. All but division are bit-exact
//! on normal numbers.

pub mod reference;

use super::MAX_RANK;

/// What is done to each pair; the number is the shader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Op {
    Add = 0,
    Sub = 1,
    Mul = 2,
    Div = 3,
}

/// `len` outputs of `shape`; strides count elements, and 0 broadcasts.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    pub start: u32,
    pub units: u32,
    pub len: u32,
    pub op: u32,
    pub rank: u32,
    pub shape: [u32; MAX_RANK],
    pub a_strides: [u32; MAX_RANK],
    pub b_strides: [u32; MAX_RANK],
}

impl Params {
    pub fn flops(&self) -> u64 {
        u64::from(self.len)
    }
}

pub fn shader() -> String {
    format!(
        "const OP_SUB: u32 = {}u;\nconst OP_MUL: u32 = {}u;\nconst OP_DIV: u32 = {}u;\n{}",
        Op::Sub as u32,
        Op::Mul as u32,
        Op::Div as u32,
        super::elementwise_shader(include_str!("binary.wgsl"))
    )
}
