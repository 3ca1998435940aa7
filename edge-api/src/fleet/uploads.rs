//! What a device hands in as a lease's output: large ones lie where blobs are kept, small ones in the database.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use store::blobs::NewOutput;
use wire::frame::SMALL_BYTES_MAX;
use wire::number::to;
use wire::{Blob, BlobHash, ErrorCode};

use super::gathered::{Kept, Upload};
use super::token::LeaseToken;
use crate::app::App;
use crate::blobs::collect;
use crate::http::error::{ApiResult, conflict};
use crate::retry::retry;

/// Keeps an output, durably, before its receipt is taken. The first output of a lease is its only one; sent again, it is the
/// same.
pub async fn keep_output(app: &App, token: &LeaseToken, bytes: Bytes) -> ApiResult<Blob> {
    let blob = blob_of(&bytes);
    let is_small = blob.size <= SMALL_BYTES_MAX;
    let output = NewOutput { lease: token.lease, hash: blob.hash, expires_at: token.expires_at() };
    let upload = Upload { blob: blob.clone(), output, small: is_small.then(|| bytes.clone()) };
    loop {
        let write = async |app: App, group: Arc<[Upload]>| retry(|| write_group(&app, &group)).await;
        match app.gathered.outputs.hand_in(&app.tasks, upload.clone(), app, write).await? {
            Kept::Output(hash) if hash == blob.hash => break,
            Kept::Output(_) => {
                let message = "this lease has another output already; ask for another lease";
                return Err(conflict(ErrorCode::OutputTaken, message));
            }
            // It waits until that is over.
            Kept::BeingDeleted => collect::reserve(app, &blob).await?,
        }
    }
    if !is_small {
        app.blobs.put(blob.hash, bytes).await?;
    }
    Ok(blob)
}

pub fn blob_of(bytes: &Bytes) -> Blob {
    Blob { hash: BlobHash(*blake3::hash(bytes).as_bytes()), size: to(bytes.len()) }
}

/// Renews blobs that are about to be put in their place, and names them as their leases' outputs, in one transaction.
async fn write_group(app: &App, group: &[Upload]) -> anyhow::Result<Vec<Kept>> {
    let now = app.clock.now();
    let blobs = group.iter().map(|upload| (upload.blob.hash, upload.blob.size)).collect();
    let mut tx = app.db.begin_write().await?;
    let used = store::blobs::use_blobs(&mut tx, &blobs, now).await?;
    let usable = || group.iter().filter(|upload| used.contains(&upload.blob.hash));
    let small: BTreeMap<BlobHash, &[u8]> =
        usable().filter_map(|upload| Some((upload.blob.hash, &upload.small.as_ref()?[..]))).collect();
    store::blobs::insert_small_blobs(&mut tx, &small).await?;
    let outputs: Vec<NewOutput> = usable().map(|upload| upload.output).collect();
    let kept = store::blobs::insert_lease_outputs(&mut tx, &outputs).await?;
    tx.commit().await?;
    let became = |upload: &Upload| match kept.get(&upload.output.lease) {
        Some(hash) if used.contains(&upload.blob.hash) => Kept::Output(*hash),
        _ => Kept::BeingDeleted,
    };
    Ok(group.iter().map(became).collect())
}
