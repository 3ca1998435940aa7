//! Values' bytes into lines of text, chunk by chunk, wherever the chunks are cut.

use std::fmt::Write;
use std::io;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use wire::DType;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Json,
}

impl Format {
    pub fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// A value of any type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Float(f32),
    Int(i64),
}

impl Number {
    /// The value whose little-endian bytes these are: as many as the type has.
    pub(crate) fn read(dtype: DType, bytes: &[u8]) -> Self {
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        let raw = i64::from_le_bytes(wide);
        let unused = 64 - 8 * u32::try_from(bytes.len()).unwrap_or(8);
        match dtype {
            DType::Float32 => Self::Float(f32::from_le_bytes([wide[0], wide[1], wide[2], wide[3]])),
            DType::Float16 => Self::Float(half::f16::from_le_bytes([wide[0], wide[1]]).to_f32()),
            DType::Int64 | DType::Int32 | DType::Int16 | DType::Int8 => Self::Int(raw << unused >> unused),
            DType::Uint32 | DType::Uint16 | DType::Uint8 | DType::Bool => Self::Int(raw),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Float(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
        }
    }
}

/// Columns that are named at a time: a row may have more than a server has room to name.
const COLUMNS_AT_ONCE: u64 = 1 << 13;

/// Rows as text. `shape` counts rows first; a row of several dimensions is written flat. Floats are the shortest
/// decimals that read back as the same value; what is not finite is `NaN`, `inf` or `-inf` in CSV. JSON has no
/// number for it: there it is a text, as JavaScript calls it.
pub fn text<S>(format: Format, dtype: DType, shape: &[u64], values: S) -> impl Stream<Item = io::Result<Bytes>> + use<S>
where
    S: Stream<Item = io::Result<Bytes>> + Unpin,
{
    let row_len = shape.iter().skip(1).product::<u64>().max(1);
    let rows = stream::unfold(Some((values, RowWriter::new(format, dtype, row_len))), |state| async move {
        let (mut values, mut writer) = state?;
        match values.next().await {
            Some(Ok(chunk)) => Some((Ok(writer.write(&chunk)), Some((values, writer)))),
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Ok(writer.end().into()), None)),
        }
    });
    // Whoever packs a body asks once more after its end.
    stream::iter(head(format, shape, row_len)).chain(rows).fuse()
}

/// What stands before the first row, piece by piece.
fn head(format: Format, shape: &[u64], row_len: u64) -> impl Iterator<Item = io::Result<Bytes>> + use<> {
    let (first, columns, last) = match format {
        Format::Csv => ("row".to_owned(), row_len, "\n"),
        Format::Json => (format!("{{\"shape\":{shape:?},\"rows\":["), 0, ""),
    };
    let names = (0..columns.div_ceil(COLUMNS_AT_ONCE)).map(move |piece| {
        let from = piece * COLUMNS_AT_ONCE;
        let columns = from..(from + COLUMNS_AT_ONCE).min(columns);
        columns.flat_map(|column| [",v".to_owned(), column.to_string()]).collect()
    });
    std::iter::once(first).chain(names).chain([last.to_owned()]).map(|text: String| Ok(text.into()))
}

struct RowWriter {
    format: Format,
    dtype: DType,
    row_len: u64,
    /// Values written so far.
    written: u64,
    /// Bytes of a value that the last chunk cut.
    rest: Vec<u8>,
}

impl RowWriter {
    fn new(format: Format, dtype: DType, row_len: u64) -> Self {
        Self { format, dtype, row_len, written: 0, rest: Vec::new() }
    }

    fn write(&mut self, chunk: &[u8]) -> Bytes {
        let mut text = String::new();
        self.rest.extend_from_slice(chunk);
        let bytes = std::mem::take(&mut self.rest);
        let size = usize::try_from(self.dtype.bytes()).unwrap_or(1);
        let values = bytes.chunks_exact(size);
        self.rest = values.remainder().to_vec();
        for value in values {
            let value = Number::read(self.dtype, value);
            self.push(&mut text, value);
        }
        text.into()
    }

    fn end(&self) -> &'static str {
        match self.format {
            Format::Csv => "",
            Format::Json => "]}\n",
        }
    }

    fn push(&mut self, text: &mut String, value: Number) {
        let (row, column) = (self.written / self.row_len, self.written % self.row_len);
        let last = column + 1 == self.row_len;
        let wrote = match self.format {
            Format::Csv if column == 0 => write!(text, "{row},{value}"),
            Format::Csv => write!(text, ",{value}"),
            Format::Json => {
                let before = match (column, row) {
                    (0, 0) => "[",
                    (0, _) => ",[",
                    _ => ",",
                };
                match value {
                    Number::Float(float) if float.is_nan() => write!(text, "{before}\"NaN\""),
                    Number::Float(f32::INFINITY) => write!(text, "{before}\"Infinity\""),
                    Number::Float(f32::NEG_INFINITY) => write!(text, "{before}\"-Infinity\""),
                    value => write!(text, "{before}{value}"),
                }
            }
        };
        wrote.expect("writing to a text should not fail");
        if last {
            text.push(if self.format == Format::Csv { '\n' } else { ']' });
        }
        self.written += 1;
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    #[track_caller]
    fn check(format: Format, shape: &[u64], values: &[f32], expect: &str) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        check_bytes(format, DType::Float32, shape, &bytes, expect);
    }

    #[track_caller]
    fn check_bytes(format: Format, dtype: DType, shape: &[u64], bytes: &[u8], expect: &str) {
        for cut in 1..=bytes.len().max(1) {
            let chunks: Vec<io::Result<Bytes>> =
                bytes.chunks(cut).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
            let pieces = text(format, dtype, shape, stream::iter(chunks)).map(Result::unwrap).collect::<Vec<Bytes>>();
            let found = block_on(pieces).concat();
            assert_eq!(String::from_utf8(found).unwrap(), expect, "in chunks of {cut} bytes");
        }
    }

    #[test]
    fn the_columns_of_a_wide_row_are_named_piece_by_piece() {
        let values = stream::repeat_with(|| Ok(Bytes::new()));
        let wide = text(Format::Csv, DType::Uint8, &[1, 1 << 40], values).map(Result::unwrap);

        let pieces: Vec<Bytes> = block_on(wide.take(100).collect());

        assert!(pieces.iter().all(|piece| piece.len() < 1 << 17));
        assert!(pieces[2].starts_with(b",v8192,v8193,"));
        let columns = String::from_utf8(pieces.concat()).unwrap().matches(',').count();
        assert_eq!(u64::try_from(columns).unwrap(), 99 * COLUMNS_AT_ONCE);
    }

    #[test]
    fn rows_are_lines_of_csv_however_the_bytes_arrive() {
        check(Format::Csv, &[2, 2], &[0.1, -2.0, f32::NAN, 1e-7], "row,v0,v1\n0,0.1,-2\n1,NaN,0.0000001\n");
    }

    #[test]
    fn every_type_of_value_has_its_own_width_and_sign() {
        check_bytes(Format::Csv, DType::Int8, &[2], &[0xff, 3], "row,v0\n0,-1\n1,3\n");
        check_bytes(Format::Csv, DType::Uint8, &[2], &[0xff, 3], "row,v0\n0,255\n1,3\n");
        check_bytes(Format::Json, DType::Int64, &[1], &(-5i64).to_le_bytes(), "{\"shape\":[1],\"rows\":[[-5]]}\n");
        check_bytes(Format::Csv, DType::Float16, &[1], &[0x00, 0x3e], "row,v0\n0,1.5\n");
        check_bytes(Format::Csv, DType::Uint32, &[1], &u32::MAX.to_le_bytes(), "row,v0\n0,4294967295\n");
    }

    #[test]
    fn json_has_a_text_for_each_number_that_it_cannot_say() {
        check(
            Format::Json,
            &[2, 1, 2],
            &[1.5, f32::INFINITY, f32::NEG_INFINITY, f32::NAN],
            "{\"shape\":[2, 1, 2],\"rows\":[[1.5,\"Infinity\"],[\"-Infinity\",\"NaN\"]]}\n",
        );
        check(Format::Json, &[0, 2], &[], "{\"shape\":[0, 2],\"rows\":[]}\n");
    }
}
