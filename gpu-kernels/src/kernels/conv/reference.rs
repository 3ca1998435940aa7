use super::{Params, bound};
use crate::kernels::index::to_usize;

/// The whole convolution in floats; `start` and `units` are ignored.
///
/// Sums in the order of `conv.wgsl` (channel, depth, row, column); the innermost loop runs along an
/// output row, which a compiler turns into vector code.
pub fn run(p: &Params, [x, weight, bias]: [&[f32]; 3], out: &mut [f32]) {
    let plane = to_usize(Params::volume(&p.out));
    for (i, out) in out.chunks_exact_mut(plane.max(1)).enumerate().take(to_usize(p.n * p.groups * p.filters)) {
        filter(p, i, x, weight, bias, out);
    }
}

/// One output plane: of image `i / filters`, by filter `i % filters`.
pub(super) fn filter(p: &Params, i: usize, x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    out.fill(if p.has_bias == 0 { 0.0 } else { bias[i % to_usize(p.groups * p.filters)] });
    each_row(p, i, |source, w, row| {
        let w = weight[w];
        let row = &mut out[row];
        if source.step == 1 {
            row.iter_mut().zip(&x[source.first..]).for_each(|(value, x)| *value += w * x);
        } else {
            row.iter_mut().zip(x[source.first..].iter().step_by(source.step)).for_each(|(value, x)| *value += w * x);
        }
    });
    let bounds = p.bounds();
    out.iter_mut().for_each(|value| *value = bound(bounds, *value));
}

/// The inputs that one tap reads for a stretch of an output row.
struct InputRow {
    first: usize,
    step: usize,
}

/// The outputs of a row for which tap `kx` lies inside the image, and the column that it reads for the first
/// of them.
fn inside(p: &Params, kx: usize) -> Option<(std::ops::Range<usize>, usize)> {
    let (shift, stride, pad) = (kx * to_usize(p.dilation[2]), to_usize(p.stride[2]), to_usize(p.pad[2]));
    let first = pad.saturating_sub(shift).div_ceil(stride);
    let last = (to_usize(p.size[2]) + pad).saturating_sub(shift).div_ceil(stride).min(to_usize(p.out[2]));
    (first < last).then(|| (first..last, first * stride + shift - pad))
}

/// Calls `each(inputs, weight, outputs)` for every tap and every stretch of an output row that it reaches.
fn each_row(p: &Params, i: usize, mut each: impl FnMut(&InputRow, usize, std::ops::Range<usize>)) {
    let filters = to_usize(p.groups * p.filters);
    let (n, f) = (i / filters, i % filters);
    let part = n * to_usize(p.groups) + f / to_usize(p.filters);
    let [depth, height, width] = p.size.map(to_usize);
    let [out_depth, out_height, out_width] = p.out.map(to_usize);
    let [kernel_depth, kernel_height, kernel_width] = p.kernel.map(to_usize);
    let taps = kernel_depth * kernel_height * kernel_width;
    for channel in 0..to_usize(p.channels) {
        let plane = (part * to_usize(p.channels) + channel) * depth;
        for tap in 0..taps {
            let w = (f * to_usize(p.channels) + channel) * taps + tap;
            let kz = tap / (kernel_height * kernel_width);
            let (ky, kx) = (tap / kernel_width % kernel_height, tap % kernel_width);
            let Some((outputs, from)) = inside(p, kx) else { continue };
            for oz in 0..out_depth {
                let Some(iz) = source(p, 0, oz, kz) else { continue };
                for oy in 0..out_height {
                    let Some(iy) = source(p, 1, oy, ky) else { continue };
                    let row = (oz * out_height + oy) * out_width;
                    let first = ((plane + iz) * height + iy) * width + from;
                    let source = InputRow { first, step: to_usize(p.stride[2]) };
                    each(&source, w, row + outputs.start..row + outputs.end);
                }
            }
        }
    }
}

pub(super) fn source(p: &Params, axis: usize, o: usize, k: usize) -> Option<usize> {
    let padded = o * to_usize(p.stride[axis]) + k * to_usize(p.dilation[axis]);
    padded.checked_sub(to_usize(p.pad[axis])).filter(|&place| place < to_usize(p.size[axis]))
}

/// The whole convolution in wrapping integers.
pub fn run_ints(p: &Params, [x, weight, bias]: [&[u32]; 3], out: &mut [u32]) {
    let plane = to_usize(Params::volume(&p.out));
    for (i, out) in out.chunks_exact_mut(plane.max(1)).enumerate().take(to_usize(p.n * p.groups * p.filters)) {
        out.fill(if p.has_bias == 0 { 0 } else { bias[i % to_usize(p.groups * p.filters)] });
        each_row(p, i, |source, w, row| {
            let taken = x[source.first..].iter().step_by(source.step);
            for (value, x) in out[row].iter_mut().zip(taken) {
                *value = value.wrapping_add(weight[w].wrapping_mul(*x));
            }
        });
    }
}
