//! Resizing, an axis at a time: nearest neighbours by index, the rest as weighted sums. Where onnxruntime and ONNX's
//! reference part, this follows onnxruntime, down to computing coordinates in float32: near a whole number that decides
//! which pixel is taken.

use std::ops::Range;

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::Binary;

use crate::error::{ModelError, show};
use crate::ir::{ValueId, long};
use crate::lower::context::NodeContext;
use crate::lower::prims::gather::take;
use crate::lower::prims::reduce::as_f32;
use crate::lower::prims::resample::resample_axis;

/// As near as this to the middle between two pixels, onnxruntime takes a coordinate for the middle.
const TIE: f64 = 1e-6;

/// One axis to resize.
#[derive(Clone, Copy, Debug)]
struct ResizedAxis {
    number: usize,
    from: usize,
    to: usize,
    scale: f32,
    /// Start and end of the region, as shares of the axis.
    region: (f32, f32),
}

/// `coordinate_transformation_mode`: how an output's index becomes a coordinate in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    Crop,
}

impl ResizedAxis {
    fn place(&self, coordinates: Coordinates, x: usize) -> f32 {
        let (x, from, to) = (as_f32(x), as_f32(self.from), as_f32(self.to));
        let half = (x + 0.5) / self.scale - 0.5;
        match coordinates {
            Coordinates::HalfPixel => half,
            Coordinates::HalfPixelSymmetric => {
                let offset = from / 2.0 * (1.0 - to / (self.scale * from));
                let place = f64::from(offset) + (f64::from(x) + 0.5) / f64::from(self.scale) - 0.5;
                #[expect(clippy::cast_possible_truncation, clippy::as_conversions, reason = "a place is a float32")]
                let place = place as f32;
                place
            }
            Coordinates::PytorchHalfPixel => {
                if self.to > 1 {
                    half
                } else {
                    0.0
                }
            }
            Coordinates::AlignCorners => {
                if self.to > 1 {
                    x * (from - 1.0) / (to - 1.0)
                } else {
                    0.0
                }
            }
            Coordinates::Asymmetric => x / self.scale,
            Coordinates::Crop => {
                let (start, end) = self.region;
                if self.to > 1 {
                    start * (from - 1.0) + (x * (end - start) * (from - 1.0)) / (to - 1.0)
                } else {
                    0.5 * (start + end) * (from - 1.0)
                }
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::as_conversions, reason = "a place is far below 2^53")]
fn whole(place: f64) -> i64 {
    place as i64
}

pub(crate) fn upsample(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let scales = match cx.attribute("scales") {
        Some(scales) => Some(scales.floats.clone()),
        None => cx.known_floats(1)?,
    };
    let x = cx.input(0)?;
    let axes = by_scales(cx, x, &scales.unwrap_or_default(), None)?;
    let result = if cx.text("mode", "nearest") == "nearest" {
        nearest(cx, x, &axes, Coordinates::Asymmetric, "floor")?
    } else {
        weighted(cx, x, &axes, Coordinates::Asymmetric, &Filter { cubic: None, antialias: false, exclude: false })?
    };
    Ok(vec![result])
}

fn by_scales(
    cx: &NodeContext<'_, '_>,
    x: ValueId,
    scales: &[f32],
    axes: Option<&[usize]>,
) -> Result<Vec<ResizedAxis>, ModelError> {
    let shape = cx.shape(x);
    let all: Vec<usize> = (0..shape.len()).collect();
    let axes = axes.unwrap_or(&all);
    if scales.len() != axes.len() {
        return Err(cx.shape_error("scales must have an entry an axis", format!("{scales:?} of {}", show(&shape))));
    }
    let mut result = Vec::new();
    for (&axis, &scale) in axes.iter().zip(scales) {
        let to = (as_f32(shape[axis]) * scale).floor();
        if !(scale > 0.0 && to < 1e7) {
            return Err(cx.shape_error("a scale must be positive and small", format!("{scales:?}")));
        }
        let to = cx.size(whole(f64::from(to)))?;
        result.push(ResizedAxis { number: axis, from: shape[axis], to, scale, region: (0.0, 1.0) });
    }
    Ok(result)
}

fn by_sizes(
    cx: &NodeContext<'_, '_>,
    x: ValueId,
    sizes: &[i64],
    axes: Option<&[usize]>,
) -> Result<Vec<ResizedAxis>, ModelError> {
    let shape = cx.shape(x);
    let all: Vec<usize> = (0..shape.len()).collect();
    let axes = axes.unwrap_or(&all);
    if sizes.len() != axes.len() {
        return Err(cx.shape_error("sizes must have an entry an axis", format!("{sizes:?} of {}", show(&shape))));
    }
    let mut result = Vec::new();
    for (&axis, &size) in axes.iter().zip(sizes) {
        let to = cx.size(size)?;
        cx.check_table(Some(to))?;
        let scale = as_f32(to) / as_f32(shape[axis]);
        result.push(ResizedAxis { number: axis, from: shape[axis], to, scale, region: (0.0, 1.0) });
    }
    let policy = cx.text("keep_aspect_ratio_policy", "stretch");
    let scales = result.iter().map(|axis| axis.scale);
    let common = match policy {
        "not_larger" => scales.fold(f32::INFINITY, f32::min),
        "not_smaller" => scales.fold(0.0, f32::max),
        _ => return Ok(result),
    };
    for axis in &mut result {
        axis.scale = common;
        let to = whole(f64::from((common * as_f32(axis.from)).round()));
        cx.check_table(usize::try_from(to).ok())?;
        axis.to = cx.size(to)?;
    }
    Ok(result)
}

pub(crate) fn resize(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let shape = cx.shape(x);
    let listed: Option<Vec<usize>> = match cx.ints("axes") {
        Some(axes) => Some(axes.iter().map(|&axis| cx.axis(axis, shape.len(), shape.len())).collect::<Result<_, _>>()?),
        None => None,
    };
    let old = cx.opset < 11;
    let scales = cx.known_floats(if old { 1 } else { 2 })?.filter(|scales| !scales.is_empty());
    let sizes = if old { None } else { cx.known_ints(3)?.filter(|sizes| !sizes.is_empty()) };
    let coordinates = match cx.text("coordinate_transformation_mode", if old { "asymmetric" } else { "half_pixel" }) {
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        "tf_crop_and_resize" => Coordinates::Crop,
        _ => return Err(cx.unsupported_attribute("coordinate_transformation_mode", "it is not one of the six")),
    };
    let mut axes = match (&scales, &sizes) {
        (_, Some(sizes)) => by_sizes(cx, x, sizes, listed.as_deref())?,
        (Some(scales), None) => by_scales(cx, x, scales, listed.as_deref())?,
        (None, None) => return Err(cx.shape_error("either scales or sizes must be given", show(&shape))),
    };
    if coordinates == Coordinates::Crop
        && let Some(region) = cx.known_floats(1)?
    {
        for (i, axis) in axes.iter_mut().enumerate() {
            let end = region.len() / 2 + i;
            if let (Some(&start), Some(&end)) = (region.get(i), region.get(end)) {
                axis.region = (start, end);
            }
        }
    }
    // What keeps every size keeps the values, whatever the scales.
    if axes.iter().all(|axis| axis.from == axis.to) && coordinates != Coordinates::Crop {
        axes.clear();
    }
    cx.ignore(&["keep_aspect_ratio_policy", "roi"]);
    let cubic = cx.float("cubic_coeff_a", -0.75);
    let (antialias, exclude) = (cx.flag("antialias"), cx.flag("exclude_outside"));
    let beyond = cx.float("extrapolation_value", 0.0);
    let how = cx.text("nearest_mode", if old { "by_direction" } else { "round_prefer_floor" });
    let filter = |cubic| Filter { cubic, antialias, exclude };
    let result = match cx.text("mode", "nearest") {
        "nearest" => nearest(cx, x, &axes, coordinates, how)?,
        "linear" => weighted(cx, x, &axes, coordinates, &filter(None))?,
        "cubic" => weighted(cx, x, &axes, coordinates, &filter(Some(f64::from(cubic))))?,
        _ => return Err(cx.unsupported_attribute("mode", "it must be nearest, linear or cubic")),
    };
    if coordinates == Coordinates::Crop {
        return Ok(vec![outside(cx, result, &axes, beyond)?]);
    }
    Ok(vec![result])
}

fn nearest(
    cx: &mut NodeContext<'_, '_>,
    mut x: ValueId,
    axes: &[ResizedAxis],
    coordinates: Coordinates,
    how: &str,
) -> Result<ValueId, ModelError> {
    for axis in axes.iter().filter(|axis| moves(axis, coordinates)) {
        let places: Vec<i64> = (0..axis.to)
            .map(|i| {
                let place = f64::from(axis.place(coordinates, i));
                let place = match how {
                    "round_prefer_ceil" => (place + 0.5 + TIE).floor(),
                    // Operator set 10 has no attribute for it.
                    "by_direction" if axis.scale < 1.0 => place.ceil(),
                    "floor" | "by_direction" => place.floor(),
                    "ceil" => place.ceil(),
                    _ => (place - 0.5 - TIE).ceil(),
                };
                whole(place).clamp(0, long(axis.from).saturating_sub(1))
            })
            .collect();
        let table = cx.constant_ints(vec![places.len()], &places)?;
        x = take(cx, x, table, axis.number)?;
    }
    Ok(x)
}

#[expect(clippy::float_cmp, reason = "exactly 1 changes nothing")]
fn moves(axis: &ResizedAxis, coordinates: Coordinates) -> bool {
    axis.from != axis.to || axis.scale != 1.0 || coordinates == Coordinates::Crop
}

struct Filter {
    /// The cubic's coefficient; without it the filter is linear.
    cubic: Option<f64>,
    antialias: bool,
    exclude: bool,
}

impl Filter {
    /// Offsets from the floor of a coordinate at which something weighs.
    fn taps(&self, scale: f64) -> Range<i64> {
        let scale = if self.antialias { scale.min(1.0) } else { 1.0 };
        let reach: f64 = if self.cubic.is_some() { 2.0 } else { 1.0 };
        let first = whole((-reach / scale).floor()).saturating_add(1);
        first..2i64.saturating_sub(first).max(first.saturating_add(1))
    }

    /// The first of those offsets, and the weights from there on; `ratio` is the coordinate's fraction.
    fn weights(&self, ratio: f64, scale: f64) -> (i64, Vec<f64>) {
        let taps = self.taps(scale);
        let (first, scale) = (taps.start, if self.antialias { scale.min(1.0) } else { 1.0 });
        let shape = |t: f64| match self.cubic {
            None => (1.0 - t.abs()).max(0.0),
            Some(a) => keys(a, t.abs()),
        };
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "an offset is small")]
        let mut weights: Vec<f64> = taps.map(|i| shape((i as f64 - ratio) * scale)).collect();
        if self.antialias {
            let sum: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|weight| *weight /= sum);
        }
        (first, weights)
    }
}

/// Keys' cubic convolution kernel (IEEE TASSP 29(6), 1981).
fn keys(a: f64, t: f64) -> f64 {
    if t <= 1.0 {
        ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
    } else if t < 2.0 {
        ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a
    } else {
        0.0
    }
}

fn weighted(
    cx: &mut NodeContext<'_, '_>,
    mut x: ValueId,
    axes: &[ResizedAxis],
    coordinates: Coordinates,
    filter: &Filter,
) -> Result<ValueId, ModelError> {
    let dtype = cx.dtype(x);
    x = cx.cast(x, DType::F32)?;
    let kept = |axis: &ResizedAxis| filter.antialias && axis.from == axis.to && coordinates != Coordinates::Crop;
    for axis in axes.iter().filter(|axis| moves(axis, coordinates) && !kept(axis)) {
        let (mut places, mut weights) = (Vec::new(), Vec::new());
        let taps = filter.taps(f64::from(axis.scale));
        let taps = usize::try_from(taps.end.saturating_sub(taps.start)).ok();
        cx.check_table(taps.and_then(|taps| axis.to.max(1).checked_mul(taps)))?;
        for i in 0..axis.to {
            let place = f64::from(axis.place(coordinates, i));
            let (first, mut own) = filter.weights(place - place.floor(), f64::from(axis.scale));
            let from = whole(place.floor()) + first;
            let inside = |tap: usize| (0..long(axis.from)).contains(&(from + long(tap)));
            if filter.exclude {
                own.iter_mut().enumerate().for_each(|(tap, weight)| {
                    if !inside(tap) {
                        *weight = 0.0;
                    }
                });
                let sum: f64 = own.iter().sum();
                own.iter_mut().for_each(|weight| *weight /= sum);
            }
            places.extend((0..own.len()).map(|tap| (from + long(tap)).clamp(0, long(axis.from) - 1)));
            #[expect(clippy::cast_possible_truncation, clippy::as_conversions, reason = "a weight is a float32")]
            weights.extend(own.iter().map(|&weight| weight as f32));
        }
        x = resample_axis(cx, x, axis.number, axis.to, &places, &weights)?;
    }
    cx.cast(x, dtype)
}

/// `extrapolation_value` wherever a coordinate lies outside the input.
fn outside(cx: &mut NodeContext<'_, '_>, x: ValueId, axes: &[ResizedAxis], value: f32) -> Result<ValueId, ModelError> {
    let shape = cx.shape(x);
    let mut result = x;
    for axis in axes {
        let inside: Vec<i64> = (0..axis.to)
            .map(|i| {
                let place = axis.place(Coordinates::Crop, i);
                i64::from(place >= 0.0 && place <= as_f32(axis.from) - 1.0)
            })
            .collect();
        if inside.contains(&0) {
            let mut beside = vec![1; shape.len()];
            beside[axis.number] = axis.to;
            let mask = cx.constant_ints(beside, &inside)?;
            let dtype = cx.dtype(x);
            result = cx.elementwise_to(&[result, mask], &shape, dtype, |p, r| {
                let (one, value) = (p.i(1), p.f(value));
                let inside = p.bin(Binary::Eq, r[1], one);
                p.select(inside, r[0], value)
            })?;
        }
    }
    Ok(result)
}
