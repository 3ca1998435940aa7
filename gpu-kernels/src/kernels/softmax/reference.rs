use super::Params;
use crate::kernels::at;

/// All `units` rows from 0; `start` is ignored.
pub fn run(p: &Params, x: &[f32], out: &mut [f32]) {
    for row in 0..at(p.units) {
        let base = row / at(p.inner) * at(p.axis * p.inner) + row % at(p.inner);
        let places = || (0..at(p.axis)).map(|i| base + i * at(p.inner));
        let top = places().fold(f32::NEG_INFINITY, |top, i| if x[i].is_nan() || x[i] > top { x[i] } else { top });
        let mut sum = 0.0;
        for i in places() {
            out[i] = (x[i] - top).exp();
            sum += out[i];
        }
        places().for_each(|i| out[i] /= sum);
    }
}
