use super::Params;
use crate::kernels::at;

/// The whole pooling; `start` and `units` are ignored.
pub fn run(p: &Params, x: &[f32], out: &mut [f32]) {
    let plane = at(p.height * p.width);
    let out_plane = at(p.out_height * p.out_width);
    for (i, out) in out.iter_mut().enumerate() {
        let (oy, ox) = (i % out_plane / at(p.out_width), i % at(p.out_width));
        *out = window(p, &x[i / out_plane * plane..][..plane], oy, ox);
    }
}

fn window(p: &Params, x: &[f32], oy: usize, ox: usize) -> f32 {
    let (mut best, mut sum, mut block) = (0.0f32, 0.0f32, 0.0f32);
    let (mut seen, mut padded) = (0u32, 0u32);
    for ky in 0..at(p.kernel_height) {
        let py = oy * at(p.stride_y) + ky * at(p.dilation_y);
        for kx in 0..at(p.kernel_width) {
            let px = ox * at(p.stride_x) + kx * at(p.dilation_x);
            if py < at(p.height + p.pad_top + p.pad_bottom) && px < at(p.width + p.pad_left + p.pad_right) {
                padded += 1;
            }
            let (Some(iy), Some(ix)) = (py.checked_sub(at(p.pad_top)), px.checked_sub(at(p.pad_left))) else {
                continue;
            };
            if iy < at(p.height) && ix < at(p.width) {
                let value = x[iy * at(p.width) + ix];
                if seen == 0 || (!best.is_nan() && (value.is_nan() || value > best)) {
                    best = value;
                }
                block += value;
                seen += 1;
                if seen % 64 == 0 {
                    sum += block;
                    block = 0.0;
                }
            }
        }
    }
    if p.average == 0 {
        return best;
    }
    let count = if p.count_include_pad == 0 { seen } else { padded };
    #[expect(clippy::cast_precision_loss, reason = "a window has far fewer than 2^24 places")]
    let count = count.max(1) as f32;
    (sum + block) / count
}
