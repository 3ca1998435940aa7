//! What a table's columns feed, and what its cells are.

use wire::{DType, FileKind, MadeArray, TableReading};

use super::error::{ConvertError, Place, shape_text};
use super::number::{self, Number};
use super::order::{Made, Order};
use super::port::{Port, names, wanted};
use super::sink::{Head, check_bytes};

/// Columns of a table.
pub const COLUMNS_MAX: usize = 1 << 16;
/// Columns that a refusal names.
const NAMED_MAX: usize = 12;

/// A column of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Empty where it has none.
    pub name: String,
    /// Values in each row: one, or as many as its lists have.
    pub width: u64,
}

/// An input, and the columns that feed it.
#[derive(Clone, Debug)]
pub struct Feed {
    pub head: Head,
    pub columns: Vec<usize>,
}

/// How cells are read.
#[derive(Clone, Copy, Debug)]
pub struct Cells {
    /// What stands for a value that is missing.
    missing: Option<Number>,
}

/// A table of so many rows, as the model reads it.
pub struct Table {
    pub feeds: Vec<Feed>,
    pub cells: Cells,
    reading: TableReading,
}

impl Table {
    /// `reading` has all that was found out of the file.
    pub fn plan(
        order: &Order,
        columns: &[Column],
        rows: u64,
        mut reading: TableReading,
        is_index: impl Fn(usize, &Column) -> bool,
    ) -> Result<Self, ConvertError> {
        if rows == 0 {
            return Err(ConvertError::NoTableRows);
        }
        let ports = wanted(&order.ports, order.request.input.as_deref())?;
        let missing = reading
            .missing
            .as_ref()
            .map(|text| number::parse(text).ok_or_else(|| ConvertError::MissingText { text: text.clone() }));
        let cells = Cells { missing: missing.transpose()? };
        let mut left_out = Vec::new();
        for spec in &reading.leave_out {
            left_out.extend(find(columns, spec, "leave_out")?);
        }
        for (place, column) in columns.iter().enumerate() {
            if is_index(place, column) && !left_out.contains(&place) {
                left_out.push(place);
                reading.leave_out.push((place + 1).to_string());
            }
        }
        let chosen = choose(&ports, columns, &reading, &left_out)?;
        let mut feeds = Vec::with_capacity(ports.len());
        for (port, chosen) in ports.iter().zip(chosen) {
            let shape = [vec![rows], row_shape(port, columns, &chosen)?].concat();
            let head = Head { name: port.name.clone(), dtype: port.dtype, shape };
            feeds.push(Feed { head, columns: chosen });
        }
        let heads: Vec<Head> = feeds.iter().map(|feed| feed.head.clone()).collect();
        check_bytes(&heads, order.most)?;
        Ok(Self { feeds, cells, reading })
    }

    pub fn made(self, kind: FileKind) -> Made {
        let array = |feed: &Feed| {
            let Head { name, dtype, shape } = feed.head.clone();
            MadeArray { name, dtype, shape, cast_from: None, batch_added: false }
        };
        Made { table: Some(self.reading), ..Made::new(kind, self.feeds.iter().map(array).collect()) }
    }
}

/// Which columns feed each input.
fn choose(
    ports: &[&Port],
    columns: &[Column],
    reading: &TableReading,
    left_out: &[usize],
) -> Result<Vec<Vec<usize>>, ConvertError> {
    let all: Vec<Port> = ports.iter().map(|port| (*port).clone()).collect();
    let rest = || (0..columns.len()).filter(|place| !left_out.contains(place));
    // Where there is one input, it needs no name.
    let said_of = |name: &str| {
        let said = reading.columns.get(name);
        said.or_else(|| reading.columns.get("").filter(|_| ports.len() == 1))
    };
    let is_known = |name: &str| ports.iter().any(|port| port.name == name) || (name.is_empty() && ports.len() == 1);
    if let Some(name) = reading.columns.keys().find(|name| !is_known(name)) {
        return Err(ConvertError::UnknownInput { name: name.clone(), names: names(&all) });
    }
    let mut chosen = Vec::with_capacity(ports.len());
    for port in ports {
        if let Some(said) = said_of(&port.name) {
            let mut places = Vec::new();
            for spec in said {
                places.extend(find(columns, spec, "columns")?);
            }
            chosen.push(places);
        } else if ports.len() == 1 {
            chosen.push(rest().collect());
        } else {
            let own: Vec<usize> = rest().filter(|&place| columns[place].name == port.name).collect();
            if own.is_empty() {
                let columns = list(columns, rest());
                return Err(ConvertError::ColumnsUnnamed { names: names(&all), columns });
            }
            chosen.push(own);
        }
    }
    Ok(chosen)
}

/// The columns that a request names: by name, by number from one, or by numbers from and to.
fn find(columns: &[Column], spec: &str, field: &str) -> Result<Vec<usize>, ConvertError> {
    let field = format!("table.{field}");
    let named: Vec<usize> = (0..columns.len()).filter(|&place| columns[place].name == spec).collect();
    if named.len() > 1 {
        return Err(ConvertError::ColumnTwice { field, column: spec.to_owned() });
    }
    if !named.is_empty() && !spec.is_empty() {
        return Ok(named);
    }
    let (from, to) = spec.split_once('-').unwrap_or((spec, spec));
    let number = |text: &str| text.trim().parse().ok().filter(|number| (1..=columns.len()).contains(number));
    match (number(from), number(to)) {
        (Some(from), Some(to)) if from <= to => Ok((from - 1..to).collect()),
        _ => {
            let columns = list(columns, 0..columns.len());
            Err(ConvertError::UnknownColumn { field, column: spec.to_owned(), columns })
        }
    }
}

/// Columns by name, or by number where they have none; the first few of many.
fn list(columns: &[Column], places: impl Iterator<Item = usize> + Clone) -> String {
    let count = places.clone().count();
    let mut names: Vec<String> = places.take(NAMED_MAX).map(|place| label(columns, place)).collect();
    if count > NAMED_MAX {
        names.push(format!("and {} more", count - NAMED_MAX));
    }
    names.join(", ")
}

/// What a refusal calls a column.
pub fn label(columns: &[Column], place: usize) -> String {
    match columns.get(place) {
        Some(column) if !column.name.is_empty() => column.name.clone(),
        _ => (place + 1).to_string(),
    }
}

/// A row's sizes: the model's, of which one may follow from the number of values.
fn row_shape(port: &Port, columns: &[Column], chosen: &[usize]) -> Result<Vec<u64>, ConvertError> {
    if let Some(&place) = chosen.iter().find(|&&place| columns[place].width == 0) {
        return Err(ConvertError::NoListYet { column: label(columns, place) });
    }
    let values: u64 = chosen.iter().map(|&place| columns[place].width).fold(0, u64::saturating_add);
    let refused = |wanted: String| {
        let columns = list(columns, chosen.iter().copied());
        ConvertError::ColumnCount { name: port.name.clone(), wanted, found: values, columns }
    };
    let Some(row) = port.row() else { return Ok(vec![values]) };
    let known = row.iter().flatten().fold(1u64, |known, &size| known.saturating_mul(size));
    let fitted = match row.iter().filter(|size| size.is_none()).count() {
        0 => Some(1).filter(|_| known == values),
        1 => values.checked_div(known).filter(|&rest| rest > 0 && rest * known == values),
        _ => return Err(refused(shape_text(row))),
    };
    let wanted = if row.iter().all(Option::is_some) { known.to_string() } else { shape_text(row) };
    let rest = fitted.ok_or_else(|| refused(wanted))?;
    Ok(row.iter().map(|size| size.unwrap_or(rest)).collect())
}

impl Cells {
    /// A cell's text, written as a value.
    pub fn write_text(
        self,
        text: &str,
        dtype: DType,
        at: &impl Fn() -> (Place, String),
        out: &mut Vec<u8>,
    ) -> Result<(), ConvertError> {
        if number::is_missing(text) {
            let says_nan = text.trim().eq_ignore_ascii_case("nan") && dtype.is_float();
            let number = self.missing.or(says_nan.then_some(Number::Float(f64::NAN)));
            return self.write(number, dtype, at, out);
        }
        let Some(number) = number::parse(text) else {
            let (place, column) = at();
            let is_comma = text.contains(',') && number::parse(&text.replace(',', ".")).is_some();
            let hint = if is_comma { "; decimals have a point here" } else { "" };
            let text: String = text.chars().take(40).collect();
            return Err(ConvertError::NoNumber { place, column, text, hint });
        };
        self.write(Some(number), dtype, at, out)
    }

    /// A cell's number, where it has one.
    pub fn write(
        self,
        number: Option<Number>,
        dtype: DType,
        at: &impl Fn() -> (Place, String),
        out: &mut Vec<u8>,
    ) -> Result<(), ConvertError> {
        let Some(number) = number.or(self.missing) else {
            let (place, column) = at();
            return Err(ConvertError::MissingValue { place, column });
        };
        number.write(dtype, out).map_err(|_misfit| {
            let (place, column) = at();
            ConvertError::CellMisfit { place, column, value: number.to_string(), wanted: dtype.name() }
        })
    }
}
