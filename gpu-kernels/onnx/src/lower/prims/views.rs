//! What strides can say: the same elements under other axes, without a copy.

use crate::error::{ModelError, show};
use crate::ir::{ValueId, long};
use crate::lower::context::NodeContext;

/// The axes of a value in another order.
pub(crate) fn permute_axes(cx: &mut NodeContext<'_, '_>, x: ValueId, order: &[usize]) -> Result<ValueId, ModelError> {
    let shape = cx.shape(x);
    if order.len() != shape.len() || order.iter().any(|&axis| axis >= shape.len()) {
        return Err(cx.shape_error("an input has another number of axes than its operator needs", show(&shape)));
    }
    let (root, offset, own) = cx.builder.buffer_view(x);
    let target = order.iter().map(|&axis| shape[axis]).collect();
    let walked = order.iter().map(|&axis| own[axis]).collect();
    cx.builder.view(cx.dtype(x), target, (root, offset, walked))
}

/// A view without some axes, at place 0 of each.
pub(crate) fn squeeze_axes(cx: &mut NodeContext<'_, '_>, x: ValueId, axes: &[usize]) -> Result<ValueId, ModelError> {
    let (root, offset, own) = cx.builder.buffer_view(x);
    let shape = cx.shape(x);
    if axes.iter().any(|&axis| axis >= shape.len()) {
        return Err(cx.shape_error("an input has fewer axes than its operator needs", show(&shape)));
    }
    let kept = |i: &usize| !axes.contains(i);
    let target = (0..shape.len()).filter(kept).map(|i| shape[i]).collect();
    let walked = (0..shape.len()).filter(kept).map(|i| own[i]).collect();
    cx.builder.view(cx.dtype(x), target, (root, offset, walked))
}

/// A view with an axis of size 1 before each place that `axes` names in the result.
pub(crate) fn unsqueeze_axes(cx: &mut NodeContext<'_, '_>, x: ValueId, axes: &[usize]) -> Result<ValueId, ModelError> {
    let (root, offset, mut walked) = cx.builder.buffer_view(x);
    let mut shape = cx.shape(x);
    for &axis in axes {
        if axis > shape.len() {
            return Err(cx.shape_error("an input has fewer axes than its operator needs", show(&shape)));
        }
        shape.insert(axis, 1);
        walked.insert(axis, 0);
    }
    cx.builder.view(cx.dtype(x), shape, (root, offset, walked))
}

/// Part of a value along one axis.
pub(crate) fn slice_axis(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    axis: usize,
    start: usize,
    len: usize,
) -> Result<ValueId, ModelError> {
    let (root, offset, own) = cx.builder.buffer_view(x);
    let mut shape = cx.shape(x);
    let room = shape.get(axis).and_then(|size| size.checked_sub(start));
    if room.is_none_or(|room| room < len) {
        return Err(cx.shape_error("an input is smaller than its operator needs", show(&shape)));
    }
    shape[axis] = len;
    let offset = offset + long(start) * own[axis];
    cx.builder.view(cx.dtype(x), shape, (root, offset, own))
}

/// A view that repeats a value to a shape it broadcasts to.
pub(crate) fn broadcast_to(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    target: Vec<usize>,
) -> Result<ValueId, ModelError> {
    let place = cx.builder.broadcast_view(x, &target);
    let place = place.ok_or_else(|| cx.shape_error("the shapes do not broadcast", show(&target)))?;
    cx.builder.view(cx.dtype(x), target, place)
}
