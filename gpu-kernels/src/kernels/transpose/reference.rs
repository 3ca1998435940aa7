use super::Params;
use crate::kernels::{at, strided};

/// The whole copy; `start` and `units` are ignored.
pub fn run(p: &Params, x: &[f32], out: &mut [f32]) {
    let shape = &p.shape[..at(p.rank)];
    for (i, out) in out.iter_mut().enumerate() {
        *out = x[strided(i, shape, &p.strides)];
    }
}
