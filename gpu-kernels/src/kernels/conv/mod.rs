//! Convolution over `[n, channels, depth, height, width]` with groups, strides, asymmetric padding
//! and dilation, in floats or in wrapping integers. Missing axes have size 1.
//!
//! With enough channels it runs as a matrix product whose right side is gathered from the image on the
//! fly (`tiled.wgsl`); else one invocation computes one output (`conv.wgsl`). Floats are not bit-exact
//! across backends: fused multiply-add and the order of the sum differ.

pub mod cpu;
mod planes;
pub mod reference;

use super::access::{Access, AccessFootprint};
use super::index::to_usize;
use super::interface::{Entry, Input, Interface};
use super::layout::shader_struct;
use super::matmul::{DEPTH, TILE};
use super::wgsl;
use super::workgroup::units_for;
use crate::dtype::Repr;

shader_struct! {
    /// The padding at the end of each axis follows from the output's size.
    pub struct Params {
        pub start: u32,
        pub units: u32,
        pub n: u32,
        pub groups: u32,
        /// Input channels of a group.
        pub channels: u32,
        /// Output channels of a group.
        pub filters: u32,
        pub has_bias: u32,
        pub size: [u32; 3],
        pub out: [u32; 3],
        pub kernel: [u32; 3],
        pub stride: [u32; 3],
        pub dilation: [u32; 3],
        pub pad: [u32; 3],
        /// Bounds of a result, where `bounded` says that there are any.
        pub low: f32,
        pub high: f32,
        /// Bits: [`LOW`], [`HIGH`].
        pub bounded: u32,
    }
}

/// Results are at least `low`.
pub const LOW: u32 = 1;
/// Results are at most `high`.
pub const HIGH: u32 = 2;

#[derive(Clone, Debug)]
pub struct Conv {
    pub repr: Repr,
    pub params: Params,
}

/// From so many filters, and as many values a window, a matrix product is faster.
const TILED: u32 = 8;

impl Params {
    /// Whether each output is computed from the inputs at its own position alone.
    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == [1; 3] && self.stride == [1; 3] && self.pad == [0; 3] && self.size == self.out
    }

    pub(super) fn volume(sizes: &[u32; 3]) -> u32 {
        sizes.iter().product()
    }

    pub fn is_tiled(&self) -> bool {
        self.filters >= TILED && self.channels * Self::volume(&self.kernel) >= TILED
    }

    pub fn whole(mut self) -> Self {
        let plane = Self::volume(&self.out);
        self.units = if self.is_tiled() {
            self.n * self.groups * self.filters.div_ceil(TILE) * plane.div_ceil(TILE)
        } else {
            units_for(self.n * self.groups * self.filters * plane)
        };
        self
    }

    /// The same convolution with bounded results; `None` if they are bounded already.
    pub fn within(mut self, low: Option<f32>, high: Option<f32>) -> Option<Self> {
        if self.bounded != 0 {
            return None;
        }
        self.low = low.unwrap_or(0.0);
        self.high = high.unwrap_or(0.0);
        self.bounded = if low.is_some() { LOW } else { 0 } | if high.is_some() { HIGH } else { 0 };
        Some(self)
    }

    /// The least and the largest result.
    fn bounds(&self) -> [f32; 2] {
        let low = if self.bounded & LOW == 0 { f32::NEG_INFINITY } else { self.low };
        let high = if self.bounded & HIGH == 0 { f32::INFINITY } else { self.high };
        [low, high]
    }

    pub fn flops(&self) -> u64 {
        let outputs = u64::from(self.n) * u64::from(self.groups * self.filters) * u64::from(Self::volume(&self.out));
        2 * outputs * u64::from(self.channels) * u64::from(Self::volume(&self.kernel))
    }

    pub(super) fn footprint(&self) -> AccessFootprint {
        let image = self.groups * self.channels * Self::volume(&self.size);
        let result = self.groups * self.filters * Self::volume(&self.out);
        let weights = self.groups * self.filters * self.channels * Self::volume(&self.kernel);
        let over = |len: u32| Access::strided(vec![i64::from(len)]).spread(len, 1);
        AccessFootprint {
            shape: vec![to_usize(self.n)],
            inputs: vec![
                over(image),
                Access::all(1, to_usize(weights)),
                Access::all(1, to_usize(self.groups * self.filters)),
            ],
            output: over(result),
        }
    }
}

/// `value` within its bounds; NaN stays NaN.
#[inline(always)]
fn bound([low, high]: [f32; 2], value: f32) -> f32 {
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}

/// `half`: the weights are half floats, two a word.
pub(super) fn shader(repr: Repr, tiled: bool, half: bool) -> String {
    let main = if tiled { include_str!("tiled.wgsl") } else { include_str!("conv.wgsl") };
    let bound = match repr {
        Repr::F32 => {
            "fn bound(v: f32) -> f32 {\n  if (p.bounded == 0u || is_nan(v)) { return v; }\n  var value = v;\n  \
             if ((p.bounded & 1u) != 0u) { value = max(value, p.low); }\n  \
             if ((p.bounded & 2u) != 0u) { value = min(value, p.high); }\n  return value;\n}"
        }
        Repr::I32 | Repr::U32 => "fn bound(v: T) -> T { return v; }",
    };
    let body = format!("{bound}\n{main}");
    let interface = Interface {
        constants: vec![("TILE", TILE), ("DEPTH", DEPTH), ("TILE_AREA", TILE * DEPTH)],
        types: vec![("T", repr)],
        inputs: vec![Input::words("x", repr), Input::weights("weight", repr, half), Input::words("bias", repr)],
        ..Interface::new(&Params::LAYOUT, if tiled { Entry::Workgroup } else { Entry::Element }, repr)
    };
    wgsl::shader(&interface, &body)
}
