use super::Params;
use crate::kernels::at;

/// The whole product; `start` and `units` are ignored.
pub fn run(p: &Params, a: &[f32], b: &[f32], c: &[f32], out: &mut [f32]) {
    let mut sums = vec![0.0f32; at(p.n)];
    for batch in 0..p.batch {
        for row in 0..p.m {
            sums.fill(0.0);
            for k in 0..p.k {
                let left = a[at(batch * p.a_batch + row * p.a_row + k * p.a_col)];
                let base = at(batch * p.b_batch + k * p.b_row);
                if p.b_col == 1 {
                    for (sum, right) in sums.iter_mut().zip(&b[base..base + at(p.n)]) {
                        *sum += left * right;
                    }
                } else {
                    for (col, sum) in sums.iter_mut().enumerate() {
                        *sum += left * b[base + col * at(p.b_col)];
                    }
                }
            }
            let first = at((batch * p.m + row) * p.n);
            for (col, sum) in sums.iter().enumerate() {
                let mut value = p.alpha * sum;
                if p.has_c != 0 {
                    value += p.beta * c[at(row * p.c_row) + col * at(p.c_col)];
                }
                out[first + col] = value;
            }
        }
    }
}
