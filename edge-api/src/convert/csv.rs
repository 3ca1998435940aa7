//! CSV: lines of values, of which the first may have names.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::rc::Rc;

use csv::{ByteRecord, ReaderBuilder};
use wire::number::to;
use wire::{FileKind, TableReading};

use super::error::{ConvertError, Place};
use super::input::{Input, Reader};
use super::number;
use super::order::{Made, Order};
use super::sink::Sink;
use super::table::{COLUMNS_MAX, Column, Feed, Table, label};

/// Of one line; a quotation mark that is never closed would make one of the whole file.
const LINE_BYTES_MAX: u64 = 8 << 20;
/// Read of a file to see what is between its values.
const FIRST_BYTES: u64 = 64 << 10;
const DELIMITERS: [char; 3] = [',', ';', '\t'];
/// UTF-8's mark, which spreadsheets write.
const BOM: &[u8] = b"\xef\xbb\xbf";

pub fn make(input: &Input, order: &Order, out: &mut dyn Write) -> Result<Made, ConvertError> {
    let text = Text::open(input, &order.request.table)?;
    let Counted { columns, header, rows } = text.count()?;
    if header && rows == 0 {
        return Err(ConvertError::OnlyNames);
    }
    let reading = TableReading {
        header: Some(header),
        delimiter: Some(char::from(text.delimiter)),
        ..order.request.table.clone()
    };
    // What pandas calls an index is a first column without a name.
    let is_index = |place: usize, column: &Column| header && place == 0 && column.name.is_empty() && columns.len() > 1;
    let table = Table::plan(order, &columns, rows, reading, is_index)?;
    let mut sink = Sink::new(out, table.feeds.len());
    for feed in &table.feeds {
        text.write(&table, feed, &columns, header, &mut sink)?;
    }
    sink.finish()?;
    Ok(table.made(FileKind::Csv))
}

struct Text<'a> {
    input: &'a Input,
    /// Behind the mark.
    start: u64,
    delimiter: u8,
    header: Option<bool>,
}

/// What one reading of the whole file tells.
struct Counted {
    columns: Vec<Column>,
    header: bool,
    rows: u64,
}

impl<'a> Text<'a> {
    fn open(input: &'a Input, reading: &TableReading) -> Result<Self, ConvertError> {
        let first = input.read(0..FIRST_BYTES).map_err(ConvertError::Fetch)?;
        let start = if first.starts_with(BOM) { to(BOM.len()) } else { 0 };
        let line = first.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
        let delimiter = match reading.delimiter {
            Some(said) => u8::try_from(said).ok().filter(u8::is_ascii),
            None => Some(guess_delimiter(line)),
        };
        let delimiter =
            delimiter.filter(|byte| !matches!(byte, b'"' | b'\n' | b'\r')).ok_or(ConvertError::BadDelimiter)?;
        Ok(Self { input, start, delimiter, header: reading.header })
    }

    fn lines(&self) -> Lines {
        let since = Rc::new(Cell::new(0));
        let metered = Metered { inner: self.input.reader(self.start), since: Rc::clone(&since) };
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(self.delimiter).buffer_capacity(1 << 16);
        Lines { reader: builder.from_reader(metered), since, record: ByteRecord::new() }
    }

    fn count(&self) -> Result<Counted, ConvertError> {
        let mut lines = self.lines();
        if !lines.next()? {
            return Err(ConvertError::NoTableRows);
        }
        let count = lines.record.len();
        if count > COLUMNS_MAX {
            return Err(ConvertError::TooManyInFile { what: "columns", found: to(count), most: to(COLUMNS_MAX) });
        }
        let line = lines.line();
        let first: Result<Vec<String>, _> =
            lines.record.iter().map(|field| std::str::from_utf8(field).map(|text| text.trim().to_owned())).collect();
        let first = first.map_err(|_binary| ConvertError::NotText { line })?;
        let header = self.header.unwrap_or_else(|| are_names(&first));
        let name = |text: String| if header { text } else { String::new() };
        let columns = first.into_iter().map(|text| Column { name: name(text), width: 1 }).collect();
        let mut rows = u64::from(!header);
        while lines.next()? {
            if lines.record.len() != count {
                let (line, found) = (lines.line(), to(lines.record.len()));
                return Err(ConvertError::RaggedLine { line, found, columns: to(count) });
            }
            rows += 1;
        }
        Ok(Counted { columns, header, rows })
    }

    fn write(
        &self,
        table: &Table,
        feed: &Feed,
        columns: &[Column],
        header: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), ConvertError> {
        sink.begin(&feed.head)?;
        let mut lines = self.lines();
        if header {
            lines.next()?;
        }
        let mut out = Vec::new();
        while lines.next()? {
            out.clear();
            let line = lines.line();
            for &place in &feed.columns {
                let text =
                    std::str::from_utf8(&lines.record[place]).map_err(|_binary| ConvertError::NotText { line })?;
                let at = || (Place::Line(line), label(columns, place));
                table.cells.write_text(text, feed.head.dtype, &at, &mut out)?;
            }
            sink.write(&out)?;
        }
        Ok(())
    }
}

/// The one that the line has most of, outside of quotation marks.
fn guess_delimiter(line: &[u8]) -> u8 {
    let mut counts = [0; DELIMITERS.len()];
    let mut is_quoted = false;
    for &byte in line {
        is_quoted ^= byte == b'"';
        if let Some(place) = DELIMITERS.iter().position(|known| *known == char::from(byte)).filter(|_| !is_quoted) {
            counts[place] += 1;
        }
    }
    let most = (0..counts.len()).rev().max_by_key(|&place| counts[place]).unwrap_or(0);
    to(u32::from(DELIMITERS[most]))
}

/// Whether the first line has names: something that is no number, or 0, 1, 2 and so on, which is what pandas calls columns
/// without names.
fn are_names(first: &[String]) -> bool {
    let is_value = |text: &String| number::is_missing(text) || number::parse(text).is_some();
    if !first.iter().all(is_value) {
        return true;
    }
    let numbered = first.strip_prefix(&[String::new()]).unwrap_or(first);
    numbered.len() > 1 && numbered.iter().enumerate().all(|(place, text)| *text == place.to_string())
}

/// Lines one after another.
struct Lines {
    reader: csv::Reader<Metered>,
    since: Rc<Cell<u64>>,
    record: ByteRecord,
}

impl Lines {
    /// Whether there is another.
    fn next(&mut self) -> Result<bool, ConvertError> {
        self.since.set(0);
        let line = self.reader.position().line();
        match self.reader.read_byte_record(&mut self.record) {
            Ok(is_there) => Ok(is_there),
            Err(_cut) if self.since.get() > LINE_BYTES_MAX => {
                Err(ConvertError::LongLine { line, most: LINE_BYTES_MAX })
            }
            Err(error) => Err(ConvertError::DamagedFile { reason: error.to_string() }),
        }
    }

    fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }
}

/// Counts what is read since the last line, and reads no more than a line may have.
struct Metered {
    inner: Reader,
    since: Rc<Cell<u64>>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.since.set(self.since.get() + to::<u64>(len));
        if self.since.get() > LINE_BYTES_MAX {
            return Err(io::Error::other("a line is too long"));
        }
        Ok(len)
    }
}
