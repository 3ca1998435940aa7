//! Operators that read or write at places which other values name.

use gpu_kernels::dtype::{DType, Repr};
use gpu_kernels::kernels::elementwise::Program;
use gpu_kernels::kernels::{Call, MAX_RANK, View, elementwise, gather, scatter, units_for};

use super::super::ModelError;
use super::super::error::show;
use super::super::plan::{ValueId, long, strides};
use super::at::At;
use super::u;

/// Offset and strides over an iteration.
type Walk = (i64, Vec<i64>);

/// The axes that an index chooses along: their sizes and strides in the data.
struct Chosen {
    sizes: Vec<usize>,
    steps: Vec<i64>,
}

impl At<'_, '_> {
    fn too_many_axes(&self, shape: &[usize]) -> ModelError {
        self.wrong("an operator works on at most 8 axes that cannot be merged", show(shape))
    }
}

fn view(walk: &Walk) -> Option<View> {
    let mut view = View { offset: i32::try_from(walk.0).ok()?, ..View::default() };
    for (slot, stride) in view.strides.iter_mut().zip(&walk.1) {
        *slot = i32::try_from(*stride).ok()?;
    }
    Some(view)
}

fn sizes(values: &[usize]) -> [u32; MAX_RANK] {
    let mut result = [1; MAX_RANK];
    result.iter_mut().zip(values).for_each(|(slot, &value)| *slot = u(value));
    result
}

fn steps(values: &[i64]) -> Option<[i32; MAX_RANK]> {
    let mut result = [0; MAX_RANK];
    for (slot, value) in result.iter_mut().zip(values) {
        *slot = i32::try_from(*value).ok()?;
    }
    Some(result)
}

/// Reads `data` at the indices over an iteration of `shape`.
fn read(
    at: &mut At<'_, '_>,
    shape: &[usize],
    (data, data_walk): (ValueId, Walk),
    (indices, index_walk, index_stride): (ValueId, Walk, i64),
    chosen: &Chosen,
    dtype: DType,
) -> Result<ValueId, ModelError> {
    if shape.contains(&0) {
        let out = at.b.computed(dtype, shape.to_vec())?;
        at.b.emit(Vec::new(), out);
        return Ok(out);
    }
    if chosen.sizes.contains(&0) {
        return Err(at.wrong("there is nothing to choose from along an empty axis", show(shape)));
    }
    if let Some((first, steps)) = even_steps(at, shape, (indices, &index_walk, index_stride), chosen) {
        let walk = data_walk.1.iter().zip(steps).map(|(own, step)| own + step).collect();
        return at.b.view(dtype, shape.to_vec(), (data, data_walk.0 + first, walk));
    }
    let out = at.b.computed(dtype, shape.to_vec())?;
    let (merged, walks) = elementwise::merge(shape, &[data_walk, index_walk]);
    let params = || {
        Some(gather::Params {
            start: 0,
            units: units_for(u(shape.iter().product())),
            len: u(shape.iter().product()),
            rank: u(merged.len()),
            depth: u(chosen.sizes.len()),
            index_stride: i32::try_from(index_stride).ok()?,
            shape: sizes(&merged),
            data: view(&walks[0])?,
            indices: view(&walks[1])?,
            sizes: sizes(&chosen.sizes),
            steps: steps(&chosen.steps)?,
        })
    };
    if merged.len() > MAX_RANK || chosen.sizes.len() > MAX_RANK {
        return Err(at.too_many_axes(shape));
    }
    let params = params().ok_or_else(|| at.too_many_axes(shape))?;
    let step = at.b.step(Call::Gather(Box::new(params)), vec![data, indices], out);
    at.b.emit(vec![step], out);
    Ok(out)
}

/// Indices that are walked to see whether they are even.
const EVEN_MAX: usize = 1 << 22;

/// Offset and strides of what known indices choose, where it lies evenly: masks are often built by indices
/// that count the axes, rows among them, and a view keeps rows apart where a gather would seem to mix them.
fn even_steps(
    at: &At<'_, '_>,
    shape: &[usize],
    (indices, walk, stride): (ValueId, &Walk, i64),
    chosen: &Chosen,
) -> Option<(i64, Vec<i64>)> {
    let words = at.b.stored(indices)?;
    let place_of = |place: i64| -> Option<i64> {
        let mut sum = 0;
        for (d, (&size, &step)) in chosen.sizes.iter().zip(&chosen.steps).enumerate() {
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
    let first = place_of(walk.0)?;
    // Only these axes choose anything.
    let axes: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] > 1 && walk.1[axis] != 0).collect();
    let mut steps = vec![0; shape.len()];
    for &axis in &axes {
        steps[axis] = place_of(walk.0 + walk.1[axis])? - first;
    }
    let count = axes.iter().try_fold(1usize, |count, &axis| count.checked_mul(shape[axis]))?;
    if count > EVEN_MAX {
        return None;
    }
    let even = (0..count).all(|mut i| {
        let (mut place, mut expected) = (walk.0, first);
        for &axis in axes.iter().rev() {
            let along = long(i % shape[axis]);
            place += along * walk.1[axis];
            expected += along * steps[axis];
            i /= shape[axis];
        }
        place_of(place) == Some(expected)
    });
    even.then_some((first, steps))
}

/// `data` with one axis replaced by the indices' axes.
pub(super) fn take(at: &mut At<'_, '_>, data: ValueId, indices: ValueId, axis: usize) -> Result<ValueId, ModelError> {
    let shape = at.shape(data);
    if axis >= shape.len() {
        return Err(at.wrong("an input has fewer axes than its operator needs", show(&shape)));
    }
    let (root, offset, own) = at.b.place(data);
    let index_shape = at.shape(indices);
    let (index_root, index_offset, index_own) = at.b.place(indices);
    let inner = &shape[axis + 1..];
    let target: Vec<usize> = shape[..axis].iter().chain(&index_shape).chain(inner).copied().collect();
    let none = |count: usize| std::iter::repeat_n(0, count);
    let walked = own[..axis].iter().copied().chain(none(index_shape.len())).chain(own[axis + 1..].iter().copied());
    let index_walked = none(axis).chain(index_own).chain(none(inner.len()));
    let chosen = Chosen { sizes: vec![shape[axis]], steps: vec![own[axis]] };
    read(
        at,
        &target,
        (root, (offset, walked.collect())),
        (index_root, (index_offset, index_walked.collect()), 0),
        &chosen,
        at.dtype(data),
    )
}

fn index_type(at: &At<'_, '_>, indices: ValueId) -> Result<(), ModelError> {
    if at.repr(indices) == Repr::I32 { Ok(()) } else { Err(at.wrong_type(at.dtype(indices))) }
}

pub(super) fn gather(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (data, indices) = (at.input(0)?, at.input(1)?);
    index_type(at, indices)?;
    let rank = at.shape(data).len();
    let axis = at.axis(at.int("axis", 0), rank, rank)?;
    // One known place is a view.
    if let Some([place]) = at.b.known_ints(indices).as_deref() {
        let size = at.b.shape(data)[axis];
        let place = at.axis(*place, size, size)?;
        let shape = at.shape(indices);
        let one = slice_axis(at, data, axis, place, 1)?;
        let mut one = squeeze_axes(at, one, &[axis])?;
        for _ in &shape {
            one = unsqueeze_axes(at, one, &[axis])?;
        }
        return Ok(vec![one]);
    }
    Ok(vec![take(at, data, indices, axis)?])
}

pub(super) fn gather_elements(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (data, indices) = (at.input(0)?, at.input(1)?);
    index_type(at, indices)?;
    let rank = at.shape(data).len();
    let axis = at.axis(at.int("axis", 0), rank, rank)?;
    Ok(vec![take_along_axis(at, data, indices, axis)?])
}

/// `out[…, i, …] = data[…, indices[…, i, …], …]`
pub(super) fn take_along_axis(
    at: &mut At<'_, '_>,
    data: ValueId,
    indices: ValueId,
    axis: usize,
) -> Result<ValueId, ModelError> {
    let (shape, target) = (at.shape(data), at.shape(indices));
    let fits = shape.len() == target.len() && (0..shape.len()).all(|i| i == axis || target[i] <= shape[i]);
    if !fits {
        return Err(at.wrong("the indices reach beyond the data", format!("{} of {}", show(&target), show(&shape))));
    }
    let (root, offset, mut own) = at.b.place(data);
    let (index_root, index_offset, index_own) = at.b.place(indices);
    let chosen = Chosen { sizes: vec![shape[axis]], steps: vec![own[axis]] };
    own[axis] = 0;
    read(at, &target, (root, (offset, own)), (index_root, (index_offset, index_own), 0), &chosen, at.dtype(data))
}

pub(super) fn gather_nd(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (data, indices) = (at.input(0)?, at.input(1)?);
    index_type(at, indices)?;
    let batch = at.size(at.int("batch_dims", 0))?;
    let (shape, index_shape) = (at.shape(data), at.shape(indices));
    let found = || format!("{} of {}", show(&index_shape), show(&shape));
    let Some((&depth, outer)) = index_shape.split_last() else {
        return Err(at.wrong("the indices need an axis", found()));
    };
    if batch > outer.len() || batch + depth > shape.len() || shape[..batch] != outer[..batch] || depth == 0 {
        return Err(at.wrong("the indices do not fit the data", found()));
    }
    let (root, offset, own) = at.b.place(data);
    let (index_root, index_offset, index_own) = at.b.place(indices);
    let inner = &shape[batch + depth..];
    let target: Vec<usize> = outer.iter().chain(inner).copied().collect();
    let none = |count: usize| std::iter::repeat_n(0, count);
    let walked =
        own[..batch].iter().copied().chain(none(outer.len() - batch)).chain(own[batch + depth..].iter().copied());
    let index_walked = index_own[..outer.len()].iter().copied().chain(none(inner.len()));
    let chosen = Chosen { sizes: shape[batch..batch + depth].to_vec(), steps: own[batch..batch + depth].to_vec() };
    let result = read(
        at,
        &target,
        (root, (offset, walked.collect())),
        (index_root, (index_offset, index_walked.collect()), index_own[outer.len()]),
        &chosen,
        at.dtype(data),
    )?;
    Ok(vec![result])
}

/// `[a, b, size]` at the indices `[a, count]` along its last axis: `[a, b, count]`.
pub(super) fn take_along_last(at: &mut At<'_, '_>, data: ValueId, indices: ValueId) -> Result<ValueId, ModelError> {
    let (shape, own_shape) = (at.shape(data), at.shape(indices));
    let ([a, b, size], [lines, count]) = (&shape[..], &own_shape[..]) else {
        return Err(at.wrong("the indices do not fit the data", format!("{} of {}", show(&own_shape), show(&shape))));
    };
    if a != lines {
        return Err(at.wrong("the indices do not fit the data", format!("{} of {}", show(&own_shape), show(&shape))));
    }
    let (root, offset, own) = at.b.place(data);
    let (index_root, index_offset, index_own) = at.b.place(indices);
    let chosen = Chosen { sizes: vec![*size], steps: vec![own[2]] };
    read(
        at,
        &[*a, *b, *count],
        (root, (offset, vec![own[0], own[1], 0])),
        (index_root, (index_offset, vec![index_own[0], 0, index_own[1]]), 0),
        &chosen,
        at.dtype(data),
    )
}

fn reduction(at: &At<'_, '_>) -> Result<scatter::Op, ModelError> {
    Ok(match at.text("reduction", "none") {
        "none" => scatter::Op::Set,
        "add" => scatter::Op::Add,
        "mul" => scatter::Op::Mul,
        "max" => scatter::Op::Max,
        "min" => scatter::Op::Min,
        _ => return Err(at.unsupported("reduction", "it must be none, add, mul, max or min")),
    })
}

/// Lines of updates that go into a copy of the data.
struct Write {
    shape: Vec<usize>,
    serial: usize,
    updates: (ValueId, Walk, i64),
    indices: (ValueId, Walk, i64),
    index_stride: i64,
    out: Walk,
    chosen: Chosen,
}

fn write(at: &mut At<'_, '_>, data: ValueId, op: scatter::Op, write: &Write) -> Result<ValueId, ModelError> {
    let (dtype, target) = (at.dtype(data), at.shape(data));
    let out = at.b.computed(dtype, target.clone())?;
    let mut copy = Program::default();
    copy.load(dtype.repr());
    let mut calls: Vec<_> = at.b.map_step(&[data], &target, (out, 0, strides(&target)), copy)?.into_iter().collect();
    if !write.shape.contains(&0) && write.serial > 0 && !calls.is_empty() {
        let walks = [write.updates.1.clone(), write.indices.1.clone(), write.out.clone()];
        let (merged, walks) = elementwise::merge(&write.shape, &walks);
        let len = write.shape.iter().product();
        let params = || {
            Some(scatter::Params {
                start: 0,
                units: units_for(u(len)),
                len: u(len),
                rank: u(merged.len()),
                serial: u(write.serial),
                depth: u(write.chosen.sizes.len()),
                index_stride: i32::try_from(write.index_stride).ok()?,
                update_step: i32::try_from(write.updates.2).ok()?,
                index_step: i32::try_from(write.indices.2).ok()?,
                shape: sizes(&merged),
                updates: view(&walks[0])?,
                indices: view(&walks[1])?,
                out: view(&walks[2])?,
                sizes: sizes(&write.chosen.sizes),
                steps: steps(&write.chosen.steps)?,
            })
        };
        if merged.len() > MAX_RANK || write.chosen.sizes.len() > MAX_RANK {
            return Err(at.too_many_axes(&write.shape));
        }
        let params = params().ok_or_else(|| at.too_many_axes(&write.shape))?;
        let call = scatter::Scatter { op, repr: dtype.repr(), params };
        calls.push(at.b.step(Call::Scatter(Box::new(call)), vec![write.updates.0, write.indices.0], out));
    }
    at.b.emit(calls, out);
    Ok(out)
}

pub(super) fn scatter_elements(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (data, indices, updates) = (at.input(0)?, at.input(1)?, at.input(2)?);
    index_type(at, indices)?;
    let op = reduction(at)?;
    let (shape, own_shape) = (at.shape(data), at.shape(indices));
    let axis = at.axis(at.int("axis", 0), shape.len(), shape.len())?;
    let fits = shape.len() == own_shape.len() && (0..shape.len()).all(|i| i == axis || own_shape[i] <= shape[i]);
    if !fits || at.shape(updates) != own_shape {
        let found = format!("{} and {} into {}", show(&own_shape), show(&at.shape(updates)), show(&shape));
        return Err(at.wrong("indices and updates must be of one shape, inside the data", found));
    }
    let (update_root, update_offset, mut update_own) = at.b.place(updates);
    let (index_root, index_offset, mut index_own) = at.b.place(indices);
    let mut out = strides(&shape);
    let chosen = Chosen { sizes: vec![shape[axis]], steps: vec![out[axis]] };
    let mut lines = own_shape.clone();
    lines.remove(axis);
    out.remove(axis);
    let (update_step, index_step) = (update_own.remove(axis), index_own.remove(axis));
    let call = Write {
        shape: lines,
        serial: own_shape[axis],
        updates: (update_root, (update_offset, update_own), update_step),
        indices: (index_root, (index_offset, index_own), index_step),
        index_stride: 0,
        out: (0, out),
        chosen,
    };
    Ok(vec![write(at, data, op, &call)?])
}

pub(super) fn scatter_nd(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (data, indices, updates) = (at.input(0)?, at.input(1)?, at.input(2)?);
    index_type(at, indices)?;
    let op = reduction(at)?;
    let (shape, index_shape) = (at.shape(data), at.shape(indices));
    let depth = index_shape.last().copied().unwrap_or(0);
    let outer = &index_shape[..index_shape.len().saturating_sub(1)];
    let expected: Vec<usize> = outer.iter().chain(shape.iter().skip(depth)).copied().collect();
    if depth == 0 || depth > shape.len() || at.shape(updates) != expected {
        let found = format!("{} and {} into {}", show(&index_shape), show(&at.shape(updates)), show(&shape));
        return Err(at.wrong("indices and updates do not fit the data", found));
    }
    let (indices, updates) = (at.b.dense(indices)?, at.b.dense(updates)?);
    let own = strides(&shape);
    let inner = shape[depth..].to_vec();
    let len: usize = inner.iter().product();
    let call = Write {
        serial: outer.iter().product(),
        updates: (at.b.root(updates), (0, strides(&inner)), long(len)),
        indices: (at.b.root(indices), (0, vec![0; inner.len()]), long(depth)),
        index_stride: 1,
        out: (0, own[depth..].to_vec()),
        chosen: Chosen { sizes: shape[..depth].to_vec(), steps: own[..depth].to_vec() },
        shape: inner,
    };
    Ok(vec![write(at, data, op, &call)?])
}

/// Each line's first values turned around, as many as the line says.
pub(super) fn reverse_sequence(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, lengths) = (at.input(0)?, at.input(1)?);
    let shape = at.shape(x);
    let rank = shape.len();
    let batch = at.axis(at.int("batch_axis", 1), rank, rank)?;
    let time = at.axis(at.int("time_axis", 0), rank, rank)?;
    Ok(vec![reverse_sequences(at, x, lengths, batch, time)?])
}

pub(super) fn reverse_sequences(
    at: &mut At<'_, '_>,
    x: ValueId,
    lengths: ValueId,
    batch: usize,
    time: usize,
) -> Result<ValueId, ModelError> {
    use gpu_kernels::kernels::elementwise::Binary;

    let shape = at.shape(x);
    let steps = iota(at, shape[time], time, shape.len())?;
    let mut beside = vec![1; shape.len()];
    beside[batch] = shape[batch];
    let lengths = at.cast(lengths, DType::I64)?;
    let lengths = at.b.reshaped(lengths, beside.clone())?;
    beside[time] = shape[time];
    let places = at.map_to(&[steps, lengths], &beside, DType::I64, |p, r| {
        let one = p.i(1);
        let last = p.bin(Binary::Sub, r[1], one);
        let turned = p.bin(Binary::Sub, last, r[0]);
        let inside = p.bin(Binary::Lt, r[0], r[1]);
        p.select(inside, turned, r[0])
    })?;
    let places = broadcast_to(at, places, shape)?;
    take_along_axis(at, x, places, time)
}
