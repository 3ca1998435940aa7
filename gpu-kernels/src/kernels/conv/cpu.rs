//! The convolution on the CPU: as a matrix product over columns copied out of the image, a block of
//! output places at a time, or plane by plane where a group has too few filters for that.

use super::{Params, reference};
use crate::gemm::{self, Matrix};
use crate::kernels::at;
use crate::parallel;

/// Values of a block of columns: they should stay in the second cache.
const COLUMNS: usize = 1 << 16;

/// The whole convolution; `start` and `units` are ignored.
pub fn run(p: &Params, [x, weight, bias]: [&[f32]; 3], out: &mut [f32]) {
    let plane = at(Params::volume(&p.out));
    let images = at(p.n * p.groups);
    let filters = at(p.filters);
    let out = &mut out[..images * filters * plane];
    if !p.is_tiled() {
        parallel::float_chunks(out, plane.max(1), |first, out| {
            reference::filter(p, first / plane, x, weight, bias, out);
        });
        return;
    }
    let depth = at(p.channels * Params::volume(&p.kernel));
    let volume = at(p.channels * Params::volume(&p.size));
    let pointwise = p.kernel == [1; 3] && p.stride == [1; 3] && p.pad == [0; 3] && p.size == p.out;
    // Each image and group by itself, so that threads share nothing they write.
    parallel::float_chunks(out, filters * plane, |first, out| {
        let part = first / (filters * plane);
        let image = &x[part * volume..(part + 1) * volume];
        let group = part % at(p.groups);
        let weights = Matrix { data: weight, offset: group * filters * depth, row: depth, col: 1 };
        if pointwise {
            let columns = Matrix { data: image, offset: 0, row: plane, col: 1 };
            gemm::product([filters, plane, depth], weights, columns, 1.0, out);
        } else {
            by_columns(p, image, weights, depth, out);
        }
        if p.has_bias != 0 {
            for (f, out) in out.chunks_exact_mut(plane).enumerate() {
                let bias = bias[group * filters + f];
                out.iter_mut().for_each(|value| *value += bias);
            }
        }
        p.bound(out);
    });
}

/// One image and group, in blocks of whole output rows.
fn by_columns(p: &Params, image: &[f32], weights: Matrix<'_>, depth: usize, out: &mut [f32]) {
    let filters = at(p.filters);
    let width = at(p.out[2]);
    let rows = at(p.out[0] * p.out[1]);
    let plane = rows * width;
    let block_rows = (COLUMNS / (depth * width).max(1)).clamp(1, rows);
    let mut columns = vec![0.0f32; depth * block_rows * width];
    let mut block = vec![0.0f32; filters * block_rows * width];
    for first in (0..rows).step_by(block_rows) {
        let taken = block_rows.min(rows - first);
        let wide = taken * width;
        fill_columns(p, image, first..first + taken, &mut columns[..depth * wide]);
        let right = Matrix { data: &columns, offset: 0, row: wide, col: 1 };
        if wide == plane {
            gemm::product([filters, wide, depth], weights, right, 1.0, out);
            return;
        }
        gemm::product([filters, wide, depth], weights, right, 1.0, &mut block[..filters * wide]);
        for (f, values) in block[..filters * wide].chunks_exact(wide).enumerate() {
            out[f * plane + first * width..][..wide].copy_from_slice(values);
        }
    }
}

/// `columns[tap, place]` for the output rows `rows`.
fn fill_columns(p: &Params, image: &[f32], rows: std::ops::Range<usize>, columns: &mut [f32]) {
    let [depth, height, width] = p.size.map(at);
    let [_, kernel_height, kernel_width] = p.kernel.map(at);
    let taps = at(Params::volume(&p.kernel));
    let out_width = at(p.out[2]);
    let (stride, pad) = (at(p.stride[2]), at(p.pad[2]));
    for (k, line) in columns.chunks_exact_mut(rows.len() * out_width).enumerate() {
        let (channel, tap) = (k / taps, k % taps);
        let kz = tap / (kernel_height * kernel_width);
        let (ky, kx) = (tap / kernel_width % kernel_height, tap % kernel_width);
        let shift = kx * at(p.dilation[2]);
        let first = pad.saturating_sub(shift).div_ceil(stride).min(out_width);
        let last = (width + pad).saturating_sub(shift).div_ceil(stride).clamp(first, out_width);
        for (row, line) in rows.clone().zip(line.chunks_exact_mut(out_width)) {
            let (oz, oy) = (row / at(p.out[1]), row % at(p.out[1]));
            let (Some(iz), Some(iy)) = (reference::source(p, 0, oz, kz), reference::source(p, 1, oy, ky)) else {
                line.fill(0.0);
                continue;
            };
            let source = &image[((channel * depth + iz) * height + iy) * width..][..width];
            line[..first].fill(0.0);
            line[last..].fill(0.0);
            if first < last {
                let from = first * stride + shift - pad;
                if stride == 1 {
                    line[first..last].copy_from_slice(&source[from..from + last - first]);
                } else {
                    let taken = source[from..].iter().step_by(stride);
                    line[first..last].iter_mut().zip(taken).for_each(|(to, from)| *to = *from);
                }
            }
        }
    }
}
