//! Parquet: a table in columns, some of which may hold lists of one length.

use std::io::Write;

use half::f16;
use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescPtr;
use wire::number::to;
use wire::{DType, FileKind};

use super::arrow;
use super::error::{ConvertError, Place};
use super::input::Input;
use super::number::Number;
use super::order::{Made, Order};
use super::sink::Sink;
use super::table::{COLUMNS_MAX, Column, Feed, Table, label};

/// Values of all columns that are held at a time.
const VALUES_AT_ONCE: u64 = 1 << 18;
/// Rows of a group among which a list is looked for that is not missing.
const ROWS_TO_A_LIST: usize = 1000;
/// What pandas calls an index that had no name.
const PANDAS_INDEX: &str = "__index_level_";

type File = SerializedFileReader<Input>;

/// What its reader could not read in a damaged file it calls by the system's errors too.
impl From<ParquetError> for ConvertError {
    fn from(error: ParquetError) -> Self {
        Self::DamagedFile { reason: error.to_string() }
    }
}

pub fn make(input: &Input, order: &Order, out: &mut dyn Write) -> Result<Made, ConvertError> {
    let file = File::new(input.clone())?;
    let leaves = file.metadata().file_metadata().schema_descr().columns().to_vec();
    if leaves.len() > COLUMNS_MAX {
        return Err(ConvertError::TooManyInFile { what: "columns", found: to(leaves.len()), most: to(COLUMNS_MAX) });
    }
    let schema = arrow_schema(&file);
    let mut rows = 0u64;
    for group in file.metadata().row_groups() {
        let count = u64::try_from(group.num_rows()).ok();
        let sum = count.and_then(|count| rows.checked_add(count));
        rows = sum.ok_or_else(|| ConvertError::DamagedFile { reason: "a count of rows is none".to_owned() })?;
    }
    let mut columns = Vec::with_capacity(leaves.len());
    for (place, leaf) in leaves.iter().enumerate() {
        columns.push(Column { name: name(leaf), width: if is_list(leaf) { width(&file, place)? } else { 1 } });
    }
    let is_index = |_place: usize, column: &Column| column.name.starts_with(PANDAS_INDEX);
    let table = Table::plan(order, &columns, rows, order.request.table.clone(), is_index)?;
    for &place in table.feeds.iter().flat_map(|feed| &feed.columns) {
        check_type(&leaves[place], &columns, place)?;
        let root = file.metadata().file_metadata().schema_descr().get_column_root_idx(place);
        let is_span = |schema: &arrow::Schema| schema.is_duration(root, leaves[place].path().parts());
        if leaves[place].physical_type() == Type::INT64 && schema.as_ref().is_some_and(is_span) {
            return Err(ConvertError::ColumnType { column: label(&columns, place), found: "spans of time".to_owned() });
        }
    }
    let mut sink = Sink::new(out, table.feeds.len());
    for feed in &table.feeds {
        write(&file, &table, feed, &columns, &mut sink)?;
    }
    sink.finish()?;
    Ok(table.made(FileKind::Parquet))
}

/// A list is called as the whole of it is, a field of a record by its path.
fn name(leaf: &ColumnDescPtr) -> String {
    let parts = leaf.path().parts();
    if is_list(leaf) { parts.first().cloned().unwrap_or_default() } else { parts.join(".") }
}

fn is_list(leaf: &ColumnDescPtr) -> bool {
    leaf.max_rep_level() > 0
}

/// Values in the first list that there is; none where the first rows of each group have no list.
fn width(file: &File, place: usize) -> Result<u64, ConvertError> {
    let is_filled = |group: &usize| file.metadata().row_group(*group).num_rows() > 0;
    let mut groups = (0..file.num_row_groups()).filter(is_filled).peekable();
    if groups.peek().is_none() {
        return Ok(1);
    }
    for group in groups {
        let mut leaf = Leaf::new(file.get_row_group(group)?.get_column_reader(place)?, file, place);
        for _ in 0..ROWS_TO_A_LIST {
            leaf.read(1)?;
            if !leaf.cells.is_empty() {
                return Ok(to(leaf.cells.len()));
            }
            if leaf.starts.is_empty() {
                break;
            }
        }
    }
    Ok(0)
}

/// Refuses what is no number, though some types are kept as if they were.
fn check_type(leaf: &ColumnDescPtr, columns: &[Column], place: usize) -> Result<(), ConvertError> {
    let is_number = match (leaf.physical_type(), leaf.logical_type_ref()) {
        // Of an unknown one all values are missing.
        (_, Some(LogicalType::Unknown))
        | (Type::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Float16))
        | (Type::BOOLEAN | Type::FLOAT | Type::DOUBLE, _)
        | (Type::INT32 | Type::INT64, Some(LogicalType::Integer(_))) => true,
        (Type::INT32 | Type::INT64, None) => !matches!(
            leaf.converted_type(),
            ConvertedType::DECIMAL
                | ConvertedType::DATE
                | ConvertedType::TIME_MILLIS
                | ConvertedType::TIME_MICROS
                | ConvertedType::TIMESTAMP_MILLIS
                | ConvertedType::TIMESTAMP_MICROS
        ),
        _ => false,
    };
    if is_number && leaf.max_rep_level() < 2 {
        return Ok(());
    }
    let found = match leaf.physical_type() {
        _ if leaf.max_rep_level() > 1 => "lists of lists".to_owned(),
        Type::BYTE_ARRAY => "texts".to_owned(),
        Type::INT32 | Type::INT64 | Type::INT96 => "times or decimals".to_owned(),
        Type::BOOLEAN | Type::FLOAT | Type::DOUBLE | Type::FIXED_LEN_BYTE_ARRAY => "bytes".to_owned(),
    };
    Err(ConvertError::ColumnType { column: label(columns, place), found })
}

/// What Arrow notes of the columns, where it wrote the file.
fn arrow_schema(file: &File) -> Option<arrow::Schema> {
    let mut notes = file.metadata().file_metadata().key_value_metadata()?.iter();
    arrow::Schema::read(notes.find(|note| note.key == arrow::NOTE)?.value.as_deref()?)
}

fn write(file: &File, table: &Table, feed: &Feed, columns: &[Column], sink: &mut Sink<'_>) -> Result<(), ConvertError> {
    sink.begin(&feed.head)?;
    let at_once = (VALUES_AT_ONCE / feed.head.row_len()).max(1);
    let (mut row, mut out) = (0, Vec::new());
    for group in 0..file.num_row_groups() {
        let rows: u64 = to(file.metadata().row_group(group).num_rows());
        let reader = file.get_row_group(group)?;
        let mut leaves = Vec::with_capacity(feed.columns.len());
        for &place in &feed.columns {
            leaves.push(Leaf::new(reader.get_column_reader(place)?, file, place));
        }
        let mut left = rows;
        while left > 0 {
            let count = left.min(at_once);
            for (leaf, &place) in leaves.iter_mut().zip(&feed.columns) {
                leaf.read(to(count))?;
                leaf.check(row, count, columns, place)?;
            }
            out.clear();
            for offset in 0..count {
                write_row(&leaves, feed, table, columns, (row, offset), &mut out)?;
            }
            sink.write(&out)?;
            (row, left) = (row + count, left - count);
        }
    }
    Ok(())
}

/// The row that lies `offset` behind the `first` of what the leaves hold.
fn write_row(
    leaves: &[Leaf],
    feed: &Feed,
    table: &Table,
    columns: &[Column],
    (first, offset): (u64, u64),
    out: &mut Vec<u8>,
) -> Result<(), ConvertError> {
    let dtype: DType = feed.head.dtype;
    for (leaf, &place) in leaves.iter().zip(&feed.columns) {
        let width = columns[place].width;
        let start: usize = to(offset * width);
        let at = || (Place::Row(first + offset), label(columns, place));
        for cell in &leaf.cells[start..start + to::<usize>(width)] {
            table.cells.write(*cell, dtype, &at, out)?;
        }
    }
    Ok(())
}

/// One column of a group of rows, and what was read of it last.
struct Leaf {
    reader: ColumnReader,
    is_unsigned: bool,
    def_max: i16,
    /// Below it there is no list.
    def_of_list: i16,
    cells: Vec<Option<Number>>,
    /// Where rows begin among the cells.
    starts: Vec<usize>,
}

impl Leaf {
    fn new(reader: ColumnReader, file: &File, place: usize) -> Self {
        let about = file.metadata().file_metadata().schema_descr().column(place);
        let is_unsigned = match about.logical_type_ref() {
            Some(LogicalType::Integer(integer)) => !integer.is_signed,
            _ => matches!(
                about.converted_type(),
                ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
            ),
        };
        let (def_max, def_of_list) = (about.max_def_level(), about.repeated_ancestor_def_level());
        Self { reader, is_unsigned, def_max, def_of_list, cells: Vec::new(), starts: Vec::new() }
    }

    /// Reads up to so many rows.
    fn read(&mut self, rows: usize) -> Result<(), ConvertError> {
        let Self { reader, is_unsigned, def_max, def_of_list, cells, starts } = self;
        let into = &mut Rows { def_max: *def_max, def_of_list: *def_of_list, cells, starts };
        let is_unsigned = *is_unsigned;
        match reader {
            ColumnReader::BoolColumnReader(reader) => into.take(reader, rows, |value| Number::Int((*value).into())),
            ColumnReader::Int32ColumnReader(reader) => into.take(reader, rows, |value| {
                Number::Int(if is_unsigned { value.cast_unsigned().into() } else { (*value).into() })
            }),
            ColumnReader::Int64ColumnReader(reader) => into.take(reader, rows, |value| {
                Number::Int(if is_unsigned { value.cast_unsigned().into() } else { (*value).into() })
            }),
            ColumnReader::FloatColumnReader(reader) => into.take(reader, rows, |value| Number::Float((*value).into())),
            ColumnReader::DoubleColumnReader(reader) => into.take(reader, rows, |value| Number::Float(*value)),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => into.take(reader, rows, |value| {
                let bytes = value.data().first_chunk().copied().unwrap_or_default();
                Number::Float(f16::from_le_bytes(bytes).into())
            }),
            // They feed nothing; of a list it is asked how long it is, before anybody has chosen.
            ColumnReader::ByteArrayColumnReader(reader) => into.take(reader, rows, |_text| Number::Int(0)),
            ColumnReader::Int96ColumnReader(reader) => into.take(reader, rows, |_time| Number::Int(0)),
        }
    }

    /// Whether every row has as many values as the first row of the file.
    fn check(&self, row: u64, rows: u64, columns: &[Column], place: usize) -> Result<(), ConvertError> {
        if to::<u64>(self.starts.len()) != rows {
            return Err(ConvertError::DamagedFile { reason: "a column ends before the others".to_owned() });
        }
        let wanted = columns[place].width;
        let ends = self.starts.iter().skip(1).copied().chain([self.cells.len()]);
        for ((start, end), row) in self.starts.iter().zip(ends).zip(row..) {
            let found: u64 = to(end - start);
            if found == 0 {
                return Err(ConvertError::NoList { row, column: label(columns, place), wanted });
            }
            if found != wanted {
                return Err(ConvertError::RaggedList { row, column: label(columns, place), found, wanted });
            }
        }
        Ok(())
    }
}

/// Where a column's values go.
struct Rows<'a> {
    def_max: i16,
    def_of_list: i16,
    cells: &'a mut Vec<Option<Number>>,
    starts: &'a mut Vec<usize>,
}

impl Rows<'_> {
    fn take<T: DataType>(
        &mut self,
        reader: &mut ColumnReaderImpl<T>,
        rows: usize,
        number: impl Fn(&T::T) -> Number,
    ) -> Result<(), ConvertError> {
        let (mut defined, mut repeated, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let (_rows, _values, levels) =
            reader.read_records(rows, Some(&mut defined), Some(&mut repeated), &mut values)?;
        self.cells.clear();
        self.starts.clear();
        let mut values = values.iter();
        for level in 0..levels {
            if repeated.get(level).is_none_or(|level| *level == 0) {
                self.starts.push(self.cells.len());
            }
            if defined.get(level).is_some_and(|level| *level < self.def_of_list) {
                continue;
            }
            let is_there = defined.get(level).is_none_or(|level| *level == self.def_max);
            self.cells.push(if is_there { values.next().map(&number) } else { None });
        }
        Ok(())
    }
}
