//! A stored file as readers of formats want it: to seek in, a page at a time, in several places at once.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use wire::number::to;

/// Asked for at once, in bytes.
const PAGE: u64 = 256 << 10;

/// Where a file's bytes come from.
pub trait Ranges: Send {
    /// All of a range within the file.
    fn read(&mut self, range: Range<u64>) -> io::Result<Bytes>;
}

impl Ranges for Bytes {
    fn read(&mut self, range: Range<u64>) -> io::Result<Bytes> {
        Ok(self.slice(to::<usize>(range.start)..to::<usize>(range.end)))
    }
}

#[derive(Clone)]
pub struct Input {
    size: u64,
    ranges: Arc<Mutex<dyn Ranges>>,
}

impl Input {
    pub fn new(size: u64, ranges: impl Ranges + 'static) -> Self {
        Self { size, ranges: Arc::new(Mutex::new(ranges)) }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// As much of a range as there is.
    pub fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let range = range.start.min(self.size)..range.end.min(self.size);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner).read(range)
    }

    pub fn reader(&self, start: u64) -> Reader {
        Reader { input: self.clone(), at: start, page: (0, Bytes::new()) }
    }
}

/// A place in a file.
pub struct Reader {
    input: Input,
    at: u64,
    /// Where it begins, and what is in it.
    page: (u64, Bytes),
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (start, page) = &self.page;
        let mut rest = self.at.checked_sub(*start).and_then(|skipped| page.get(to::<usize>(skipped)..));
        if rest.is_none_or(<[u8]>::is_empty) {
            self.page = (self.at, self.input.read(self.at..self.at.saturating_add(PAGE))?);
            rest = Some(&self.page.1);
        }
        let rest = rest.unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        self.at += to::<u64>(len);
        Ok(len)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.input.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::other("a seek before the beginning"))?;
        Ok(self.at)
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Input {
    type T = Reader;

    fn get_read(&self, start: u64) -> Result<Reader, ParquetError> {
        Ok(self.reader(start))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.read(start..start.saturating_add(to(length)))?;
        if bytes.len() == length {
            return Ok(bytes);
        }
        Err(ParquetError::EOF(format!("{length} bytes at {start} of a file of {} bytes", self.size)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_from_any_place_to_its_end() {
        let bytes: Vec<u8> = (0..PAGE * 2 + 7).map(|at| to::<u8>(at % 251)).collect();
        let input = Input::new(to(bytes.len()), Bytes::from(bytes.clone()));
        for start in [0, 1, to::<usize>(PAGE) - 1, bytes.len() - 1, bytes.len(), bytes.len() + 9] {
            let mut found = Vec::new();
            let mut reader = input.reader(0);
            reader.seek(SeekFrom::Start(to(start))).unwrap();
            reader.read_to_end(&mut found).unwrap();
            assert_eq!(found, bytes.get(start..).unwrap_or_default(), "from {start}");
        }
        let mut end = [0; 3];
        let mut reader = input.reader(0);
        reader.seek(SeekFrom::End(-3)).unwrap();
        reader.read_exact(&mut end).unwrap();
        assert_eq!(end, bytes[bytes.len() - 3..]);
        assert!(input.get_bytes(to(bytes.len() - 2), 3).is_err());
    }
}
