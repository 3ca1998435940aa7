use super::Params;
use crate::cpu::functions;
use crate::cpu::simd::{self, Vector};
use crate::cpu::threads;
use crate::kernels::index::to_usize;

/// Values that one thread takes at once, at least.
const SHARE: usize = 1 << 14;

/// All lines; `start` is ignored.
pub fn run(p: &Params, x: &[f32], out: &mut [f32]) {
    let axis = to_usize(p.axis);
    threads::float_chunks(&mut out[..to_usize(p.units) * axis], axis * SHARE.div_ceil(axis), |first, out| {
        simd::dispatch(Lines { p, x: &x[first..], out });
    });
}

/// Some lines' results.
struct Lines<'a> {
    p: &'a Params,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Vector for Lines<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a line is far shorter than 2^24")]
    fn run(self) {
        let (axis, count) = (to_usize(self.p.axis), self.p.axis as f32);
        for (x, out) in self.x.chunks_exact(axis).zip(self.out.chunks_exact_mut(axis)) {
            let mean = if self.p.centred == 0 { 0.0 } else { functions::sum(x, |v| v) / count };
            let scale = 1.0 / (functions::sum(x, |v| (v - mean) * (v - mean)) / count + self.p.epsilon).sqrt();
            out.iter_mut().zip(x).for_each(|(out, v)| *out = (v - mean) * scale);
        }
    }
}
