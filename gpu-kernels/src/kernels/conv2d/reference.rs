use super::Params;
use crate::kernels::at;

/// The whole convolution; `start` and `units` are ignored.
///
/// Sums in the shader's order (channel, row, column); the innermost loop runs along an output row,
/// which a compiler turns into vector code.
pub fn run(p: &Params, x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    let (out_width, width) = (at(p.out_width), at(p.width));
    let out_plane = at(p.out_height) * out_width;
    let in_plane = at(p.height) * width;
    let taps = at(p.kernel_height * p.kernel_width);
    let channels = at(p.channels_in / p.groups);
    if out_plane == 0 {
        return;
    }
    for (plane, out) in out.chunks_exact_mut(out_plane).enumerate() {
        let (n, oc) = (plane / at(p.channels_out), plane % at(p.channels_out));
        let first = oc / at(p.channels_out / p.groups) * channels;
        out.fill(0.0);
        for ic in 0..channels {
            let x = &x[(n * at(p.channels_in) + first + ic) * in_plane..][..in_plane];
            let weight = &weight[(oc * channels + ic) * taps..][..taps];
            for (tap, &w) in weight.iter().enumerate() {
                let (ky, kx) = (tap / at(p.kernel_width), tap % at(p.kernel_width));
                let shift_x = kx * at(p.dilation_x);
                for (oy, row) in out.chunks_exact_mut(out_width).enumerate() {
                    let Some(iy) = inside(oy * at(p.stride_y) + ky * at(p.dilation_y), p.pad_top, p.height) else {
                        continue;
                    };
                    let x = &x[iy * width..][..width];
                    add_scaled(row, x, w, shift_x, at(p.stride_x), at(p.pad_left));
                }
            }
        }
        if p.has_bias != 0 {
            out.iter_mut().for_each(|value| *value += bias[oc]);
        }
    }
}

/// Adds `w · x[ox·stride + shift − pad]` to each output of a row whose source lies inside `x`.
fn add_scaled(row: &mut [f32], x: &[f32], w: f32, shift: usize, stride: usize, pad: usize) {
    let first = pad.saturating_sub(shift).div_ceil(stride);
    let last = (x.len() + pad).saturating_sub(shift).div_ceil(stride).min(row.len());
    if first >= last {
        return;
    }
    let source = &x[first * stride + shift - pad..];
    for (value, x) in row[first..last].iter_mut().zip(source.iter().step_by(stride)) {
        *value += w * x;
    }
}

fn inside(padded: usize, pad: u32, size: u32) -> Option<usize> {
    padded.checked_sub(at(pad)).filter(|&place| place < at(size))
}
