//! The matrix product on the CPU, by the `gemm` crate.

use super::{Params, reference};
use crate::cpu::gemm::{self, Matrix};
use crate::cpu::threads;
use crate::kernels::index::to_usize;
use crate::number;

/// Below so many operations the crate's packing costs more than it saves.
const SMALL: u64 = 4096;

/// The whole product; `start` and `units` are ignored.
pub fn run(p: &Params, [a, b, c]: [&[f32]; 3], out: &mut [f32]) {
    let (m, n, k) = (to_usize(p.m), to_usize(p.n), to_usize(p.k));
    if p.flops() < SMALL * u64::from(p.batch) {
        return reference::run(p, [a, b, c], out);
    }
    let out = &mut out[..to_usize(p.batch) * m * n];
    threads::float_chunks(out, m * n, |first, out| {
        let (a_base, b_base) = p.bases(number::to(first / (m * n)));
        let a = Matrix { data: a, offset: to_usize(a_base), row: to_usize(p.a_row), col: to_usize(p.a_col) };
        let b = Matrix { data: b, offset: to_usize(b_base), row: to_usize(p.b_row), col: to_usize(p.b_col) };
        gemm::product([m, n, k], a, b, p.alpha, (&mut *out, n));
        if p.has_c != 0 {
            for (row, out) in out.chunks_exact_mut(n).enumerate() {
                add_row(p, &c[row * to_usize(p.c_row)..], out);
            }
        }
    });
}

/// Adds `beta · c` to a row.
fn add_row(p: &Params, c: &[f32], out: &mut [f32]) {
    match to_usize(p.c_col) {
        0 => out.iter_mut().for_each(|value| *value += p.beta * c[0]),
        1 => out.iter_mut().zip(c).for_each(|(value, c)| *value += p.beta * c),
        col => out.iter_mut().zip(c.iter().step_by(col)).for_each(|(value, c)| *value += p.beta * c),
    }
}
