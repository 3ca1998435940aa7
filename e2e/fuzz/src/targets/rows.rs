//! A job's result as text and as files, written chunk by chunk: wherever the chunks are cut it is the same, and it
//! reads back as what was written.

use anyhow::{Context, ensure};
use bytes::Bytes;
use edge_api::arrays::npy;
use edge_api::arrays::npz::NpzWriter;
use edge_api::arrays::rows::{self, Format};
use futures::executor::block_on;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;
use wire::DType;

use crate::draw::Draw;

/// Most values of a row that a plan may have.
const VALUES_MAX: u64 = 1 << 31;

pub(crate) fn run(draw: &mut Draw) -> anyhow::Result<()> {
    let dtype = draw.pick(&DType::ALL);
    if draw.one_in(50) {
        return check_wide(draw, dtype);
    }
    draw.is_taken = true;
    let rank = draw.below(4);
    let shape: Vec<u64> = (0..=rank).map(|_| u64::try_from(draw.size(9)).unwrap_or(0)).collect();
    let values = shape.iter().product::<u64>();
    let bytes = draw.bytes(usize::try_from(values * dtype.bytes())?);
    let format = draw.pick(&[Format::Csv, Format::Json]);
    draw.show("a result", &format!("{format:?} {dtype:?} {shape:?} {}", bytes.escape_ascii()));
    let whole = written(format, dtype, &shape, [bytes.as_slice()])?;
    let cut = draw.size(bytes.len() + 2).max(1);
    let in_pieces = written(format, dtype, &shape, bytes.chunks(cut))?;
    ensure!(whole == in_pieces, "chunks of {cut} bytes are written differently");
    let text = String::from_utf8(whole).context("a result should be text")?;
    match format {
        Format::Csv => check_csv(&text, &shape)?,
        Format::Json => check_json(&text, &shape)?,
    }
    check_npz(draw, dtype, &shape, &bytes)
}

fn written<'a>(
    format: Format,
    dtype: DType,
    shape: &[u64],
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> anyhow::Result<Vec<u8>> {
    let chunks: Vec<_> = chunks.into_iter().map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let pieces = rows::text(format, dtype, shape, stream::iter(chunks)).try_collect::<Vec<Bytes>>();
    Ok(block_on(pieces)?.concat())
}

fn row_len(shape: &[u64]) -> u64 {
    shape.iter().skip(1).product::<u64>()
}

fn check_csv(text: &str, shape: &[u64]) -> anyhow::Result<()> {
    let columns = row_len(shape).max(1) + 1;
    for line in text.lines() {
        ensure!(u64::try_from(line.split(',').count())? == columns, "{line} should have {columns} columns");
    }
    let rows = if row_len(shape) == 0 { 0 } else { shape[0] };
    ensure!(u64::try_from(text.lines().count())? == rows + 1, "{text} should have {rows} rows");
    Ok(())
}

fn check_json(text: &str, shape: &[u64]) -> anyhow::Result<()> {
    let value: Value = serde_json::from_str(text).with_context(|| format!("{text} should be JSON"))?;
    let rows = value["rows"].as_array().context("there should be rows")?;
    ensure!(value["shape"] == serde_json::json!(shape), "{text} should say {shape:?}");
    let values: usize = rows.iter().filter_map(|row| row.as_array()).map(Vec::len).sum();
    ensure!(u64::try_from(values)? == shape.iter().product::<u64>(), "{text} should hold all values of {shape:?}");
    Ok(())
}

/// A row of many values is begun without having all of them, or all of their names, in memory.
fn check_wide(draw: &mut Draw, dtype: DType) -> anyhow::Result<()> {
    let columns = draw.number() % VALUES_MAX;
    let (format, count) = (draw.pick(&[Format::Csv, Format::Json]), draw.number());
    draw.show("a result", &format!("{format:?} {dtype:?} [{count}, {columns}]"));
    let values = stream::iter([Ok(Bytes::from(draw.bytes(64)))]);
    let pieces = rows::text(format, dtype, &[count, columns], values).take(20).try_collect::<Vec<Bytes>>();
    let longest = block_on(pieces)?.iter().map(Bytes::len).max();
    ensure!(longest < Some(1 << 20), "a piece of {longest:?} bytes");
    Ok(())
}

/// As a member of an archive, whose files are found again.
fn check_npz(draw: &mut Draw, dtype: DType, shape: &[u64], bytes: &[u8]) -> anyhow::Result<()> {
    let content = [npy::head(dtype, shape), bytes.to_vec()].concat();
    let name = draw.text(40);
    let mut writer = NpzWriter::default();
    writer.begin(&name, u64::try_from(content.len())?)?;
    for chunk in content.chunks(100) {
        writer.write(chunk)?;
    }
    let mut file = writer.take().to_vec();
    file.extend(writer.finish()?);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(file)).context("it should be an archive")?;
    let mut entry = archive.by_index(0).with_context(|| format!("'{name}' should be in it"))?;
    let mut found = Vec::new();
    std::io::copy(&mut entry, &mut found)?;
    ensure!(entry.name() == format!("{name}.npy"), "'{name}' is called '{}'", entry.name());
    ensure!(found == content, "'{name}' holds something else");
    Ok(())
}
