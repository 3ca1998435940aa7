//! Why a file becomes no arrays, in words for whoever sent it.

use std::fmt;

use wire::{Detail, ErrorCode, PictureLayout};

use crate::arrays::npy::NpyError;
use crate::http::detail;

/// Where in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Of a text, counted from one, as editors do.
    Line(u64),
    /// Counted from zero, as results do.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

#[derive(Debug, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConvertError {
    #[error("the file is empty; upload it again")]
    EmptyFile,
    #[error(
        "this is none of the files that are read here: .npy, .npz, CSV, Parquet, a picture (JPEG, PNG, WebP, GIF, BMP) or a zip of pictures{0}"
    )]
    UnknownFile(&'static str),
    #[error(
        "the arrays would take {bytes} bytes, and at most {most} are stored here; split the rows over several jobs"
    )]
    ArraysTooLarge { bytes: u64, most: u64 },
    #[error("the file has {found} {what}; at most {most}")]
    TooManyInFile { what: &'static str, found: u64, most: u64 },
    #[error("the file cannot be read, and may be damaged: {reason}")]
    DamagedFile { reason: String },
    /// The file's bytes did not come.
    #[error("the file could not be fetched")]
    #[serde(skip)]
    Fetch(#[source] std::io::Error),

    // What the model wants.
    #[error("the model has no input, so there is nothing to run it on")]
    NoInputs,
    #[error("the model reads '{name}' as {dtype}, which no array is sent as")]
    PortType { name: String, dtype: String },
    #[error("the model has no input '{name}'; its inputs are {names}")]
    UnknownInput { name: String, names: String },
    #[error("the model's input '{name}' is missing; its inputs are {names}")]
    MissingInput { name: String, names: String },
    #[error("the model has the inputs {names}; say which of them the file is for, or send an .npz with all")]
    Unnamed { names: String },

    // Arrays.
    #[error("'{name}': {error}")]
    ArrayFault { name: String, error: NpyError },
    #[error("'{name}' holds {found}, which are no plain numbers; save it with array.astype('<f4')")]
    NotNumbers { name: String, found: String },
    #[error(
        "the model reads '{name}' as {wanted} and the array holds {found}; convert its number type ('Convert number types' in the form, --cast, 'cast' in the API)"
    )]
    NeedsCast { name: String, wanted: &'static str, found: String },
    #[error("'{name}' holds {value} in row {row}, which {wanted} does not hold; save it with values that fit")]
    ValueMisfit { name: String, value: String, row: u64, wanted: &'static str },
    #[error(
        "'{name}' has shape {shape:?} and the model reads one axis more, the first of which counts rows; if it is one row, say so ('It is one row' in the form, --add-batch, 'add_batch' in the API), or save array[None]"
    )]
    NeedsBatch { name: String, shape: Vec<u64> },
    #[error("'{name}' has no rows; send at least one")]
    NoRows { name: String },
    #[error(
        "'{name}' is stored column by column (Fortran order) and has {bytes} bytes, of which at most {most} are turned here; save numpy.ascontiguousarray(array)"
    )]
    FortranTooLarge { name: String, bytes: u64, most: u64 },
    #[error("'{name}' is no .npy array, as the others in this file are")]
    NotArray { name: String },
    #[error("'{name}' is locked with a password, or packed in a way other than 'deflate'; pack the file again")]
    Packing { name: String },
    #[error("the file holds '{name}' twice")]
    Twice { name: String },
    #[error("one array is wanted for '{input}', and the file holds {found}")]
    OneWanted { input: String, found: usize },

    // Tables.
    #[error("the table has no rows; send at least one")]
    NoTableRows,
    #[error(
        "the table has no rows: its only line was taken for the columns' names; if it is a row, say so ('First line' in the form, --header no, 'header' in the API)"
    )]
    OnlyNames,
    #[error("what is between two values is one ASCII character, and no quotation mark")]
    BadDelimiter,
    #[error("line {line} is no text in UTF-8; save the table as CSV UTF-8")]
    NotText { line: u64 },
    #[error("line {line} has {found} values and the first has {columns}")]
    RaggedLine { line: u64, found: u64, columns: u64 },
    #[error("line {line} has more than {most} bytes; is a quotation mark never closed?")]
    LongLine { line: u64, most: u64 },
    #[error("{field} names the column '{column}', which the table does not have; its columns are {columns}")]
    UnknownColumn { field: String, column: String, columns: String },
    #[error("the table has several columns '{column}'; say its number")]
    ColumnTwice { field: String, column: String },
    #[error(
        "the model reads {wanted} values a row for '{name}' and the table has {found} columns for it: {columns}; say which feed it ('Columns used', --columns), or which do not ('Columns left out', --leave-out)"
    )]
    ColumnCount { name: String, wanted: String, found: u64, columns: String },
    #[error(
        "the model has the inputs {names}, and the table's columns are not called so: {columns}; say which columns feed which input (--columns INPUT=…)"
    )]
    ColumnsUnnamed { names: String, columns: String },
    #[error(
        "{place} of column '{column}' is '{text}', which is no number; leave the column out ('Columns left out', --leave-out), or mend the table{hint}"
    )]
    NoNumber { place: Place, column: String, text: String, hint: &'static str },
    #[error(
        "{place} of column '{column}' is missing; say the number that stands for it ('For missing values', --missing), or mend the table"
    )]
    MissingValue { place: Place, column: String },
    #[error("{place} of column '{column}' is {value}, which {wanted} does not hold, and the model reads that")]
    CellMisfit { place: Place, column: String, value: String, wanted: &'static str },
    #[error("column '{column}' holds {found}, which are no numbers; leave it out ('Columns left out', --leave-out)")]
    ColumnType { column: String, found: String },
    #[error("row {row} of column '{column}' is a list of {found} values, and the first row's has {wanted}")]
    RaggedList { row: u64, column: String, found: u64, wanted: u64 },
    #[error(
        "row {row} of column '{column}' has no list, where others have {wanted} values; mend the table, or leave the column out ('Columns left out', --leave-out): what stands for a missing value stands for one in a list"
    )]
    NoList { row: u64, column: String, wanted: u64 },
    #[error(
        "column '{column}' holds lists, and none of the first rows has one, so that nothing says how long they are; leave it out ('Columns left out', --leave-out), or put a row that has a list first"
    )]
    NoListYet { column: String },
    #[error("'{text}' stands for missing values, and is no number")]
    MissingText { text: String },

    // Pictures.
    #[error("the zip holds neither arrays (.npy) nor pictures; if it should, write or upload it again")]
    NoPictures,
    #[error("'{file}' is no picture that is read here (JPEG, PNG, WebP, GIF or BMP){hint}")]
    NotPicture { file: String, hint: &'static str },
    #[error("'{file}' cannot be read, and may be damaged: {reason}")]
    DamagedPicture { file: String, reason: String },
    #[error("'{file}' has {width}x{height} pixels; at most {most} pixels are read")]
    PictureTooLarge { file: String, width: u32, height: u32, most: u64 },
    #[error("'{file}' has more than {most} bytes, the most of a picture's file")]
    PictureFile { file: String, most: u64 },
    #[error("the model has several inputs, {names}; say which of them the pictures are for")]
    PicturesForWhich { names: String },
    #[error(
        "'{name}' is read as {shape}, which is not how pictures are: say size and layout if it is (--size, --layout)"
    )]
    NoPictureInput { name: String, shape: String },
    #[error("the model does not say how large pictures are: say their size (--size)")]
    SizeUnknown,
    #[error("the model does not say where a pixel's channels stand: say it (--layout nchw or nhwc)")]
    LayoutUnknown,
    #[error("pictures as {made} do not fit the model, which reads '{name}' as {wanted}")]
    PictureShape { name: String, made: String, wanted: String },
    #[error("{what} takes one number, or one a channel: {channels}")]
    ChannelNumbers { field: &'static str, what: &'static str, channels: usize },
    #[error("{what} is {value}: {rule}")]
    PictureNumber { field: &'static str, what: &'static str, value: String, rule: &'static str },
    #[error(
        "the model reads '{name}' as {dtype}, so that a pixel's 0 to 255 cannot be {value}; leave --divide-by, --mean and --std out"
    )]
    PixelValue { name: String, dtype: &'static str, value: String },
    #[error("'{what}' is for resizing by '{rule}' alone")]
    OtherResize { field: &'static str, what: &'static str, rule: &'static str },
}

impl serde::Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ConvertError {
    /// What it says, apart from its words.
    pub fn detail(&self) -> Option<Detail> {
        match self {
            Self::ArrayFault { error, .. } => detail::of(error),
            other => detail::of(other),
        }
    }

    /// What to branch on, and the request's field that is at fault.
    pub fn code_and_field(&self) -> (ErrorCode, String) {
        let (code, field) = match self {
            Self::EmptyFile
            | Self::UnknownFile(_)
            | Self::DamagedFile { .. }
            | Self::Fetch(_)
            | Self::ArrayFault { .. }
            | Self::NotNumbers { .. }
            | Self::ValueMisfit { .. }
            | Self::NotArray { .. }
            | Self::Packing { .. }
            | Self::Twice { .. }
            | Self::NotText { .. }
            | Self::RaggedLine { .. }
            | Self::LongLine { .. }
            | Self::NoNumber { .. }
            | Self::MissingValue { .. }
            | Self::CellMisfit { .. }
            | Self::ColumnType { .. }
            | Self::RaggedList { .. }
            | Self::NoList { .. }
            | Self::NoListYet { .. }
            | Self::NotPicture { .. }
            | Self::DamagedPicture { .. } => (ErrorCode::InvalidInput, "file"),
            Self::ArraysTooLarge { .. }
            | Self::TooManyInFile { .. }
            | Self::FortranTooLarge { .. }
            | Self::PictureTooLarge { .. }
            | Self::PictureFile { .. } => (ErrorCode::TooLarge, "file"),
            Self::NoRows { .. } | Self::NoTableRows | Self::OnlyNames | Self::NoPictures => (ErrorCode::NoRows, "file"),
            Self::NoInputs | Self::PortType { .. } => (ErrorCode::InputMismatch, "model"),
            Self::UnknownInput { .. }
            | Self::Unnamed { .. }
            | Self::OneWanted { .. }
            | Self::PicturesForWhich { .. } => (ErrorCode::InputMismatch, "input"),
            Self::MissingInput { .. } => (ErrorCode::InputMismatch, "file"),
            Self::NeedsCast { .. } => (ErrorCode::InputMismatch, "cast"),
            Self::NeedsBatch { .. } => (ErrorCode::InputMismatch, "add_batch"),
            Self::UnknownColumn { field, .. } | Self::ColumnTwice { field, .. } => {
                return (ErrorCode::InputMismatch, field.clone());
            }
            Self::ColumnCount { .. } | Self::ColumnsUnnamed { .. } => (ErrorCode::InputMismatch, "table.columns"),
            Self::BadDelimiter => (ErrorCode::MalformedRequest, "table.delimiter"),
            Self::MissingText { .. } => (ErrorCode::MalformedRequest, "table.missing"),
            Self::NoPictureInput { .. } | Self::PictureShape { .. } => (ErrorCode::InputMismatch, "pictures"),
            Self::SizeUnknown => (ErrorCode::InputMismatch, "pictures.width"),
            Self::LayoutUnknown => (ErrorCode::InputMismatch, "pictures.layout"),
            Self::PixelValue { .. } => (ErrorCode::InputMismatch, "pictures.divide_by"),
            Self::ChannelNumbers { field, .. }
            | Self::PictureNumber { field, .. }
            | Self::OtherResize { field, .. } => (ErrorCode::MalformedRequest, *field),
        };
        (code, field.to_owned())
    }
}

/// A shape as people write it, with `?` for any size.
pub fn shape_text(shape: &[Option<u64>]) -> String {
    let sizes: Vec<String> =
        shape.iter().map(|size| size.map_or_else(|| "?".to_owned(), |size| size.to_string())).collect();
    format!("[{}]", sizes.join(", "))
}

/// The layout's axes of a size.
pub fn layout_text(layout: PictureLayout, channels: u64, height: u64, width: u64) -> String {
    match layout {
        PictureLayout::Nchw => format!("[rows, {channels}, {height}, {width}]"),
        PictureLayout::Nhwc => format!("[rows, {height}, {width}, {channels}]"),
    }
}
