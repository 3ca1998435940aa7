//! The arrays of an `infer` order: read from the customer's files, and told to the planner.

use futures::TryStreamExt;
use gpu_kernels::dtype::DType;
use onnx::{Feed, Tensor};
use rules::Source;
use rules::admission::{AdmitError, require_owned};
use rules::program::infer::{INPUTS_MAX, InputLayout, Layout, Port, SentArray, match_names};
use wire::number::to;
use wire::{AccountId, Blob, BlobHash, Infer};

use crate::app::App;
use crate::arrays::npy;
use crate::arrays::npz::{self, Entry};
use crate::http::detail;
use crate::programs::failure::AdmitFailure;

/// Finds the arrays, in the model's order.
pub async fn receive(
    app: &App,
    customer: AccountId,
    ports: &[Port],
    wanted: &Infer,
) -> Result<Vec<SentArray>, AdmitFailure> {
    let sent = match (wanted.input, wanted.inputs.is_empty()) {
        (Some(hash), true) => {
            let blob = find(app, customer, hash, "input").await?;
            read_file(app, &blob).await?
        }
        (None, false) if wanted.inputs.len() <= INPUTS_MAX => {
            let mut sent = Vec::with_capacity(wanted.inputs.len());
            for (name, &hash) in &wanted.inputs {
                let field = format!("inputs.{name}");
                let blob = find(app, customer, hash, &field).await?;
                sent.push(read_array(app, &blob, 0..blob.size, Some(name.clone()), &field).await?);
            }
            sent
        }
        (None, false) => return Err(AdmitError::TooManyInputs { most: INPUTS_MAX }.into()),
        (Some(_), false) => return Err(AdmitError::InputTwice.into()),
        (None, true) => return Err(AdmitError::NoInput.into()),
    };
    Ok(match_names(ports, sent)?)
}

async fn find(app: &App, customer: AccountId, hash: BlobHash, field: &str) -> Result<Blob, AdmitFailure> {
    let found = store::blobs::find_owned_blob(&mut *app.db.read().await?, customer, hash).await?;
    Ok(require_owned(found, field)?)
}

fn unreadable<E: std::error::Error + serde::Serialize>(field: &str, error: &E) -> AdmitError {
    AdmitError::UnreadableArray { field: field.to_owned(), reason: error.to_string(), detail: detail::of(error) }
}

/// One array, or all of a `.npz`.
async fn read_file(app: &App, blob: &Blob) -> Result<Vec<SentArray>, AdmitFailure> {
    let head = app.blobs.read_range(blob.hash, 0..blob.size.min(4)).await?;
    if head != npz::MAGIC {
        return Ok(vec![read_array(app, blob, 0..blob.size, None, "input").await?]);
    }
    let entries = npz::entries(&app.blobs, blob.hash, blob.size).await?;
    let entries = entries.map_err(|error| unreadable("input", &error))?;
    let mut sent = Vec::with_capacity(entries.len());
    for Entry { name, start, size } in entries {
        sent.push(read_array(app, blob, start..start + size, Some(name), "input").await?);
    }
    Ok(sent)
}

/// The array that a range of a file holds.
async fn read_array(
    app: &App,
    blob: &Blob,
    range: std::ops::Range<u64>,
    name: Option<String>,
    field: &str,
) -> Result<SentArray, AdmitFailure> {
    let size = range.end - range.start;
    let head = app.blobs.read_range(blob.hash, range.start..range.start + size.min(npy::HEAD_BYTES)).await?;
    let array = npy::parse(&head, size).map_err(|error| unreadable(field, &error))?;
    let source = Source { blob: blob.hash, offset: range.start + array.offset };
    Ok(SentArray { name, field: field.to_owned(), source, dtype: array.dtype, shape: array.shape })
}

/// What the planner is told of a job's inputs.
pub async fn feeds(app: &App, layout: &Layout) -> Result<Vec<Feed>, AdmitFailure> {
    let mut feeds = Vec::with_capacity(layout.inputs.len());
    for input in &layout.inputs {
        feeds.push(feed(app, input, layout.rows).await?);
    }
    Ok(feeds)
}

/// Values that must fit 32 bits are looked at here, not when a device meets them.
async fn feed(app: &App, input: &InputLayout, rows: u64) -> Result<Feed, AdmitFailure> {
    let InputLayout { field, source, sent_as } = input;
    let too_large = || AdmitError::ArrayTooLarge { field: sent_as.clone(), name: field.name.clone() };
    let size = |&size: &u64| usize::try_from(size).map_err(|_large| too_large());
    let shape = field.shape.iter().map(size).collect::<Result<Vec<usize>, _>>()?;
    let dtype = DType::from_name(field.dtype.name()).expect("every type of the wire should be one of the kernels'");
    let too_wide = |place: u64, value: i64| {
        let (field, name) = (sent_as.clone(), field.name.clone());
        AdmitError::IntegerTooWide { field, name, place, value }
    };
    let start = source.offset;
    if field.shared {
        let bytes = app.blobs.read_range(source.blob, start..start + field.bytes()).await?;
        let words = dtype.words(&bytes).map_err(|wide| too_wide(to(wide.index), wide.value))?;
        return Ok(Feed::Known(Tensor { dtype, shape, words: words.into() }));
    }
    if dtype == DType::I64 {
        let end = start + field.bytes().saturating_mul(rows);
        if let Some((place, value)) = find_wide(app, source.blob, start..end).await? {
            return Err(too_wide(place, value).into());
        }
    }
    Ok(if field.whole { Feed::Whole(shape) } else { Feed::Rows(shape) })
}

/// The first int64 in a range that 32 bits do not hold.
async fn find_wide(app: &App, blob: BlobHash, range: std::ops::Range<u64>) -> anyhow::Result<Option<(u64, i64)>> {
    let mut stream = app.blobs.stream_range(blob, range).await?;
    let (mut rest, mut place) = (Vec::new(), 0u64);
    while let Some(chunk) = stream.try_next().await? {
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
