//! Arrays as they are written: one as `.npy`, several as `.npz`, piece by piece and never more than was announced.

use std::io::{self, Write};

use wire::DType;

use crate::arrays::npy;
use crate::arrays::npz::NpzWriter;

use super::error::ConvertError;

/// Held before they are passed on, in bytes.
const PIECE: usize = 1 << 20;

pub struct Sink<'a> {
    out: &'a mut dyn Write,
    /// Where there are several arrays.
    npz: Option<NpzWriter>,
    held: Vec<u8>,
}

/// The head and shape of an array that is to be written.
#[derive(Clone, Debug)]
pub struct Head {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<u64>,
}

impl Head {
    /// Of all values. `None` where that is beyond every file.
    pub fn bytes(&self) -> Option<u64> {
        self.shape.iter().try_fold(self.dtype.bytes(), |bytes, &size| bytes.checked_mul(size))
    }

    /// Values of a row.
    pub fn row_len(&self) -> u64 {
        self.shape.iter().skip(1).fold(1, |values: u64, &size| values.saturating_mul(size)).max(1)
    }
}

/// Refuses arrays that would take more than `most` bytes.
pub fn check_bytes(heads: &[Head], most: u64) -> Result<(), ConvertError> {
    let bytes = heads.iter().try_fold(0u64, |sum, head| sum.checked_add(head.bytes()?)).unwrap_or(u64::MAX);
    if bytes > most { Err(ConvertError::ArraysTooLarge { bytes, most }) } else { Ok(()) }
}

impl<'a> Sink<'a> {
    pub fn new(out: &'a mut dyn Write, arrays: usize) -> Self {
        Self { out, npz: (arrays > 1).then(NpzWriter::default), held: Vec::new() }
    }

    pub fn begin(&mut self, head: &Head) -> Result<(), ConvertError> {
        let bytes = npy::head(head.dtype, &head.shape);
        if let Some(npz) = &mut self.npz {
            let size = head.bytes().unwrap_or(u64::MAX).saturating_add(wire::number::to(bytes.len()));
            npz.begin(&head.name, size).map_err(ConvertError::Fetch)?;
        }
        self.write(&bytes)
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ConvertError> {
        self.try_write(bytes).map_err(ConvertError::Fetch)
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.npz {
            Some(npz) => {
                npz.write(bytes)?;
                self.held.extend_from_slice(&npz.take());
            }
            None => self.held.extend_from_slice(bytes),
        }
        if self.held.len() >= PIECE {
            self.out.write_all(&self.held)?;
            self.held.clear();
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<(), ConvertError> {
        let end = self.npz.take().map(NpzWriter::finish).transpose().map_err(ConvertError::Fetch)?;
        self.held.extend_from_slice(&end.unwrap_or_default());
        self.out.write_all(&self.held).and_then(|()| self.out.flush()).map_err(ConvertError::Fetch)
    }
}
