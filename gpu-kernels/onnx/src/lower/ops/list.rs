//! Lists of tensors: the plan keeps which tensors they hold, and a device never sees one.

use crate::error::{ModelError, show};
use crate::ir::{ValueId, long};
use crate::lower::at::At;
use crate::lower::prims::copies::concat_along;
use crate::lower::prims::views::{slice_axis, squeeze_axes, unsqueeze_axes};

pub(crate) fn empty(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    at.ignore(&["dtype"]);
    Ok(vec![at.b.list(Vec::new())?])
}

pub(crate) fn construct(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let tensors = at.inputs()?;
    Ok(vec![at.b.list(tensors)?])
}

/// A known place in a list of `len`, or the one after its end; `end` where none is given.
fn place(at: &mut At<'_, '_>, i: usize, len: usize, end: usize) -> Result<usize, ModelError> {
    match at.known_ints(i)?.and_then(|place| place.first().copied()) {
        Some(place) => at.axis(place, len, end + 1),
        None => Ok(end),
    }
}

pub(crate) fn insert(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let mut tensors = at.tensors(0)?;
    let tensor = at.input(1)?;
    let place = place(at, 2, tensors.len(), tensors.len())?;
    tensors.insert(place, tensor);
    Ok(vec![at.b.list(tensors)?])
}

pub(crate) fn erase(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let mut tensors = at.tensors(0)?;
    let last = tensors.len().checked_sub(1).ok_or_else(|| at.wrong("the list is empty", "[]"))?;
    let place = place(at, 1, tensors.len(), last)?;
    tensors.remove(place);
    Ok(vec![at.b.list(tensors)?])
}

pub(crate) fn element(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let tensors = at.tensors(0)?;
    let last = tensors.len().checked_sub(1).ok_or_else(|| at.wrong("the list is empty", "[]"))?;
    let place = place(at, 1, tensors.len(), last)?;
    Ok(vec![tensors[place]])
}

pub(crate) fn length(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let len = long(at.tensors(0)?.len());
    Ok(vec![at.constant_ints(vec![], &[len])?])
}

pub(crate) fn split(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let shape = at.shape(x);
    let axis = at.axis(at.int("axis", 0), shape.len(), shape.len())?;
    let keep = at.int("keepdims", 1) != 0;
    let single = match at.optional(1)? {
        Some(id) => at.b.shape(id).is_empty(),
        None => true,
    };
    let sizes = match at.known_ints(1)? {
        // One number is the size of each part but perhaps the last.
        Some(sizes) if single => {
            let size = at.size(sizes.first().copied().unwrap_or(0))?;
            if size == 0 {
                return Err(at.wrong("a part must hold something", "0"));
            }
            (0..shape[axis]).step_by(size).map(|from| size.min(shape[axis] - from)).collect()
        }
        Some(sizes) => sizes.iter().map(|&size| at.size(size)).collect::<Result<Vec<_>, _>>()?,
        None => vec![1; shape[axis]],
    };
    at.check_table(Some(sizes.len()))?;
    let total = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
    if total != Some(shape[axis]) {
        return Err(at.wrong("the parts must add up to the axis", format!("{} of {}", show(&sizes), show(&shape))));
    }
    let whole = at.optional(1)?.is_some() || keep;
    let mut from = 0;
    let mut tensors = Vec::with_capacity(sizes.len());
    for size in sizes {
        let one = slice_axis(at, x, axis, from, size)?;
        tensors.push(if whole { one } else { squeeze_axes(at, one, &[axis])? });
        from += size;
    }
    Ok(vec![at.b.list(tensors)?])
}

pub(crate) fn concat(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let mut tensors = at.tensors(0)?;
    let Some(&first) = tensors.first() else { return Err(at.wrong("the list is empty", "[]")) };
    let fresh = at.flag("new_axis");
    let rank = at.shape(first).len() + usize::from(fresh);
    let axis = at.axis(at.int("axis", 0), rank, rank)?;
    if fresh {
        for tensor in &mut tensors {
            *tensor = unsqueeze_axes(at, *tensor, &[axis])?;
        }
    }
    Ok(vec![concat_along(at, &tensors, axis)?])
}
