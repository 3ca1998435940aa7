//! Reading at places that other values name.

use gpu_kernels::dtype::{DType, Repr};
use gpu_kernels::kernels::elementwise::Binary;
use gpu_kernels::kernels::{Call, MAX_RANK, View, elementwise, gather, units_for};
use gpu_kernels::number::to;

use crate::error::{ModelError, show};
use crate::ir::{Layout, ValueId, long};
use crate::lower::context::NodeContext;
use crate::lower::prims::iota::iota;
use crate::lower::prims::views::broadcast_to;

/// The axes of the data that an index goes along: their sizes and strides.
pub(crate) struct IndexedAxes {
    pub(crate) sizes: Vec<usize>,
    pub(crate) strides: Vec<i64>,
}

pub(crate) fn view(layout: &Layout) -> Option<View> {
    let mut view = View { offset: i32::try_from(layout.0).ok()?, ..View::default() };
    for (slot, stride) in view.strides.iter_mut().zip(&layout.1) {
        *slot = i32::try_from(*stride).ok()?;
    }
    Some(view)
}

pub(crate) fn sizes(values: &[usize]) -> [u32; MAX_RANK] {
    let mut result = [1; MAX_RANK];
    result.iter_mut().zip(values).for_each(|(slot, &value)| *slot = to(value));
    result
}

pub(crate) fn steps(values: &[i64]) -> Option<[i32; MAX_RANK]> {
    let mut result = [0; MAX_RANK];
    for (slot, value) in result.iter_mut().zip(values) {
        *slot = i32::try_from(*value).ok()?;
    }
    Some(result)
}

/// Reads `data` at the indices over an iteration of `shape`.
pub(crate) fn read(
    cx: &mut NodeContext<'_, '_>,
    shape: &[usize],
    (data, data_layout): (ValueId, Layout),
    (indices, index_layout, index_stride): (ValueId, Layout, i64),
    indexed: &IndexedAxes,
    dtype: DType,
) -> Result<ValueId, ModelError> {
    if shape.contains(&0) {
        let out = cx.builder.computed(dtype, shape.to_vec())?;
        cx.builder.emit(Vec::new(), out);
        return Ok(out);
    }
    if indexed.sizes.contains(&0) {
        return Err(cx.shape_error("there is nothing to choose from along an empty axis", show(shape)));
    }
    if let Some((first, steps)) = even_steps(cx, shape, (indices, &index_layout, index_stride), indexed) {
        let layout = data_layout.1.iter().zip(steps).map(|(own, step)| own + step).collect();
        return cx.builder.view(dtype, shape.to_vec(), (data, data_layout.0 + first, layout));
    }
    let out = cx.builder.computed(dtype, shape.to_vec())?;
    let (merged, layouts) = elementwise::merge(shape, &[data_layout, index_layout]);
    let params = || {
        Some(gather::Params {
            start: 0,
            units: units_for(to(shape.iter().product::<usize>())),
            len: to(shape.iter().product::<usize>()),
            rank: to(merged.len()),
            depth: to(indexed.sizes.len()),
            index_stride: i32::try_from(index_stride).ok()?,
            shape: sizes(&merged),
            data: view(&layouts[0])?,
            indices: view(&layouts[1])?,
            sizes: sizes(&indexed.sizes),
            steps: steps(&indexed.strides)?,
        })
    };
    if merged.len() > MAX_RANK || indexed.sizes.len() > MAX_RANK {
        return Err(cx.too_many_axes(shape));
    }
    let params = params().ok_or_else(|| cx.too_many_axes(shape))?;
    let step = cx.builder.step(Call::Gather(Box::new(params)), vec![data, indices], out);
    cx.builder.emit(vec![step], out);
    Ok(out)
}

/// Indices that are walked to see whether they are even.
const EVEN_MAX: usize = 1 << 22;

/// Offset and strides of what known indices choose, where it lies evenly: masks are often built by indices
/// that count the axes, rows among them, and a view keeps rows apart where a gather would seem to mix them.
fn even_steps(
    cx: &NodeContext<'_, '_>,
    shape: &[usize],
    (indices, layout, stride): (ValueId, &Layout, i64),
    indexed: &IndexedAxes,
) -> Option<(i64, Vec<i64>)> {
    let words = cx.builder.stored(indices)?;
    let place_of = |place: i64| -> Option<i64> {
        let mut sum = 0;
        for (d, (&size, &step)) in indexed.sizes.iter().zip(&indexed.strides).enumerate() {
            let word = words.get(usize::try_from(place + long(d) * stride).ok()?)?;
            let index = i64::from(word.cast_signed());
            let index = if index < 0 { index + long(size) } else { index };
            if !(0..long(size)).contains(&index) {
                return None;
            }
            sum += index * step;
        }
        Some(sum)
    };
    let first = place_of(layout.0)?;
    // Only these axes choose anything.
    let axes: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] > 1 && layout.1[axis] != 0).collect();
    let mut steps = vec![0; shape.len()];
    for &axis in &axes {
        steps[axis] = place_of(layout.0 + layout.1[axis])? - first;
    }
    let count = axes.iter().try_fold(1usize, |count, &axis| count.checked_mul(shape[axis]))?;
    if count > EVEN_MAX {
        return None;
    }
    let even = (0..count).all(|mut i| {
        let (mut place, mut expected) = (layout.0, first);
        for &axis in axes.iter().rev() {
            let along = long(i % shape[axis]);
            place += along * layout.1[axis];
            expected += along * steps[axis];
            i /= shape[axis];
        }
        place_of(place) == Some(expected)
    });
    even.then_some((first, steps))
}

/// `data` with one axis replaced by the indices' axes.
pub(crate) fn take(
    cx: &mut NodeContext<'_, '_>,
    data: ValueId,
    indices: ValueId,
    axis: usize,
) -> Result<ValueId, ModelError> {
    let shape = cx.shape(data);
    if axis >= shape.len() {
        return Err(cx.shape_error("an input has fewer axes than its operator needs", show(&shape)));
    }
    let (root, offset, own) = cx.builder.buffer_view(data);
    let index_shape = cx.shape(indices);
    let (index_root, index_offset, index_own) = cx.builder.buffer_view(indices);
    let inner = &shape[axis + 1..];
    let target: Vec<usize> = shape[..axis].iter().chain(&index_shape).chain(inner).copied().collect();
    let none = |count: usize| std::iter::repeat_n(0, count);
    let walked = own[..axis].iter().copied().chain(none(index_shape.len())).chain(own[axis + 1..].iter().copied());
    let index_walked = none(axis).chain(index_own).chain(none(inner.len()));
    let indexed = IndexedAxes { sizes: vec![shape[axis]], strides: vec![own[axis]] };
    read(
        cx,
        &target,
        (root, (offset, walked.collect())),
        (index_root, (index_offset, index_walked.collect()), 0),
        &indexed,
        cx.dtype(data),
    )
}

pub(crate) fn index_type(cx: &NodeContext<'_, '_>, indices: ValueId) -> Result<(), ModelError> {
    if cx.repr(indices) == Repr::I32 { Ok(()) } else { Err(cx.type_error(cx.dtype(indices))) }
}

/// `out[…, i, …] = data[…, indices[…, i, …], …]`
pub(crate) fn take_along_axis(
    cx: &mut NodeContext<'_, '_>,
    data: ValueId,
    indices: ValueId,
    axis: usize,
) -> Result<ValueId, ModelError> {
    let (shape, target) = (cx.shape(data), cx.shape(indices));
    let fits = shape.len() == target.len() && (0..shape.len()).all(|i| i == axis || target[i] <= shape[i]);
    if !fits {
        return Err(
            cx.shape_error("the indices reach beyond the data", format!("{} of {}", show(&target), show(&shape)))
        );
    }
    let (root, offset, mut own) = cx.builder.buffer_view(data);
    let (index_root, index_offset, index_own) = cx.builder.buffer_view(indices);
    let indexed = IndexedAxes { sizes: vec![shape[axis]], strides: vec![own[axis]] };
    own[axis] = 0;
    read(cx, &target, (root, (offset, own)), (index_root, (index_offset, index_own), 0), &indexed, cx.dtype(data))
}

/// `[a, b, size]` at the indices `[a, count]` along its last axis: `[a, b, count]`.
pub(crate) fn take_along_last(
    cx: &mut NodeContext<'_, '_>,
    data: ValueId,
    indices: ValueId,
) -> Result<ValueId, ModelError> {
    let (shape, own_shape) = (cx.shape(data), cx.shape(indices));
    let ([a, b, size], [lines, count]) = (&shape[..], &own_shape[..]) else {
        return Err(
            cx.shape_error("the indices do not fit the data", format!("{} of {}", show(&own_shape), show(&shape)))
        );
    };
    if a != lines {
        return Err(
            cx.shape_error("the indices do not fit the data", format!("{} of {}", show(&own_shape), show(&shape)))
        );
    }
    let (root, offset, own) = cx.builder.buffer_view(data);
    let (index_root, index_offset, index_own) = cx.builder.buffer_view(indices);
    let indexed = IndexedAxes { sizes: vec![*size], strides: vec![own[2]] };
    read(
        cx,
        &[*a, *b, *count],
        (root, (offset, vec![own[0], own[1], 0])),
        (index_root, (index_offset, vec![index_own[0], 0, index_own[1]]), 0),
        &indexed,
        cx.dtype(data),
    )
}

pub(crate) fn reverse_sequences(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    lengths: ValueId,
    batch: usize,
    time: usize,
) -> Result<ValueId, ModelError> {
    let shape = cx.shape(x);
    let steps = iota(cx, shape[time], time, shape.len())?;
    let mut beside = vec![1; shape.len()];
    beside[batch] = shape[batch];
    let lengths = cx.cast(lengths, DType::I64)?;
    let lengths = cx.builder.reshaped(lengths, beside.clone())?;
    beside[time] = shape[time];
    let places = cx.elementwise_to(&[steps, lengths], &beside, DType::I64, |p, r| {
        let one = p.i(1);
        let last = p.bin(Binary::Sub, r[1], one);
        let turned = p.bin(Binary::Sub, last, r[0]);
        let inside = p.bin(Binary::Lt, r[0], r[1]);
        p.select(inside, turned, r[0])
    })?;
    let places = broadcast_to(cx, places, shape)?;
    take_along_axis(cx, x, places, time)
}

impl NodeContext<'_, '_> {
    pub(crate) fn too_many_axes(&self, shape: &[usize]) -> ModelError {
        self.shape_error("an operator works on at most 8 axes that cannot be merged", show(shape))
    }
}
