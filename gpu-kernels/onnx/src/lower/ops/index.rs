//! Gather and scatter: reading and writing at indices that are values themselves.

use gpu_kernels::kernels::elementwise::Program;
use gpu_kernels::kernels::{Call, MAX_RANK, elementwise, scatter, units_for};
use gpu_kernels::number::to;

use crate::error::{ModelError, show};
use crate::ir::{Layout, ValueId, long, strides};
use crate::lower::context::NodeContext;
use crate::lower::prims::gather::{
    IndexedAxes, index_type, read, reverse_sequences, sizes, steps, take, take_along_axis, view,
};
use crate::lower::prims::views::{slice_axis, squeeze_axes, unsqueeze_axes};

pub(crate) fn gather(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (data, indices) = (cx.input(0)?, cx.input(1)?);
    index_type(cx, indices)?;
    let rank = cx.shape(data).len();
    let axis = cx.axis(cx.int("axis", 0), rank, rank)?;
    // A single index that is known is a view.
    if let Some([place]) = cx.builder.known_ints(indices).as_deref() {
        let size = cx.builder.shape(data)[axis];
        let place = cx.axis(*place, size, size)?;
        let shape = cx.shape(indices);
        let one = slice_axis(cx, data, axis, place, 1)?;
        let mut one = squeeze_axes(cx, one, &[axis])?;
        for _ in &shape {
            one = unsqueeze_axes(cx, one, &[axis])?;
        }
        return Ok(vec![one]);
    }
    Ok(vec![take(cx, data, indices, axis)?])
}

pub(crate) fn gather_elements(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (data, indices) = (cx.input(0)?, cx.input(1)?);
    index_type(cx, indices)?;
    let rank = cx.shape(data).len();
    let axis = cx.axis(cx.int("axis", 0), rank, rank)?;
    Ok(vec![take_along_axis(cx, data, indices, axis)?])
}

pub(crate) fn gather_nd(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (data, indices) = (cx.input(0)?, cx.input(1)?);
    index_type(cx, indices)?;
    let batch = cx.size(cx.int("batch_dims", 0))?;
    let (shape, index_shape) = (cx.shape(data), cx.shape(indices));
    let found = || format!("{} of {}", show(&index_shape), show(&shape));
    let Some((&depth, outer)) = index_shape.split_last() else {
        return Err(cx.shape_error("the indices need an axis", found()));
    };
    if batch > outer.len() || batch + depth > shape.len() || shape[..batch] != outer[..batch] || depth == 0 {
        return Err(cx.shape_error("the indices do not fit the data", found()));
    }
    let (root, offset, own) = cx.builder.buffer_view(data);
    let (index_root, index_offset, index_own) = cx.builder.buffer_view(indices);
    let inner = &shape[batch + depth..];
    let target: Vec<usize> = outer.iter().chain(inner).copied().collect();
    let none = |count: usize| std::iter::repeat_n(0, count);
    let walked =
        own[..batch].iter().copied().chain(none(outer.len() - batch)).chain(own[batch + depth..].iter().copied());
    let index_walked = index_own[..outer.len()].iter().copied().chain(none(inner.len()));
    let indexed =
        IndexedAxes { sizes: shape[batch..batch + depth].to_vec(), strides: own[batch..batch + depth].to_vec() };
    let result = read(
        cx,
        &target,
        (root, (offset, walked.collect())),
        (index_root, (index_offset, index_walked.collect()), index_own[outer.len()]),
        &indexed,
        cx.dtype(data),
    )?;
    Ok(vec![result])
}

fn reduction(cx: &NodeContext<'_, '_>) -> Result<scatter::Op, ModelError> {
    Ok(match cx.text("reduction", "none") {
        "none" => scatter::Op::Set,
        "add" => scatter::Op::Add,
        "mul" => scatter::Op::Mul,
        "max" => scatter::Op::Max,
        "min" => scatter::Op::Min,
        _ => return Err(cx.unsupported_attribute("reduction", "it must be none, add, mul, max or min")),
    })
}

/// Lines of updates that go into a copy of the data.
struct ScatterLines {
    shape: Vec<usize>,
    serial: usize,
    updates: (ValueId, Layout, i64),
    indices: (ValueId, Layout, i64),
    index_stride: i64,
    out: Layout,
    indexed: IndexedAxes,
}

fn scatter_lines(
    cx: &mut NodeContext<'_, '_>,
    data: ValueId,
    op: scatter::Op,
    scatter_lines: &ScatterLines,
) -> Result<ValueId, ModelError> {
    let (dtype, target) = (cx.dtype(data), cx.shape(data));
    let out = cx.builder.computed(dtype, target.clone())?;
    let mut copy = Program::default();
    copy.load(dtype.repr());
    let mut calls: Vec<_> =
        cx.builder.elementwise_step(&[data], &target, (out, 0, strides(&target)), copy)?.into_iter().collect();
    if !scatter_lines.shape.contains(&0) && scatter_lines.serial > 0 && !calls.is_empty() {
        let layouts = [scatter_lines.updates.1.clone(), scatter_lines.indices.1.clone(), scatter_lines.out.clone()];
        let (merged, layouts) = elementwise::merge(&scatter_lines.shape, &layouts);
        let len = scatter_lines.shape.iter().product::<usize>();
        let params = || {
            Some(scatter::Params {
                start: 0,
                units: units_for(to(len)),
                len: to(len),
                rank: to(merged.len()),
                serial: to(scatter_lines.serial),
                depth: to(scatter_lines.indexed.sizes.len()),
                index_stride: i32::try_from(scatter_lines.index_stride).ok()?,
                update_step: i32::try_from(scatter_lines.updates.2).ok()?,
                index_step: i32::try_from(scatter_lines.indices.2).ok()?,
                shape: sizes(&merged),
                updates: view(&layouts[0])?,
                indices: view(&layouts[1])?,
                out: view(&layouts[2])?,
                sizes: sizes(&scatter_lines.indexed.sizes),
                steps: steps(&scatter_lines.indexed.strides)?,
            })
        };
        if merged.len() > MAX_RANK || scatter_lines.indexed.sizes.len() > MAX_RANK {
            return Err(cx.too_many_axes(&scatter_lines.shape));
        }
        let params = params().ok_or_else(|| cx.too_many_axes(&scatter_lines.shape))?;
        let call = scatter::Scatter { op, repr: dtype.repr(), params };
        calls.push(cx.builder.step(
            Call::Scatter(Box::new(call)),
            vec![scatter_lines.updates.0, scatter_lines.indices.0],
            out,
        ));
    }
    cx.builder.emit(calls, out);
    Ok(out)
}

pub(crate) fn scatter_elements(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (data, indices, updates) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    index_type(cx, indices)?;
    let op = reduction(cx)?;
    let (shape, own_shape) = (cx.shape(data), cx.shape(indices));
    let axis = cx.axis(cx.int("axis", 0), shape.len(), shape.len())?;
    let fits = shape.len() == own_shape.len() && (0..shape.len()).all(|i| i == axis || own_shape[i] <= shape[i]);
    if !fits || cx.shape(updates) != own_shape {
        let found = format!("{} and {} into {}", show(&own_shape), show(&cx.shape(updates)), show(&shape));
        return Err(cx.shape_error("indices and updates must be of one shape, inside the data", found));
    }
    let (update_root, update_offset, mut update_own) = cx.builder.buffer_view(updates);
    let (index_root, index_offset, mut index_own) = cx.builder.buffer_view(indices);
    let mut out = strides(&shape);
    let indexed = IndexedAxes { sizes: vec![shape[axis]], strides: vec![out[axis]] };
    let mut lines = own_shape.clone();
    lines.remove(axis);
    out.remove(axis);
    let (update_step, index_step) = (update_own.remove(axis), index_own.remove(axis));
    let call = ScatterLines {
        shape: lines,
        serial: own_shape[axis],
        updates: (update_root, (update_offset, update_own), update_step),
        indices: (index_root, (index_offset, index_own), index_step),
        index_stride: 0,
        out: (0, out),
        indexed,
    };
    Ok(vec![scatter_lines(cx, data, op, &call)?])
}

pub(crate) fn scatter_nd(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (data, indices, updates) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    index_type(cx, indices)?;
    let op = reduction(cx)?;
    let (shape, index_shape) = (cx.shape(data), cx.shape(indices));
    let depth = index_shape.last().copied().unwrap_or(0);
    let outer = &index_shape[..index_shape.len().saturating_sub(1)];
    let expected: Vec<usize> = outer.iter().chain(shape.iter().skip(depth)).copied().collect();
    if depth == 0 || depth > shape.len() || cx.shape(updates) != expected {
        let found = format!("{} and {} into {}", show(&index_shape), show(&cx.shape(updates)), show(&shape));
        return Err(cx.shape_error("indices and updates do not fit the data", found));
    }
    let (indices, updates) = (cx.builder.dense(indices)?, cx.builder.dense(updates)?);
    let own = strides(&shape);
    let inner = shape[depth..].to_vec();
    let len: usize = inner.iter().product();
    let call = ScatterLines {
        serial: outer.iter().product(),
        updates: (cx.builder.root(updates), (0, strides(&inner)), long(len)),
        indices: (cx.builder.root(indices), (0, vec![0; inner.len()]), long(depth)),
        index_stride: 1,
        out: (0, own[depth..].to_vec()),
        indexed: IndexedAxes { sizes: shape[..depth].to_vec(), strides: own[..depth].to_vec() },
        shape: inner,
    };
    Ok(vec![scatter_lines(cx, data, op, &call)?])
}

/// The first values of each sequence in reverse order, as many as its length says.
pub(crate) fn reverse_sequence(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, lengths) = (cx.input(0)?, cx.input(1)?);
    let shape = cx.shape(x);
    let rank = shape.len();
    let batch = cx.axis(cx.int("batch_axis", 1), rank, rank)?;
    let time = cx.axis(cx.int("time_axis", 0), rank, rank)?;
    Ok(vec![reverse_sequences(cx, x, lengths, batch, time)?])
}
