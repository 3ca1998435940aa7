//! Which shader a call needs.

use super::layout::Struct;
use super::{conv, elementwise, gather, matmul, norm, pool, reduce, resample, scan, scatter, softmax, top_k};
use crate::dtype::Repr;

/// A kernel as far as its shader's text goes: what a compiled pipeline is kept under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    Elementwise(elementwise::Key),
    /// `half`: B is kept as half floats, two a word.
    Matmul {
        repr: Repr,
        half: bool,
    },
    /// `half`: the weights are.
    Conv {
        repr: Repr,
        tiled: bool,
        half: bool,
    },
    Pool {
        repr: Repr,
        mode: pool::Mode,
    },
    Reduce(reduce::Key),
    Softmax,
    Norm,
    Scan {
        repr: Repr,
        op: scan::Op,
    },
    Resample,
    TopK(Repr),
    Gather,
    Scatter {
        repr: Repr,
        op: scatter::Op,
    },
}

impl Kernel {
    pub fn label(&self) -> &'static str {
        match self {
            Self::Elementwise(_) => "elementwise",
            Self::Matmul { .. } => "matmul",
            Self::Conv { .. } => "conv",
            Self::Pool { .. } => "pool",
            Self::Reduce(_) => "reduce",
            Self::Softmax => "softmax",
            Self::Norm => "norm",
            Self::Scan { .. } => "scan",
            Self::Resample => "resample",
            Self::TopK(_) => "top_k",
            Self::Gather => "gather",
            Self::Scatter { .. } => "scatter",
        }
    }

    /// The same with its weights as half floats; others have none.
    pub fn with_half_weights(mut self) -> Self {
        if let Self::Matmul { half, .. } | Self::Conv { half, .. } = &mut self {
            *half = true;
        }
        self
    }

    /// The whole WGSL text, with the values it shares with Rust written in.
    pub fn shader(&self) -> String {
        match self {
            Self::Elementwise(key) => elementwise::shader(key),
            Self::Matmul { repr, half } => matmul::shader(*repr, *half),
            Self::Conv { repr, tiled, half } => conv::shader(*repr, *tiled, *half),
            Self::Pool { repr, mode } => pool::shader(*repr, *mode),
            Self::Reduce(key) => reduce::shader(*key),
            Self::Softmax => softmax::shader(),
            Self::Norm => norm::shader(),
            Self::Scan { repr, op } => scan::shader(*repr, *op),
            Self::Resample => resample::shader(),
            Self::TopK(repr) => top_k::shader(*repr),
            Self::Gather => gather::shader(),
            Self::Scatter { repr, op } => scatter::shader(*repr, *op),
        }
    }

    /// The fields of the parameters, as the host fills them and the shader reads them.
    pub fn params(&self) -> &'static Struct {
        match self {
            Self::Elementwise(_) => &elementwise::Params::LAYOUT,
            Self::Matmul { .. } => &matmul::Params::LAYOUT,
            Self::Conv { .. } => &conv::Params::LAYOUT,
            Self::Pool { .. } => &pool::Params::LAYOUT,
            Self::Reduce(_) => &reduce::Params::LAYOUT,
            Self::Softmax => &softmax::Params::LAYOUT,
            Self::Norm => &norm::Params::LAYOUT,
            Self::Scan { .. } => &scan::Params::LAYOUT,
            Self::Resample => &resample::Params::LAYOUT,
            Self::TopK(_) => &top_k::Params::LAYOUT,
            Self::Gather => &gather::Params::LAYOUT,
            Self::Scatter { .. } => &scatter::Params::LAYOUT,
        }
    }
}
