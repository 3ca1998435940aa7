//! Why an order cannot become a job.

use wire::{Credits, Detail, Place};

use crate::program::limits::EDGE_FLOPS_MAX;

pub(super) const NAME_CHARS_MAX: usize = 128;
/// All of them together, with the fields that they belong to.
pub(super) const FILE_NAMES_BYTES_MAX: usize = 4096;
pub(super) const FILE_NAME_CHARS_MAX: usize = 255;

/// Each is something that the customer can mend, and `Display` says how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdmitError {
    #[error("a name has at most {NAME_CHARS_MAX} characters and no control characters")]
    InvalidName,
    #[error("a deadline is 1 second to a year away")]
    DeadlineOutOfRange,
    #[error(
        "a file is named by the order's field that holds it, in at most {FILE_NAME_CHARS_MAX} characters and without control characters; all names together have at most {FILE_NAMES_BYTES_MAX} bytes"
    )]
    InvalidFileNames,
    #[error("this account has no such blob; upload it with POST /v1/blobs first")]
    UnknownBlob { field: String },

    // The program's code. `detail` is what a compiler, or who reads arrays, says of its own reason.
    #[error("{reason}")]
    UnsupportedOperator { reason: String, detail: Option<Detail> },
    #[error("{reason}")]
    InvalidModel { reason: String, detail: Option<Detail> },
    /// The model was planned for these arrays, and they are not what it reads.
    #[error("{reason}")]
    ModelInput { reason: String, detail: Option<Detail> },
    #[error("the output '{output}' is {dtype}, which no .npy holds")]
    OutputType { output: String, dtype: &'static str },
    #[error("the kernel has {bytes} bytes; at most {most} are taken")]
    KernelTooLong { bytes: u64, most: u64 },
    #[error("the kernel is not text in UTF-8")]
    KernelNotText,
    #[error(
        "this {field} takes more than {megabytes} MB or {seconds} seconds to compile here; make it smaller or simpler"
    )]
    CompileLimit { field: &'static str, megabytes: u64, seconds: u32 },
    #[error("{reason}")]
    InvalidKernel { place: Place, reason: String, detail: Option<Detail> },
    #[error("a record of {found} bytes; a record has a multiple of 4 bytes, at least 4 and at most {most}")]
    RecordBytes { field: &'static str, found: u32, most: u64 },
    #[error("at most {most} operations; give each record less to do")]
    TooMuchFuel { most: u32 },
    #[error("{}", params_message(*.expected, *.found))]
    KernelParams { expected: Option<u64>, found: Option<u64> },
    #[error(
        "the kernel computes with floats and answers in integers, so a last bit can tip an answer over: state how far integers may be apart (check.integers; --tolerance-int)"
    )]
    NeedsIntegerTolerance,
    #[error("the kernel computes with floats, whose last bits differ between devices: state a tolerance")]
    NeedsTolerance,
    #[error("the kernel computes with integers alone, so there is nothing to tolerate: leave the tolerance out")]
    NothingToTolerate,
    #[error("the output holds no integers: leave their tolerance out")]
    NoIntegersToTolerate,

    // Its inputs. `field` is the request's.
    #[error("at most {most} inputs can be sent")]
    TooManyInputs { most: usize },
    #[error("send 'input' or 'inputs', not both")]
    InputTwice,
    #[error("send the rows as 'input' or 'inputs'")]
    NoInput,
    #[error("{reason}")]
    UnreadableArray { field: String, reason: String, detail: Option<Detail> },
    #[error("the model has no input, so there is nothing to run it on")]
    ModelWithoutInput { field: String },
    #[error("the model has the inputs {names}; send each by name, or one .npz")]
    UnnamedArray { field: String, names: String },
    #[error("the model has no input '{name}'; its inputs are {names}")]
    UnknownInput { field: String, name: String, names: String },
    #[error("the model's input '{name}' is missing; its inputs are {names}")]
    MissingInput { field: String, name: String, names: String },
    #[error(
        "the model reads '{name}' as {expected} and the array holds {found}; cast it (--cast; 'cast' of POST /v1/arrays), or save it with array.astype('{expected}')"
    )]
    InputType { field: String, name: String, expected: &'static str, found: &'static str },
    #[error(
        "'{name}' has shape {shape:?} and the model reads one axis more, the first of which counts rows; if it is one row, add that axis (--add-batch; 'add_batch' of POST /v1/arrays), or save array[None]"
    )]
    NeedsBatch { field: String, name: String, shape: Vec<u64> },
    #[error("every input is a single value; expected an array whose first dimension counts rows")]
    OnlySingleValues { field: String },
    #[error("'{name}' has no rows; send at least one")]
    NoRows { field: String, name: String },
    #[error("'{name}' has {found} rows and '{other}' has {rows}; rows that belong together need the same number")]
    RowsDiffer { field: String, name: String, found: u64, other: String, rows: u64 },
    #[error("'{name}' has shape {shape:?}: no values in a row")]
    EmptyRow { field: String, name: String, shape: Vec<u64> },
    #[error("'{name}' has shape {shape:?}: no values")]
    EmptyArray { field: String, name: String, shape: Vec<u64> },
    #[error("the inputs that all rows share take more than {most} bytes; store '{name}' in the model")]
    SharedTooLarge { field: String, name: String, most: u64 },
    #[error("'{name}' is too large")]
    ArrayTooLarge { field: String, name: String },
    #[error("'{name}' holds {value} at place {place}; int64 values must fit 32 bits here")]
    IntegerTooWide { field: String, name: String, place: u64, value: i64 },
    #[error(
        "the names and shapes of all inputs and outputs take {bytes} bytes in each lease; at most {most}: give them shorter names, or fewer of them"
    )]
    LeaseTooLong { code: &'static str, bytes: u64, most: u64 },
    #[error("the input has no records")]
    NoRecords,
    #[error(
        "the input has {bytes} bytes, which is no whole number of records of {record_bytes} bytes; it is cut short or padded"
    )]
    PartialRecord { bytes: u64, record_bytes: u64 },

    // How it is cut.
    #[error("{rows} rows are too many")]
    TooManyRows { rows: u64 },
    #[error("a tile may hold {least} to {most} rows of this input")]
    TileRows { field: &'static str, least: u64, most: u64 },
    #[error("a tile may hold {most} records of this kernel: 65,535 workgroups")]
    TileRecords { most: u64 },
    #[error(
        "{}a tile of {tile_rows} rows takes {tile_flops} operations and {tile_bytes} bytes; at most {flops_max} and {bytes_max} can be checked: use fewer rows a tile, or a smaller model",
        mixed_message(.mixed_by.as_deref())
    )]
    TileTooHeavy {
        /// The model's node because of which all rows are one tile.
        mixed_by: Option<String>,
        tile_rows: u64,
        tile_flops: u64,
        tile_bytes: u64,
        flops_max: u64,
        bytes_max: u64,
    },
    #[error(
        "a tile of {tile_rows} records may take {tile_ops} operations and {tile_bytes} bytes; at most {ops_max} and {bytes_max}: use fewer records a tile, or smaller ones"
    )]
    RecordsTooHeavy { tile_rows: u64, tile_ops: u64, tile_bytes: u64, ops_max: u64, bytes_max: u64 },

    // Who could run and check it, and what it costs.
    /// `code` is the order's field that names the program's code.
    #[error(
        "the {code} needs a buffer of {}, and the largest connected device has {}; use fewer rows a tile, or make what a row needs smaller",
        size(*.device_bytes),
        size(*.largest)
    )]
    NoDeviceFits {
        code: &'static str,
        #[serde(serialize_with = "as_size")]
        device_bytes: u64,
        #[serde(serialize_with = "as_size")]
        largest: u64,
    },
    #[error(
        "the {code} needs a buffer of {}, which no connected checker has, and a tile takes {tile_flops} operations, of which the server itself redoes at most {EDGE_FLOPS_MAX}; use fewer rows a tile, or make what a row needs smaller",
        size(*.device_bytes)
    )]
    NoCheckerFits {
        code: &'static str,
        #[serde(serialize_with = "as_size")]
        device_bytes: u64,
        tile_flops: u64,
    },
    #[error(
        "nobody could check what strangers' devices make of the {code}: this server has no checker, and devices with standing of fewer than two other accounts are connected; run it on your own devices (privacy \"own\"), or ask the operator for a checker"
    )]
    NobodyChecks { code: &'static str },
    #[error("the amount is too large")]
    CostTooLarge,
    #[error("the job costs up to {cost} credits and the limit is {limit}; raise the limit or send fewer rows")]
    OverLimit {
        #[serde(serialize_with = "as_shown")]
        cost: Credits,
        #[serde(serialize_with = "as_shown")]
        limit: Credits,
    },
    #[error("the job costs up to {cost} credits, and this account has less; add credits or send fewer rows")]
    InsufficientFunds {
        #[serde(serialize_with = "as_shown")]
        cost: Credits,
    },
}

fn as_shown<T: std::fmt::Display, S: serde::Serializer>(amount: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

fn as_size<T: Copy + Into<u64>, S: serde::Serializer>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&size((*bytes).into()))
}

/// Bytes as people say them.
fn size(bytes: u64) -> String {
    match bytes {
        0..=999_999 => format!("{bytes} bytes"),
        1_000_000..=999_999_999 => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}

fn params_message(expected: Option<u64>, found: Option<u64>) -> String {
    match (expected, found) {
        (Some(expected), Some(found)) => {
            format!("the kernel's binding 2 has {expected} bytes and the parameters {found}")
        }
        (Some(expected), None) => format!("the kernel's binding 2 wants parameters of {expected} bytes"),
        (None, _) => "the kernel has no binding 2 for parameters".to_owned(),
    }
}

fn mixed_message(mixed_by: Option<&str>) -> String {
    mixed_by.map_or_else(String::new, |node| format!("node '{node}' mixes rows, so all of them are one tile, and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_said_in_sizes_that_people_read() {
        let refused = AdmitError::NoDeviceFits { code: "model", device_bytes: 3_120_000_000, largest: 2_147_483_648 };

        assert!(
            refused
                .to_string()
                .starts_with("the model needs a buffer of 3.1 GB, and the largest connected device has 2.1 GB;")
        );
        assert_eq!([size(96), size(134_217_728)], ["96 bytes", "134.2 MB"]);
    }
}
