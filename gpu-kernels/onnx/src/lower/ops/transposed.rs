//! Transposed convolution, as a convolution of the image with gaps put in, by the weights turned
//! around.

use crate::error::{ModelError, show};
use crate::ir::{ValueId, long};
use crate::lower::at::At;
use crate::lower::prims::convolution::convolve;
use crate::lower::prims::copies::{pad_dilated, zero_scalar};
use crate::lower::prims::views::broadcast_to;
use crate::lower::prims::window::{AutoPad, Window};

pub(crate) fn conv_transpose(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, w) = (at.input(0)?, at.input(1)?);
    let bias = at.optional(2)?;
    let window = at.window()?;
    let groups = at.groups()?;
    let (shape_x, shape_w) = (at.shape(x), at.shape(w));
    let (_, channels, spatial) = at.spatial(&shape_x)?;
    let (rows, _, kernel) = at.spatial(&shape_w)?;
    let rank = spatial.len();
    let found = format!("{} with weights {}", show(&shape_x), show(&shape_w));
    if rows != channels || channels % groups != 0 || kernel.len() != rank {
        return Err(at.wrong("the channels, groups and weights of a convolution do not fit", found));
    }
    let list = |given: &[i64], default: i64, len: usize| match given {
        [] => Some(vec![default; len]),
        _ if given.len() == len && given.iter().all(|value| (0..1 << 24).contains(value)) => Some(given.to_vec()),
        _ => None,
    };
    let extra = at.ints("output_padding").unwrap_or_default();
    let lists = || {
        Some((
            list(&window.strides, 1, rank)?,
            list(&window.dilations, 1, rank)?,
            list(&window.pads, 0, 2 * rank)?,
            list(&extra, 0, rank)?,
        ))
    };
    let (strides, dilations, mut pads, extra) = lists()
        .ok_or_else(|| at.wrong("strides, dilations and pads must have an entry a spatial axis", found.clone()))?;
    if strides.contains(&0) || dilations.contains(&0) {
        return Err(at.wrong("strides and dilations must be at least 1", found));
    }
    let wanted = match (at.ints("output_shape"), window.auto_pad) {
        (Some(shape), _) => shape.get(shape.len().saturating_sub(rank)..).map(<[i64]>::to_vec),
        (None, AutoPad::SameUpper | AutoPad::SameLower) => {
            Some(spatial.iter().zip(&strides).map(|(&size, stride)| long(size) * stride).collect())
        }
        (None, AutoPad::Explicit | AutoPad::Valid) => None,
    };
    for i in 0..rank {
        let reach = dilations[i] * (long(kernel[i]) - 1);
        if let Some(wanted) = wanted.as_ref().and_then(|wanted| wanted.get(i)) {
            let total = strides[i] * (long(spatial[i]) - 1) + extra[i] + reach + 1 - wanted;
            // What the output lacks is put at its end.
            let (small, large) = if total < 0 { (0, total) } else { (total / 2, total - total / 2) };
            let upper = total < 0 || window.auto_pad == AutoPad::SameUpper;
            (pads[i], pads[rank + i]) = if upper { (small, large) } else { (large, small) };
        }
    }
    let walk = Walk { strides, dilations, pads, extra };
    Ok(vec![walk.spread(at, x, w, bias, groups)?])
}

/// Blocks of an image laid over each other where they were cut from.
pub(crate) fn columns(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let (image, block) = (at.known_ints(1)?.unwrap_or_default(), at.known_ints(2)?.unwrap_or_default());
    let sizes = |at: &At<'_, '_>, list: &[i64]| list.iter().map(|&size| at.size(size)).collect::<Result<Vec<_>, _>>();
    let (image, block) = (sizes(at, &image)?, sizes(at, &block)?);
    let rank = image.len();
    let list = |at: &At<'_, '_>, name: &str, default: i64, len: usize| match at.ints(name) {
        None => Ok(vec![default; len]),
        Some(list) if list.len() == len && list.iter().all(|value| (default..1 << 24).contains(value)) => Ok(list),
        Some(_) => Err(at.unsupported(name, "it must have an entry a spatial axis")),
    };
    let (strides, dilations) = (list(at, "strides", 1, rank)?, list(at, "dilations", 1, rank)?);
    let pads = list(at, "pads", 0, 2 * rank)?;
    let shape = at.shape(x);
    let count = block.iter().try_fold(1usize, |count, &size| count.checked_mul(size)).filter(|&count| count > 0);
    let found = || format!("{} as {} by {}", show(&shape), show(&image), show(&block));
    let wrong = |at: &At<'_, '_>| at.wrong("the columns do not fit the image and its blocks", found());
    let Some(count) = count.filter(|_| block.len() == rank && (1..=3).contains(&rank)) else { return Err(wrong(at)) };
    let (mut target, mut extra) = (Vec::new(), Vec::new());
    for i in 0..rank {
        let room = long(image[i]) + pads[i] + pads[rank + i] - dilations[i] * (long(block[i]) - 1) - 1;
        if room < 0 {
            return Err(wrong(at));
        }
        extra.push(room % strides[i]);
        target.push(at.size(room / strides[i] + 1)?);
    }
    let blocks: usize = target.iter().product();
    let [batch, rows, lines] = shape[..] else { return Err(wrong(at)) };
    if rows % count != 0 || lines != blocks {
        return Err(wrong(at));
    }
    let channels = rows / count;
    let mut wide = vec![batch, rows];
    wide.extend(target);
    let x = at.b.reshaped(x, wide)?;
    // Each of a block's values goes to its own place in it.
    at.check_table(count.checked_mul(count))?;
    let ones: Vec<f32> = (0..count * count).map(|i| if i % (count + 1) == 0 { 1.0 } else { 0.0 }).collect();
    let ones = at.constant_floats(vec![count, count], &ones)?;
    let ones = at.cast(ones, at.dtype(x))?;
    let all = broadcast_to(at, ones, vec![channels, count, count])?;
    let mut kernel = vec![rows, 1];
    kernel.extend(block);
    let weights = at.b.reshaped(all, kernel)?;
    let walk = Walk { strides, dilations, pads, extra };
    Ok(vec![walk.spread(at, x, weights, None, channels)?])
}

/// How the windows of a transposed convolution lie.
struct Walk {
    strides: Vec<i64>,
    dilations: Vec<i64>,
    /// Before each axis, then after each.
    pads: Vec<i64>,
    /// What is put at the end of each axis.
    extra: Vec<i64>,
}

impl Walk {
    fn spread(
        self,
        at: &mut At<'_, '_>,
        x: ValueId,
        w: ValueId,
        bias: Option<ValueId>,
        groups: usize,
    ) -> Result<ValueId, ModelError> {
        let (rows, per_group, kernel) = at.spatial(&at.shape(w))?;
        let (mut before, mut after) = (vec![0, 0], vec![0, 0]);
        for (i, &size) in kernel.iter().enumerate() {
            let reach = self.dilations[i] * (long(size) - 1);
            before.push(reach - self.pads[i]);
            after.push(reach - self.pads[kernel.len() + i] + self.extra[i]);
        }
        let turned = flip_kernels(at, w, groups, rows / groups, per_group, &kernel)?;
        let zero = zero_scalar(at, at.dtype(x))?;
        let spacing: Vec<i64> = [1, 1].into_iter().chain(self.strides).collect();
        let wide = pad_dilated(at, x, &before, &after, &spacing, zero)?;
        let plain = Window { dilations: self.dilations, ..Window::default() };
        convolve(at, wide, turned, bias, &plain, groups)
    }
}

/// The weights `[in, out a group, …]` as a convolution's `[out, in a group, …]`, each window turned.
fn flip_kernels(
    at: &mut At<'_, '_>,
    w: ValueId,
    groups: usize,
    rows: usize,
    per_group: usize,
    kernel: &[usize],
) -> Result<ValueId, ModelError> {
    let (of, mut offset, own) = at.b.place(w);
    let mut shape = vec![groups, per_group, rows];
    let mut walked = vec![own[0] * long(rows), own[1], own[0]];
    for (&size, &stride) in kernel.iter().zip(&own[2..]) {
        offset += (long(size) - 1) * stride;
        shape.push(size);
        walked.push(-stride);
    }
    let view = at.b.view(at.dtype(w), shape, (of, offset, walked))?;
    let mut target = vec![groups * per_group, rows];
    target.extend_from_slice(kernel);
    at.b.reshaped(view, target)
}
