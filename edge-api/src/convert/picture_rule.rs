//! What pictures become: the size, the order and the scale that the model reads, as far as nobody said another.

use half::f16;
use wire::{DType, PictureChannels, PictureLayout, PictureReading, Resize, ResizeFilter};

use super::error::{ConvertError, layout_text, shape_text};
use super::number::Number;
use super::port::Port;

/// Of a side, in pixels.
const SIDE_MAX: u32 = 8192;
/// A byte's values.
const LEVELS: usize = 256;
/// What is said of a number that is out of bounds.
const SIDE_RULE: &str = "expected 1 to 8192 pixels";

/// All that is said, and what follows from it.
pub struct PictureRule {
    pub width: u32,
    pub height: u32,
    pub resize: Resize,
    pub shorter_side: Option<u32>,
    pub pad_value: u8,
    pub filter: ResizeFilter,
    pub layout: PictureLayout,
    pub channels: PictureChannels,
    /// Of one picture, as the model has them.
    pub row_shape: Vec<u64>,
    /// By channel and level, a value as it is written.
    values: Vec<[Vec<u8>; LEVELS]>,
    divide_by: f32,
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl PictureRule {
    pub fn new(port: &Port, reading: &PictureReading) -> Result<Self, ConvertError> {
        check_resize(reading)?;
        let axes = Axes::of(port, reading)?;
        let channels = axes.channels(port, reading)?;
        let count = count(channels);
        let (width, height) = axes.size(reading)?;
        for (field, what, side) in [("pictures.width", "width", width), ("pictures.height", "height", height)] {
            check_side(field, what, side)?;
        }
        let resize = reading.resize.unwrap_or(Resize::Stretch);
        if let Some(side) = reading.shorter_side {
            check_side("pictures.shorter_side", "shorter_side", side)?;
            if side < width.max(height) {
                let (field, what, rule) =
                    ("pictures.shorter_side", "shorter_side", "it is shorter than what is cut out of it");
                return Err(ConvertError::PictureNumber { field, what, value: side.to_string(), rule });
            }
        }
        let row_shape = axes.row_shape(port, count, height, width)?;
        let numbers = Scale::new(port.dtype, reading, usize::from(count))?;
        Ok(Self {
            width,
            height,
            resize,
            shorter_side: reading.shorter_side,
            pad_value: reading.pad_value.unwrap_or(0),
            filter: reading.filter.unwrap_or(ResizeFilter::Bilinear),
            layout: axes.layout,
            channels,
            row_shape,
            values: numbers.values(port)?,
            divide_by: numbers.divide_by,
            mean: numbers.mean,
            std: numbers.std,
        })
    }

    /// All of it said.
    pub fn reading(&self) -> PictureReading {
        PictureReading {
            width: Some(self.width),
            height: Some(self.height),
            resize: Some(self.resize),
            shorter_side: self.shorter_side,
            pad_value: (self.resize == Resize::Pad).then_some(self.pad_value),
            filter: Some(self.filter),
            layout: Some(self.layout),
            channels: Some(self.channels),
            divide_by: Some(self.divide_by),
            mean: self.mean.clone(),
            std: self.std.clone(),
        }
    }

    /// Values a pixel.
    pub fn channel_count(&self) -> usize {
        self.values.len()
    }

    /// Appends a picture of the rule's size: pixels one after another, each with its channels in the order of red, green,
    /// blue.
    pub fn write(&self, pixels: &[u8], out: &mut Vec<u8>) {
        let channels = self.channel_count();
        let source =
            |channel: usize| if self.channels == PictureChannels::Bgr { channels - 1 - channel } else { channel };
        match self.layout {
            PictureLayout::Nhwc => {
                for pixel in pixels.chunks_exact(channels) {
                    for (channel, values) in self.values.iter().enumerate() {
                        out.extend_from_slice(&values[usize::from(pixel[source(channel)])]);
                    }
                }
            }
            PictureLayout::Nchw => {
                for (channel, values) in self.values.iter().enumerate() {
                    for pixel in pixels.chunks_exact(channels) {
                        out.extend_from_slice(&values[usize::from(pixel[source(channel)])]);
                    }
                }
            }
        }
    }
}

fn check_resize(reading: &PictureReading) -> Result<(), ConvertError> {
    let is_said_for = |resize| reading.resize == Some(resize);
    if reading.shorter_side.is_some() && !is_said_for(Resize::Crop) {
        let (field, what, rule) = ("pictures.shorter_side", "shorter_side", "crop");
        return Err(ConvertError::OtherResize { field, what, rule });
    }
    if reading.pad_value.is_some() && !is_said_for(Resize::Pad) {
        let (field, what, rule) = ("pictures.pad_value", "pad_value", "pad");
        return Err(ConvertError::OtherResize { field, what, rule });
    }
    Ok(())
}

fn check_side(field: &'static str, what: &'static str, side: u32) -> Result<(), ConvertError> {
    if (1..=SIDE_MAX).contains(&side) {
        return Ok(());
    }
    Err(ConvertError::PictureNumber { field, what, value: side.to_string(), rule: SIDE_RULE })
}

fn count(channels: PictureChannels) -> u8 {
    match channels {
        PictureChannels::Grey => 1,
        PictureChannels::Rgb | PictureChannels::Bgr => 3,
    }
}

/// What a model's shape says of pictures: `None` where it leaves that open.
struct Axes {
    layout: PictureLayout,
    channels: Option<u64>,
    height: Option<u64>,
    width: Option<u64>,
}

impl Axes {
    fn of(port: &Port, reading: &PictureReading) -> Result<Self, ConvertError> {
        let is_count = |size: Option<u64>| matches!(size, Some(1 | 3));
        let open = |layout| Self { layout, channels: None, height: None, width: None };
        match port.row() {
            None => Ok(open(reading.layout.ok_or(ConvertError::LayoutUnknown)?)),
            Some(&[first, second, third]) => {
                let guessed = match (is_count(first), is_count(third)) {
                    (true, _) => Some(PictureLayout::Nchw),
                    (false, true) => Some(PictureLayout::Nhwc),
                    (false, false) => None,
                };
                let layout = reading.layout.or(guessed).ok_or(ConvertError::LayoutUnknown)?;
                let (channels, height, width) = match layout {
                    PictureLayout::Nchw => (first, second, third),
                    PictureLayout::Nhwc => (third, first, second),
                };
                Ok(Self { layout, channels, height, width })
            }
            Some(&[height, width]) => {
                Ok(Self { layout: reading.layout.unwrap_or(PictureLayout::Nchw), channels: Some(1), height, width })
            }
            Some(&[_values]) => Ok(open(reading.layout.unwrap_or(PictureLayout::Nchw))),
            Some(_) => {
                let shape = shape_text(port.shape.as_deref().unwrap_or_default());
                Err(ConvertError::NoPictureInput { name: port.name.clone(), shape })
            }
        }
    }

    fn channels(&self, port: &Port, reading: &PictureReading) -> Result<PictureChannels, ConvertError> {
        let guessed = if self.channels == Some(1) { PictureChannels::Grey } else { PictureChannels::Rgb };
        let channels = reading.channels.unwrap_or(guessed);
        let fits = self.channels.is_none_or(|known| known == u64::from(count(channels)));
        if fits {
            return Ok(channels);
        }
        let wanted = shape_text(port.shape.as_deref().unwrap_or_default());
        Err(ConvertError::PictureShape { name: port.name.clone(), made: format!("'{}'", channels.name()), wanted })
    }

    fn size(&self, reading: &PictureReading) -> Result<(u32, u32), ConvertError> {
        let side = |said: Option<u32>, known: Option<u64>| {
            let known = known.map(|side| u32::try_from(side).unwrap_or(u32::MAX));
            said.or(known).ok_or(ConvertError::SizeUnknown)
        };
        Ok((side(reading.width, self.width)?, side(reading.height, self.height)?))
    }

    /// As the model has a picture's sizes, if they are these.
    fn row_shape(&self, port: &Port, channels: u8, height: u32, width: u32) -> Result<Vec<u64>, ConvertError> {
        let (channels, height, width) = (channels.into(), height.into(), width.into());
        let full = match self.layout {
            PictureLayout::Nchw => vec![channels, height, width],
            PictureLayout::Nhwc => vec![height, width, channels],
        };
        let made = match port.row().map(<[_]>::len) {
            Some(1) => vec![channels * height * width],
            Some(2) => vec![height, width],
            _ => full,
        };
        let fits = port
            .row()
            .is_none_or(|row| row.iter().zip(&made).all(|(known, size)| known.is_none_or(|known| known == *size)));
        if fits {
            return Ok(made);
        }
        let made = layout_text(self.layout, channels, height, width);
        let wanted = shape_text(port.shape.as_deref().unwrap_or_default());
        Err(ConvertError::PictureShape { name: port.name.clone(), made, wanted })
    }
}

/// What becomes of a level of 0 to 255.
struct Scale {
    divide_by: f32,
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Scale {
    fn new(dtype: DType, reading: &PictureReading, channels: usize) -> Result<Self, ConvertError> {
        let divide_by = reading.divide_by.unwrap_or(if dtype.is_float() { 255.0 } else { 1.0 });
        check_divisor("pictures.divide_by", "divide_by", divide_by)?;
        let mean = by_channel(&reading.mean, 0.0, channels, "pictures.mean", "mean")?;
        if let Some(value) = mean.iter().find(|value| !value.is_finite()) {
            let (field, what, rule) = ("pictures.mean", "mean", "expected a number");
            return Err(ConvertError::PictureNumber { field, what, value: value.to_string(), rule });
        }
        let std = by_channel(&reading.std, 1.0, channels, "pictures.std", "std")?;
        for value in &std {
            check_divisor("pictures.std", "std", *value)?;
        }
        Ok(Self { divide_by, mean, std })
    }

    /// Each step in float32, as numpy does it with a float32 array.
    fn values(&self, port: &Port) -> Result<Vec<[Vec<u8>; LEVELS]>, ConvertError> {
        let mut values = Vec::with_capacity(self.mean.len());
        for (mean, std) in self.mean.iter().zip(&self.std) {
            let mut levels = [const { Vec::new() }; LEVELS];
            for (level, bytes) in (0u8..=255).zip(&mut levels) {
                let value = (f32::from(level) / self.divide_by - mean) / std;
                let written = match port.dtype {
                    DType::Float16 => {
                        bytes.extend(f16::from_f32(value).to_le_bytes());
                        Ok(())
                    }
                    dtype => Number::Float(value.into()).write(dtype, bytes),
                };
                written.map_err(|_misfit| ConvertError::PixelValue {
                    name: port.name.clone(),
                    dtype: port.dtype.name(),
                    value: value.to_string(),
                })?;
            }
            values.push(levels);
        }
        Ok(values)
    }
}

fn check_divisor(field: &'static str, what: &'static str, value: f32) -> Result<(), ConvertError> {
    if value.is_finite() && value != 0.0 {
        return Ok(());
    }
    Err(ConvertError::PictureNumber { field, what, value: value.to_string(), rule: "expected a number besides 0" })
}

fn by_channel(
    said: &[f32],
    usual: f32,
    channels: usize,
    field: &'static str,
    what: &'static str,
) -> Result<Vec<f32>, ConvertError> {
    match said {
        [] => Ok(vec![usual; channels]),
        [one] => Ok(vec![*one; channels]),
        said if said.len() == channels => Ok(said.to_vec()),
        _ => Err(ConvertError::ChannelNumbers { field, what, channels }),
    }
}
