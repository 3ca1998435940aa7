//! The arrays of an `infer` job against the model's inputs: which array feeds which, what its rows
//! are, and what all rows share.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use gpu_kernels::dtype::DType;
use gpu_kernels::graph::{Feed, Graph, Port, Tensor};
use serde::{Deserialize, Serialize};
use wire::{Blob, BlobHash, ErrorCode, Field};

use super::npy;
use super::npz::{self, Entry};
use super::spec::unknown_blob;
use crate::app::App;
use crate::auth::Caller;
use crate::blobs;
use crate::error::{ApiError, invalid};

/// What all rows share travels with every lease, so it is bounded, in bytes.
const SHARED_BYTES_MAX: u64 = 4 << 20;
const INPUTS_MAX: usize = 16;
/// Values of an array that may say sizes.
const SIZES_MAX: u64 = 64;

/// Where an input's values begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub blob: BlobHash,
    pub offset: u64,
}

/// A job's inputs in the model's order.
#[derive(Clone, Debug)]
pub struct Inputs {
    pub rows: u64,
    pub fields: Vec<Field>,
    pub sources: Vec<Source>,
    pub feeds: Vec<Feed>,
}

/// An array as it was sent: under a name, or as the only one.
pub struct Sent {
    name: Option<String>,
    /// The request's field that sent it.
    field: String,
    source: Source,
    array: npy::Array,
}

/// Finds the arrays, in the model's order.
pub async fn receive(
    app: &App,
    caller: Caller,
    graph: &Graph,
    input: Option<BlobHash>,
    named: &BTreeMap<String, BlobHash>,
) -> Result<Vec<Sent>, ApiError> {
    let sent = match (input, named.is_empty()) {
        (Some(hash), true) => {
            let blob = find(app, caller, hash, "input").await?;
            read_file(app, &blob).await?
        }
        (None, false) if named.len() <= INPUTS_MAX => {
            let mut sent = Vec::with_capacity(named.len());
            for (name, &hash) in named {
                let field = format!("inputs.{name}");
                let blob = find(app, caller, hash, &field).await?;
                let (source, array) = read_array(app, blob.hash, 0, blob.size, &field).await?;
                sent.push(Sent { name: Some(name.clone()), field, source, array });
            }
            sent
        }
        (None, false) => {
            return Err(invalid(ErrorCode::InvalidInput, "inputs", format!("at most {INPUTS_MAX} inputs can be sent")));
        }
        (Some(_), false) => {
            return Err(invalid(ErrorCode::InvalidInput, "inputs", "send 'input' or 'inputs', not both"));
        }
        (None, true) => return Err(invalid(ErrorCode::InvalidInput, "input", "send the rows as 'input' or 'inputs'")),
    };
    match_names(graph, sent)
}

/// The arrays as rows, and what all rows share.
pub async fn by_rows(app: &App, graph: &Graph, sent: &[Sent]) -> Result<Inputs, ApiError> {
    let (rows, lead) = count_rows(graph, sent)?;
    let mut inputs = Inputs { rows, fields: Vec::new(), sources: Vec::new(), feeds: Vec::new() };
    let mut shared_bytes = 0u64;
    for (port, sent) in graph.inputs.iter().zip(sent) {
        let shared = !is_rows(port, &sent.array.shape, rows, lead);
        let shape = if shared { sent.array.shape.clone() } else { sent.array.shape[1..].to_vec() };
        let field = Field { name: port.name.clone(), dtype: sent.array.dtype, shape, shared, whole: false };
        if field.shape.contains(&0) {
            let message = format!("'{}' has shape {:?}: no values in a row", port.name, sent.array.shape);
            return Err(invalid(ErrorCode::InvalidInput, &sent.field, message));
        }
        if shared {
            shared_bytes = shared_bytes.saturating_add(field.bytes());
            if shared_bytes > SHARED_BYTES_MAX {
                let message = format!(
                    "the inputs that all rows share take more than {SHARED_BYTES_MAX} bytes; store '{}' in the model",
                    port.name
                );
                return Err(invalid(ErrorCode::TooLarge, &sent.field, message));
            }
        }
        inputs.push(field, sent, app).await?;
    }
    Ok(inputs)
}

/// The arrays as they are: one row, which one device computes at once. For models whose arrays have no
/// rows, or whose rows belong together.
pub async fn as_whole(app: &App, graph: &Graph, sent: &[Sent]) -> Result<Inputs, ApiError> {
    let mut inputs = Inputs { rows: 1, fields: Vec::new(), sources: Vec::new(), feeds: Vec::new() };
    // Shapes may depend on a few integers, which must be known to the planner.
    let is_sizes = |sent: &Sent| {
        let npy::Array { dtype, shape, .. } = &sent.array;
        !dtype.is_float() && shape.len() < 2 && shape.iter().all(|&size| size <= SIZES_MAX)
    };
    let runs_on_sizes = sent.iter().all(is_sizes);
    for (port, sent) in graph.inputs.iter().zip(sent) {
        let shared = !runs_on_sizes && is_sizes(sent);
        let (name, array, shape) = (port.name.clone(), &sent.array, sent.array.shape.clone());
        if shape.contains(&0) {
            let message = format!("'{name}' has shape {shape:?}: no values");
            return Err(invalid(ErrorCode::InvalidInput, &sent.field, message));
        }
        let field = Field { name, dtype: array.dtype, shape, shared, whole: !shared };
        inputs.push(field, sent, app).await?;
    }
    Ok(inputs)
}

impl Inputs {
    async fn push(&mut self, field: Field, sent: &Sent, app: &App) -> Result<(), ApiError> {
        self.feeds.push(feed(app, &field, sent, self.rows).await?);
        self.fields.push(field);
        self.sources.push(sent.source);
        Ok(())
    }
}

async fn find(app: &App, caller: Caller, hash: BlobHash, field: &str) -> Result<Blob, ApiError> {
    let found = blobs::store::find_owned_blob(&mut *app.db.read().await?, caller.account, hash).await?;
    found.ok_or_else(|| unknown_blob(field))
}

/// One array, or all of a `.npz`.
async fn read_file(app: &App, blob: &Blob) -> Result<Vec<Sent>, ApiError> {
    let head = app.blobs.read_range(blob.hash, 0..blob.size.min(4)).await?;
    if head != npz::MAGIC {
        let (source, array) = read_array(app, blob.hash, 0, blob.size, "input").await?;
        return Ok(vec![Sent { name: None, field: "input".to_owned(), source, array }]);
    }
    let entries = npz::entries(&app.blobs, blob.hash, blob.size).await?;
    let entries = entries.map_err(|error| invalid(ErrorCode::InvalidInput, "input", error.to_string()))?;
    let mut sent = Vec::with_capacity(entries.len());
    for Entry { name, start, size } in entries {
        let (source, array) = read_array(app, blob.hash, start, size, "input").await?;
        sent.push(Sent { name: Some(name), field: "input".to_owned(), source, array });
    }
    Ok(sent)
}

async fn read_array(
    app: &App,
    blob: BlobHash,
    start: u64,
    size: u64,
    field: &str,
) -> Result<(Source, npy::Array), ApiError> {
    let head = if size == 0 {
        bytes::Bytes::new()
    } else {
        app.blobs.read_range(blob, start..start + size.min(npy::HEAD_BYTES)).await?
    };
    let array = npy::parse(&head, size).map_err(|error| invalid(ErrorCode::InvalidInput, field, error.to_string()))?;
    Ok((Source { blob, offset: start + array.offset }, array))
}

/// The arrays in the model's order.
fn match_names(graph: &Graph, mut sent: Vec<Sent>) -> Result<Vec<Sent>, ApiError> {
    let names: Vec<&str> = graph.inputs.iter().map(|port| port.name.as_str()).collect();
    let list = names.join(", ");
    let field = if sent.iter().any(|sent| sent.field != "input") { "inputs" } else { "input" };
    let refuse = |message: String| invalid(ErrorCode::InputMismatch, field, message);
    if names.is_empty() {
        return Err(refuse("the model has no input, so there is nothing to run it on".to_owned()));
    }
    // A single array needs no name, and numpy calls one that was given none `arr_0`.
    if let ([only], [sent]) = (&names[..], &mut sent[..])
        && sent.name.as_ref().is_none_or(|name| name == "arr_0")
    {
        sent.name = Some((*only).to_owned());
    }
    if sent.len() == 1 && sent[0].name.is_none() {
        return Err(refuse(format!("the model has the inputs {list}; send each by name, or one .npz")));
    }
    if let Some(unknown) = sent.iter().filter_map(|sent| sent.name.as_deref()).find(|name| !names.contains(name)) {
        return Err(refuse(format!("the model has no input '{unknown}'; its inputs are {list}")));
    }
    let mut matched = Vec::with_capacity(names.len());
    for port in &graph.inputs {
        let place = sent.iter().position(|sent| sent.name.as_ref() == Some(&port.name));
        let Some(place) = place else {
            return Err(refuse(format!("the model's input '{}' is missing; its inputs are {list}", port.name)));
        };
        let found = sent.swap_remove(place);
        if found.array.dtype.name() != port.dtype.name() {
            let message = format!(
                "the model reads '{}' as {} and the array holds {}; save it with array.astype('{}')",
                port.name,
                port.dtype.name(),
                found.array.dtype.name(),
                port.dtype.name()
            );
            return Err(invalid(ErrorCode::InputMismatch, &found.field, message));
        }
        matched.push(found);
    }
    Ok(matched)
}

/// The first size that the model declares: `None` where it is free, or nothing is said.
fn declared_first(port: &Port) -> Option<usize> {
    port.shape.as_ref().and_then(|shape| shape.first().copied().flatten())
}

/// Rows of the job, as many as each input has that has rows; and the input that tells.
fn count_rows<'a>(graph: &'a Graph, matched: &[Sent]) -> Result<(u64, &'a Port), ApiError> {
    let first = |sent: &Sent| sent.array.shape.first().copied();
    let arrays: Vec<(&Port, &Sent)> =
        graph.inputs.iter().zip(matched).filter(|(_, sent)| !sent.array.shape.is_empty()).collect();
    let Some((port, lead)) = arrays.iter().find(|(port, _)| declared_first(port).is_none()).or_else(|| arrays.first())
    else {
        let message = "every input is a single value; expected an array whose first dimension counts rows";
        return Err(invalid(ErrorCode::InvalidInput, &matched[0].field, message));
    };
    let rows = first(lead).unwrap_or(0);
    if rows == 0 {
        return Err(invalid(ErrorCode::NoRows, &lead.field, format!("'{}' has no rows; send at least one", port.name)));
    }
    for (other, sent) in &arrays {
        let free = declared_first(other).is_none();
        if free && first(sent) != Some(rows) {
            let message = format!(
                "'{}' has {} rows and '{}' has {rows}; rows that belong together need the same number",
                other.name,
                first(sent).unwrap_or(0),
                port.name
            );
            return Err(invalid(ErrorCode::InputMismatch, &sent.field, message));
        }
    }
    Ok((rows, port))
}

/// Whether an array is fed row by row. A first size that the model leaves free counts rows; one that
/// it fixes belongs to the array, unless it is the batch, which exporters fix without need: one, or
/// what the input that leads has as well.
fn is_rows(port: &Port, shape: &[u64], rows: u64, lead: &Port) -> bool {
    let Some(&first) = shape.first() else { return false };
    match declared_first(port) {
        _ if port.shape.as_ref().is_some_and(Vec::is_empty) => false,
        None => true,
        Some(1) => first == rows,
        fixed @ Some(_) => fixed == declared_first(lead) && first == rows,
    }
}

/// What the planner is told of an input. Values that must fit 32 bits are looked at now, not when
/// a device meets them.
async fn feed(app: &App, field: &Field, sent: &Sent, rows: u64) -> Result<Feed, ApiError> {
    let refuse = |message: String| invalid(ErrorCode::InvalidInput, &sent.field, message);
    let size = |&size: &u64| usize::try_from(size).map_err(|_large| refuse(format!("'{}' is too large", field.name)));
    let shape = field.shape.iter().map(size).collect::<Result<Vec<usize>, _>>()?;
    let dtype = DType::from_name(field.dtype.name())
        .ok_or_else(|| refuse(format!("'{}' is {}", field.name, field.dtype.name())))?;
    let out_of_range = |place: u64, value: i64| {
        refuse(format!("'{}' holds {value} at place {place}; int64 values must fit 32 bits here", field.name))
    };
    let start = sent.source.offset;
    if field.shared {
        let bytes = app.blobs.read_range(sent.source.blob, start..start + field.bytes()).await?;
        let words = dtype
            .words(&bytes)
            .map_err(|wide| out_of_range(u64::try_from(wide.place).unwrap_or(u64::MAX), wide.value))?;
        return Ok(Feed::Known(Tensor { dtype, shape, words: words.into() }));
    }
    if dtype == DType::I64 {
        let end = start + field.bytes().saturating_mul(rows);
        if let Some((place, value)) = find_wide(app, sent.source.blob, start..end).await? {
            return Err(out_of_range(place, value));
        }
    }
    Ok(if field.whole { Feed::Whole(shape) } else { Feed::Rows(shape) })
}

/// The first int64 in a range that 32 bits do not hold.
async fn find_wide(app: &App, blob: BlobHash, range: std::ops::Range<u64>) -> Result<Option<(u64, i64)>, ApiError> {
    let mut stream = app.blobs.stream_range(blob, range).await?;
    let (mut rest, mut place) = (Vec::new(), 0u64);
    while let Some(chunk) = stream.try_next().await.map_err(anyhow::Error::from)? {
        rest.extend_from_slice(&chunk);
        let (values, after) = rest.as_chunks::<8>();
        for value in values {
            let value = i64::from_le_bytes(*value);
            if i32::try_from(value).is_err() {
                return Ok(Some((place, value)));
            }
            place += 1;
        }
        rest = after.to_vec();
    }
    Ok(None)
}
