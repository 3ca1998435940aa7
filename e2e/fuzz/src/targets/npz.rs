//! Arrays in a zip file, found by ranges of a blob: each lies within the file, and can be read there.

use std::collections::HashSet;
use std::io::{Cursor, Write};

use anyhow::{Context, ensure};
use edge_api::arrays::npy;
use edge_api::arrays::npz::{self, NpzWriter};
use edge_api::blobs::Blobs;
use edge_api::blobs::place::Variables;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::npy as array;
use crate::draw::Draw;
use crate::mutate;

const ARRAYS_MAX: usize = 64;

pub(crate) fn run(draw: &mut Draw) -> anyhow::Result<()> {
    let bytes = file(draw)?;
    draw.show("a .npz file", &bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    draw.is_taken = runtime.block_on(check(bytes))?;
    Ok(())
}

/// Whether arrays are found.
async fn check(bytes: Vec<u8>) -> anyhow::Result<bool> {
    // The worker's own folder, which goes with it.
    let blobs = Blobs::open(&std::env::temp_dir().display().to_string(), &Variables::default())?;
    let size = u64::try_from(bytes.len())?;
    let hash = wire::BlobHash(*blake3::hash(&bytes).as_bytes());
    blobs.put(hash, bytes.into()).await?;
    let entries = npz::entries(&blobs, hash, size).await?;
    let mut names = HashSet::new();
    for entry in entries.iter().flatten() {
        ensure!(names.insert(&entry.name), "two arrays are called '{}'", entry.name);
        let end = entry.start.checked_add(entry.size).with_context(|| format!("{entry:?} has no end"))?;
        ensure!(end <= size, "{entry:?} ends behind a file of {size} bytes");
        let range = entry.start..entry.start + entry.size.min(npy::HEAD_BYTES);
        let head = blobs.read_range(hash, range).await.with_context(|| format!("{entry:?} should be readable"))?;
        array::check(&head)?;
    }
    ensure!(names.len() <= ARRAYS_MAX, "{} arrays", names.len());
    blobs.delete(hash).await?;
    Ok(!names.is_empty())
}

/// A file that is good, or once was.
pub(crate) fn file(draw: &mut Draw) -> anyhow::Result<Vec<u8>> {
    let bytes = if draw.one_in(2) { as_written_by_us(draw)? } else { as_written_by_others(draw)? };
    Ok(match draw.below(4) {
        0 => bytes,
        1 => mutate::bytes(draw, bytes, &[]),
        _ => with_other_numbers(draw, bytes),
    })
}

fn name(draw: &mut Draw) -> String {
    if draw.one_in(2) { (draw.pick(&["x", "ids", "mask", "a/b", "../x", ""])).to_owned() } else { draw.text(30) }
}

fn as_written_by_us(draw: &mut Draw) -> anyhow::Result<Vec<u8>> {
    let mut writer = NpzWriter::default();
    let mut bytes = Vec::new();
    for _ in 0..draw.size(6) {
        let content = array::good(draw);
        let said = if draw.one_in(6) { draw.number() } else { u64::try_from(content.len())? };
        // Two of one name are refused here already.
        if writer.begin(&name(draw), said).is_ok() {
            writer.write(&content)?;
        }
        bytes.extend(writer.take());
    }
    bytes.extend(writer.finish()?);
    Ok(bytes)
}

fn as_written_by_others(draw: &mut Draw) -> anyhow::Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    let mut zip = ZipWriter::new(&mut file);
    let count = if draw.one_in(20) { draw.size(90) } else { draw.size(5) };
    for number in 0..count {
        let ending = draw.pick(&[".npy", ".npy", ".npy", ".npy.npy", ".txt", "/", ".NPY"]);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(draw.one_in(4))
            .with_alignment(draw.pick(&[1, 1, 4, 64]));
        let name = if draw.one_in(3) { name(draw) } else { number.to_string() };
        if zip.start_file(format!("{name}{ending}"), options).is_ok() {
            let content = if draw.one_in(2) { array::good(draw) } else { array::file(draw) };
            zip.write_all(&content[..content.len().min(4096)])?;
        }
    }
    if draw.one_in(4) {
        zip.set_comment(draw.text(80))?;
    }
    zip.finish()?;
    Ok(file.into_inner())
}

/// How a record of the format begins, and its numbers in it: places and widths.
type Record = (&'static [u8], &'static [(usize, usize)]);

const RECORDS: [Record; 5] = [
    (b"PK\x03\x04", &[(4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)]),
    (b"PK\x01\x02", &[(6, 2), (8, 2), (10, 2), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2), (38, 4), (42, 4)]),
    (b"PK\x05\x06", &[(4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)]),
    (b"PK\x06\x06", &[(4, 8), (16, 4), (24, 8), (32, 8), (40, 8), (48, 8)]),
    (b"PK\x06\x07", &[(4, 4), (8, 8), (16, 4)]),
];

/// The numbers of its records, not what they were.
fn with_other_numbers(draw: &mut Draw, mut bytes: Vec<u8>) -> Vec<u8> {
    let find = |bytes: &[u8], magic: &[u8]| -> Vec<usize> {
        bytes.windows(4).enumerate().filter(|(_, window)| *window == magic).map(|(at, _)| at).collect()
    };
    for _ in 0..=draw.below(3) {
        let (magic, numbers) = draw.pick(&RECORDS);
        let places = find(&bytes, magic);
        if places.is_empty() {
            continue;
        }
        let (place, (offset, width)) = (draw.pick(&places), draw.pick(numbers));
        let value = if draw.one_in(2) { draw.number() } else { u64::try_from(draw.below(bytes.len())).unwrap_or(0) };
        let Some(slot) = bytes.get_mut(place + offset..place + offset + width) else { continue };
        slot.copy_from_slice(&value.to_le_bytes()[..width]);
    }
    // Sizes of 64 bits stand in a field of their own, behind the name.
    for place in find(&bytes, b"PK\x01\x02") {
        if draw.one_in(3) {
            add_long_numbers(draw, &mut bytes, place);
            break;
        }
    }
    bytes
}

/// The extra field of a directory's entry that holds what 32 bits do not.
fn add_long_numbers(draw: &mut Draw, bytes: &mut Vec<u8>, entry: usize) {
    let number =
        |bytes: &[u8], at: usize| bytes.get(at..at + 2).map_or(0, |two| usize::from(two[0]) | usize::from(two[1]) << 8);
    let (name, extra) = (number(bytes, entry + 28), number(bytes, entry + 30));
    let at = entry + 46 + name + extra;
    if at > bytes.len() || extra > 200 {
        return;
    }
    let mut field = vec![1, 0, 24, 0];
    for (place, width) in [(24, 4), (20, 4), (42, 4)] {
        if let Some(slot) = bytes.get_mut(entry + place..entry + place + width) {
            slot.fill(0xff);
        }
        let value = if draw.one_in(2) { draw.number() } else { u64::try_from(draw.size(4096)).unwrap_or(0) };
        field.extend(value.to_le_bytes());
    }
    let longer = u16::try_from(extra + field.len()).unwrap_or(0).to_le_bytes();
    bytes.splice(at..at, field.iter().copied());
    bytes[entry + 30..entry + 32].copy_from_slice(&longer);
    // The directory has grown, and what stands at the file's end says how long it is.
    if let Some(end) = bytes.windows(4).rposition(|window| window == b"PK\x05\x06")
        && let Some(size) = bytes.get(end + 12..end + 16).and_then(|size| size.try_into().ok())
    {
        let size = u32::from_le_bytes(size).wrapping_add(28).to_le_bytes();
        bytes[end + 12..end + 16].copy_from_slice(&size);
    }
}
