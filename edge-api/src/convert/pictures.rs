//! Pictures: decoded, set upright, brought to one size and written row by row.

use std::io::{Cursor, Read, Write};

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use wire::number::to;
use wire::{FileKind, MadeArray, PictureChannels, Resize, ResizeFilter};
use zip::ZipArchive;

use super::error::ConvertError;
use super::input::{Input, Reader};
use super::jpeg;
use super::order::{Made, Order};
use super::picture_rule::PictureRule;
use super::port::{Port, names, wanted};
use super::sink::{Head, Sink, check_bytes};

const FORMATS: [ImageFormat; 5] =
    [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp];
/// Of a zip, whatever they are.
const ENTRIES_MAX: usize = 100_000;
/// The names of all pictures, which the answer has.
const NAMES_BYTES_MAX: usize = 8 << 20;
/// A picture's own file.
const FILE_BYTES_MAX: u64 = 64 << 20;
const PIXELS_MAX: u64 = 100_000_000;
/// For a decoder's own memory.
const DECODER_BYTES_MAX: u64 = 768 << 20;

/// Whether a file begins as a picture does.
pub fn is_picture(head: &[u8]) -> bool {
    format(head).is_some()
}

fn format(head: &[u8]) -> Option<ImageFormat> {
    let guessed = image::guess_format(head).ok().filter(|format| FORMATS.contains(format))?;
    (guessed != ImageFormat::Bmp || has_bmp_header(head)).then_some(guessed)
}

/// Whether the header behind BMP's two letters is as long as one that there is: two letters alone may begin a table too.
fn has_bmp_header(head: &[u8]) -> bool {
    let len = head.get(14..).and_then(|rest| rest.first_chunk()).map(|len| u32::from_le_bytes(*len));
    matches!(len, Some(12 | 40 | 52 | 56 | 64 | 108 | 124))
}

pub fn make_of_one(input: &Input, order: &Order, out: &mut dyn Write) -> Result<Made, ConvertError> {
    let (port, rule) = rule(order)?;
    let made = plan(port, &rule, 1, order)?;
    let mut sink = Sink::new(out, 1);
    sink.begin(&head(&made))?;
    if input.size() > FILE_BYTES_MAX {
        return Err(ConvertError::PictureFile { file: "the picture".to_owned(), most: FILE_BYTES_MAX });
    }
    let bytes = input.read(0..input.size()).map_err(ConvertError::Fetch)?;
    let mut row = Vec::new();
    rule.write(&pixels("the picture", &bytes, &rule)?, &mut row);
    sink.write(&row)?;
    sink.finish()?;
    Ok(Made { pictures: Some(rule.reading()), ..Made::new(FileKind::Pictures, vec![made]) })
}

pub fn make_of_zip(mut archive: ZipArchive<Reader>, order: &Order, out: &mut dyn Write) -> Result<Made, ConvertError> {
    let files = list(&mut archive)?;
    let (port, rule) = rule(order)?;
    let made = plan(port, &rule, to(files.len()), order)?;
    let mut sink = Sink::new(out, 1);
    sink.begin(&head(&made))?;
    let (mut bytes, mut row) = (Vec::new(), Vec::new());
    for (file, entry) in &files {
        bytes.clear();
        row.clear();
        let damaged = |reason: String| ConvertError::DamagedPicture { file: file.clone(), reason };
        let packed = archive.by_index(*entry).map_err(|error| damaged(error.to_string()))?;
        packed.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| damaged(error.to_string()))?;
        if to::<u64>(bytes.len()) > FILE_BYTES_MAX {
            return Err(ConvertError::PictureFile { file: file.clone(), most: FILE_BYTES_MAX });
        }
        rule.write(&pixels(file, &bytes, &rule)?, &mut row);
        sink.write(&row)?;
    }
    sink.finish()?;
    let files = files.into_iter().map(|(file, _)| file).collect();
    Ok(Made { pictures: Some(rule.reading()), files, ..Made::new(FileKind::Pictures, vec![made]) })
}

fn rule(order: &Order) -> Result<(&Port, PictureRule), ConvertError> {
    let ports = wanted(&order.ports, order.request.input.as_deref())?;
    let [port] = ports.as_slice() else {
        return Err(ConvertError::PicturesForWhich { names: names(&order.ports) });
    };
    Ok((port, PictureRule::new(port, &order.request.pictures)?))
}

fn plan(port: &Port, rule: &PictureRule, rows: u64, order: &Order) -> Result<MadeArray, ConvertError> {
    let shape = [vec![rows], rule.row_shape.clone()].concat();
    let made = MadeArray { name: port.name.clone(), dtype: port.dtype, shape, cast_from: None, batch_added: false };
    check_bytes(&[head(&made)], order.most)?;
    Ok(made)
}

fn head(made: &MadeArray) -> Head {
    Head { name: made.name.clone(), dtype: made.dtype, shape: made.shape.clone() }
}

/// The pictures of a zip in the order of their names, and where they lie in it.
fn list(archive: &mut ZipArchive<Reader>) -> Result<Vec<(String, usize)>, ConvertError> {
    if archive.len() > ENTRIES_MAX {
        return Err(ConvertError::TooManyInFile { what: "files", found: to(archive.len()), most: to(ENTRIES_MAX) });
    }
    let (mut files, mut names_bytes) = (Vec::new(), 0);
    for entry in 0..archive.len() {
        let raw =
            archive.by_index_raw(entry).map_err(|error| ConvertError::DamagedFile { reason: error.to_string() })?;
        let name = raw.name().to_owned();
        if raw.is_dir() || is_litter(&name) {
            continue;
        }
        if raw.encrypted() {
            return Err(ConvertError::Packing { name });
        }
        if name == "[Content_Types].xml" {
            return Err(ConvertError::UnknownFile("; it looks like a spreadsheet: save it as CSV"));
        }
        if [".csv", ".tsv", ".parquet"].iter().any(|ending| name.to_ascii_lowercase().ends_with(ending)) {
            return Err(ConvertError::NotPicture { file: name, hint: "; send a table as it is, not in a zip" });
        }
        names_bytes += name.len();
        files.push((name, entry));
    }
    if names_bytes > NAMES_BYTES_MAX {
        let (found, most) = (to(names_bytes), to(NAMES_BYTES_MAX));
        return Err(ConvertError::TooManyInFile { what: "bytes of names", found, most });
    }
    if files.is_empty() {
        return Err(ConvertError::NoPictures);
    }
    files.sort();
    Ok(files)
}

/// What systems put beside people's files.
fn is_litter(name: &str) -> bool {
    let mut parts = name.split(['/', '\\']);
    parts.any(|part| part.starts_with('.') && part.len() > 1 || part == "__MACOSX")
        || matches!(name.rsplit(['/', '\\']).next(), Some("Thumbs.db" | "desktop.ini"))
}

/// A picture's pixels at the rule's size: three bytes each, or one where they are grey.
fn pixels(file: &str, bytes: &[u8], rule: &PictureRule) -> Result<Vec<u8>, ConvertError> {
    let picture = decode(file, bytes)?;
    let (width, height) = (picture.width(), picture.height());
    let (pixels, kind) = match rule.channels {
        PictureChannels::Grey => (grey(&picture), PixelType::U8),
        PictureChannels::Rgb | PictureChannels::Bgr => (picture.into_rgb8().into_raw(), PixelType::U8x3),
    };
    let canvas = Canvas { pixels, width, height, kind };
    let resized = match rule.resize {
        Resize::Stretch => canvas.resized(rule.width, rule.height, rule.filter),
        Resize::Crop => {
            let (width, height) = covering(canvas.width, canvas.height, rule);
            canvas.resized(width, height, rule.filter).map(|canvas| canvas.cropped(rule.width, rule.height))
        }
        Resize::Pad => {
            let (width, height) = fitting(canvas.width, canvas.height, rule);
            let resized = canvas.resized(width, height, rule.filter);
            resized.map(|canvas| canvas.padded(rule.width, rule.height, rule.pad_value))
        }
    };
    let resized = resized.map_err(|reason| ConvertError::DamagedPicture { file: file.to_owned(), reason })?;
    Ok(resized.pixels)
}

fn decode(file: &str, bytes: &[u8]) -> Result<DynamicImage, ConvertError> {
    let file = || file.to_owned();
    let Some(format) = format(bytes) else {
        return Err(ConvertError::NotPicture { file: file(), hint: hint(bytes) });
    };
    let damaged = |error: image::ImageError| ConvertError::DamagedPicture { file: file(), reason: error.to_string() };
    if format == ImageFormat::Jpeg && !jpeg::is_whole(bytes) {
        return Err(ConvertError::DamagedPicture { file: file(), reason: "the file is cut short".to_owned() });
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err(ConvertError::PictureTooLarge { file: file(), width, height, most: PIXELS_MAX });
    }
    // What a camera noted of how it was held. A note that cannot be read says nothing.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// What else a file may be that lies where pictures do.
fn hint(bytes: &[u8]) -> &'static str {
    match bytes {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "; HEIC and AVIF are not read: save it as JPEG",
        [b'P', b'K', ..] => "; pack the pictures themselves, not zips of them",
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => "; TIFF is not read: save it as PNG",
        _ => "; leave out of the zip what is none",
    }
}

/// Pillow's brightness, which is ITU-R 601's in whole numbers.
fn grey(picture: &DynamicImage) -> Vec<u8> {
    let level = |pixel: &image::Rgb<u8>| {
        let [red, green, blue] = pixel.0.map(u32::from);
        to::<u8>((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16)
    };
    picture.to_rgb8().pixels().map(level).collect()
}

/// A size that covers the rule's, with the picture's proportions: the shorter side is the rule's, the longer is cut off to
/// whole pixels, as torchvision does it.
fn covering(width: u32, height: u32, rule: &PictureRule) -> (u32, u32) {
    let (width, height) = (u64::from(width), u64::from(height));
    let (wide, high) = match rule.shorter_side {
        Some(side) => (u64::from(side), u64::from(side)),
        None => (u64::from(rule.width), u64::from(rule.height)),
    };
    // Both sides times the same fraction, which is the larger of two.
    let (across, down) =
        if wide * height >= high * width { (wide, height * wide / width) } else { (width * high / height, high) };
    (pixels_of(across.max(wide)), pixels_of(down.max(high)))
}

/// The largest size within the rule's with the picture's proportions, to the nearest pixel.
fn fitting(width: u32, height: u32, rule: &PictureRule) -> (u32, u32) {
    let (width, height) = (u64::from(width), u64::from(height));
    let (wide, high) = (u64::from(rule.width), u64::from(rule.height));
    let nearest = |numerator: u64, denominator: u64| (2 * numerator + denominator) / (2 * denominator);
    let (across, down) = if wide * height <= high * width {
        (wide, nearest(height * wide, width))
    } else {
        (nearest(width * high, height), high)
    };
    (pixels_of(across.clamp(1, wide)), pixels_of(down.clamp(1, high)))
}

/// A picture of one pixel's height may be very long; what is longer than any picture is cut off anyway.
fn pixels_of(side: u64) -> u32 {
    u32::try_from(side).unwrap_or(u32::MAX)
}

struct Canvas {
    pixels: Vec<u8>,
    width: u32,
    height: u32,
    kind: PixelType,
}

impl Canvas {
    fn resized(self, width: u32, height: u32, filter: ResizeFilter) -> Result<Self, String> {
        if (self.width, self.height) == (width, height) {
            return Ok(self);
        }
        if u64::from(width) * u64::from(height) > PIXELS_MAX {
            return Err(format!("it is too narrow: resized it would have {width}x{height} pixels"));
        }
        let algorithm = match filter {
            ResizeFilter::Nearest => ResizeAlg::Nearest,
            ResizeFilter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            ResizeFilter::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
            ResizeFilter::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
        };
        let source =
            ImageRef::new(self.width, self.height, &self.pixels, self.kind).map_err(|error| error.to_string())?;
        let mut target = Image::new(width, height, self.kind);
        let options = ResizeOptions::new().resize_alg(algorithm).use_alpha(false);
        Resizer::new().resize(&source, &mut target, &options).map_err(|error| error.to_string())?;
        Ok(Self { pixels: target.into_vec(), width, height, kind: self.kind })
    }

    /// The middle. Half a pixel goes to the even side, as Python rounds.
    fn cropped(self, width: u32, height: u32) -> Self {
        let half = |over: u32| if over.is_multiple_of(2) { over / 2 } else { (over / 2).next_multiple_of(2) };
        let (left, top) = (half(self.width - width), half(self.height - height));
        let bytes = self.kind.size();
        let row = |line: u32| {
            let start = (to::<usize>(line) * to::<usize>(self.width) + to::<usize>(left)) * bytes;
            &self.pixels[start..start + to::<usize>(width) * bytes]
        };
        let pixels = (top..top + height).flat_map(row).copied().collect();
        Self { pixels, width, height, kind: self.kind }
    }

    /// In the middle of a larger one; an odd pixel is right or below.
    fn padded(self, width: u32, height: u32, value: u8) -> Self {
        let bytes = self.kind.size();
        let (left, top) = (to::<usize>((width - self.width) / 2), to::<usize>((height - self.height) / 2));
        let line = to::<usize>(self.width) * bytes;
        let mut pixels = vec![value; to::<usize>(width) * to::<usize>(height) * bytes];
        for (place, row) in self.pixels.chunks_exact(line).enumerate() {
            let start = ((top + place) * to::<usize>(width) + left) * bytes;
            pixels[start..start + line].copy_from_slice(row);
        }
        Self { pixels, width, height, kind: self.kind }
    }
}
