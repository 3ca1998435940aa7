//! Lists of tensors: the plan keeps which tensors they hold, and a device never sees one.

use crate::error::{ModelError, show};
use crate::ir::{ValueId, long};
use crate::lower::context::NodeContext;
use crate::lower::prims::copies::concat_along;
use crate::lower::prims::views::{slice_axis, squeeze_axes, unsqueeze_axes};

pub(crate) fn empty(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    cx.ignore(&["dtype"]);
    Ok(vec![cx.builder.list(Vec::new())?])
}

pub(crate) fn construct(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let tensors = cx.inputs()?;
    Ok(vec![cx.builder.list(tensors)?])
}

/// A known index into a list of `len`, or the one after its end; `end` where none is given.
fn place(cx: &mut NodeContext<'_, '_>, i: usize, len: usize, end: usize) -> Result<usize, ModelError> {
    match cx.known_ints(i)?.and_then(|place| place.first().copied()) {
        Some(place) => cx.axis(place, len, end + 1),
        None => Ok(end),
    }
}

pub(crate) fn insert(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let mut tensors = cx.list_items(0)?;
    let tensor = cx.input(1)?;
    let place = place(cx, 2, tensors.len(), tensors.len())?;
    tensors.insert(place, tensor);
    Ok(vec![cx.builder.list(tensors)?])
}

pub(crate) fn erase(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let mut tensors = cx.list_items(0)?;
    let last = tensors.len().checked_sub(1).ok_or_else(|| cx.shape_error("the list is empty", "[]"))?;
    let place = place(cx, 1, tensors.len(), last)?;
    tensors.remove(place);
    Ok(vec![cx.builder.list(tensors)?])
}

pub(crate) fn element(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let tensors = cx.list_items(0)?;
    let last = tensors.len().checked_sub(1).ok_or_else(|| cx.shape_error("the list is empty", "[]"))?;
    let place = place(cx, 1, tensors.len(), last)?;
    Ok(vec![tensors[place]])
}

pub(crate) fn length(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let len = long(cx.list_items(0)?.len());
    Ok(vec![cx.constant_ints(vec![], &[len])?])
}

pub(crate) fn split(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let shape = cx.shape(x);
    let axis = cx.axis(cx.int("axis", 0), shape.len(), shape.len())?;
    let keep = cx.int("keepdims", 1) != 0;
    let single = match cx.optional_input(1)? {
        Some(id) => cx.builder.shape(id).is_empty(),
        None => true,
    };
    let sizes = match cx.known_ints(1)? {
        // A single number is the size of every part; the last may be smaller.
        Some(sizes) if single => {
            let size = cx.size(sizes.first().copied().unwrap_or(0))?;
            if size == 0 {
                return Err(cx.shape_error("a part must hold something", "0"));
            }
            cx.check_table(Some(shape[axis].div_ceil(size)))?;
            (0..shape[axis]).step_by(size).map(|from| size.min(shape[axis] - from)).collect()
        }
        Some(sizes) => sizes.iter().map(|&size| cx.size(size)).collect::<Result<Vec<_>, _>>()?,
        None => {
            cx.check_table(Some(shape[axis]))?;
            vec![1; shape[axis]]
        }
    };
    cx.check_table(Some(sizes.len()))?;
    let total = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
    if total != Some(shape[axis]) {
        return Err(
            cx.shape_error("the parts must add up to the axis", format!("{} of {}", show(&sizes), show(&shape)))
        );
    }
    let whole = cx.optional_input(1)?.is_some() || keep;
    let mut from = 0;
    let mut tensors = Vec::with_capacity(sizes.len());
    for size in sizes {
        let one = slice_axis(cx, x, axis, from, size)?;
        tensors.push(if whole { one } else { squeeze_axes(cx, one, &[axis])? });
        from += size;
    }
    Ok(vec![cx.builder.list(tensors)?])
}

pub(crate) fn concat(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let mut tensors = cx.list_items(0)?;
    let Some(&first) = tensors.first() else { return Err(cx.shape_error("the list is empty", "[]")) };
    let fresh = cx.flag("new_axis");
    let rank = cx.shape(first).len() + usize::from(fresh);
    let axis = cx.axis(cx.int("axis", 0), rank, rank)?;
    if fresh {
        for tensor in &mut tensors {
            *tensor = unsqueeze_axes(cx, *tensor, &[axis])?;
        }
    }
    Ok(vec![concat_along(cx, &tensors, axis)?])
}
