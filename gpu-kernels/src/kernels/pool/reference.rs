use super::{Mode, Params, Pool};
use crate::cpu::threads;
use crate::dtype::Repr;
use crate::kernels::index::to_usize;
use crate::number;

const SHARE: usize = 1 << 12;

/// The whole pooling; `start` and `units` are ignored.
pub fn run(call: &Pool, x: &[u32], out: &mut [u32]) {
    let p = &call.params;
    let plane: usize = p.size.iter().map(|&size| to_usize(size)).product();
    let out_plane: usize = p.out.iter().map(|&size| to_usize(size)).product();
    if call.mode == Mode::Max && call.repr == Repr::F32 {
        let width = to_usize(p.out[2]);
        threads::chunks(&mut out[..to_usize(p.len)], SHARE.next_multiple_of(width), |first, chunk| {
            for (row, out) in chunk.chunks_exact_mut(width).enumerate() {
                max_row(p, bytemuck::cast_slice(x), first / width + row, bytemuck::cast_slice_mut(out));
            }
        });
        return;
    }
    threads::chunks(&mut out[..to_usize(p.len)], SHARE, |first, chunk| {
        for (i, out) in chunk.iter_mut().enumerate() {
            let i = first + i;
            let window = Window { call, base: i / out_plane * plane, output: i % out_plane };
            *out = match call.repr {
                Repr::F32 => window.float(x),
                Repr::I32 => window.whole(x, |a, b| a.cast_signed() > b.cast_signed()),
                Repr::U32 => window.whole(x, |a, b| a > b),
            };
        }
    });
}

/// One row of outputs, one tap after another, which a compiler turns into vector code.
fn max_row(p: &Params, x: &[f32], row: usize, out: &mut [f32]) {
    let [depth, height, width] = p.size.map(to_usize);
    let [out_depth, out_height, _] = p.out.map(to_usize);
    let (plane, oz, oy) = (row / (out_depth * out_height), row / out_height % out_depth, row % out_height);
    let (stride, pad) = (to_usize(p.stride[2]), to_usize(p.pad[2]));
    let mut first_tap = true;
    out.fill(f32::NEG_INFINITY);
    for kz in 0..to_usize(p.kernel[0]) {
        let Some(z) = inside(p, 0, oz, kz).0 else { continue };
        for ky in 0..to_usize(p.kernel[1]) {
            let Some(y) = inside(p, 1, oy, ky).0 else { continue };
            let source = &x[((plane * depth + z) * height + y) * width..][..width];
            for kx in 0..to_usize(p.kernel[2]) {
                let shift = kx * to_usize(p.dilation[2]);
                let first = pad.saturating_sub(shift).div_ceil(stride).min(out.len());
                let last = (width + pad).saturating_sub(shift).div_ceil(stride).clamp(first, out.len());
                if first < last {
                    let taken = source[first * stride + shift - pad..].iter().step_by(stride);
                    for (out, &v) in out[first..last].iter_mut().zip(taken) {
                        *out = if v > *out || v.is_nan() { v } else { *out };
                    }
                    first_tap = false;
                }
            }
        }
    }
    // A window that lies wholly in the padding gives 0, as in the shader.
    if first_tap {
        out.fill(0.0);
    }
}

struct Window<'a> {
    call: &'a Pool,
    base: usize,
    output: usize,
}

impl Window<'_> {
    /// Calls `each(index, index_by_columns)` for each input in the window; returns how many elements of the
    /// window lie in the tensor or its padding.
    fn each(&self, mut each: impl FnMut(usize, usize)) -> u32 {
        let p = &self.call.params;
        let [_, out_height, out_width] = p.out.map(to_usize);
        let o = [self.output / (out_height * out_width), self.output / out_width % out_height, self.output % out_width];
        let [depth, height, width] = p.size.map(to_usize);
        let mut padded = 0;
        for kz in 0..to_usize(p.kernel[0]) {
            let (z, z_counts) = inside(p, 0, o[0], kz);
            for ky in 0..to_usize(p.kernel[1]) {
                let (y, y_counts) = inside(p, 1, o[1], ky);
                for kx in 0..to_usize(p.kernel[2]) {
                    let (x, x_counts) = inside(p, 2, o[2], kx);
                    padded += u32::from(z_counts && y_counts && x_counts);
                    if let (Some(z), Some(y), Some(x)) = (z, y, x) {
                        each(self.base + (z * height + y) * width + x, self.base + (x * height + y) * depth + z);
                    }
                }
            }
        }
        padded
    }

    fn float(&self, x: &[u32]) -> u32 {
        let (mut best, mut found) = (0.0f32, 0);
        let (mut sum, mut block, mut seen) = (0.0f32, 0.0f32, 0u32);
        let padded = self.each(|index, index_by_columns| {
            let value = f32::from_bits(x[index]);
            if seen == 0 || (!best.is_nan() && (value.is_nan() || value > best)) {
                best = value;
                found = if self.call.params.by_columns == 0 { index } else { index_by_columns };
            }
            block += value;
            seen += 1;
            if seen.is_multiple_of(64) {
                sum += block;
                block = 0.0;
            }
        });
        #[expect(
            clippy::cast_precision_loss,
            clippy::as_conversions,
            reason = "a window has far fewer than 2^24 elements"
        )]
        let over = |count: u32| ((sum + block) / count.max(1) as f32).to_bits();
        match self.call.mode {
            Mode::Max => best.to_bits(),
            Mode::ArgMax => number::to(found),
            Mode::Average => over(seen),
            Mode::AveragePadded => over(padded),
            Mode::Sum => (sum + block).to_bits(),
        }
    }

    /// Integers have no other pooling than that by the largest value.
    fn whole(&self, x: &[u32], above: impl Fn(u32, u32) -> bool) -> u32 {
        let mut best: Option<(u32, usize)> = None;
        self.each(|index, index_by_columns| {
            if best.is_none_or(|(kept, _)| above(x[index], kept)) {
                best = Some((x[index], if self.call.params.by_columns == 0 { index } else { index_by_columns }));
            }
        });
        let (value, found) = best.unwrap_or_default();
        if self.call.mode == Mode::ArgMax { number::to(found) } else { value }
    }
}

/// The input that tap `k` of output `o` reads along an axis, if it is inside; and whether it is inside the
/// padded axis.
fn inside(p: &Params, axis: usize, o: usize, k: usize) -> (Option<usize>, bool) {
    let padded = o * to_usize(p.stride[axis]) + k * to_usize(p.dilation[axis]);
    let input = padded.checked_sub(to_usize(p.pad[axis])).filter(|&input| input < to_usize(p.size[axis]));
    (input, padded < to_usize(p.size[axis] + p.pad[axis] + p.pad_after[axis]))
}
