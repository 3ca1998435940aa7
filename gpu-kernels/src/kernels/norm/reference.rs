use super::Params;
use crate::kernels::at;
use crate::parallel;

/// Values that one thread takes at once, at least.
const SHARE: usize = 1 << 14;

/// All lines; `start` is ignored.
#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a line is far shorter than 2^24")]
pub fn run(p: &Params, x: &[f32], out: &mut [f32]) {
    let count = p.axis as f32;
    let axis = at(p.axis);
    parallel::float_chunks(&mut out[..at(p.units) * axis], axis * SHARE.div_ceil(axis), |first, chunk| {
        for (x, out) in x[first..].chunks_exact(axis).zip(chunk.chunks_exact_mut(axis)) {
            let mean = if p.centred == 0 { 0.0 } else { crate::float::sum(x, |v| v) / count };
            let scale = 1.0 / (crate::float::sum(x, |v| (v - mean) * (v - mean)) / count + p.epsilon).sqrt();
            out.iter_mut().zip(x).for_each(|(out, v)| *out = (v - mean) * scale);
        }
    });
}
