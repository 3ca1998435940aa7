//! The product on the CPU, by the `gemm` crate's kernels.

use super::{Params, reference};
use crate::gemm::{self, Matrix};
use crate::kernels::at;

/// Below this many operations packing costs more than it saves.
const SMALL: u64 = 4096;

/// The whole product; `start` and `units` are ignored.
pub fn run(p: &Params, [a, b, c]: [&[f32]; 3], out: &mut [f32]) {
    let (m, n, k) = (at(p.m), at(p.n), at(p.k));
    if p.flops() < SMALL * u64::from(p.batch) {
        return reference::run(p, [a, b, c], out);
    }
    for batch in 0..p.batch {
        let (a_base, b_base) = p.bases(batch);
        let a = Matrix { data: a, offset: at(a_base), row: at(p.a_row), col: at(p.a_col) };
        let b = Matrix { data: b, offset: at(b_base), row: at(p.b_row), col: at(p.b_col) };
        let first = at(batch) * m * n;
        gemm::product([m, n, k], a, b, p.alpha, &mut out[first..first + m * n]);
    }
    if p.has_c != 0 {
        for (i, value) in out[..at(p.batch) * m * n].iter_mut().enumerate() {
            let (row, col) = (i / n % m, i % n);
            *value += p.beta * c[row * at(p.c_row) + col * at(p.c_col)];
        }
    }
}
