//! Float32 bytes into lines of text, chunk by chunk, wherever the chunks are cut.

use std::fmt::Write;

use bytes::Bytes;

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

/// Writes rows of `row_len` values. Values are the shortest decimals that read back as the same
/// float32; what is not finite is `NaN`, `inf` or `-inf` in CSV, and null in JSON, which has no word
/// for it.
pub struct RowWriter {
    format: Format,
    row_len: u64,
    /// Values written so far.
    written: u64,
    /// Bytes of a value that the last chunk cut.
    rest: Vec<u8>,
    head: String,
}

impl RowWriter {
    /// `shape` counts rows first; a row of several dimensions is written flat.
    pub fn new(format: Format, shape: &[u64]) -> Self {
        let row_len = shape.iter().skip(1).product::<u64>().max(1);
        let head = match format {
            Format::Csv => {
                let columns: Vec<String> = (0..row_len).map(|column| format!("v{column}")).collect();
                format!("row,{}\n", columns.join(","))
            }
            Format::Json => format!("{{\"shape\":{shape:?},\"rows\":["),
        };
        Self { format, row_len, written: 0, rest: Vec::new(), head }
    }

    pub fn write(&mut self, chunk: &[u8]) -> Bytes {
        let mut text = std::mem::take(&mut self.head);
        self.rest.extend_from_slice(chunk);
        let bytes = std::mem::take(&mut self.rest);
        let (values, rest) = bytes.as_chunks::<4>();
        for value in values {
            self.push(&mut text, f32::from_le_bytes(*value));
        }
        self.rest = rest.to_vec();
        text.into()
    }

    pub fn finish(&mut self) -> Bytes {
        let mut text = std::mem::take(&mut self.head);
        if self.format == Format::Json {
            text.push_str("]}\n");
        }
        text.into()
    }

    fn push(&mut self, text: &mut String, value: f32) {
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
                if value.is_finite() { write!(text, "{before}{value}") } else { write!(text, "{before}null") }
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
    use super::*;

    #[track_caller]
    fn check(format: Format, shape: &[u64], values: &[f32], expect: &str) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        for cut in 1..=bytes.len().max(1) {
            let mut writer = RowWriter::new(format, shape);
            let mut text = Vec::new();
            for chunk in bytes.chunks(cut) {
                text.extend(writer.write(chunk));
            }
            text.extend(writer.finish());
            assert_eq!(String::from_utf8(text).unwrap(), expect, "in chunks of {cut} bytes");
        }
    }

    #[test]
    fn rows_are_lines_of_csv_however_the_bytes_arrive() {
        check(Format::Csv, &[2, 2], &[0.1, -2.0, f32::NAN, 1e-7], "row,v0,v1\n0,0.1,-2\n1,NaN,0.0000001\n");
    }

    #[test]
    fn json_has_null_for_what_it_cannot_say() {
        check(
            Format::Json,
            &[2, 1, 2],
            &[1.5, f32::INFINITY, 3.0, 4.0],
            "{\"shape\":[2, 1, 2],\"rows\":[[1.5,null],[3,4]]}\n",
        );
        check(Format::Json, &[0, 2], &[], "{\"shape\":[0, 2],\"rows\":[]}\n");
    }
}
