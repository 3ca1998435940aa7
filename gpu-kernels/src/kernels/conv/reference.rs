use super::Params;
use crate::kernels::at;

/// The whole convolution in floats; `start` and `units` are ignored.
///
/// Sums in the direct shader's order (channel, depth, row, column); the innermost loop runs along an
/// output row, which a compiler turns into vector code.
pub fn run(p: &Params, [x, weight, bias]: [&[f32]; 3], out: &mut [f32]) {
    let plane = at(Params::volume(&p.out));
    for (i, out) in out.chunks_exact_mut(plane.max(1)).enumerate().take(at(p.n * p.groups * p.filters)) {
        filter(p, i, x, weight, bias, out);
    }
}

/// One output plane: of image `i / filters`, by filter `i % filters`.
pub(super) fn filter(p: &Params, i: usize, x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    out.fill(0.0);
    each_row(p, i, |x_row, w, y_row, along| {
        add_scaled(&mut out[y_row..y_row + at(p.out[2])], &x[x_row..x_row + at(p.size[2])], weight[w], along);
    });
    if p.has_bias != 0 {
        let bias = bias[i % at(p.groups * p.filters)];
        out.iter_mut().for_each(|value| *value += bias);
    }
}

/// How an output row lies over an input row.
#[derive(Clone, Copy)]
struct Along {
    shift: usize,
    stride: usize,
    pad: usize,
}

impl Along {
    /// The outputs whose source lies inside a row of `len` values, and where the first one's is.
    fn inside(self, len: usize, outputs: usize) -> Option<(std::ops::Range<usize>, usize)> {
        let first = self.pad.saturating_sub(self.shift).div_ceil(self.stride);
        let last = (len + self.pad).saturating_sub(self.shift).div_ceil(self.stride).min(outputs);
        (first < last).then(|| (first..last, first * self.stride + self.shift - self.pad))
    }
}

/// Calls `each(input row, weight, output row, along)` for every tap and every row it covers.
fn each_row(p: &Params, i: usize, mut each: impl FnMut(usize, usize, usize, Along)) {
    let filters = at(p.groups * p.filters);
    let (n, f) = (i / filters, i % filters);
    let part = n * at(p.groups) + f / at(p.filters);
    let [depth, height, width] = p.size.map(at);
    let [out_depth, out_height, out_width] = p.out.map(at);
    let [kernel_depth, kernel_height, kernel_width] = p.kernel.map(at);
    for channel in 0..at(p.channels) {
        let plane = (part * at(p.channels) + channel) * depth;
        for tap in 0..kernel_depth * kernel_height * kernel_width {
            let w = (f * at(p.channels) + channel) * kernel_depth * kernel_height * kernel_width + tap;
            let kz = tap / (kernel_height * kernel_width);
            let (ky, kx) = (tap / kernel_width % kernel_height, tap % kernel_width);
            let along = Along { shift: kx * at(p.dilation[2]), stride: at(p.stride[2]), pad: at(p.pad[2]) };
            for oz in 0..out_depth {
                let Some(iz) = source(p, 0, oz, kz) else { continue };
                for oy in 0..out_height {
                    let Some(iy) = source(p, 1, oy, ky) else { continue };
                    each(((plane + iz) * height + iy) * width, w, (oz * out_height + oy) * out_width, along);
                }
            }
        }
    }
}

pub(super) fn source(p: &Params, axis: usize, o: usize, k: usize) -> Option<usize> {
    let padded = o * at(p.stride[axis]) + k * at(p.dilation[axis]);
    padded.checked_sub(at(p.pad[axis])).filter(|&place| place < at(p.size[axis]))
}

fn add_scaled(row: &mut [f32], x: &[f32], w: f32, along: Along) {
    let Some((outputs, from)) = along.inside(x.len(), row.len()) else { return };
    for (value, x) in row[outputs].iter_mut().zip(x[from..].iter().step_by(along.stride)) {
        *value += w * x;
    }
}

/// The whole convolution in whole numbers that wrap.
pub fn run_ints(p: &Params, [x, weight, bias]: [&[u32]; 3], out: &mut [u32]) {
    let plane = at(Params::volume(&p.out));
    for (i, out) in out.chunks_exact_mut(plane.max(1)).enumerate().take(at(p.n * p.groups * p.filters)) {
        out.fill(if p.has_bias == 0 { 0 } else { bias[i % at(p.groups * p.filters)] });
        each_row(p, i, |x_row, w, y_row, along| {
            let (row, x) = (&mut out[y_row..y_row + at(p.out[2])], &x[x_row..x_row + at(p.size[2])]);
            let Some((outputs, from)) = along.inside(x.len(), row.len()) else { return };
            for (value, x) in row[outputs].iter_mut().zip(x[from..].iter().step_by(along.stride)) {
                *value = value.wrapping_add(weight[w].wrapping_mul(*x));
            }
        });
    }
}
