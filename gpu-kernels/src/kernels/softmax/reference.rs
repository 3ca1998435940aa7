use super::Params;
use crate::cpu::functions;
use crate::cpu::simd::{self, Vector};
use crate::cpu::threads;
use crate::kernels::index::to_usize;

/// Values that one thread takes at once, at least.
const SHARE: usize = 1 << 14;

/// All lines; `start` is ignored.
pub fn run(p: &Params, x: &[f32], out: &mut [f32]) {
    if p.inner == 1 {
        let axis = to_usize(p.axis);
        threads::float_chunks(&mut out[..to_usize(p.units) * axis], axis * SHARE.div_ceil(axis), |first, chunk| {
            for (x, out) in x[first..].chunks_exact(axis).zip(chunk.chunks_exact_mut(axis)) {
                line(p.log != 0, x, out);
            }
        });
        return;
    }
    let mut gathered = vec![0.0; to_usize(p.axis)];
    let mut result = vec![0.0; to_usize(p.axis)];
    for row in 0..to_usize(p.units) {
        let base = row / to_usize(p.inner) * to_usize(p.axis * p.inner) + row % to_usize(p.inner);
        for (i, value) in gathered.iter_mut().enumerate() {
            *value = x[base + i * to_usize(p.inner)];
        }
        line(p.log != 0, &gathered, &mut result);
        for (i, value) in result.iter().enumerate() {
            out[base + i * to_usize(p.inner)] = *value;
        }
    }
}

/// The largest value, or NaN if there is one. Eight partial results become vector code.
#[inline(always)]
fn largest(x: &[f32]) -> f32 {
    let mut tops = [f32::NEG_INFINITY; 8];
    let (chunks, rest) = x.as_chunks::<8>();
    let above = |top: f32, v: f32| if v > top || v.is_nan() { v } else { top };
    for chunk in chunks {
        tops.iter_mut().zip(chunk).for_each(|(top, &v)| *top = above(*top, v));
    }
    tops.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, above)
}

/// One line's results.
struct Line<'a> {
    log: bool,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Vector for Line<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { log, x, out } = self;
        let top = largest(x);
        for (out, v) in out.iter_mut().zip(x) {
            *out = functions::exp(v - top);
        }
        let total = functions::sum(out, |v| v);
        if log {
            let logarithm = total.ln();
            out.iter_mut().zip(x).for_each(|(out, v)| *out = v - top - logarithm);
        } else {
            out.iter_mut().for_each(|value| *value /= total);
        }
    }
}

fn line(log: bool, x: &[f32], out: &mut [f32]) {
    simd::dispatch(Line { log, x, out });
}
