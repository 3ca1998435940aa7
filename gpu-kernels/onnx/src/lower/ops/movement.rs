//! Operators that rearrange values without changing them. What strides can express is a view; the rest is copied.

use gpu_kernels::dtype::DType;
use gpu_kernels::number::to;

use crate::error::{ModelError, show};
use crate::ir::{ValueId, broadcast, long};
use crate::lower::context::NodeContext;
use crate::lower::prims::copies::{concat_along, padded, zero_scalar};
use crate::lower::prims::gather::take;
use crate::lower::prims::views::{broadcast_to, permute_axes, slice_axis, squeeze_axes, unsqueeze_axes};
use crate::tensor::Tensor;

pub(crate) fn identity(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    Ok(vec![cx.tensor_or_list(0)?])
}

/// Outside training nothing is dropped.
pub(crate) fn dropout(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    cx.ignore(&["seed", "ratio"]);
    let x = cx.input(0)?;
    let training = cx.known_ints(2)?.and_then(|flag| flag.first().copied()).unwrap_or(0) != 0;
    if training {
        return Err(cx.unsupported_attribute("training_mode", "export the model for inference"));
    }
    let mut outputs = vec![x];
    if cx.is_output_used(1) {
        let one = cx.constant(&Tensor { dtype: DType::Bool, shape: vec![], words: [1].into() })?;
        let shape = cx.shape(x);
        let none = vec![0; shape.len()];
        outputs.push(cx.builder.view(DType::Bool, shape, (one, 0, none))?);
    }
    Ok(outputs)
}

pub(crate) fn transpose(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let rank = cx.shape(x).len();
    let order: Vec<usize> = match cx.ints("perm") {
        None => (0..rank).rev().collect(),
        Some(perm) => perm.iter().map(|&axis| cx.axis(axis, rank, rank)).collect::<Result<_, _>>()?,
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        return Err(cx.shape_error("perm must name each axis once", show(&order)));
    }
    Ok(vec![permute_axes(cx, x, &order)?])
}

pub(crate) fn reshape(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let allow_zero = cx.flag("allowzero");
    let x = cx.input(0)?;
    let wanted = cx.known_ints(1)?.unwrap_or_default();
    let shape = cx.shape(x);
    let found = || format!("{} to {wanted:?}", show(&shape));
    let len: usize = shape.iter().product();
    let mut target = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (i, &size) in wanted.iter().enumerate() {
        target.push(match size {
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            0 if !allow_zero => *shape.get(i).ok_or_else(|| cx.shape_error("a 0 has no dimension to copy", found()))?,
            size => usize::try_from(size)
                .map_err(|_negative| cx.shape_error("a size must be positive, 0 or one -1", found()))?,
        });
    }
    let fixed = target.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let fixed = fixed.ok_or_else(|| cx.shape_error("the shape overflows", found()))?;
    match open {
        Some(i) if fixed > 0 && len.is_multiple_of(fixed) => target[i] = len / fixed,
        Some(i) if fixed == 0 && len == 0 => target[i] = 0,
        None if len == fixed => {}
        _ => {
            return Err(
                cx.shape_error("the number of values changes; keep the batch's dimension free (0 or -1)", found())
            );
        }
    }
    Ok(vec![cx.builder.reshaped(x, target)?])
}

pub(crate) fn flatten(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let shape = cx.shape(x);
    let axis = cx.axis(cx.int("axis", 1), shape.len(), shape.len() + 1)?;
    let target = vec![shape[..axis].iter().product(), shape[axis..].iter().product()];
    Ok(vec![cx.builder.reshaped(x, target)?])
}

pub(crate) fn squeeze(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let shape = cx.shape(x);
    let axes = match cx.ints_or_input("axes", 1)? {
        Some(axes) => cx.axes(&axes, shape.len())?,
        None => cx.builder.unnamed_axes(&shape),
    };
    if let Some(&axis) = axes.iter().find(|&&axis| shape.get(axis) != Some(&1)) {
        return Err(
            cx.shape_error("only an axis of size 1 can be taken away", format!("axis {axis} of {}", show(&shape)))
        );
    }
    Ok(vec![squeeze_axes(cx, x, &axes)?])
}

pub(crate) fn unsqueeze(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let axes = cx.ints_or_input("axes", 1)?.unwrap_or_default();
    let rank = cx.shape(x).len() + axes.len();
    let axes = cx.axes(&axes, rank)?;
    Ok(vec![unsqueeze_axes(cx, x, &axes)?])
}

pub(crate) fn slice(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let starts = cx.ints_or_input("starts", 1)?.unwrap_or_default();
    let ends = cx.ints_or_input("ends", 2)?.unwrap_or_default();
    let shape = cx.shape(x);
    let axes = match cx.ints_or_input("axes", 3)? {
        Some(axes) => axes.iter().map(|&axis| cx.axis(axis, shape.len(), shape.len())).collect::<Result<_, _>>()?,
        None => (0..starts.len()).collect::<Vec<_>>(),
    };
    let steps = cx.known_ints(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [starts.len(), ends.len(), steps.len()] != [axes.len(); 3] || axes.len() > shape.len() {
        return Err(cx.shape_error(
            "starts, ends, axes and steps must be of one length",
            format!("{starts:?} {ends:?} {axes:?}"),
        ));
    }
    let (root, mut offset, mut own) = cx.builder.buffer_view(x);
    let mut target = shape.clone();
    for (i, &axis) in axes.iter().enumerate() {
        let size = long(shape[axis]);
        let step = steps[i];
        if step == 0 {
            return Err(cx.shape_error("a step must not be 0", format!("{steps:?}")));
        }
        let bound = |value: i64, low: i64, high: i64| {
            let value = if value < 0 { value.saturating_add(size) } else { value };
            value.clamp(low, high)
        };
        let (start, count) = if step > 0 {
            let (start, end) = (bound(starts[i], 0, size), bound(ends[i], 0, size));
            (start, (end - start).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
        } else if size == 0 {
            (0, 0)
        } else {
            // Backwards, a start before the axis is its first element, and the largest number as an end takes all the
            // rest. numpy takes nothing in either case.
            let start = bound(starts[i], 0, size - 1);
            let end = if ends[i] >= i64::from(i32::MAX) { -1 } else { bound(ends[i], -1, size - 1) };
            (start, (start - end).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
        };
        target[axis] = to(count);
        if count > 0 {
            offset += start * own[axis];
        }
        own[axis] = own[axis].saturating_mul(if count > 1 { step } else { 1 });
    }
    Ok(vec![cx.builder.view(cx.dtype(x), target, (root, offset, own))?])
}

pub(crate) fn split(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let shape = cx.shape(x);
    let axis = cx.axis(cx.int("axis", 0), shape.len(), shape.len())?;
    cx.ignore(&["num_outputs"]);
    let count = cx.node.outputs.len();
    let sizes = if let Some(sizes) = cx.ints_or_input("split", 1)? {
        sizes.iter().map(|&size| cx.size(size)).collect::<Result<Vec<_>, _>>()?
    } else {
        // The last one is smaller where the axis does not divide evenly.
        let each = shape[axis].div_ceil(count);
        (0..count).map(|i| each.min(shape[axis].saturating_sub(i * each))).collect()
    };
    if sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size)) != Some(shape[axis]) {
        return Err(cx.shape_error("the parts do not add up to the axis", format!("{sizes:?} of {}", show(&shape))));
    }
    let mut start = 0;
    let mut outputs = Vec::with_capacity(sizes.len());
    for size in sizes {
        outputs.push(slice_axis(cx, x, axis, start, size)?);
        start += size;
    }
    Ok(outputs)
}

pub(crate) fn expand(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let wanted: Vec<usize> =
        cx.known_ints(1)?.unwrap_or_default().iter().map(|&size| cx.size(size)).collect::<Result<_, _>>()?;
    let shape = cx.shape(x);
    let target = broadcast(&shape, &wanted).ok_or_else(|| {
        cx.shape_error("the shapes do not broadcast", format!("{} to {}", show(&shape), show(&wanted)))
    })?;
    Ok(vec![broadcast_to(cx, x, target)?])
}

pub(crate) fn tile(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let repeats = cx.known_ints(1)?.unwrap_or_default();
    let shape = cx.shape(x);
    if repeats.len() != shape.len() {
        return Err(cx.shape_error("repeats must name every axis", format!("{repeats:?} of {}", show(&shape))));
    }
    let (root, offset, own) = cx.builder.buffer_view(x);
    let (mut wide, mut walked, mut target) = (Vec::new(), Vec::new(), Vec::new());
    for ((&size, &stride), &count) in shape.iter().zip(&own).zip(&repeats) {
        let count = cx.size(count)?;
        wide.extend([count, size]);
        walked.extend([0, stride]);
        target.push(
            size.checked_mul(count).ok_or_else(|| cx.shape_error("the shape overflows", format!("{repeats:?}")))?,
        );
    }
    let repeated = cx.builder.view(cx.dtype(x), wide, (root, offset, walked))?;
    Ok(vec![cx.builder.reshaped(repeated, target)?])
}

pub(crate) fn concat(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let inputs = cx.inputs()?;
    let rank = cx.shape(inputs[0]).len();
    let axis = cx.axis(cx.int("axis", 0), rank, rank)?;
    Ok(vec![concat_along(cx, &inputs, axis)?])
}

pub(crate) fn pad(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let shape = cx.shape(x);
    let pads = cx.ints_or_input("pads", 1)?.unwrap_or_default();
    let axes = match cx.known_ints(3)? {
        Some(axes) => axes.iter().map(|&axis| cx.axis(axis, shape.len(), shape.len())).collect::<Result<_, _>>()?,
        None => (0..shape.len()).collect::<Vec<_>>(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(cx.shape_error("pads must have two entries an axis", format!("{pads:?}")));
    }
    let (mut before, mut after) = (vec![0; shape.len()], vec![0; shape.len()]);
    for (i, &axis) in axes.iter().enumerate() {
        (before[axis], after[axis]) = (pads[i], pads[axes.len() + i]);
    }
    let mode = cx.text("mode", "constant");
    if mode != "constant" {
        return Ok(vec![pad_by_index(cx, x, &before, &after, mode)?]);
    }
    let value = match cx.attribute("value") {
        Some(value) => Some(cx.constant_floats(vec![], &[value.f])?),
        None => cx.optional_input(2)?,
    };
    let value = match value {
        Some(value) => without_axes(cx, value)?,
        None => zero_scalar(cx, cx.dtype(x))?,
    };
    Ok(vec![padded(cx, x, &before, &after, value)?])
}

fn without_axes(cx: &mut NodeContext<'_, '_>, value: ValueId) -> Result<ValueId, ModelError> {
    cx.builder.reshaped(value, vec![])
}

/// Padding with the tensor's own values (edge, wrap, reflect), an axis at a time. What negative pads take away is
/// gone before the rest is padded with.
fn pad_by_index(
    cx: &mut NodeContext<'_, '_>,
    mut x: ValueId,
    before: &[i64],
    after: &[i64],
    mode: &str,
) -> Result<ValueId, ModelError> {
    for axis in 0..before.len() {
        if (before[axis], after[axis]) == (0, 0) {
            continue;
        }
        let first = (-before[axis]).max(0);
        let size = long(cx.builder.shape(x)[axis]) - first - (-after[axis]).max(0);
        if size <= 0 {
            return Err(cx.shape_error("an empty axis has nothing to pad with", mode));
        }
        let (before, after) = (before[axis].max(0), after[axis].max(0));
        cx.check_table(usize::try_from(size + before + after).ok())?;
        let place = |i: i64| match mode {
            "edge" => Some(i.clamp(0, size - 1)),
            "wrap" => Some(i.rem_euclid(size)),
            "reflect" => {
                let period = (2 * (size - 1)).max(1);
                let i = i.rem_euclid(period);
                Some(if i < size { i } else { period - i }.min(size - 1))
            }
            _ => None,
        };
        let places: Option<Vec<i64>> = (-before..size + after).map(|i| Some(first + place(i)?)).collect();
        let places =
            places.ok_or_else(|| cx.unsupported_attribute("mode", "it must be constant, reflect, edge or wrap"))?;
        let table = cx.constant_ints(vec![places.len()], &places)?;
        x = take(cx, x, table, axis)?;
    }
    Ok(x)
}

pub(crate) fn center_crop_pad(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let shape = cx.shape(x);
    let wanted = cx.known_ints(1)?.unwrap_or_default();
    let axes: Vec<usize> = match cx.ints("axes") {
        Some(axes) => axes.iter().map(|&axis| cx.axis(axis, shape.len(), shape.len())).collect::<Result<_, _>>()?,
        None => (0..shape.len()).collect(),
    };
    let (mut before, mut after) = (vec![0; shape.len()], vec![0; shape.len()]);
    for (&axis, &size) in axes.iter().zip(&wanted) {
        let missing = size - long(shape[axis]);
        // An odd number of elements is added or removed at the end.
        before[axis] = if missing >= 0 { missing / 2 } else { -((-missing) / 2) };
        after[axis] = missing - before[axis];
    }
    let zero = zero_scalar(cx, cx.dtype(x))?;
    Ok(vec![padded(cx, x, &before, &after, zero)?])
}

/// Moves channels into blocks of pixels.
pub(crate) fn depth_to_space(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let (n, c, h, w, block) = image(cx, x)?;
    let inner = c / (block * block);
    if inner * block * block != c {
        return Err(cx.shape_error("the channels do not divide into blocks", format!("{c} by {block}")));
    }
    let (split, order) = match cx.text("mode", "DCR") {
        "CRD" => (vec![n, inner, block, block, h, w], [0, 1, 4, 2, 5, 3]),
        _ => (vec![n, block, block, inner, h, w], [0, 3, 4, 1, 5, 2]),
    };
    let split = cx.builder.reshaped(x, split)?;
    let moved = permute_axes(cx, split, &order)?;
    Ok(vec![cx.builder.reshaped(moved, vec![n, inner, h * block, w * block])?])
}

pub(crate) fn space_to_depth(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let (n, c, h, w, block) = image(cx, x)?;
    if h % block != 0 || w % block != 0 {
        return Err(cx.shape_error("the image does not divide into blocks", format!("{h} x {w} by {block}")));
    }
    let order = match cx.text("mode", "DCR") {
        "CRD" => [0, 1, 3, 5, 2, 4],
        _ => [0, 3, 5, 1, 2, 4],
    };
    let split = cx.builder.reshaped(x, vec![n, c, h / block, block, w / block, block])?;
    let moved = permute_axes(cx, split, &order)?;
    Ok(vec![cx.builder.reshaped(moved, vec![n, c * block * block, h / block, w / block])?])
}

fn image(cx: &NodeContext<'_, '_>, x: ValueId) -> Result<(usize, usize, usize, usize, usize), ModelError> {
    let block = cx.size(cx.int("blocksize", 0))?;
    match cx.shape(x)[..] {
        [n, c, h, w] if (1..1 << 12).contains(&block) => Ok((n, c, h, w, block)),
        _ => {
            Err(cx
                .shape_error("the input needs four axes and blocksize must lie between 1 and 4095", show(&cx.shape(x))))
        }
    }
}

pub(crate) fn trilu(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let upper = cx.int("upper", 1) != 0;
    let k = cx.known_ints(1)?.and_then(|k| k.first().copied()).unwrap_or(0);
    let shape = cx.shape(x);
    let [.., rows, cols] = shape[..] else {
        return Err(cx.shape_error("the input needs two axes", show(&shape)));
    };
    cx.check_table(rows.checked_mul(cols))?;
    let mut words = Vec::with_capacity(rows * cols);
    for row in 0..long(rows) {
        words.extend((0..long(cols)).map(|col| {
            let above = col - row;
            u32::from(if upper { above >= k } else { above <= k })
        }));
    }
    let mask = cx.constant(&Tensor { dtype: DType::Bool, shape: vec![rows, cols], words: words.into() })?;
    let dtype = cx.dtype(x);
    let result = cx.elementwise_to(&[mask, x], &shape, dtype, |p, r| {
        let zero = p.number(0, dtype.repr());
        p.select(r[0], r[1], zero)
    })?;
    Ok(vec![result])
}
