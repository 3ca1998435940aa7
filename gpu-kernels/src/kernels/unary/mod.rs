//! One value in, one value out. NaN is handed on by every operation. Relu, leaky relu and clip
//! are bit-exact; sigmoid and tanh carry the backend's exponential.

pub mod reference;

/// What is done to each value; the number is the shader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Op {
    Relu = 0,
    /// `a` is the slope below zero.
    LeakyRelu = 1,
    Sigmoid = 2,
    Tanh = 3,
    /// `a` is the lower bound, `b` the upper one; the upper one wins.
    Clip = 4,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    pub start: u32,
    pub units: u32,
    pub len: u32,
    pub op: u32,
    pub a: f32,
    pub b: f32,
}

impl Params {
    pub fn flops(&self) -> u64 {
        u64::from(self.len)
    }
}

pub fn shader() -> String {
    format!(
        "const OP_RELU: u32 = {}u;\nconst OP_LEAKY_RELU: u32 = {}u;\nconst OP_SIGMOID: u32 = {}u;\n\
         const OP_TANH: u32 = {}u;\nconst OP_CLIP: u32 = {}u;\n{}",
        Op::Relu as u32,
        Op::LeakyRelu as u32,
        Op::Sigmoid as u32,
        Op::Tanh as u32,
        Op::Clip as u32,
        super::elementwise_shader(include_str!("unary.wgsl"))
    )
}
