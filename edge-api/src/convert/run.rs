//! Which kind of file it is, and what is made of it.

use std::io::Write;

use zip::ZipArchive;

use super::error::ConvertError;
use super::input::Input;
use super::order::{Made, Order};
use super::{arrays, csv, parquet, pictures};

/// Read of a file to see what it is.
const HEAD_BYTES: u64 = 64 << 10;
const NPY: &[u8] = b"\x93NUMPY";
const ZIP: &[u8] = b"PK\x03\x04";
const EMPTY_ZIP: &[u8] = b"PK\x05\x06";
const PARQUET: &[u8] = b"PAR1";

/// Makes arrays of a file, and writes them. What was written before a refusal is of no use.
pub fn run(input: &Input, order: &Order, out: &mut dyn Write) -> Result<Made, ConvertError> {
    if input.size() == 0 {
        return Err(ConvertError::EmptyFile);
    }
    let head = input.read(0..HEAD_BYTES).map_err(ConvertError::Fetch)?;
    if head.starts_with(NPY) {
        return arrays::make_of_npy(input, order, out);
    }
    if head.starts_with(EMPTY_ZIP) {
        return Err(ConvertError::NoPictures);
    }
    if head.starts_with(ZIP) {
        let archive = ZipArchive::new(input.reader(0));
        let archive = archive.map_err(|error| ConvertError::DamagedFile { reason: error.to_string() })?;
        let has_arrays = archive.file_names().any(|name| name.ends_with(".npy"));
        return if has_arrays {
            arrays::make_of_npz(archive, order, out)
        } else {
            pictures::make_of_zip(archive, order, out)
        };
    }
    if head.starts_with(PARQUET) {
        return parquet::make(input, order, out);
    }
    if pictures::is_picture(&head) {
        return pictures::make_of_one(input, order, out);
    }
    if let Some(hint) = hint(&head) {
        return Err(ConvertError::UnknownFile(hint));
    }
    csv::make(input, order, out)
}

/// What a file is that is no text.
fn hint(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x1f, 0x8b, ..] => Some("; it is packed by gzip: unpack it"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("; it looks like text in UTF-16: save it as CSV UTF-8"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("; it is packed by zstd: unpack it"),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Some("; it looks like a spreadsheet: save it as CSV"),
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] => Some("; it is a Feather file: save it as Parquet"),
        [0x89, b'H', b'D', b'F', ..] => Some("; it is an HDF5 file: save the arrays as .npz"),
        [0x80, 2..=5, ..] => Some("; it looks like a Python pickle: save the arrays as .npz"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("; HEIC and AVIF are not read: save it as JPEG"),
        head if head.contains(&0) => Some(""),
        _ => None,
    }
}
