use super::Params;
use crate::kernels::index::to_usize;

/// The whole product in floats; `start` and `units` are ignored.
pub fn run(p: &Params, [a, b, c]: [&[f32]; 3], out: &mut [f32]) {
    let mut sums = vec![0.0f32; to_usize(p.n)];
    for batch in 0..p.batch {
        let (a_base, b_base) = p.bases(batch);
        for row in 0..p.m {
            sums.fill(0.0);
            for k in 0..p.k {
                let left = a[to_usize(a_base + row * p.a_row + k * p.a_col)];
                let base = to_usize(b_base + k * p.b_row);
                for (col, sum) in sums.iter_mut().enumerate() {
                    *sum += left * b[base + col * to_usize(p.b_col)];
                }
            }
            let first = to_usize((batch * p.m + row) * p.n);
            for (col, sum) in sums.iter().enumerate() {
                out[first + col] = finish(p, *sum, c, to_usize(row), col);
            }
        }
    }
}

pub(super) fn finish(p: &Params, sum: f32, c: &[f32], row: usize, col: usize) -> f32 {
    let value = p.alpha * sum;
    if p.has_c == 0 { value } else { value + p.beta * c[row * to_usize(p.c_row) + col * to_usize(p.c_col)] }
}

/// The whole product in wrapping integers; signed and unsigned ones have the same bits.
pub fn run_ints(p: &Params, a: &[u32], b: &[u32], out: &mut [u32]) {
    for batch in 0..p.batch {
        let (a_base, b_base) = p.bases(batch);
        for row in 0..p.m {
            let first = to_usize((batch * p.m + row) * p.n);
            let sums = &mut out[first..first + to_usize(p.n)];
            sums.fill(0);
            for k in 0..p.k {
                let left = a[to_usize(a_base + row * p.a_row + k * p.a_col)];
                let base = to_usize(b_base + k * p.b_row);
                if p.b_col == 1 {
                    for (sum, right) in sums.iter_mut().zip(&b[base..]) {
                        *sum = sum.wrapping_add(left.wrapping_mul(*right));
                    }
                } else {
                    for (col, sum) in sums.iter_mut().enumerate() {
                        *sum = sum.wrapping_add(left.wrapping_mul(b[base + col * to_usize(p.b_col)]));
                    }
                }
            }
        }
    }
}
