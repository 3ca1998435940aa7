//! An output's row, or a kernel's records, as a picture.

use std::io::Cursor;

use anyhow::Context;
use image::{ImageFormat, Rgba, RgbaImage};
use wire::{Job, number};

use super::column::Column;
use super::table::read;
use crate::arrays::rows::Number;

/// Of a side, in pixels.
const SIDE: std::ops::RangeInclusive<u64> = 8..=4096;
/// Of a picture of records, in pixels.
const RECORDS_MAX: u64 = 4 << 20;

/// Where a picture's values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Each row is a picture.
    Row { width: u32, height: u32, channels: usize, channels_last: bool },
    /// Each record is a pixel of a square.
    Records { side: u32 },
}

impl Layout {
    /// `None` where it does not look like a picture.
    pub(super) fn of(column: &Column, job: &Job) -> Option<Self> {
        if !column.words.is_empty() {
            let side = job.rows.isqrt();
            let is_square = side * side == job.rows && SIDE.contains(&side) && job.rows <= RECORDS_MAX;
            return (is_square && column.field.bytes() == 4).then_some(Self::Records { side: number::to(side) });
        }
        let is_side = |side: &u64| SIDE.contains(side);
        let is_channel = |channels: &u64| matches!(channels, 1 | 3 | 4);
        // A model that cannot be cut into rows answers with its batch of one.
        let shape = match column.field.shape.as_slice() {
            [1, rest @ ..] if column.field.whole => rest,
            shape => shape,
        };
        let (height, width, channels, channels_last) = match shape {
            [height, width] => (height, width, &1, false),
            [channels, height, width] if is_channel(channels) => (height, width, channels, false),
            [height, width, channels] if is_channel(channels) => (height, width, channels, true),
            _ => return None,
        };
        (is_side(height) && is_side(width)).then(|| Self::Row {
            width: number::to(*width),
            height: number::to(*height),
            channels: number::to(*channels),
            channels_last,
        })
    }
}

/// As a PNG.
pub(super) fn encode(layout: Layout, column: &Column, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let values = Values { column, bytes };
    let picture = draw(layout, &values).context("a picture should have its values")?;
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

/// Read one by one from the bytes: as numbers they would take four times as much.
struct Values<'a> {
    column: &'a Column,
    bytes: &'a [u8],
}

impl Values<'_> {
    fn iter(&self) -> impl Iterator<Item = Number> {
        read(self.column, self.bytes)
    }

    fn size(&self) -> usize {
        if self.column.words.is_empty() { number::to(self.column.field.dtype.bytes()) } else { 4 }
    }

    fn len(&self) -> usize {
        self.bytes.len() / self.size()
    }

    /// Of a picture's channel; of records, each is one value.
    fn level(&self, range: &Range, place: usize) -> u8 {
        let dtype = self.column.words.first().copied().unwrap_or(self.column.field.dtype);
        let value = self.bytes.get(place * self.size()..(place + 1) * self.size());
        value.map_or(0, |bytes| range.level(Number::read(dtype, bytes)))
    }
}

fn draw(layout: Layout, values: &Values<'_>) -> Option<RgbaImage> {
    let (width, height, channels, channels_last) = match layout {
        Layout::Row { width, height, channels, channels_last } => (width, height, channels, channels_last),
        Layout::Records { side } if are_colours(values) => {
            return RgbaImage::from_raw(side, side, values.iter().flat_map(colour).collect());
        }
        Layout::Records { side } => (side, side, 1, false),
    };
    let pixels = number::to::<usize>(u64::from(width) * u64::from(height));
    if values.len() < pixels * channels {
        return None;
    }
    let range = Range::of(values);
    let at = |pixel: usize, channel: usize| {
        let place = if channels_last { pixel * channels + channel } else { channel * pixels + pixel };
        values.level(&range, place)
    };
    let mut picture = RgbaImage::new(width, height);
    for (place, pixel) in picture.pixels_mut().enumerate() {
        *pixel = match channels {
            1 => {
                let level = at(place, 0);
                Rgba([level, level, level, 255])
            }
            _ => Rgba([at(place, 0), at(place, 1), at(place, 2), if channels == 4 { at(place, 3) } else { 255 }]),
        };
    }
    Some(picture)
}

/// Words that hold red, green, blue and what covers: opaque, most of them.
fn are_colours(values: &Values<'_>) -> bool {
    let opaque = values.iter().filter(|value| matches!(value, Number::Int(_)) && colour(*value)[3] == 255).count();
    values.len() > 0 && opaque * 10 >= values.len() * 9
}

fn colour(value: Number) -> [u8; 4] {
    let Number::Int(word) = value else { return [0; 4] };
    let [red, green, blue, alpha, ..] = word.to_le_bytes();
    [red, green, blue, alpha]
}

/// What black and white are.
struct Range {
    black: f32,
    white: f32,
}

impl Range {
    /// From 0 to 1, from -1 to 1 and from 0 to 255 are what models mean by a picture; anything else is stretched.
    fn of(values: &Values<'_>) -> Self {
        let finite = || values.iter().map(as_float).filter(|value| value.is_finite());
        let (least, most) = (finite().fold(f32::MAX, f32::min), finite().fold(f32::MIN, f32::max));
        let are_floats = matches!(values.iter().next(), Some(Number::Float(_)));
        let near = |low: f32, high: f32| least >= low - 0.02 * (high - low) && most <= high + 0.02 * (high - low);
        let (black, white) = match are_floats {
            true if near(0.0, 1.0) && most > 0.05 => (0.0, 1.0),
            true if near(-1.0, 1.0) && least < -0.05 => (-1.0, 1.0),
            // Counts and labels of a few kinds would be all but black.
            _ if least >= 0.0 && most <= 255.0 && most > 127.0 => (0.0, 255.0),
            _ if least < most => (least, most),
            _ => (least, least + 1.0),
        };
        Self { black, white }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
    fn level(&self, value: Number) -> u8 {
        ((as_float(value) - self.black) / (self.white - self.black) * 255.0).round().clamp(0.0, 255.0) as u8
    }
}

#[expect(clippy::cast_precision_loss, reason = "a shade of a picture")]
fn as_float(value: Number) -> f32 {
    match value {
        Number::Float(value) => value,
        Number::Int(value) => value as f32,
    }
}

#[cfg(test)]
mod tests {
    use wire::{DType, Field};

    use super::*;

    const GREY: Layout = Layout::Row { width: 2, height: 1, channels: 1, channels_last: false };

    fn picture(layout: Layout, words: &[DType], values: &[u32]) -> Option<RgbaImage> {
        let field = Field { name: "y".to_owned(), dtype: DType::Float32, shape: vec![1], shared: false, whole: false };
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        draw(layout, &Values { column: &Column { field, start: 0, words: words.to_vec() }, bytes: &bytes })
    }

    fn of_floats(layout: Layout, values: &[f32]) -> Option<RgbaImage> {
        picture(layout, &[], &values.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
    }

    #[track_caller]
    fn check(values: &[f32], expected: [u8; 2]) {
        let picture = of_floats(GREY, values).unwrap();
        assert_eq!([picture.get_pixel(0, 0)[0], picture.get_pixel(1, 0)[0]], expected, "{values:?}");
    }

    #[test]
    fn what_models_mean_by_black_and_white_is_seen_by_the_values() {
        check(&[0.0, 1.0], [0, 255]);
        check(&[0.5, 0.25], [128, 64]);
        check(&[-1.0, 0.0], [0, 128]);
        check(&[10.0, 200.0], [10, 200]);
        check(&[-7.0, 3.0], [0, 255]);
        check(&[f32::NAN, 1.0], [0, 255]);
        check(&[4.0, 4.0], [0, 0]);
    }

    #[test]
    fn channels_may_come_first_or_last() {
        let first = Layout::Row { width: 2, height: 1, channels: 3, channels_last: false };
        let last = Layout::Row { width: 2, height: 1, channels: 3, channels_last: true };

        let planes = of_floats(first, &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]).unwrap();
        let pixels = of_floats(last, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).unwrap();

        for picture in [planes, pixels] {
            assert_eq!(picture.get_pixel(0, 0).0, [255, 0, 0, 255]);
            assert_eq!(picture.get_pixel(1, 0).0, [0, 255, 0, 255]);
        }
        assert!(of_floats(first, &[1.0]).is_none());
    }

    #[test]
    fn records_are_colours_where_they_are_opaque_and_shades_otherwise() {
        let side = Layout::Records { side: 1 };

        let red = picture(side, &[DType::Uint32], &[0xff00_00ff]).unwrap();
        let count = picture(Layout::Records { side: 2 }, &[DType::Uint32], &[0, 10, 20, 40]).unwrap();

        assert_eq!(red.get_pixel(0, 0).0, [255, 0, 0, 255]);
        assert_eq!(count.pixels().map(|pixel| pixel[0]).collect::<Vec<_>>(), [0, 64, 128, 255]);
    }
}
