//! Max, sum and average over a sliding window of up to three axes, over planes of `[depth, height,
//! width]`; global pooling is a window of the whole plane. The maximum and its index are bit-exact on every
//! backend and pass NaN on; sums are not bit-exact.

pub mod reference;

use super::access::{Access, AccessFootprint};
use super::interface::{Entry, Input, Interface};
use super::layout::shader_struct;
use super::wgsl;
use crate::dtype::Repr;
use crate::number;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    Max,
    /// The index of the largest value in the whole tensor.
    ArgMax,
    Average,
    /// As `Average`, with the padding counted as zeroes.
    AveragePadded,
    Sum,
}

shader_struct! {
    /// `len` outputs over any number of planes; three axes each, the unused ones of size 1.
    pub struct Params {
        pub start: u32,
        pub units: u32,
        pub len: u32,
        /// 1: indices are counted with the first spatial axis running fastest.
        pub by_columns: u32,
        pub size: [u32; 3],
        pub out: [u32; 3],
        pub kernel: [u32; 3],
        pub stride: [u32; 3],
        pub dilation: [u32; 3],
        pub pad: [u32; 3],
        pub pad_after: [u32; 3],
    }
}

#[derive(Clone, Debug)]
pub struct Pool {
    pub mode: Mode,
    pub repr: Repr,
    pub params: Params,
}

impl Params {
    fn volume(sizes: &[u32; 3]) -> u64 {
        sizes.iter().fold(1, |volume: u64, &size| volume.saturating_mul(u64::from(size)))
    }

    pub fn flops(&self) -> u64 {
        u64::from(self.len).saturating_mul(Self::volume(&self.kernel))
    }

    pub(super) fn footprint(&self) -> AccessFootprint {
        let (plane, out) = (Self::volume(&self.size), Self::volume(&self.out));
        let planes = u64::from(self.len) / out.max(1);
        // A tensor without values may have planes of any size.
        let over = |len: u64| {
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            Access::strided(vec![i64::from(len)]).spread(len, 1)
        };
        AccessFootprint { shape: vec![number::to(planes)], inputs: vec![over(plane)], output: over(out) }
    }
}

pub(super) fn shader(repr: Repr, mode: Mode) -> String {
    let nan = if repr == Repr::F32 { "is_nan(v)" } else { "false" };
    let (output, value) = match mode {
        Mode::Max => (repr, "best"),
        Mode::ArgMax => (Repr::I32, "i32(index)"),
        Mode::Average => (repr, "total / T(max(1u, seen))"),
        Mode::AveragePadded => (repr, "total / T(max(1u, padded))"),
        Mode::Sum => (repr, "total"),
    };
    let body = format!(
        "fn value_is_nan(v: T) -> bool {{ return {nan}; }}\n{}",
        include_str!("pool.wgsl").replace("RESULT", value)
    );
    let interface = Interface {
        types: vec![("T", repr)],
        inputs: vec![Input::words("x", repr)],
        ..Interface::new(&Params::LAYOUT, Entry::Element, output)
    };
    wgsl::shader(&interface, &body)
}
