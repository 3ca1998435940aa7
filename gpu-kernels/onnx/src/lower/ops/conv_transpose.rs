//! Transposed convolution: a convolution of the dilated image by the flipped weights.

use crate::error::{ModelError, show};
use crate::ir::{ValueId, long};
use crate::lower::context::NodeContext;
use crate::lower::prims::convolution::convolve;
use crate::lower::prims::copies::{pad_dilated, zero_scalar};
use crate::lower::prims::views::broadcast_to;
use crate::lower::prims::window::{AutoPad, Window};

pub(crate) fn conv_transpose(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, w) = (cx.input(0)?, cx.input(1)?);
    let bias = cx.optional_input(2)?;
    let window = cx.window()?;
    let groups = cx.groups()?;
    let (shape_x, shape_w) = (cx.shape(x), cx.shape(w));
    let (_, channels, spatial) = cx.spatial(&shape_x)?;
    let (rows, _, kernel) = cx.spatial(&shape_w)?;
    let rank = spatial.len();
    let found = format!("{} with weights {}", show(&shape_x), show(&shape_w));
    if rows != channels || channels % groups != 0 || kernel.len() != rank {
        return Err(cx.shape_error("the channels, groups and weights of a convolution do not fit", found));
    }
    let list = |given: &[i64], default: i64, len: usize| match given {
        [] => Some(vec![default; len]),
        _ if given.len() == len && given.iter().all(|value| (0..1 << 24).contains(value)) => Some(given.to_vec()),
        _ => None,
    };
    let extra = cx.ints("output_padding").unwrap_or_default();
    let lists = || {
        Some((
            list(&window.strides, 1, rank)?,
            list(&window.dilations, 1, rank)?,
            list(&window.pads, 0, 2 * rank)?,
            list(&extra, 0, rank)?,
        ))
    };
    let (strides, dilations, mut pads, extra) = lists().ok_or_else(|| {
        cx.shape_error("strides, dilations and pads must have an entry a spatial axis", found.clone())
    })?;
    if strides.contains(&0) || dilations.contains(&0) {
        return Err(cx.shape_error("strides and dilations must be at least 1", found));
    }
    let wanted = match (cx.ints("output_shape"), window.auto_pad) {
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
            // Missing output is padded at its end.
            let (small, large) = if total < 0 { (0, total) } else { (total / 2, total - total / 2) };
            let upper = total < 0 || window.auto_pad == AutoPad::SameUpper;
            (pads[i], pads[rank + i]) = if upper { (small, large) } else { (large, small) };
        }
    }
    let windows = Windows { strides, dilations, pads, extra };
    Ok(vec![windows.spread(cx, x, w, bias, groups)?])
}

/// `Col2Im`: blocks of an image summed where they were cut from.
pub(crate) fn columns(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let (image, block) = (cx.known_ints(1)?.unwrap_or_default(), cx.known_ints(2)?.unwrap_or_default());
    let sizes =
        |cx: &NodeContext<'_, '_>, list: &[i64]| list.iter().map(|&size| cx.size(size)).collect::<Result<Vec<_>, _>>();
    let (image, block) = (sizes(cx, &image)?, sizes(cx, &block)?);
    let rank = image.len();
    let list = |cx: &NodeContext<'_, '_>, name: &str, default: i64, len: usize| match cx.ints(name) {
        None => Ok(vec![default; len]),
        Some(list) if list.len() == len && list.iter().all(|value| (default..1 << 24).contains(value)) => Ok(list),
        Some(_) => Err(cx.unsupported_attribute(name, "it must have an entry a spatial axis")),
    };
    let (strides, dilations) = (list(cx, "strides", 1, rank)?, list(cx, "dilations", 1, rank)?);
    let pads = list(cx, "pads", 0, 2 * rank)?;
    let shape = cx.shape(x);
    let count = block.iter().try_fold(1usize, |count, &size| count.checked_mul(size)).filter(|&count| count > 0);
    let found = || format!("{} as {} by {}", show(&shape), show(&image), show(&block));
    let wrong = |cx: &NodeContext<'_, '_>| cx.shape_error("the columns do not fit the image and its blocks", found());
    let Some(count) = count.filter(|_| block.len() == rank && (1..=3).contains(&rank)) else { return Err(wrong(cx)) };
    let (mut target, mut extra) = (Vec::new(), Vec::new());
    for i in 0..rank {
        let room = long(image[i]) + pads[i] + pads[rank + i] - dilations[i] * (long(block[i]) - 1) - 1;
        if room < 0 {
            return Err(wrong(cx));
        }
        extra.push(room % strides[i]);
        target.push(cx.size(room / strides[i] + 1)?);
    }
    let blocks: usize = target.iter().product();
    let [batch, rows, lines] = shape[..] else { return Err(wrong(cx)) };
    if rows % count != 0 || lines != blocks {
        return Err(wrong(cx));
    }
    let channels = rows / count;
    let mut wide = vec![batch, rows];
    wide.extend(target);
    let x = cx.builder.reshaped(x, wide)?;
    // An identity kernel sends each value of a block to its own place.
    cx.check_table(count.checked_mul(count))?;
    let ones: Vec<f32> = (0..count * count).map(|i| if i % (count + 1) == 0 { 1.0 } else { 0.0 }).collect();
    let ones = cx.constant_floats(vec![count, count], &ones)?;
    let ones = cx.cast(ones, cx.dtype(x))?;
    let all = broadcast_to(cx, ones, vec![channels, count, count])?;
    let mut kernel = vec![rows, 1];
    kernel.extend(block);
    let weights = cx.builder.reshaped(all, kernel)?;
    let windows = Windows { strides, dilations, pads, extra };
    Ok(vec![windows.spread(cx, x, weights, None, channels)?])
}

/// How the windows of a transposed convolution lie.
struct Windows {
    strides: Vec<i64>,
    dilations: Vec<i64>,
    /// Before each axis, then after each.
    pads: Vec<i64>,
    /// Extra padding at the end of each axis.
    extra: Vec<i64>,
}

impl Windows {
    fn spread(
        self,
        cx: &mut NodeContext<'_, '_>,
        x: ValueId,
        w: ValueId,
        bias: Option<ValueId>,
        groups: usize,
    ) -> Result<ValueId, ModelError> {
        let (rows, per_group, kernel) = cx.spatial(&cx.shape(w))?;
        let (mut before, mut after) = (vec![0, 0], vec![0, 0]);
        for (i, &size) in kernel.iter().enumerate() {
            let reach = self.dilations[i] * (long(size) - 1);
            before.push(reach - self.pads[i]);
            after.push(reach - self.pads[kernel.len() + i] + self.extra[i]);
        }
        let turned = flip_kernels(cx, w, groups, rows / groups, per_group, &kernel)?;
        let zero = zero_scalar(cx, cx.dtype(x))?;
        let spacing: Vec<i64> = [1, 1].into_iter().chain(self.strides).collect();
        let wide = pad_dilated(cx, x, &before, &after, &spacing, zero)?;
        let plain = Window { dilations: self.dilations, ..Window::default() };
        convolve(cx, wide, turned, bias, &plain, groups)
    }
}

/// The weights `[in, out a group, …]` as a convolution's `[out, in a group, …]`, each window flipped.
fn flip_kernels(
    cx: &mut NodeContext<'_, '_>,
    w: ValueId,
    groups: usize,
    rows: usize,
    per_group: usize,
    kernel: &[usize],
) -> Result<ValueId, ModelError> {
    let (root, mut offset, own) = cx.builder.buffer_view(w);
    let mut shape = vec![groups, per_group, rows];
    let mut walked = vec![own[0] * long(rows), own[1], own[0]];
    for (&size, &stride) in kernel.iter().zip(&own[2..]) {
        offset += (long(size) - 1) * stride;
        shape.push(size);
        walked.push(-stride);
    }
    let view = cx.builder.view(cx.dtype(w), shape, (root, offset, walked))?;
    let mut target = vec![groups * per_group, rows];
    target.extend_from_slice(kernel);
    cx.builder.reshaped(view, target)
}
