use super::Params;
use crate::kernels::at;

/// All lines; `start` is ignored.
#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a line is far shorter than 2^24")]
pub fn run(p: &Params, x: &[f32], out: &mut [f32]) {
    let count = p.axis as f32;
    for (x, out) in x.chunks_exact(at(p.axis)).zip(out.chunks_exact_mut(at(p.axis))) {
        let mean = if p.centred == 0 { 0.0 } else { sum(x, |v| v) / count };
        let scale = 1.0 / (sum(x, |v| (v - mean) * (v - mean)) / count + p.epsilon).sqrt();
        out.iter_mut().zip(x).for_each(|(out, v)| *out = (v - mean) * scale);
    }
}

/// Eight sums at once, then together.
fn sum(x: &[f32], lift: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0f32; 8];
    let (chunks, rest) = x.as_chunks::<8>();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, &v)| *sum += lift(v));
    }
    sums.iter().sum::<f32>() + rest.iter().map(|&v| lift(v)).sum::<f32>()
}
