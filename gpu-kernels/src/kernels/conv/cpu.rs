//! The convolution on the CPU: as a matrix product over columns gathered from the image (im2col), one block of
//! outputs at a time, or plane by plane where a group has too few filters for that.

use std::cell::Cell;

use super::planes::Taps;
use super::{Params, bound, reference};
use crate::cpu::gemm::{self, Matrix};
use crate::cpu::simd::{self, Vector};
use crate::cpu::threads;
use crate::kernels::index::to_usize;
use crate::number;

/// Values of a block of columns, and of a block of results: both should fit the L2 cache.
const COLUMNS: usize = 1 << 16;
/// Output planes that a thread takes at once.
const PLANES: usize = 16;
/// Outputs of a plane that are worth a matrix product of their own.
const PRODUCT_OUTPUTS_MIN: usize = 64;

/// Values between two fused convolutions that are held at once: they should fit the L2 cache beside the
/// inputs.
const INTERMEDIATE_VALUES_MAX: usize = 1 << 17;

/// How many channels at a time a pointwise convolution is computed with, fused with the depthwise one that
/// reads it; `None` where the two are not such a pair.
pub fn fused_channels(first: &Params, second: &Params) -> Option<usize> {
    let depthwise = [second.channels, second.filters] == [1, 1] && second.groups == first.filters;
    let fits = [second.n, first.groups] == [first.n, 1] && second.size == first.out;
    if !depthwise || !fits || !first.is_tiled() || !first.is_pointwise() || Taps::new(second).is_none() {
        return None;
    }
    let channels = to_usize(first.filters);
    let most = INTERMEDIATE_VALUES_MAX / to_usize(Params::volume(&first.out)).max(1);
    (8..=most.min(channels)).rev().find(|taken| channels.is_multiple_of(*taken))
}

/// Two fused convolutions, `taken` channels at a time, so that the values between them stay in the cache.
pub fn run_fused(
    (first, second): (&Params, &Params),
    taken: usize,
    [x, weight, bias]: [&[f32]; 3],
    [own_weight, own_bias]: [&[f32]; 2],
    out: &mut [f32],
) {
    thread_local! {
        static BLOCK: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    }
    let Some(taps) = Taps::new(second) else { return };
    let channels = to_usize(first.filters);
    let (depth, plane) = (to_usize(first.channels), to_usize(Params::volume(&first.out)));
    let out_plane = to_usize(Params::volume(&second.out));
    let out = &mut out[..to_usize(first.n) * channels * out_plane];
    let part = Params { n: 1, groups: number::to(taken), ..*second };
    threads::float_chunks(out, taken * out_plane, |start, out| {
        let (image, channel) = (start / out_plane / channels, start / out_plane % channels);
        let image = &x[image * depth * plane..][..depth * plane];
        let weights = Matrix { data: weight, offset: channel * depth, row: depth, col: 1 };
        let bias = if first.has_bias == 0 { &[][..] } else { &bias[channel..][..taken] };
        // Memory of an earlier block is used again: fresh pages cost as much as the arithmetic.
        let mut block = BLOCK.take();
        block.resize(block.len().max(taken * plane + taps.plane), 0.0);
        let (between, padded) = block.split_at_mut(taken * plane);
        let padded = &mut padded[..taps.plane];
        padded.fill(0.0);
        pointwise(first, image, weights, depth, (bias, &mut *between));
        let own_weight = &own_weight[channel * taps.offsets.len()..];
        let own_bias = if second.has_bias == 0 { &[][..] } else { &own_bias[channel..] };
        for (i, out) in out.chunks_exact_mut(out_plane.max(1)).enumerate() {
            taps.filter(&part, i, [&*between, own_weight, own_bias], padded, out);
        }
        BLOCK.set(block);
    });
}

/// The whole convolution; `start` and `units` are ignored.
pub fn run(p: &Params, [x, weight, bias]: [&[f32]; 3], out: &mut [f32]) {
    let plane = to_usize(Params::volume(&p.out));
    let images = to_usize(p.n * p.groups);
    let filters = to_usize(p.filters);
    let out = &mut out[..images * filters * plane];
    if !p.is_tiled() {
        let taps = Taps::new(p);
        threads::float_chunks(out, plane.max(1) * PLANES, |first, out| {
            let mut padded = vec![0.0; taps.as_ref().map_or(0, |taps| taps.plane * to_usize(p.channels))];
            for (i, out) in out.chunks_exact_mut(plane.max(1)).enumerate() {
                let i = first / plane + i;
                match &taps {
                    Some(taps) => taps.filter(p, i, [x, weight, bias], &mut padded, out),
                    None => reference::filter(p, i, x, weight, bias, out),
                }
            }
        });
        return;
    }
    let depth = to_usize(p.channels * Params::volume(&p.kernel));
    let volume = to_usize(p.channels * Params::volume(&p.size));
    if plane * 2 <= PRODUCT_OUTPUTS_MIN && p.n > 1 && p.groups == 1 {
        let weights = Matrix { data: weight, offset: 0, row: depth, col: 1 };
        return by_images(p, x, weights, depth, (bias, out));
    }
    // One image and group per chunk, so that threads write to separate memory.
    threads::float_chunks(out, filters * plane, |first, out| {
        let part = first / (filters * plane);
        let image = &x[part * volume..(part + 1) * volume];
        let group = part % to_usize(p.groups);
        let weights = Matrix { data: weight, offset: group * filters * depth, row: depth, col: 1 };
        let bias = if p.has_bias == 0 { &[][..] } else { &bias[group * filters..][..filters] };
        if p.is_pointwise() {
            pointwise(p, image, weights, depth, (bias, out));
        } else {
            by_columns(p, image, weights, depth, (bias, out));
        }
    });
}

/// One image and group of a pointwise convolution, whose columns are the image's own values.
fn pointwise(p: &Params, image: &[f32], weights: Matrix<'_>, depth: usize, (bias, out): (&[f32], &mut [f32])) {
    let plane = to_usize(Params::volume(&p.out));
    let filters = out.len() / plane.max(1);
    // Wide enough for the product's own blocks, and narrow enough that the results are still in the cache when
    // the bias is added.
    let wide = (COLUMNS / filters).next_multiple_of(64).clamp(256, plane.max(256));
    for first in (0..plane).step_by(wide) {
        let taken = wide.min(plane - first);
        let columns = Matrix { data: image, offset: first, row: plane, col: 1 };
        let out = &mut out[first..];
        gemm::product([filters, taken, depth], weights, columns, 1.0, (&mut *out, plane));
        simd::dispatch(Finish { p, bias, out, row: plane, taken });
    }
}

/// Small images, several at once: their weights are the larger matrix, and are read once for all of them.
fn by_images(p: &Params, x: &[f32], weights: Matrix<'_>, depth: usize, (bias, out): (&[f32], &mut [f32])) {
    let (plane, filters) = (to_usize(Params::volume(&p.out)), to_usize(p.filters));
    let rows = to_usize(p.out[0] * p.out[1]);
    let volume = to_usize(p.channels * Params::volume(&p.size));
    let at_once = (PRODUCT_OUTPUTS_MIN / plane.max(1)).max(1);
    let bias = if p.has_bias == 0 { &[][..] } else { bias };
    let mut columns = vec![0.0f32; depth * at_once * plane];
    let mut block = vec![0.0f32; filters * at_once * plane];
    for (x, out) in x.chunks(at_once * volume).zip(out.chunks_mut(at_once * filters * plane)) {
        let wide = x.len() / volume * plane;
        for (image, x) in x.chunks_exact(volume).enumerate() {
            fill_columns(p, x, 0..rows, (&mut columns[image * plane..], wide));
        }
        let right = Matrix { data: &columns, offset: 0, row: wide, col: 1 };
        gemm::product([filters, wide, depth], weights, right, 1.0, (&mut block, wide));
        simd::dispatch(Finish { p, bias, out: &mut block[..filters * wide], row: wide, taken: wide });
        for (image, out) in out.chunks_exact_mut(filters * plane).enumerate() {
            for (out, block) in out.chunks_exact_mut(plane).zip(block.chunks_exact(wide)) {
                out.copy_from_slice(&block[image * plane..][..plane]);
            }
        }
    }
}

/// One image and group, in blocks of whole output rows.
fn by_columns(p: &Params, image: &[f32], weights: Matrix<'_>, depth: usize, (bias, out): (&[f32], &mut [f32])) {
    let filters = to_usize(p.filters);
    let width = to_usize(p.out[2]);
    let rows = to_usize(p.out[0] * p.out[1]);
    let plane = rows * width;
    let block_rows = (COLUMNS / (depth * width).max(1)).clamp(1, rows.max(1));
    let mut columns = vec![0.0f32; depth * block_rows * width];
    for first in (0..rows).step_by(block_rows) {
        let taken = block_rows.min(rows - first);
        let wide = taken * width;
        fill_columns(p, image, first..first + taken, (&mut columns, wide));
        let right = Matrix { data: &columns, offset: 0, row: wide, col: 1 };
        let out = &mut out[first * width..];
        gemm::product([filters, wide, depth], weights, right, 1.0, (&mut *out, plane));
        simd::dispatch(Finish { p, bias, out, row: plane, taken: wide });
    }
}

/// Adds the bias to `taken` results of each filter, and keeps them within bounds.
struct Finish<'a> {
    p: &'a Params,
    bias: &'a [f32],
    out: &'a mut [f32],
    row: usize,
    taken: usize,
}

impl Vector for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        if self.bias.is_empty() && self.p.bounded == 0 {
            return;
        }
        let bounds = self.p.bounds();
        for (f, out) in self.out.chunks_mut(self.row).enumerate() {
            let bias = self.bias.get(f).copied().unwrap_or(0.0);
            for value in &mut out[..self.taken] {
                *value = bound(bounds, *value + bias);
            }
        }
    }
}

/// `columns[tap, place]` for the output rows `rows`; each tap begins `wide` values after the one before.
fn fill_columns(p: &Params, image: &[f32], rows: std::ops::Range<usize>, (columns, wide): (&mut [f32], usize)) {
    let [depth, height, width] = p.size.map(to_usize);
    let [_, kernel_height, kernel_width] = p.kernel.map(to_usize);
    let taps = to_usize(Params::volume(&p.kernel));
    let out_width = to_usize(p.out[2]);
    let (stride, pad) = (to_usize(p.stride[2]), to_usize(p.pad[2]));
    for (k, line) in columns.chunks_mut(wide).enumerate().take(to_usize(p.channels) * taps) {
        let (channel, tap) = (k / taps, k % taps);
        let kz = tap / (kernel_height * kernel_width);
        let (ky, kx) = (tap / kernel_width % kernel_height, tap % kernel_width);
        let shift = kx * to_usize(p.dilation[2]);
        let first = pad.saturating_sub(shift).div_ceil(stride).min(out_width);
        let last = (width + pad).saturating_sub(shift).div_ceil(stride).clamp(first, out_width);
        for (row, line) in rows.clone().zip(line.chunks_exact_mut(out_width)) {
            let (oz, oy) = (row / to_usize(p.out[1]), row % to_usize(p.out[1]));
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
