//! Batched matrix product with ONNX `Gemm`'s extras: `out = alpha · A·B + beta · C`, in floats, or in
//! wrapping integers (without the factors).
//!
//! A, B and C are read through strides, so transposed and broadcast operands need no copy.
//! Floats are not bit-exact across backends: a shader may fuse multiply and add.

pub mod cpu;
pub mod reference;

use super::access::{Access, AccessFootprint};
use super::index::to_usize;
use super::interface::{Entry, Input, Interface};
use super::layout::shader_struct;
use super::wgsl;
use crate::dtype::Repr;

/// Side of the square of outputs that one workgroup computes.
pub const TILE: u32 = 32;
/// Steps along `k` that are staged in workgroup memory at a time.
pub const DEPTH: u32 = 16;

shader_struct! {
    /// `out[batch, m, n]`, contiguous. Strides and offsets count elements; 0 broadcasts.
    pub struct Params {
        pub start: u32,
        pub units: u32,
        pub batch: u32,
        pub m: u32,
        pub n: u32,
        pub k: u32,
        pub a_offset: u32,
        pub a_batch: u32,
        pub a_row: u32,
        pub a_col: u32,
        pub b_offset: u32,
        pub b_batch: u32,
        pub b_row: u32,
        pub b_col: u32,
        /// Batches are counted as `outer · inner`, with a stride each.
        pub inner: u32,
        pub a_outer: u32,
        pub b_outer: u32,
        pub c_row: u32,
        pub c_col: u32,
        pub has_c: u32,
        pub alpha: f32,
        pub beta: f32,
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Matmul {
    pub repr: Repr,
    pub params: Params,
}

impl Params {
    /// A product of contiguous operands without C.
    pub fn contiguous(batch: u32, m: u32, n: u32, k: u32) -> Self {
        Self {
            start: 0,
            units: batch * m.div_ceil(TILE) * n.div_ceil(TILE),
            batch,
            m,
            n,
            k,
            a_offset: 0,
            a_batch: m * k,
            a_row: k,
            a_col: 1,
            b_offset: 0,
            b_batch: k * n,
            b_row: n,
            b_col: 1,
            inner: batch,
            a_outer: 0,
            b_outer: 0,
            c_row: 0,
            c_col: 0,
            has_c: 0,
            alpha: 1.0,
            beta: 0.0,
        }
    }

    /// Where a batch begins in A and in B.
    pub(super) fn bases(&self, batch: u32) -> (u32, u32) {
        let (outer, inner) = (batch / self.inner, batch % self.inner);
        (
            self.a_offset + outer * self.a_outer + inner * self.a_batch,
            self.b_offset + outer * self.b_outer + inner * self.b_batch,
        )
    }

    pub fn flops(&self) -> u64 {
        2 * u64::from(self.batch) * u64::from(self.m) * u64::from(self.n) * u64::from(self.k)
    }

    pub(super) fn footprint(&self) -> AccessFootprint {
        let shape =
            vec![to_usize(self.batch / self.inner.max(1)), to_usize(self.inner), to_usize(self.m), to_usize(self.n)];
        let a = vec![i64::from(self.a_outer), i64::from(self.a_batch), i64::from(self.a_row), 0];
        let b = vec![i64::from(self.b_outer), i64::from(self.b_batch), 0, i64::from(self.b_col)];
        let mut a = Access::strided(a).spread(self.k, i64::from(self.a_col));
        let mut b = Access::strided(b).spread(self.k, i64::from(self.b_row));
        (a.offset, b.offset) = (i64::from(self.a_offset), i64::from(self.b_offset));
        let c = Access::strided(vec![0, 0, i64::from(self.c_row), i64::from(self.c_col)]);
        // Without a C another buffer is bound for it, and not read.
        let inputs = if self.has_c == 0 { vec![a, b] } else { vec![a, b, c] };
        AccessFootprint { output: Access::contiguous(&shape), shape, inputs }
    }
}

/// `half`: B holds half floats, two a word.
pub(crate) fn shader(repr: Repr, half: bool) -> String {
    let last = match repr {
        Repr::F32 => {
            "fn finish(sum: T, row: u32, col: u32) -> T {\n  var value = p.alpha * sum;\n  \
             if (p.has_c != 0u) { value += p.beta * c[row * p.c_row + col * p.c_col]; }\n  return value;\n}"
        }
        // C is bound here too, and mentioned so that the compiler keeps its binding.
        Repr::I32 | Repr::U32 => {
            "fn finish(sum: T, row: u32, col: u32) -> T {\n  \
             if (p.has_c != 0u) { return sum + c[row * p.c_row + col * p.c_col]; }\n  return sum;\n}"
        }
    };
    let body = format!("{last}\n{}", include_str!("matmul.wgsl"));
    let interface = Interface {
        constants: vec![("TILE", TILE), ("DEPTH", DEPTH), ("TILE_AREA", TILE * DEPTH)],
        types: vec![("T", repr)],
        inputs: vec![Input::words("a", repr), Input::weights("b", repr, half), Input::words("c", repr)],
        ..Interface::new(&Params::LAYOUT, Entry::Workgroup, repr)
    };
    wgsl::shader(&interface, &body)
}
