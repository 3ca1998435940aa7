//! Blobs that nothing refers to are deleted after a while, and what uploads left behind in a crash.
//!
//! A collector first marks the blob's row, in a transaction that finds it unused and unreferenced; then deletes the
//! bytes; then the row. Whoever uses a blob renews its row first, so that one of the two sees the other: an upload
//! of a blob that is being deleted waits until it is gone and puts it in its place again, and an order that names
//! it is refused as if it had never been uploaded.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::{Blob, BlobHash, Micros};

use crate::app::App;
use crate::http::error::ApiError;
use crate::http::limits::overloaded;
use crate::retry::retry;

const EVERY: Duration = Duration::from_secs(3600);
const BLOBS_AT_ONCE: i64 = 100;
/// Longest that one deletion takes.
const DELETE_WITHIN: Duration = Duration::from_secs(60);
/// A deletion that began so long ago was cut short; another may end it.
const STALE: Micros = 3_600_000_000;
/// An upload that was begun so long ago is under way no more.
const STAGED_FOR: Micros = 86_400_000_000;
/// How often, and how many times, an upload looks whether the blob is gone that it would put in its place.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const LOOKS: u32 = 50;

/// Collects until the server stops.
pub async fn run(app: App) {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let done = tokio::select! {
            () = app.stop.cancelled() => return,
            done = collect(&app) => done,
        };
        if let Err(error) = collect_staged(&app).await {
            tracing::error!(error = format!("{error:#}"), "what broken uploads left could not be deleted");
        }
        match done {
            Ok(0) => {}
            Ok(blobs) => tracing::info!(blobs, "unused blobs were deleted"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "unused blobs could not be deleted"),
        }
    }
}

/// Deletes what nobody needs; returns how many blobs that were.
pub async fn collect(app: &App) -> anyhow::Result<u64> {
    let now = app.clock.now();
    let mut tx = app.db.begin_write().await?;
    store::blobs::delete_expired_outputs(&mut tx, now).await?;
    tx.commit().await?;
    let used_before = now - app.config.limits.blob_grace();
    let (mut after, mut collected) = (None, 0);
    loop {
        let mut conn = app.db.read().await?;
        let unused = store::blobs::list_unused_blobs(&mut conn, used_before, now - STALE, after, BLOBS_AT_ONCE).await?;
        drop(conn);
        for &hash in &unused {
            collected += u64::from(collect_blob(app, hash, used_before).await?);
        }
        match unused.last() {
            Some(&last) => after = Some(last),
            None => return Ok(collected),
        }
    }
}

/// Deletes what uploads left behind in a crash.
pub async fn collect_staged(app: &App) -> anyhow::Result<()> {
    app.blobs.delete_staged(app.clock.now() - STAGED_FOR).await
}

async fn collect_blob(app: &App, hash: BlobHash, used_before: Micros) -> anyhow::Result<bool> {
    let began_at = app.clock.now();
    let mut tx = app.db.begin_write().await?;
    let begun = store::blobs::begin_collecting(&mut tx, hash, used_before, began_at - STALE, began_at).await?;
    tx.commit().await?;
    if !begun {
        return Ok(false);
    }
    // Cut short, it leaves the mark: nobody puts the blob in its place until it is stale.
    tokio::time::timeout(DELETE_WITHIN, app.blobs.delete(hash)).await??;
    let mut tx = app.db.begin_write().await?;
    store::blobs::end_collecting(&mut tx, hash, began_at).await?;
    tx.commit().await?;
    Ok(true)
}

/// Renews a blob that is about to be put in its place. From here on no collector takes it.
pub async fn reserve(app: &App, blob: &Blob) -> Result<(), ApiError> {
    for _ in 0..LOOKS {
        let used = retry(async || {
            let mut tx = app.db.begin_write().await?;
            let blobs = BTreeMap::from([(blob.hash, blob.size)]);
            let used = store::blobs::use_blobs(&mut tx, &blobs, app.clock.now()).await?;
            tx.commit().await?;
            Ok::<_, ApiError>(used.contains(&blob.hash))
        });
        if used.await? {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(overloaded("an older copy of this file is being deleted; send it again in a moment"))
}
