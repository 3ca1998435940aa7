//! `.npz`: arrays by name in a zip file. Read by ranges, since it may be large; written as a stream.

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom, Write};

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;
use wire::BlobHash;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::blobs::Blobs;

/// How a zip file with an entry begins.
pub const MAGIC: &[u8] = b"PK\x03\x04";
/// Arrays in one file.
const ARRAYS_MAX: usize = 64;
/// Read of a file to find its arrays, in bytes: its directory and a head for each.
const READ_MAX: usize = 1 << 20;
const PAGE: u64 = 16 << 10;
/// Entries beyond this need the 64-bit form.
const LARGE: u64 = u32::MAX as u64;

/// A named array: where its `.npy` lies in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub start: u64,
    pub size: u64,
}

#[derive(Debug, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NpzError {
    #[error("the input is not a .npz file; write it with numpy.savez")]
    NotNpz,
    #[error("'{name}' is compressed; unpack it with POST /v1/arrays, or save the arrays with numpy.savez")]
    Compressed { name: String },
    #[error("'{name}' is no .npy array")]
    NotArray { name: String },
    #[error("the file holds {found} arrays; at most {ARRAYS_MAX}")]
    TooMany { found: usize },
    #[error("the file holds two arrays named '{name}'")]
    Twice { name: String },
    #[error("'{name}' is said to lie beyond the end of the file; it is cut short, so write or upload it again")]
    Outside { name: String },
}

/// The arrays of a blob of `size` bytes.
pub async fn entries(blobs: &Blobs, blob: BlobHash, size: u64) -> anyhow::Result<Result<Vec<Entry>, NpzError>> {
    let reader = RangeReader { blobs: blobs.clone(), blob, size, at: 0, page: (0, Bytes::new()), left: READ_MAX };
    Ok(tokio::task::spawn_blocking(move || list(reader, size)).await?)
}

fn list(reader: impl Read + Seek, file_size: u64) -> Result<Vec<Entry>, NpzError> {
    let mut archive = ZipArchive::new(reader).map_err(|_malformed| NpzError::NotNpz)?;
    if archive.len() > ARRAYS_MAX {
        return Err(NpzError::TooMany { found: archive.len() });
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(|_malformed| NpzError::NotNpz)?;
        let Some(name) = file.name().strip_suffix(".npy").map(str::to_owned) else {
            return Err(NpzError::NotArray { name: file.name().to_owned() });
        };
        if file.compression() != CompressionMethod::Stored || file.encrypted() {
            return Err(NpzError::Compressed { name });
        }
        if entries.iter().any(|entry| entry.name == name) {
            return Err(NpzError::Twice { name });
        }
        let (start, size) = (file.data_start().ok_or(NpzError::NotNpz)?, file.size());
        if start.checked_add(size).is_none_or(|end| end > file_size) {
            return Err(NpzError::Outside { name });
        }
        entries.push(Entry { name, start, size });
    }
    Ok(entries)
}

/// A blob as a file, a page at a time and no more than a bound altogether.
struct RangeReader {
    blobs: Blobs,
    blob: BlobHash,
    size: u64,
    at: u64,
    page: (u64, Bytes),
    left: usize,
}

impl Read for RangeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let first = self.at / PAGE * PAGE;
        if self.page.1.is_empty() || self.page.0 != first {
            let range = first..(first + PAGE).min(self.size);
            let bytes =
                Handle::current().block_on(self.blobs.read_range(self.blob, range)).map_err(io::Error::other)?;
            self.left =
                self.left.checked_sub(bytes.len()).ok_or_else(|| io::Error::other("the directory is too long"))?;
            self.page = (first, bytes);
        }
        let from = usize::try_from(self.at - first).map_err(io::Error::other)?;
        let rest = self.page.1.get(from..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        self.at += u64::try_from(len).unwrap_or(0);
        Ok(len)
    }
}

impl Seek for RangeReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::other("a seek before the beginning"))?;
        Ok(self.at)
    }
}

/// Writes arrays one after another; what is written so far is taken with [`NpzWriter::take`].
pub struct NpzWriter {
    zip: ZipWriter<StreamWriter<Shared>>,
    written: Shared,
    names: HashSet<String>,
}

#[derive(Clone, Default)]
struct Shared(std::sync::Arc<std::sync::Mutex<BytesMut>>);

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, BytesMut> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Default for NpzWriter {
    fn default() -> Self {
        let written = Shared::default();
        Self { zip: ZipWriter::new_stream(written.clone()), written, names: HashSet::new() }
    }
}

impl NpzWriter {
    /// Begins an array whose file has `size` bytes. Where its name is taken it gets a number too.
    pub fn begin(&mut self, name: &str, size: u64) -> io::Result<()> {
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        let name = names.find(|name| self.names.insert(name.clone())).unwrap_or_default();
        let options =
            SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(size >= LARGE);
        self.zip.start_file(format!("{name}.npy"), options).map_err(io::Error::other)
    }

    /// The size of a file with arrays of these names and sizes; `None` where one needs the 64-bit form.
    pub fn size_of(arrays: &[(String, u64)]) -> io::Result<Option<u64>> {
        if arrays.iter().fold(0, |sum: u64, (_, size)| sum.saturating_add(*size)) >= LARGE {
            return Ok(None);
        }
        let mut writer = Self::default();
        for (name, _) in arrays {
            writer.begin(name, 0)?;
        }
        let around: u64 = wire::number::to(writer.finish()?.len());
        Ok(Some(around + arrays.iter().map(|(_, size)| size).sum::<u64>()))
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.zip.write_all(bytes)
    }

    pub fn take(&mut self) -> Bytes {
        self.written.lock().split().freeze()
    }

    pub fn finish(self) -> io::Result<Bytes> {
        self.zip.finish().map_err(io::Error::other)?;
        Ok(self.written.lock().split().freeze())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn file(arrays: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = NpzWriter::default();
        let mut bytes = Vec::new();
        for (name, content) in arrays {
            writer.begin(name, u64::try_from(content.len()).unwrap()).unwrap();
            content.iter().for_each(|byte| writer.write(&[*byte]).unwrap());
            bytes.extend(writer.take());
        }
        bytes.extend(writer.finish().unwrap());
        bytes
    }

    fn entries_of(bytes: &[u8]) -> Result<Vec<Entry>, NpzError> {
        list(Cursor::new(bytes), u64::try_from(bytes.len()).unwrap())
    }

    #[test]
    fn what_we_write_we_read() {
        let bytes = file(&[("ids", b"one"), ("mask", b"twothree")]);

        let entries = entries_of(&bytes).unwrap();

        let content = |entry: &Entry| {
            let at = |byte: u64| usize::try_from(byte).unwrap();
            (entry.name.clone(), bytes[at(entry.start)..at(entry.start + entry.size)].to_vec())
        };
        let found: Vec<_> = entries.iter().map(content).collect();
        assert_eq!(found, [("ids".to_owned(), b"one".to_vec()), ("mask".to_owned(), b"twothree".to_vec())]);
    }

    #[test]
    fn the_size_of_a_file_is_known_before_it_is_made() {
        for arrays in [&[("a", b"".as_slice())][..], &[("ids", b"one"), ("ids", b"twothree"), ("名", b"x")], &[]] {
            let sizes: Vec<_> =
                arrays.iter().map(|(name, content)| ((*name).to_owned(), content.len().try_into().unwrap())).collect();
            assert_eq!(NpzWriter::size_of(&sizes).unwrap(), Some(file(arrays).len().try_into().unwrap()));
        }
        assert_eq!(NpzWriter::size_of(&[("a".to_owned(), LARGE)]).unwrap(), None);
    }

    #[test]
    fn an_array_whose_name_is_taken_gets_a_number() {
        let bytes = file(&[("rows_present", b"ours"), ("rows_present", b"theirs"), ("rows_present", b"more")]);

        let names: Vec<String> = entries_of(&bytes).unwrap().into_iter().map(|entry| entry.name).collect();

        assert_eq!(names, ["rows_present", "rows_present_2", "rows_present_3"]);
    }

    #[test]
    fn what_is_no_list_of_arrays_is_refused() {
        assert!(matches!(entries_of(b"PK\x03\x04 and no more"), Err(NpzError::NotNpz)));
        let many: Vec<String> = (0..65).map(|number| format!("a{number}")).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), b"x".as_slice())).collect();
        assert!(matches!(entries_of(&file(&many)), Err(NpzError::TooMany { found: 65 })));
        let mut picture = Cursor::new(Vec::new());
        let mut zip = ZipWriter::new(&mut picture);
        zip.start_file("cat.png", SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).unwrap();
        zip.finish().unwrap();
        assert!(matches!(entries_of(picture.get_ref()), Err(NpzError::NotArray { name }) if name == "cat.png"));
    }

    #[test]
    fn an_array_that_lies_beyond_the_end_is_refused_by_its_name() {
        let whole = file(&[("ids", b"one")]);
        let entry = whole.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        for size in [200, u32::MAX - 1] {
            let mut bytes = whole.clone();
            // In the directory: packed, and as it is.
            bytes[entry + 20..entry + 24].copy_from_slice(&size.to_le_bytes());
            bytes[entry + 24..entry + 28].copy_from_slice(&size.to_le_bytes());

            let found = entries_of(&bytes);

            assert!(matches!(&found, Err(NpzError::Outside { name }) if name == "ids"), "{size} bytes: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn no_damage_makes_it_panic(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = file(&[("ids", b"one"), ("mask", b"twothree")]);
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes.truncate(bytes.len() - cut.index(4));
            for entry in entries_of(&bytes).iter().flatten() {
                prop_assert!(entry.start + entry.size <= u64::try_from(bytes.len()).unwrap());
            }
        }
    }
}
