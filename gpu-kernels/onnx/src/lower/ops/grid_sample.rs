//! Images sampled between their pixels, at coordinates that are values themselves.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Binary, Program, Reg, Unary};
use gpu_kernels::number::to;

use crate::error::{ModelError, show};
use crate::ir::ValueId;
use crate::lower::context::NodeContext;
use crate::lower::prims::copies::concat_along;
use crate::lower::prims::gather::take_along_last;
use crate::lower::prims::iota::iota;
use crate::lower::prims::product::multiply;
use crate::lower::prims::reduce::as_f32;
use crate::lower::prims::views::{broadcast_to, permute_axes, slice_axis, squeeze_axes, unsqueeze_axes};

#[derive(Clone, Copy, PartialEq)]
enum Padding {
    Zeros,
    Border,
    Reflection,
}

#[derive(Clone, Copy, PartialEq)]
enum Interpolation {
    Nearest,
    Linear,
    Cubic,
}

impl Interpolation {
    /// Offsets of the pixels that are read along an axis, from the one below a coordinate.
    fn taps(self) -> std::ops::Range<i32> {
        match self {
            Self::Nearest => 0..1,
            Self::Linear => 0..2,
            Self::Cubic => -1..3,
        }
    }
}

/// One axis of the image.
#[derive(Clone, Copy)]
struct GridAxis {
    size: usize,
    aligned: bool,
    padding: Padding,
    mode: Interpolation,
}

impl GridAxis {
    /// The first and last coordinate that is not padding.
    fn ends(self) -> (f32, f32) {
        let size = as_f32(self.size);
        if self.aligned { (0.0, size - 1.0) } else { (-0.5, size - 0.5) }
    }

    /// A coordinate between −1 and 1 in pixels; border and reflection padding bring it into the image. A cubic's
    /// stays outside, where other pixels of the image weigh than at its border; its taps are brought in one by one.
    fn place(self, p: &mut Program, coordinate: Reg) -> Reg {
        let (low, high) = self.ends();
        let (half, one, span, low) = (p.f(0.5), p.f(1.0), p.f(high - low), p.f(low));
        let place = p.bin(Binary::Add, coordinate, one);
        let place = p.bin(Binary::Mul, place, half);
        let place = p.bin(Binary::Mul, place, span);
        let place = p.bin(Binary::Add, place, low);
        let place = match self.mode {
            Interpolation::Nearest => p.un(Unary::Round, place),
            Interpolation::Linear => place,
            Interpolation::Cubic => return place,
        };
        match self.padding {
            Padding::Zeros => place,
            Padding::Border => self.clamped(p, place),
            Padding::Reflection => self.reflected(p, place),
        }
    }

    fn clamped(self, p: &mut Program, place: Reg) -> Reg {
        let (first, last) = (p.f(0.0), p.f(as_f32(self.size) - 1.0));
        let place = p.bin(Binary::Max, place, first);
        p.bin(Binary::Min, place, last)
    }

    /// Reflected at the ends as often as it takes.
    fn reflected(self, p: &mut Program, place: Reg) -> Reg {
        let (low, high) = self.ends();
        if high <= low {
            return p.f(0.0);
        }
        let (first, span, twice) = (p.f(low), p.f(high - low), p.f(2.0 * (high - low)));
        let away = p.bin(Binary::Sub, place, first);
        let away = p.un(Unary::Abs, away);
        let away = p.bin(Binary::Rem, away, twice);
        let back = p.bin(Binary::Sub, twice, away);
        let near = p.bin(Binary::Le, away, span);
        let away = p.select(near, away, back);
        p.bin(Binary::Add, away, first)
    }

    /// The index of the pixel `tap` from the one below a coordinate, and its weight.
    fn pixel(self, cx: &mut NodeContext<'_, '_>, place: ValueId, tap: i32) -> Result<(ValueId, ValueId), ModelError> {
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a tap is small")]
        let step = tap as f32;
        let number = |p: &mut Program, place: Reg| {
            let (below, step) = (p.un(Unary::Floor, place), p.f(step));
            p.bin(Binary::Add, below, step)
        };
        let index = cx.elementwise(&[place], DType::I64, |p, r| {
            let pixel = number(p, r[0]);
            let pixel = if self.padding == Padding::Reflection { self.reflected(p, pixel) } else { pixel };
            let pixel = self.clamped(p, pixel);
            p.un(Unary::ToI32, pixel)
        })?;
        let weight = cx.elementwise(&[place], DType::F32, |p, r| {
            let pixel = number(p, r[0]);
            // Far outside the image floats lie wider apart than pixels: the fraction is exact, a distance is not.
            let (below, own) = (p.un(Unary::Floor, r[0]), p.f(step));
            let fraction = p.bin(Binary::Sub, r[0], below);
            let away = p.bin(Binary::Sub, fraction, own);
            let away = p.un(Unary::Abs, away);
            let one = p.f(1.0);
            let weight = match self.mode {
                Interpolation::Nearest => one,
                Interpolation::Linear => p.bin(Binary::Sub, one, away),
                Interpolation::Cubic => cubic(p, away),
            };
            if self.padding != Padding::Zeros {
                return weight;
            }
            let (zero, last) = (p.f(0.0), p.f(as_f32(self.size) - 1.0));
            let (above, below) = (p.bin(Binary::Le, zero, pixel), p.bin(Binary::Le, pixel, last));
            let inside = p.bin(Binary::And, above, below);
            p.select(inside, weight, zero)
        })?;
        Ok((index, weight))
    }
}

/// Keys' cubic convolution kernel (IEEE TASSP 29(6), 1981), with a = −0.75.
fn cubic(p: &mut Program, t: Reg) -> Reg {
    let polynomial = |p: &mut Program, factors: [f32; 4]| {
        let mut sum = p.f(factors[0]);
        for factor in &factors[1..] {
            let factor = p.f(*factor);
            sum = p.bin(Binary::Mul, sum, t);
            sum = p.bin(Binary::Add, sum, factor);
        }
        sum
    };
    let near = polynomial(p, [1.25, -2.25, 0.0, 1.0]);
    let far = polynomial(p, [-0.75, 3.75, -6.0, 3.0]);
    let one = p.f(1.0);
    let inside = p.bin(Binary::Le, t, one);
    p.select(inside, near, far)
}

/// Flat indices of pixels that are read, and their weights.
type WeightedPixel = (ValueId, ValueId);

pub(crate) fn grid(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, grid) = (cx.input(0)?, cx.input(1)?);
    let dtype = cx.float_type(x)?;
    let aligned = cx.flag("align_corners");
    let mode = match cx.text("mode", "linear") {
        "nearest" => Interpolation::Nearest,
        "linear" | "bilinear" => Interpolation::Linear,
        "cubic" | "bicubic" => Interpolation::Cubic,
        _ => return Err(cx.unsupported_attribute("mode", "it must be nearest, linear or cubic")),
    };
    let padding = match cx.text("padding_mode", "zeros") {
        "zeros" => Padding::Zeros,
        "border" => Padding::Border,
        "reflection" => Padding::Reflection,
        _ => return Err(cx.unsupported_attribute("padding_mode", "it must be zeros, border or reflection")),
    };
    let (shape, places) = (cx.shape(x), cx.shape(grid));
    let (batch, channels, spatial) = cx.spatial(&shape)?;
    let rank = spatial.len();
    if places.len() != rank + 2 || places[0] != batch || places[rank + 1] != rank {
        let found = format!("{} for {}", show(&places), show(&shape));
        return Err(cx.shape_error("the grid must name a place in the image for every output", found));
    }
    if spatial.contains(&0) {
        return Err(cx.shape_error("there is nothing to read from", show(&shape)));
    }
    let count: usize = places[1..=rank].iter().product();
    let flat = cx.builder.reshaped(grid, vec![batch, count, rank])?;
    let mut corners: Vec<Option<WeightedPixel>> = vec![None];
    for (i, &size) in spatial.iter().enumerate() {
        // The grid's first coordinate is the image's last axis.
        let own = slice_axis(cx, flat, 2, rank - 1 - i, 1)?;
        let own = squeeze_axes(cx, own, &[2])?;
        let axis = GridAxis { size, aligned, padding, mode };
        let place = cx.elementwise(&[own], DType::F32, |p, r| axis.place(p, r[0]))?;
        let mut next = Vec::new();
        for tap in mode.taps() {
            let pixel = axis.pixel(cx, place, tap)?;
            for corner in &corners {
                next.push(Some(match *corner {
                    None => pixel,
                    Some(corner) => further(cx, corner, pixel, size)?,
                }));
            }
        }
        corners = next;
    }
    let image = cx.builder.reshaped(x, vec![batch, channels, spatial.iter().product()])?;
    let mut sum = None;
    for (index, weight) in corners.into_iter().flatten() {
        let values = take_along_last(cx, image, index)?;
        let weight = unsqueeze_axes(cx, weight, &[1])?;
        sum = Some(match sum {
            None => cx.elementwise(&[values, weight], DType::F32, |p, r| p.bin(Binary::Mul, r[0], r[1]))?,
            Some(sum) => cx.elementwise(&[values, weight, sum], DType::F32, |p, r| {
                let part = p.bin(Binary::Mul, r[0], r[1]);
                p.bin(Binary::Add, r[2], part)
            })?,
        });
    }
    let sum = sum.ok_or_else(|| cx.shape_error("the image needs an axis", show(&shape)))?;
    let mut target = vec![batch, channels];
    target.extend_from_slice(&places[1..=rank]);
    let result = cx.builder.reshaped(sum, target)?;
    Ok(vec![cx.cast(result, dtype)?])
}

/// Combines a pixel's index and weight along the axes so far with those along one more.
fn further(
    cx: &mut NodeContext<'_, '_>,
    corner: WeightedPixel,
    pixel: WeightedPixel,
    size: usize,
) -> Result<WeightedPixel, ModelError> {
    let index = cx.elementwise(&[corner.0, pixel.0], DType::I64, |p, r| {
        let size = p.i(to(size));
        let line = p.bin(Binary::Mul, r[0], size);
        p.bin(Binary::Add, line, r[1])
    })?;
    let weight = cx.elementwise(&[corner.1, pixel.1], DType::F32, |p, r| p.bin(Binary::Mul, r[0], r[1]))?;
    Ok((index, weight))
}

/// Coordinates of every pixel, transformed by a matrix for each image.
pub(crate) fn affine(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let theta = cx.input(0)?;
    let dtype = cx.float_type(theta)?;
    let size = cx.known_ints(1)?.unwrap_or_default();
    let aligned = cx.flag("align_corners");
    let size: Vec<usize> = size.iter().map(|&size| cx.size(size)).collect::<Result<_, _>>()?;
    let (batch, _, spatial) = cx.spatial(&size)?;
    let rank = spatial.len();
    if cx.shape(theta) != [batch, rank, rank + 1] {
        return Err(cx.shape_error(
            "the matrices do not fit the size",
            format!("{} for {}", show(&cx.shape(theta)), show(&size)),
        ));
    }
    let count = spatial.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    cx.check_table(count)?;
    // Homogeneous coordinates: from the last axis to the first, then 1.
    let mut lines = Vec::with_capacity(rank + 1);
    for (i, &size) in spatial.iter().enumerate().rev() {
        let along = iota(cx, size, i, rank)?;
        let (first, step) = match (aligned, size) {
            (true, 0 | 1) => (-1.0, 0.0),
            (true, _) => (-1.0, 2.0 / (as_f32(size) - 1.0)),
            (false, _) => (1.0 / as_f32(size) - 1.0, 2.0 / as_f32(size)),
        };
        let line = cx.elementwise_to(&[along], &spatial, DType::F32, |p, r| {
            let (first, step, place) = (p.f(first), p.f(step), p.un(Unary::ToF32, r[0]));
            let place = p.bin(Binary::Mul, place, step);
            p.bin(Binary::Add, place, first)
        })?;
        lines.push(cx.builder.reshaped(line, vec![1, count.unwrap_or(0), 1])?);
    }
    let one = cx.constant_floats(vec![], &[1.0])?;
    lines.push(broadcast_to(cx, one, vec![1, count.unwrap_or(0), 1])?);
    let base = concat_along(cx, &lines, 2)?;
    let turned = permute_axes(cx, theta, &[0, 2, 1])?;
    let places = multiply(cx, base, turned)?;
    let mut target = vec![batch];
    target.extend_from_slice(&spatial);
    target.push(rank);
    let places = cx.builder.reshaped(places, target)?;
    Ok(vec![cx.cast(places, dtype)?])
}
