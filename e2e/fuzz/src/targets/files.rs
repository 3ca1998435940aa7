//! Files that become arrays: archives, tables and pictures, good ones and damaged ones, read in every way that a request may
//! ask for. What is made is what was announced, and no more than is stored; what is refused says so in few words.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use edge_api::arrays::npy;
use edge_api::convert::error::ConvertError;
use edge_api::convert::input::Input;
use edge_api::convert::order::{Made, Order};
use edge_api::convert::port::Port;
use edge_api::convert::run::run as convert;
use image::{DynamicImage, GrayImage, ImageFormat, RgbaImage};
use parquet::basic::Compression;
use parquet::data_type::{DoubleType, FloatType, Int32Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use wire::{
    ArraysToMake, BlobHash, DType, PictureChannels, PictureLayout, PictureReading, Resize, ResizeFilter, TableReading,
};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::npy as array;
use crate::draw::Draw;
use crate::{mutate, panics};

/// Of what is made, in bytes.
const MOST: u64 = 1 << 20;
/// What is around values in a file.
const AROUND: usize = 1 << 16;
/// A refusal names columns and files, of which it may have a few.
const REFUSAL_MAX: usize = 8000;

pub(crate) fn run(draw: &mut Draw) -> anyhow::Result<()> {
    let bytes = file(draw)?;
    draw.show("a file", &bytes);
    let size = u64::try_from(bytes.len())?;
    let order = Order { request: request(draw), ports: ports(draw), size, most: MOST };
    draw.show("what is asked", &format!("{order:?}"));
    let file_bytes = bytes.len();
    let input = Input::new(size, Bytes::from(bytes));
    let mut out = Vec::new();
    // As the child does: a reader that gives up is a refusal, unless it is one of ours.
    let Ok(made) = catch_unwind(AssertUnwindSafe(|| convert(&input, &order, &mut out))) else {
        panics::take().into_iter().filter(|panic| !panic.contains("/registry/")).for_each(panics::note);
        return Ok(());
    };
    match made {
        Ok(made) => {
            draw.is_taken = true;
            check(&made, &out)
        }
        Err(error) => check_refusal(&error, file_bytes),
    }
}

fn check(made: &Made, out: &[u8]) -> anyhow::Result<()> {
    ensure!(out.len() <= usize::try_from(MOST)? + AROUND, "{} bytes are made", out.len());
    if made.unchanged {
        ensure!(out.is_empty(), "a file that stays as it is is written");
        return Ok(());
    }
    let [only] = made.arrays.as_slice() else {
        let archive = zip::ZipArchive::new(Cursor::new(out)).context("several arrays should be an archive")?;
        ensure!(archive.len() == made.arrays.len(), "{} arrays of {}", archive.len(), made.arrays.len());
        return Ok(());
    };
    let head = &out[..out.len().min(usize::try_from(npy::HEAD_BYTES)?)];
    let found = npy::parse(head, u64::try_from(out.len())?).context("what is made should be an array")?;
    ensure!((found.dtype, &found.shape) == (only.dtype, &only.shape), "{found:?} was announced as {only:?}");
    ensure!(made.files.is_empty() || u64::try_from(made.files.len())? == made.rows, "a name a row");
    Ok(())
}

fn check_refusal(error: &ConvertError, file_bytes: usize) -> anyhow::Result<()> {
    let words = error.to_string();
    ensure!(words.len() <= file_bytes + REFUSAL_MAX, "a refusal of {} bytes", words.len());
    ensure!(!matches!(error, ConvertError::Fetch(_)), "the file is there: {words}");
    Ok(())
}

fn file(draw: &mut Draw) -> anyhow::Result<Vec<u8>> {
    let bytes = match draw.below(7) {
        0 => array::file(draw),
        1 => archive(draw, "npy", array::good)?,
        2 => archive(draw, "png", |draw| picture(draw).unwrap_or_default())?,
        3 => picture(draw)?,
        4 => table(draw)?,
        _ => lines(draw),
    };
    Ok(if draw.one_in(3) {
        mutate::bytes(draw, bytes, &[b"PAR1", b"PK\x01\x02", b"\"", b",,", b"\xff\xd8"])
    } else {
        bytes
    })
}

fn archive(draw: &mut Draw, ending: &str, mut content: impl FnMut(&mut Draw) -> Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    let mut zip = ZipWriter::new(&mut file);
    for number in 0..draw.size(5) {
        let method = draw.pick(&[CompressionMethod::Stored, CompressionMethod::Deflated, CompressionMethod::Deflated]);
        let name = draw.pick(&["x", "y", "a/b", "__MACOSX/x", ".x", "名"]);
        let name = format!("{name}{}.{ending}", if draw.one_in(2) { String::new() } else { number.to_string() });
        if zip.start_file(name, SimpleFileOptions::default().compression_method(method)).is_ok() {
            zip.write_all(&content(draw))?;
        }
    }
    zip.finish()?;
    Ok(file.into_inner())
}

fn picture(draw: &mut Draw) -> anyhow::Result<Vec<u8>> {
    let side = |draw: &mut Draw| u32::try_from(draw.size_or_more(12, 20, 200).max(1)).unwrap_or(1);
    let (width, height) = (side(draw), side(draw));
    let level = draw.byte();
    let picture: DynamicImage = if draw.one_in(2) {
        GrayImage::from_fn(width, height, |x, y| image::Luma([level ^ u8::try_from((x * y) % 256).unwrap_or(0)])).into()
    } else {
        RgbaImage::from_fn(width, height, |x, y| image::Rgba([level, u8::try_from((x + y) % 256).unwrap_or(0), 9, 77]))
            .into()
    };
    let format =
        draw.pick(&[ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Jpeg]);
    let picture = match format {
        ImageFormat::Jpeg => picture.to_rgb8().into(),
        ImageFormat::WebP | ImageFormat::Gif => picture.to_rgba8().into(),
        _ => picture,
    };
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format)?;
    Ok(file.into_inner())
}

fn lines(draw: &mut Draw) -> Vec<u8> {
    const CELLS: [&str; 20] = [
        "1",
        "2.5",
        "-3",
        "1e9",
        "nan",
        "inf",
        "",
        "NA",
        "true",
        "cat",
        "\"4\"",
        "\"a\nb\"",
        "1,5",
        " 7 ",
        "x",
        "y",
        "0",
        "1e400",
        "\u{feff}",
        "9223372036854775807",
    ];
    let (columns, delimiter) = (draw.size(6).max(1), draw.pick(&[",", ",", ";", "\t"]));
    let mut text = String::new();
    for _ in 0..draw.size(8) {
        let count = if draw.one_in(12) { draw.size(8) } else { columns };
        let usual = if draw.one_in(3) { CELLS.len() } else { 3 };
        let cells: Vec<&str> = (0..count).map(|_| CELLS[draw.below(usual)]).collect();
        text.push_str(&cells.join(delimiter));
        text.push_str(draw.pick(&["\n", "\n", "\r\n", "\r"]));
    }
    text.into_bytes()
}

/// A Parquet file of three columns.
fn table(draw: &mut Draw) -> anyhow::Result<Vec<u8>> {
    let schema = "message m { OPTIONAL DOUBLE x; REQUIRED INT32 y; OPTIONAL group v (LIST) { REPEATED group list { \
        REQUIRED FLOAT element; } } }";
    let compression = draw.pick(&[Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::LZ4_RAW]);
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, Arc::new(parse_message_type(schema)?), Arc::new(properties))?;
    for _ in 0..draw.size(3) {
        let rows = draw.size(6).max(1);
        let mut group = writer.next_row_group()?;
        let there: Vec<i16> = (0..rows).map(|_| i16::from(!draw.one_in(8))).collect();
        let values: Vec<f64> = there.iter().filter(|there| **there > 0).map(|_| draw.float().into()).collect();
        if let Some(mut column) = group.next_column()? {
            column.typed::<DoubleType>().write_batch(&values, Some(&there), None)?;
            column.close()?;
        }
        if let Some(mut column) = group.next_column()? {
            let values: Vec<i32> = (0..rows).map(|_| i32::from(draw.byte())).collect();
            column.typed::<Int32Type>().write_batch(&values, None, None)?;
            column.close()?;
        }
        if let Some(mut column) = group.next_column()? {
            let width = if draw.one_in(6) { draw.size(4).max(1) } else { 2 };
            let values = vec![draw.float(); rows * width];
            let repeated: Vec<i16> = (0..rows * width).map(|place| i16::from(place % width != 0)).collect();
            column.typed::<FloatType>().write_batch(&values, Some(&vec![2; rows * width]), Some(&repeated))?;
            column.close()?;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(file)
}

fn ports(draw: &mut Draw) -> Vec<Port> {
    let count = draw.pick(&[1, 1, 1, 2, 0]);
    let port = |draw: &mut Draw, name: &str| {
        let rank = draw.pick(&[1, 2, 2, 2, 4, 4, 3, 5]);
        let size = |draw: &mut Draw| match draw.below(6) {
            0 | 1 => None,
            2 => Some(draw.pick(&[1, 3, 8])),
            3 => Some(draw.number()),
            _ => Some(u64::try_from(draw.size(9)).unwrap_or(1)),
        };
        let mut shape = vec![None];
        shape.extend((1..rank).map(|_| size(draw)));
        Port { name: name.to_owned(), dtype: draw.pick(&DType::ALL), shape: (!draw.one_in(8)).then_some(shape) }
    };
    ["x", "y"].into_iter().take(count).map(|name| port(draw, name)).collect()
}

fn request(draw: &mut Draw) -> ArraysToMake {
    ArraysToMake {
        file: BlobHash([1; 32]),
        model: BlobHash([2; 32]),
        input: draw.one_in(6).then(|| draw.pick(&["x", "y", "z"]).to_owned()),
        cast: draw.one_in(2),
        add_batch: draw.one_in(3),
        table: if draw.one_in(2) { TableReading::default() } else { table_reading(draw) },
        pictures: if draw.one_in(3) { PictureReading::default() } else { picture_reading(draw) },
    }
}

fn columns(draw: &mut Draw) -> Vec<String> {
    let count = draw.size(4);
    (0..count)
        .map(|_| draw.pick(&["x", "y", "v", "1", "2-3", "3-1", "0", "", "-", "99999999999999999999"]).to_owned())
        .collect()
}

fn table_reading(draw: &mut Draw) -> TableReading {
    let name = draw.pick(&["x", "", "y", "z"]).to_owned();
    TableReading {
        header: draw.pick(&[None, Some(true), Some(false)]),
        delimiter: draw.pick(&[None, None, Some(','), Some(';'), Some('"'), Some('é'), Some('\n')]),
        columns: if draw.one_in(2) { BTreeMap::new() } else { BTreeMap::from([(name, columns(draw))]) },
        leave_out: if draw.one_in(2) { Vec::new() } else { columns(draw) },
        missing: draw.pick(&[None, Some("0"), Some("nan"), Some("no")]).map(str::to_owned),
    }
}

fn picture_reading(draw: &mut Draw) -> PictureReading {
    let side = |draw: &mut Draw| draw.pick(&[None, Some(8), Some(1), Some(0), Some(u32::MAX), Some(3)]);
    let numbers = |draw: &mut Draw| {
        let count = draw.pick(&[0, 1, 3, 2]);
        (0..count).map(|_| if draw.one_in(3) { draw.float() } else { 0.5 }).collect()
    };
    PictureReading {
        width: side(draw),
        height: side(draw),
        resize: draw.pick(&[None, Some(Resize::Stretch), Some(Resize::Crop), Some(Resize::Pad)]),
        shorter_side: if draw.one_in(4) { side(draw) } else { None },
        pad_value: draw.one_in(4).then(|| draw.byte()),
        filter: draw.pick(&[None, Some(ResizeFilter::Nearest), Some(ResizeFilter::Lanczos)]),
        layout: draw.pick(&[None, Some(PictureLayout::Nchw), Some(PictureLayout::Nhwc)]),
        channels: draw.pick(&[None, Some(PictureChannels::Grey), Some(PictureChannels::Bgr)]),
        divide_by: if draw.one_in(4) { Some(draw.float()) } else { None },
        mean: numbers(draw),
        std: numbers(draw),
    }
}
