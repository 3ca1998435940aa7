//! Fourier transforms, as matrix products with tables of cosines and sines, and windows and mel filters.

use std::f64::consts::TAU;

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::Binary;

use crate::error::{ModelError, show};
use crate::ir::{ValueId, long};
use crate::lower::context::NodeContext;
use crate::lower::prims::copies::{concat_along, zero_scalar};
use crate::lower::prims::gather::take;
use crate::lower::prims::product::multiply;
use crate::lower::prims::views::{broadcast_to, permute_axes, slice_axis, squeeze_axes, unsqueeze_axes};

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a length is far below 2^52")]
fn wide(value: usize) -> f64 {
    value as f64
}

#[expect(clippy::cast_possible_truncation, clippy::as_conversions, reason = "tables are of float32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// A transform of `len` samples to `bins` of them.
#[derive(Clone, Copy)]
struct Transform {
    len: usize,
    bins: usize,
    inverse: bool,
}

impl Transform {
    /// Cosines and sines: `[len, bins]`.
    fn tables(self, cx: &mut NodeContext<'_, '_>) -> Result<[ValueId; 2], ModelError> {
        cx.check_table(self.len.checked_mul(self.bins))?;
        let sign = if self.inverse { 1.0 } else { -1.0 };
        let scale = if self.inverse { 1.0 / wide(self.len) } else { 1.0 };
        let mut make = |of: fn(f64) -> f64, by: f64| {
            let places = (0..self.len).flat_map(|n| (0..self.bins).map(move |k| (n * k) % self.len));
            let values: Vec<f32> = places.map(|turn| narrow(of(TAU * wide(turn) / wide(self.len)) * by)).collect();
            cx.constant_floats(vec![self.len, self.bins], &values)
        };
        Ok([make(f64::cos, scale)?, make(f64::sin, sign * scale)?])
    }

    /// `[…, len]` to `[…, bins]`, real and imaginary parts as tensors of their own.
    fn run(
        self,
        cx: &mut NodeContext<'_, '_>,
        real: ValueId,
        other: Option<ValueId>,
    ) -> Result<[ValueId; 2], ModelError> {
        let [cos, sin] = self.tables(cx)?;
        let mut sums = [multiply(cx, real, cos)?, multiply(cx, real, sin)?];
        if let Some(other) = other {
            let (crossed, straight) = (multiply(cx, other, sin)?, multiply(cx, other, cos)?);
            sums[0] = cx.elementwise(&[sums[0], crossed], DType::F32, |p, r| p.bin(Binary::Sub, r[0], r[1]))?;
            sums[1] = cx.elementwise(&[sums[1], straight], DType::F32, |p, r| p.bin(Binary::Add, r[0], r[1]))?;
        }
        Ok(sums)
    }
}

/// Real and imaginary parts, without the axis that held them; a real tensor has no imaginary part.
fn parts(cx: &mut NodeContext<'_, '_>, x: ValueId) -> Result<(ValueId, Option<ValueId>), ModelError> {
    let shape = cx.shape(x);
    let axis = shape.len().saturating_sub(1);
    let one = |cx: &mut NodeContext<'_, '_>, i: usize| {
        let own = slice_axis(cx, x, axis, i, 1)?;
        squeeze_axes(cx, own, &[axis])
    };
    match shape.last() {
        Some(1) => Ok((one(cx, 0)?, None)),
        Some(2) => Ok((one(cx, 0)?, Some(one(cx, 1)?))),
        _ => Err(cx.shape_error("the last axis holds real and imaginary parts", show(&shape))),
    }
}

/// The last axis truncated, or padded with zeros, to `len`.
fn resized(cx: &mut NodeContext<'_, '_>, x: ValueId, len: usize) -> Result<ValueId, ModelError> {
    let shape = cx.shape(x);
    let axis = shape.len() - 1;
    if shape[axis] >= len {
        return slice_axis(cx, x, axis, 0, len);
    }
    let zero = zero_scalar(cx, cx.dtype(x))?;
    let mut rest = shape.clone();
    rest[axis] = len - shape[axis];
    let rest = broadcast_to(cx, zero, rest)?;
    concat_along(cx, &[x, rest], axis)
}

pub(crate) fn fourier(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let dtype = cx.float_type(x)?;
    let x = cx.cast(x, DType::F32)?;
    let rank = cx.shape(x).len();
    let given = cx.known_ints(1)?.and_then(|len| len.first().copied());
    let axis = if cx.opset < 20 {
        cx.int("axis", 1)
    } else {
        cx.known_ints(2)?.and_then(|axis| axis.first().copied()).unwrap_or(-2)
    };
    let axis = cx.axis(axis, rank, rank.saturating_sub(1))?;
    let (inverse, onesided) = (cx.flag("inverse"), cx.flag("onesided"));
    // The transformed axis is moved to the end, before that of the parts.
    let mut order: Vec<usize> = (0..rank).filter(|&i| i != axis).collect();
    order.insert(rank - 2, axis);
    let turned = permute_axes(cx, x, &order)?;
    let (real, other) = parts(cx, turned)?;
    let own = cx.shape(real)[rank - 2];
    let halved = inverse && onesided;
    let len = match given {
        Some(len) => cx.size(len)?,
        None if halved => 2 * own.saturating_sub(1),
        None => own,
    };
    if len == 0 {
        return Err(cx.shape_error("a transform needs a sample", show(&cx.shape(x))));
    }
    let stored = if halved { len / 2 + 1 } else { len };
    let real = resized(cx, real, stored)?;
    let other = other.map(|other| resized(cx, other, stored)).transpose()?;
    let results = if halved {
        vec![whole_again(cx, real, other, len)?]
    } else {
        let bins = if onesided { len / 2 + 1 } else { len };
        Transform { len, bins, inverse }.run(cx, real, other)?.to_vec()
    };
    let results = results.into_iter().map(|one| unsqueeze_axes(cx, one, &[rank - 1])).collect::<Result<Vec<_>, _>>()?;
    let all = concat_along(cx, &results, rank - 1)?;
    // And back to its place.
    let mut back: Vec<usize> = (0..rank - 2).collect();
    back.insert(axis, rank - 2);
    back.push(rank - 1);
    let result = permute_axes(cx, all, &back)?;
    Ok(vec![cx.cast(result, dtype)?])
}

/// The real samples whose transform's first half is given: what is not at an end counts twice.
fn whole_again(
    cx: &mut NodeContext<'_, '_>,
    real: ValueId,
    other: Option<ValueId>,
    len: usize,
) -> Result<ValueId, ModelError> {
    let bins = len / 2 + 1;
    cx.check_table(len.checked_mul(bins))?;
    let times = |k: usize| if k == 0 || 2 * k == len { 1.0 } else { 2.0 };
    let mut make = |of: fn(f64) -> f64, by: f64| {
        let waves = (0..bins).flat_map(|k| (0..len).map(move |n| (k, (n * k) % len)));
        let values: Vec<f32> =
            waves.map(|(k, turn)| narrow(of(TAU * wide(turn) / wide(len)) * by * times(k) / wide(len))).collect();
        cx.constant_floats(vec![bins, len], &values)
    };
    let (cos, sin) = (make(f64::cos, 1.0)?, make(f64::sin, -1.0)?);
    let sum = multiply(cx, real, cos)?;
    let Some(other) = other else { return Ok(sum) };
    let crossed = multiply(cx, other, sin)?;
    cx.elementwise(&[sum, crossed], DType::F32, |p, r| p.bin(Binary::Add, r[0], r[1]))
}

pub(crate) fn short_time(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let dtype = cx.float_type(x)?;
    let x = cx.cast(x, DType::F32)?;
    let x = if cx.shape(x).len() == 2 { unsqueeze_axes(cx, x, &[2])? } else { x };
    let [_, samples, _] = cx.shape(x)[..] else {
        return Err(cx.shape_error("the signal needs two or three axes", show(&cx.shape(x))));
    };
    let step = cx.known_ints(1)?.and_then(|step| step.first().copied()).unwrap_or(0);
    let step = cx.size(step)?;
    let window = cx.optional_input(2)?;
    let given = cx.known_ints(3)?.and_then(|len| len.first().copied());
    let len = match (given, window) {
        (Some(len), _) => cx.size(len)?,
        (None, Some(window)) => cx.shape(window).iter().product(),
        (None, None) => return Err(cx.shape_error("either a window or a frame's length must be given", "none")),
    };
    if step == 0 || len == 0 || len > samples {
        return Err(cx.shape_error("a frame must fit the signal", format!("{len} by {step} in {samples}")));
    }
    let frames = 1 + (samples - len) / step;
    cx.check_table(frames.checked_mul(len))?;
    let places: Vec<i64> = (0..frames).flat_map(|frame| (0..len).map(move |i| long(frame * step + i))).collect();
    let places = cx.constant_ints(vec![frames, len], &places)?;
    let framed = take(cx, x, places, 1)?;
    let (real, other) = parts(cx, framed)?;
    let weighted = |cx: &mut NodeContext<'_, '_>, x: ValueId| match window {
        Some(window) => cx.elementwise(&[x, window], DType::F32, |p, r| p.bin(Binary::Mul, r[0], r[1])),
        None => Ok(x),
    };
    let real = weighted(cx, real)?;
    let other = other.map(|other| weighted(cx, other)).transpose()?;
    let bins = if cx.int("onesided", 1) != 0 { len / 2 + 1 } else { len };
    let results = Transform { len, bins, inverse: false }.run(cx, real, other)?;
    let [real, other] = [unsqueeze_axes(cx, results[0], &[3])?, unsqueeze_axes(cx, results[1], &[3])?];
    let result = concat_along(cx, &[real, other], 3)?;
    Ok(vec![cx.cast(result, dtype)?])
}

fn asked_type(cx: &NodeContext<'_, '_>) -> Result<DType, ModelError> {
    let asked = i32::try_from(cx.int("output_datatype", 1)).unwrap_or(0);
    DType::from_onnx(asked)
        .ok_or_else(|| cx.unsupported_attribute("output_datatype", "the type is none that devices here compute with"))
}

/// Sums of cosines over `size` samples.
pub(crate) fn window(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let size = cx.known_ints(0)?.and_then(|size| size.first().copied()).unwrap_or(0);
    let size = cx.size(size)?;
    cx.check_table(Some(size))?;
    let periodic = cx.int("periodic", 1) != 0;
    let dtype = asked_type(cx)?;
    let factors: [f64; 3] = match cx.node.op.as_str() {
        "BlackmanWindow" => [0.42, -0.5, 0.08],
        "HammingWindow" => [25.0 / 46.0, -21.0 / 46.0, 0.0],
        // Hann
        _ => [0.5, -0.5, 0.0],
    };
    let span = wide(if periodic { size } else { size.saturating_sub(1).max(1) });
    let value = |n: usize| {
        let turn = TAU * wide(n) / span;
        narrow(factors[0] + factors[1] * turn.cos() + factors[2] * (2.0 * turn).cos())
    };
    let values: Vec<f32> = (0..size).map(value).collect();
    let window = cx.constant_floats(vec![size], &values)?;
    Ok(vec![cx.cast(window, dtype)?])
}

/// Triangles over the bins of a transform, their centres even on the mel scale.
pub(crate) fn mel_weights(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let mut whole = [0usize; 3];
    for (i, slot) in whole.iter_mut().enumerate() {
        let value = cx.known_ints(i)?.and_then(|value| value.first().copied()).unwrap_or(0);
        *slot = cx.size(value)?;
    }
    let mut ends = [0.0f64; 2];
    for (i, slot) in ends.iter_mut().enumerate() {
        *slot = f64::from(cx.known_floats(3 + i)?.and_then(|value| value.first().copied()).unwrap_or(0.0));
    }
    let dtype = asked_type(cx)?;
    let [bands, len, rate] = whole;
    let bins = len / 2 + 1;
    cx.check_table(bins.checked_mul(bands))?;
    if rate == 0 || bands == 0 {
        return Err(cx.shape_error("there must be a band and a sample rate", format!("{bands} and {rate}")));
    }
    let mel = |hertz: f64| 2595.0 * (1.0 + hertz / 700.0).log10();
    let hertz = |mel: f64| 700.0 * (10f64.powf(mel / 2595.0) - 1.0);
    let (low, high) = (mel(ends[0]), mel(ends[1]));
    let step = (high - low) / wide(bands + 2);
    let edges: Vec<f64> =
        (0..bands + 2).map(|i| (wide(len + 1) * hertz(low + wide(i) * step) / wide(rate)).floor()).collect();
    let mut values = vec![0.0f32; bins * bands];
    for (band, edge) in edges.windows(3).enumerate() {
        let [low, centre, high] = [edge[0], edge[1], edge[2]];
        for bin in 0..bins {
            let cx = wide(bin);
            let weight = if cx >= low && cx <= centre {
                if low < centre { (cx - low) / (centre - low) } else { f64::from(u8::from(cx >= centre)) }
            } else if cx >= centre && cx < high {
                (high - cx) / (high - centre)
            } else {
                0.0
            };
            values[bin * bands + band] = narrow(weight);
        }
    }
    let weights = cx.constant_floats(vec![bins, bands], &values)?;
    Ok(vec![cx.cast(weights, dtype)?])
}
