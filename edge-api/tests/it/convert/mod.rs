//! Files as people keep them become what a model reads, value by value.

mod arrays;
mod pictures;
mod tables;

use std::io::{Cursor, Write};

use bytes::Bytes;
use edge_api::arrays::npy;
use edge_api::convert::error::ConvertError;
use edge_api::convert::input::Input;
use edge_api::convert::order::{Made, Order};
use edge_api::convert::port::Port;
use edge_api::convert::run::run;
use wire::{ArraysToMake, BlobHash, DType, PictureReading, TableReading};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What may be made of a file, in bytes.
const MOST: u64 = 1 << 20;

/// A model's input; `None` is an axis of any size.
fn port(name: &str, dtype: DType, shape: &[Option<u64>]) -> Port {
    Port { name: name.to_owned(), dtype, shape: Some(shape.to_vec()) }
}

fn plain() -> ArraysToMake {
    let (file, model) = (BlobHash([1; 32]), BlobHash([2; 32]));
    let (table, pictures) = (TableReading::default(), PictureReading::default());
    ArraysToMake { file, model, input: None, cast: false, add_batch: false, table, pictures }
}

/// What is made of a file, and its bytes.
fn try_to_make(file: &[u8], ports: &[Port], request: ArraysToMake) -> Result<(Made, Vec<u8>), ConvertError> {
    let size = u64::try_from(file.len()).unwrap();
    let order = Order { request, ports: ports.to_vec(), size, most: MOST };
    let mut out = Vec::new();
    let made = run(&Input::new(size, Bytes::copy_from_slice(file)), &order, &mut out)?;
    Ok((made, out))
}

#[track_caller]
fn make(file: &[u8], ports: &[Port], request: ArraysToMake) -> (Made, Vec<u8>) {
    try_to_make(file, ports, request).unwrap_or_else(|error| panic!("{error}"))
}

/// The code, the field and the words of a refusal.
#[track_caller]
fn refusal(file: &[u8], ports: &[Port], request: ArraysToMake) -> String {
    let error = try_to_make(file, ports, request).expect_err("the file should be refused");
    let (code, field) = error.code_and_field();
    format!("{} {field}: {error}", code.name())
}

/// The type, the shape and the values' bytes of a `.npy`.
fn read(bytes: &[u8]) -> (DType, Vec<u64>, &[u8]) {
    let array = npy::parse(bytes, u64::try_from(bytes.len()).unwrap()).unwrap();
    (array.dtype, array.shape, &bytes[usize::try_from(array.offset).unwrap()..])
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (dtype, _, values) = read(bytes);
    assert_eq!(dtype, DType::Float32);
    values.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

fn zip(entries: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut zip = ZipWriter::new(&mut file);
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    file.into_inner()
}

#[test]
fn what_is_no_file_of_rows_is_refused_with_what_to_do() {
    let ports = [port("x", DType::Float32, &[None, Some(2)])];
    let refused = |file: &[u8]| refusal(file, &ports, plain());

    assert_eq!(refused(b""), "invalid_input file: the file is empty; upload it again");
    for (file, hint) in [
        (b"\x1f\x8b\x08rest".as_slice(), "packed by gzip: unpack it"),
        (b"\xff\xfea\0,\0b\0", "UTF-16: save it as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "a spreadsheet: save it as CSV"),
        (b"ARROW1\0\0", "Feather file: save it as Parquet"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\0\0\0\x18ftypheic", "HEIC and AVIF are not read: save it as JPEG"),
        (b"\x7fELF\0\0", "none of the files"),
    ] {
        let found = refused(file);
        assert!(found.starts_with("invalid_input file: ") && found.contains(hint), "{found}");
    }
    assert!(refused(b"PK\x03\x04 and no more").contains("damaged"));
    assert!(refused(b"PAR1 and no more").contains("damaged"));
    assert!(refused(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0").starts_with("no_rows file"));
}
