use super::Params;
use crate::kernels::at;

/// The whole copy; `start` and `units` are ignored. Output places of other inputs stay as they are.
pub fn run(p: &Params, x: &[f32], out: &mut [f32]) {
    if p.len == 0 {
        return;
    }
    for (i, x) in x.chunks_exact(at(p.run)).enumerate() {
        out[i * at(p.out_run) + at(p.offset)..][..x.len()].copy_from_slice(x);
    }
}
