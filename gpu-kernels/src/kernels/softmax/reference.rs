use super::Params;
use crate::kernels::at;

/// All lines; `start` is ignored.
pub fn run(p: &Params, x: &[f32], out: &mut [f32]) {
    if p.inner == 1 {
        for (x, out) in x.chunks_exact(at(p.axis)).zip(out.chunks_exact_mut(at(p.axis))) {
            line(p.log != 0, x, out);
        }
        return;
    }
    let mut gathered = vec![0.0; at(p.axis)];
    let mut result = vec![0.0; at(p.axis)];
    for row in 0..at(p.units) {
        let base = row / at(p.inner) * at(p.axis * p.inner) + row % at(p.inner);
        for (i, value) in gathered.iter_mut().enumerate() {
            *value = x[base + i * at(p.inner)];
        }
        line(p.log != 0, &gathered, &mut result);
        for (i, value) in result.iter().enumerate() {
            out[base + i * at(p.inner)] = *value;
        }
    }
}

fn line(log: bool, x: &[f32], out: &mut [f32]) {
    let top = x.iter().fold(f32::NEG_INFINITY, |top, &v| if v.is_nan() || v > top { v } else { top });
    for (out, v) in out.iter_mut().zip(x) {
        *out = crate::float::exp(v - top);
    }
    let total: f32 = out.iter().sum();
    if log {
        let logarithm = total.ln();
        out.iter_mut().zip(x).for_each(|(out, v)| *out = v - top - logarithm);
    } else {
        out.iter_mut().for_each(|value| *value /= total);
    }
}
