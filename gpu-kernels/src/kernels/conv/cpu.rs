//! The convolution on the CPU: as a matrix product over columns of the image, a block of output places
//! at a time, or plane by plane where a group has too few filters for that.

use super::{Params, bound, reference};
use crate::gemm::{self, Matrix};
use crate::kernels::at;
use crate::parallel;
use crate::vector::{self, Vector};

/// Values of a block of columns, and of a block of results: they should stay in the second cache.
const COLUMNS: usize = 1 << 16;
/// Output planes that a thread takes at once.
const PLANES: usize = 16;
/// Output places that are worth a product of their own.
const TOGETHER: usize = 64;
/// Values of the padded planes that one output plane is computed from.
const PADDED_MAX: usize = 1 << 17;

/// The whole convolution; `start` and `units` are ignored.
pub fn run(p: &Params, [x, weight, bias]: [&[f32]; 3], out: &mut [f32]) {
    let plane = at(Params::volume(&p.out));
    let images = at(p.n * p.groups);
    let filters = at(p.filters);
    let out = &mut out[..images * filters * plane];
    if !p.is_tiled() {
        let taps = Taps::new(p);
        parallel::float_chunks(out, plane.max(1) * PLANES, |first, out| {
            let mut padded = vec![0.0; taps.as_ref().map_or(0, |taps| taps.plane * at(p.channels))];
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
    let depth = at(p.channels * Params::volume(&p.kernel));
    let volume = at(p.channels * Params::volume(&p.size));
    if plane * 2 <= TOGETHER && p.n > 1 && p.groups == 1 {
        let weights = Matrix { data: weight, offset: 0, row: depth, col: 1 };
        return by_images(p, x, weights, depth, (bias, out));
    }
    let pointwise = p.kernel == [1; 3] && p.stride == [1; 3] && p.pad == [0; 3] && p.size == p.out;
    // Each image and group by itself, so that threads share nothing they write.
    parallel::float_chunks(out, filters * plane, |first, out| {
        let part = first / (filters * plane);
        let image = &x[part * volume..(part + 1) * volume];
        let group = part % at(p.groups);
        let weights = Matrix { data: weight, offset: group * filters * depth, row: depth, col: 1 };
        let bias = if p.has_bias == 0 { &[][..] } else { &bias[group * filters..][..filters] };
        if pointwise {
            by_places(p, image, weights, depth, (bias, out));
        } else {
            by_columns(p, image, weights, depth, (bias, out));
        }
    });
}

/// One image and group whose columns lie in the image as they are.
fn by_places(p: &Params, image: &[f32], weights: Matrix<'_>, depth: usize, (bias, out): (&[f32], &mut [f32])) {
    let plane = at(Params::volume(&p.out));
    let filters = at(p.filters);
    // Wide enough for the product's own blocks, and no more than what is still near when it is finished.
    let wide = (COLUMNS / filters).next_multiple_of(64).clamp(256, plane.max(256));
    for first in (0..plane).step_by(wide) {
        let taken = wide.min(plane - first);
        let columns = Matrix { data: image, offset: first, row: plane, col: 1 };
        let out = &mut out[first..];
        gemm::product([filters, taken, depth], weights, columns, 1.0, (&mut *out, plane));
        vector::dispatch(Finish { p, bias, out, row: plane, taken });
    }
}

/// Small images, several at once: the weights are the larger matrix then, and are read once for all.
fn by_images(p: &Params, x: &[f32], weights: Matrix<'_>, depth: usize, (bias, out): (&[f32], &mut [f32])) {
    let (plane, filters) = (at(Params::volume(&p.out)), at(p.filters));
    let rows = at(p.out[0] * p.out[1]);
    let volume = at(p.channels * Params::volume(&p.size));
    let at_once = (TOGETHER / plane.max(1)).max(1);
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
        vector::dispatch(Finish { p, bias, out: &mut block[..filters * wide], row: wide, taken: wide });
        for (image, out) in out.chunks_exact_mut(filters * plane).enumerate() {
            for (out, block) in out.chunks_exact_mut(plane).zip(block.chunks_exact(wide)) {
                out.copy_from_slice(&block[image * plane..][..plane]);
            }
        }
    }
}

/// One image and group, in blocks of whole output rows.
fn by_columns(p: &Params, image: &[f32], weights: Matrix<'_>, depth: usize, (bias, out): (&[f32], &mut [f32])) {
    let filters = at(p.filters);
    let width = at(p.out[2]);
    let rows = at(p.out[0] * p.out[1]);
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
        vector::dispatch(Finish { p, bias, out, row: plane, taken: wide });
    }
}

/// Adds the bias to `taken` results of each filter, and bounds them.
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

/// Most results of a row that are summed at once.
const LANES: usize = 32;

/// Where the taps of a two-dimensional window lie in the padded planes of a group's channels. In each
/// row the values that follow each other in an output row lie side by side: a stride of 2 has the even
/// ones first, then the odd ones.
struct Taps {
    /// Offset of each tap, channel by channel.
    offsets: Vec<usize>,
    /// Values of one phase of a padded row, of a padded row, of a padded plane.
    phase: usize,
    row: usize,
    plane: usize,
}

impl Taps {
    /// `None` where the planes would not stay in the cache.
    fn new(p: &Params) -> Option<Self> {
        let [_, kernel_height, kernel_width] = p.kernel.map(at);
        let [_, stride_y, stride_x] = p.stride.map(at);
        let [_, dilation_y, dilation_x] = p.dilation.map(at);
        if [p.size[0], p.out[0], p.kernel[0]] != [1; 3] {
            return None;
        }
        let phase = at(p.out[2]) + (kernel_width - 1) * dilation_x / stride_x + LANES;
        let row = phase * stride_x;
        let rows = (at(p.out[1]).max(1) - 1) * stride_y + (kernel_height - 1) * dilation_y + 1;
        let plane = rows * row;
        let offsets = (0..at(p.channels)).flat_map(|channel| {
            (0..kernel_height).flat_map(move |ky| {
                (0..kernel_width).map(move |kx| {
                    let shift = kx * dilation_x;
                    channel * plane + ky * dilation_y * row + shift % stride_x * phase + shift / stride_x
                })
            })
        });
        (plane * at(p.channels) <= PADDED_MAX).then(|| Self { offsets: offsets.collect(), phase, row, plane })
    }

    /// One output plane: of image `i / filters`, by filter `i % filters`. `padded` is zero wherever an
    /// earlier plane has not written.
    fn filter(&self, p: &Params, i: usize, [x, weight, bias]: [&[f32]; 3], padded: &mut [f32], out: &mut [f32]) {
        let filters = at(p.groups * p.filters);
        let (n, f) = (i / filters, i % filters);
        let part = n * at(p.groups) + f / at(p.filters);
        let volume = at(p.channels * Params::volume(&p.size));
        let weights = &weight[f * self.offsets.len()..][..self.offsets.len()];
        let bias = if p.has_bias == 0 { 0.0 } else { bias[f] };
        self.pad(p, &x[part * volume..][..volume], padded);
        let planes = Planes { p, taps: self, padded, weights, bias, out };
        match p.out[2] {
            0..=8 => vector::dispatch(Blocks::<8>(planes)),
            9..=16 => vector::dispatch(Blocks::<16>(planes)),
            _ => vector::dispatch(Blocks::<LANES>(planes)),
        }
    }

    /// The channels' planes with their padding, each row phase by phase.
    fn pad(&self, p: &Params, image: &[f32], padded: &mut [f32]) {
        let [_, height, width] = p.size.map(at);
        let [_, pad_y, pad_x] = p.pad.map(at);
        let stride = at(p.stride[2]);
        for (channel, plane) in padded.chunks_exact_mut(self.plane).enumerate() {
            for (y, row) in plane.chunks_exact_mut(self.row).enumerate().skip(pad_y).take(height) {
                let source = &image[(channel * height + y - pad_y) * width..][..width];
                for (phase, row) in row.chunks_exact_mut(self.phase).enumerate() {
                    // The first of this phase that is not padding.
                    let skipped = pad_x.saturating_sub(phase).div_ceil(stride);
                    let first = skipped * stride + phase - pad_x;
                    let row = &mut row[skipped.min(self.phase)..];
                    match source.get(first..) {
                        Some(source) if stride == 1 => {
                            let taken = source.len().min(row.len());
                            row[..taken].copy_from_slice(&source[..taken]);
                        }
                        Some(source) => {
                            row.iter_mut().zip(source.iter().step_by(stride)).for_each(|(to, from)| *to = *from);
                        }
                        None => {}
                    }
                }
            }
        }
    }
}

/// One output plane from its padded planes.
struct Planes<'a> {
    p: &'a Params,
    taps: &'a Taps,
    padded: &'a [f32],
    weights: &'a [f32],
    bias: f32,
    out: &'a mut [f32],
}

/// In blocks of so many results of a row.
struct Blocks<'a, const N: usize>(Planes<'a>);

impl<const N: usize> Vector for Blocks<'_, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Planes { p, taps, padded, weights, bias, out } = self.0;
        let down = at(p.stride[1]) * taps.row;
        let bounds = p.bounds();
        for (y, row) in out.chunks_exact_mut(at(p.out[2]).max(1)).enumerate() {
            for (block, out) in row.chunks_mut(N).enumerate() {
                let source = &padded[y * down + block * N..];
                let mut sums = [bias; N];
                for (&offset, &weight) in taps.offsets.iter().zip(weights) {
                    let source = &source[offset..offset + N];
                    // By value, so that the sums stay in registers.
                    sums = std::array::from_fn(|i| sums[i] + weight * source[i]);
                }
                let sums: [f32; N] = std::array::from_fn(|i| bound(bounds, sums[i]));
                match out.first_chunk_mut() {
                    Some(out) => *out = sums,
                    None => out.copy_from_slice(&sums[..out.len()]),
                }
            }
        }
    }
}

/// `columns[tap, place]` for the output rows `rows`; each tap begins `wide` values after the one before.
fn fill_columns(p: &Params, image: &[f32], rows: std::ops::Range<usize>, (columns, wide): (&mut [f32], usize)) {
    let [depth, height, width] = p.size.map(at);
    let [_, kernel_height, kernel_width] = p.kernel.map(at);
    let taps = at(Params::volume(&p.kernel));
    let out_width = at(p.out[2]);
    let (stride, pad) = (at(p.stride[2]), at(p.pad[2]));
    for (k, line) in columns.chunks_mut(wide).enumerate().take(at(p.channels) * taps) {
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
