//! Threads where there are any: rayon natively, one thread in a tab.

/// Calls `work(first, chunk)` for every `share` values of `out`.
#[cfg(all(feature = "cpu", not(target_arch = "wasm32")))]
pub(crate) fn chunks(out: &mut [u32], share: usize, work: impl Fn(usize, &mut [u32]) + Sync) {
    use rayon::prelude::*;

    if out.len() <= share {
        return work(0, out);
    }
    out.par_chunks_mut(share).enumerate().for_each(|(index, chunk)| work(index * share, chunk));
}

#[cfg(not(all(feature = "cpu", not(target_arch = "wasm32"))))]
pub(crate) fn chunks(out: &mut [u32], share: usize, work: impl Fn(usize, &mut [u32]) + Sync) {
    for (index, chunk) in out.chunks_mut(share.max(1)).enumerate() {
        work(index * share, chunk);
    }
}

/// The same over floats.
pub(crate) fn float_chunks(out: &mut [f32], share: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    chunks(bytemuck::cast_slice_mut(out), share, |first, chunk| work(first, bytemuck::cast_slice_mut(chunk)));
}
