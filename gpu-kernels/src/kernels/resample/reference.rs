use super::Params;
use crate::kernels::index::to_usize;

/// All outputs; `start` and `units` are ignored.
pub fn run(p: &Params, x: &[f32], places: &[u32], weights: &[f32], out: &mut [f32]) {
    let (inner, axis_in, axis_out) = (to_usize(p.inner), to_usize(p.axis_in), to_usize(p.axis_out));
    for (line, out) in out[..to_usize(p.len)].chunks_exact_mut(inner).enumerate() {
        let (outer, along) = (line / axis_out, line % axis_out);
        out.fill(0.0);
        for tap in along * to_usize(p.taps)..(along + 1) * to_usize(p.taps) {
            let weight = weights[tap];
            if weight != 0.0 {
                let from = (outer * axis_in + to_usize(places[tap]).min(axis_in - 1)) * inner;
                out.iter_mut().zip(&x[from..from + inner]).for_each(|(out, x)| *out += weight * x);
            }
        }
    }
}
