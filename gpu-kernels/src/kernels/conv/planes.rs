//! Convolutions with few filters per group, depthwise ones above all: one output plane after another, from
//! padded copies of its input planes.

use super::{Params, bound};
use crate::kernels::index::to_usize;

/// Values of the padded planes that one output plane is computed from.
const PADDED_MAX: usize = 1 << 17;
/// Most outputs of a row that are summed at once.
const LANES: usize = 32;

/// Where the taps of a two-dimensional window lie in the padded planes of a group's channels. Padded rows are
/// stored phase by phase, so that neighbouring outputs read neighbouring values: with a stride of 2 the even
/// columns come first, then the odd ones.
pub(super) struct Taps {
    /// Offset of each tap, channel by channel.
    pub(super) offsets: Vec<usize>,
    /// Values of one phase of a padded row, of a padded row, and of a padded plane.
    phase: usize,
    row: usize,
    pub(super) plane: usize,
}

impl Taps {
    /// `None` for windows of three dimensions, and where the planes would not fit the cache.
    pub(super) fn new(p: &Params) -> Option<Self> {
        let [_, kernel_height, kernel_width] = p.kernel.map(to_usize);
        let [_, stride_y, stride_x] = p.stride.map(to_usize);
        let [_, dilation_y, dilation_x] = p.dilation.map(to_usize);
        if [p.size[0], p.out[0], p.kernel[0]] != [1; 3] {
            return None;
        }
        let phase = to_usize(p.out[2]) + (kernel_width - 1) * dilation_x / stride_x + LANES;
        let row = phase * stride_x;
        let rows = (to_usize(p.out[1]).max(1) - 1) * stride_y + (kernel_height - 1) * dilation_y + 1;
        let plane = rows * row;
        let offsets = (0..to_usize(p.channels)).flat_map(|channel| {
            (0..kernel_height).flat_map(move |ky| {
                (0..kernel_width).map(move |kx| {
                    let shift = kx * dilation_x;
                    channel * plane + ky * dilation_y * row + shift % stride_x * phase + shift / stride_x
                })
            })
        });
        (plane * to_usize(p.channels) <= PADDED_MAX).then(|| Self { offsets: offsets.collect(), phase, row, plane })
    }

    /// One output plane: of image `i / filters`, by filter `i % filters`. `padded` is zero wherever an
    /// earlier plane has not written.
    pub(super) fn filter(
        &self,
        p: &Params,
        i: usize,
        [x, weight, bias]: [&[f32]; 3],
        padded: &mut [f32],
        out: &mut [f32],
    ) {
        let filters = to_usize(p.groups * p.filters);
        let (n, f) = (i / filters, i % filters);
        let part = n * to_usize(p.groups) + f / to_usize(p.filters);
        let volume = to_usize(p.channels * Params::volume(&p.size));
        let weights = &weight[f * self.offsets.len()..][..self.offsets.len()];
        let bias = if p.has_bias == 0 { 0.0 } else { bias[f] };
        self.pad(p, &x[part * volume..][..volume], padded);
        let planes = Planes { p, taps: self, padded, weights, bias, out };
        planes.run();
    }

    /// The channels' planes with their padding, each row phase by phase.
    fn pad(&self, p: &Params, image: &[f32], padded: &mut [f32]) {
        let [_, height, width] = p.size.map(to_usize);
        let [_, pad_y, pad_x] = p.pad.map(to_usize);
        let stride = to_usize(p.stride[2]);
        for (channel, plane) in padded.chunks_exact_mut(self.plane).enumerate() {
            for (y, row) in plane.chunks_exact_mut(self.row).enumerate().skip(pad_y).take(height) {
                let source = &image[(channel * height + y - pad_y) * width..][..width];
                for (phase, row) in row.chunks_exact_mut(self.phase).enumerate() {
                    // The first column of this phase that is not padding.
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

impl Planes<'_> {
    #[cfg(feature = "cpu")]
    fn run(self) {
        pulp::Arch::new().dispatch(self);
    }

    #[cfg(not(feature = "cpu"))]
    fn run(self) {
        self.plain();
    }

    /// Plain loops, vectorized by the compiler.
    #[inline(always)]
    fn plain(self) {
        match self.p.out[2] {
            0..=8 => self.blocks::<8>(),
            9..=16 => self.blocks::<16>(),
            _ => self.blocks::<LANES>(),
        }
    }

    /// In blocks of `N` outputs of a row.
    #[inline(always)]
    fn blocks<const N: usize>(self) {
        let Planes { p, taps, padded, weights, bias, out } = self;
        let down = to_usize(p.stride[1]) * taps.row;
        let bounds = p.bounds();
        for (y, row) in out.chunks_exact_mut(to_usize(p.out[2]).max(1)).enumerate() {
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

/// Vectors of eight floats are written out by hand: inside such a function the compiler splits the plain loop
/// into scalars.
#[cfg(feature = "cpu")]
impl pulp::WithSimd for Planes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) {
        match (S::F32_LANES, self.p.out[2]) {
            (8, 0..=8) => self.vectors::<S, 1>(simd),
            (8, 9..=16) => self.vectors::<S, 2>(simd),
            (8, _) => self.vectors::<S, 4>(simd),
            _ => self.plain(),
        }
    }
}

#[cfg(feature = "cpu")]
impl Planes<'_> {
    /// In blocks of `N` vectors of a row.
    #[inline(always)]
    fn vectors<S: pulp::Simd, const N: usize>(self, simd: S) {
        let Planes { p, taps, padded, weights, bias, out } = self;
        let down = to_usize(p.stride[1]) * taps.row;
        let [low, high] = p.bounds().map(|bound| simd.splat_f32s(bound));
        let bias = simd.splat_f32s(bias);
        let wide = N * S::F32_LANES;
        for (y, row) in out.chunks_exact_mut(to_usize(p.out[2]).max(1)).enumerate() {
            for (block, out) in row.chunks_mut(wide).enumerate() {
                let source = &padded[y * down + block * wide..];
                let mut sums = [bias; N];
                for (&offset, &weight) in taps.offsets.iter().zip(weights) {
                    let (source, _) = S::as_simd_f32s(&source[offset..offset + wide]);
                    let Some(source) = source.first_chunk::<N>() else { return };
                    let weight = simd.splat_f32s(weight);
                    for i in 0..N {
                        sums[i] = simd.mul_add_e_f32s(weight, source[i], sums[i]);
                    }
                }
                // NaN stays NaN: where the two do not compare, these take the second.
                for sum in &mut sums {
                    *sum = simd.min_f32s(high, simd.max_f32s(low, *sum));
                }
                let (whole, rest) = S::as_mut_simd_f32s(out);
                for (out, &sum) in whole.iter_mut().zip(&sums) {
                    *out = sum;
                }
                if let Some(sum) = sums.get(whole.len()) {
                    simd.partial_store_f32s(rest, *sum);
                }
            }
        }
    }
}
