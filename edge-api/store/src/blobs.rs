//! Which blobs there are, who may read them, and which of them nothing refers to any more.
//!
//! A blob's row is written before its bytes lie in their place, and deleted after they are gone. What uses a blob
//! renews its time in the same transaction, and so holds its row against a collector. The bytes of small ones may lie here
//! themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use wire::{AccountId, Blob, BlobHash, JobId, LeaseId, Micros};

use crate::codec::{count, id, json, uncount};
use crate::db::{DbConnection, Dialect};
use crate::list::{list_sql, rows_sql};

#[derive(Serialize)]
struct BlobRow {
    of_blob: String,
    bytes: i64,
}

macro_rules! use_blobs_sql {
    ($engine:ident) => {
        concat!(
            "insert into blob (hash, size, used_at, collected_at)
            select of_blob, bytes, $2, 0 from (",
            rows_sql!($engine "$1", of_blob text, bytes bigint),
            ") as used
            where true
            on conflict (hash)
            do update set used_at = excluded.used_at
            where blob.collected_at = 0
            returning hash"
        )
    };
}

/// Records blobs as used now, whether or not they are known, in the order of their hashes. Returns those that were: of one
/// that is being deleted, nothing is written.
pub async fn use_blobs(
    conn: &mut DbConnection,
    blobs: &BTreeMap<BlobHash, u64>,
    now: Micros,
) -> sqlx::Result<BTreeSet<BlobHash>> {
    let row = |(hash, bytes): (&BlobHash, &u64)| BlobRow { of_blob: hash.to_string(), bytes: count(*bytes) };
    let rows: Vec<BlobRow> = blobs.iter().map(row).collect();
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => use_blobs_sql!(sqlite),
        Dialect::Postgres => use_blobs_sql!(postgres),
    };
    let used: Vec<(String,)> = sqlx::query_as(statement).bind(json(&rows)).bind(now).fetch_all(conn).await?;
    Ok(used.iter().map(|(hash,)| id(hash)).collect())
}

#[derive(Serialize)]
struct SmallRow {
    of_blob: String,
    content: String,
}

macro_rules! insert_small_sql {
    ($engine:ident, $content:literal) => {
        concat!(
            "insert into small_blob (hash, bytes)
            select of_blob, ",
            $content,
            " from (",
            rows_sql!($engine "$1", of_blob text, content text),
            ") as small
            where true
            on conflict (hash) do nothing"
        )
    };
}

/// Keeps the bytes of blobs that are recorded as used. Twice is once.
pub async fn insert_small_blobs(conn: &mut DbConnection, blobs: &BTreeMap<BlobHash, &[u8]>) -> sqlx::Result<()> {
    if blobs.is_empty() {
        return Ok(());
    }
    let row = |(hash, bytes): (&BlobHash, &&[u8])| SmallRow { of_blob: hash.to_string(), content: hex::encode(bytes) };
    let rows: Vec<SmallRow> = blobs.iter().map(row).collect();
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => insert_small_sql!(sqlite, "unhex(content)"),
        Dialect::Postgres => insert_small_sql!(postgres, "decode(content, 'hex')"),
    };
    sqlx::query(statement).bind(json(&rows)).execute(conn).await?;
    Ok(())
}

/// The bytes of a blob, if they are kept here.
pub async fn find_small_blob(conn: &mut DbConnection, hash: BlobHash) -> sqlx::Result<Option<Vec<u8>>> {
    let row: Option<(Vec<u8>,)> = sqlx::query_as("select bytes from small_blob where hash = $1")
        .bind(hash.to_string())
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|(bytes,)| bytes))
}

/// Lets `account` read a stored blob. Twice is once.
pub async fn insert_blob_owner(conn: &mut DbConnection, account: AccountId, hash: BlobHash) -> sqlx::Result<()> {
    sqlx::query(
        "insert into blob_owner (account_id, hash)
        values ($1, $2)
        on conflict (account_id, hash) do nothing",
    )
    .bind(account.to_string())
    .bind(hash.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

/// A blob, if `account` owns it.
pub async fn find_owned_blob(
    conn: &mut DbConnection,
    account: AccountId,
    hash: BlobHash,
) -> sqlx::Result<Option<Blob>> {
    let size: Option<(i64,)> = sqlx::query_as(
        "select blob.size
        from blob_owner
        join blob on blob.hash = blob_owner.hash
        where blob_owner.account_id = $1
          and blob_owner.hash = $2",
    )
    .bind(account.to_string())
    .bind(hash.to_string())
    .fetch_optional(conn)
    .await?;
    Ok(size.map(|(size,)| Blob { hash, size: uncount(size) }))
}

/// Bytes of all blobs that `account` owns.
pub async fn sum_owned_bytes(conn: &mut DbConnection, account: AccountId) -> sqlx::Result<u64> {
    let (bytes,): (i64,) = sqlx::query_as(
        "select cast(coalesce(sum(blob.size), 0) as bigint)
        from blob_owner
        join blob on blob.hash = blob_owner.hash
        where blob_owner.account_id = $1",
    )
    .bind(account.to_string())
    .fetch_one(conn)
    .await?;
    Ok(uncount(bytes))
}

/// Records that a job needs a blob, which stays from then on. `false` when it is gone, or going.
pub async fn insert_job_blob(conn: &mut DbConnection, job: JobId, hash: BlobHash, now: Micros) -> sqlx::Result<bool> {
    let used = sqlx::query("update blob set used_at = $2 where hash = $1 and collected_at = 0")
        .bind(hash.to_string())
        .bind(now)
        .execute(&mut *conn)
        .await?;
    if used.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("insert into job_blob (hash, job_id) values ($1, $2) on conflict (hash, job_id) do nothing")
        .bind(hash.to_string())
        .bind(job.to_string())
        .execute(conn)
        .await?;
    Ok(true)
}

/// Some blobs that jobs need, those of the latest jobs first.
pub async fn list_job_blobs(conn: &mut DbConnection, most: i64) -> sqlx::Result<Vec<BlobHash>> {
    let rows: Vec<(String,)> =
        sqlx::query_as("select hash from job_blob group by hash order by max(job_id) desc, hash limit $1")
            .bind(most)
            .fetch_all(conn)
            .await?;
    Ok(rows.iter().map(|(hash,)| id(hash)).collect())
}

/// What a device uploads for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOutput {
    pub lease: LeaseId,
    pub hash: BlobHash,
    pub expires_at: Micros,
}

#[derive(Serialize)]
struct OutputRow {
    lease: String,
    output: String,
    expires: i64,
}

macro_rules! insert_outputs_sql {
    ($engine:ident) => {
        concat!(
            "insert into lease_output (lease_id, hash, expires_at)
            select lease, output, expires from (",
            rows_sql!($engine "$1", lease text, output text, expires bigint),
            ") as new
            where true
            on conflict (lease_id) do nothing"
        )
    };
}

macro_rules! list_outputs_sql {
    ($engine:ident) => {
        concat!("select lease_id, hash from lease_output where lease_id in (", list_sql!($engine "$1"), ")")
    };
}

/// Records leases' outputs, but for those that have one. Returns those that they have.
pub async fn insert_lease_outputs(
    conn: &mut DbConnection,
    outputs: &[NewOutput],
) -> sqlx::Result<BTreeMap<LeaseId, BlobHash>> {
    let row = |output: &NewOutput| OutputRow {
        lease: output.lease.to_string(),
        output: output.hash.to_string(),
        expires: output.expires_at,
    };
    let mut rows: Vec<OutputRow> = outputs.iter().map(row).collect();
    rows.sort_unstable_by(|a, b| a.lease.cmp(&b.lease));
    let (insert, list) = match Dialect::of(conn) {
        Dialect::Sqlite => (insert_outputs_sql!(sqlite), list_outputs_sql!(sqlite)),
        Dialect::Postgres => (insert_outputs_sql!(postgres), list_outputs_sql!(postgres)),
    };
    sqlx::query(insert).bind(json(&rows)).execute(&mut *conn).await?;
    let leases: Vec<&str> = rows.iter().map(|row| row.lease.as_str()).collect();
    let kept: Vec<(String, String)> = sqlx::query_as(list).bind(json(&leases)).fetch_all(conn).await?;
    Ok(kept.iter().map(|(lease, hash)| (id(lease), id(hash))).collect())
}

/// What was uploaded as a lease's output.
pub async fn find_lease_output(conn: &mut DbConnection, lease: LeaseId) -> sqlx::Result<Option<BlobHash>> {
    let row: Option<(String,)> = sqlx::query_as("select hash from lease_output where lease_id = $1")
        .bind(lease.to_string())
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|(hash,)| id(&hash)))
}

/// Forgets the outputs of leases that are over. Those with a receipt are the receipts' own.
pub async fn delete_expired_outputs(conn: &mut DbConnection, now: Micros) -> sqlx::Result<()> {
    sqlx::query("delete from lease_output where expires_at < $1").bind(now).execute(conn).await?;
    Ok(())
}

/// Blobs that nothing refers to.
macro_rules! unreferenced_sql {
    () => {
        " and not exists (select 1 from job_blob where job_blob.hash = blob.hash)
          and not exists (select 1 from receipt where receipt.output_hash = blob.hash)
          and not exists (select 1 from dispute where dispute.signed_output = blob.hash)
          and not exists (select 1 from dispute where dispute.finder_output = blob.hash)
          and not exists (select 1 from lease_output where lease_output.hash = blob.hash)"
    };
}

/// Up to `most` blobs after `after` that nothing refers to and nobody used since `used_before`; among those that are
/// being deleted, such whose deletion began before `stale_before`. In the order of their hashes.
pub async fn list_unused_blobs(
    conn: &mut DbConnection,
    used_before: Micros,
    stale_before: Micros,
    after: Option<BlobHash>,
    most: i64,
) -> sqlx::Result<Vec<BlobHash>> {
    let rows: Vec<(String,)> = sqlx::query_as(concat!(
        "select hash
        from blob
        where used_at < $1
          and collected_at < $2
          and hash > $3",
        unreferenced_sql!(),
        " order by hash
        limit $4"
    ))
    .bind(used_before)
    .bind(stale_before)
    .bind(after.map(|hash| hash.to_string()).unwrap_or_default())
    .bind(most)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(hash,)| id(&hash)).collect())
}

/// Begins to delete a blob: its owners have it no more. `false` when it was used meanwhile, or another has begun.
pub async fn begin_collecting(
    conn: &mut DbConnection,
    hash: BlobHash,
    used_before: Micros,
    stale_before: Micros,
    now: Micros,
) -> sqlx::Result<bool> {
    let begun = sqlx::query(concat!(
        "update blob
        set collected_at = $4
        where hash = $1
          and used_at < $2
          and collected_at < $3",
        unreferenced_sql!()
    ))
    .bind(hash.to_string())
    .bind(used_before)
    .bind(stale_before)
    .bind(now)
    .execute(&mut *conn)
    .await?;
    if begun.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("delete from blob_owner where hash = $1").bind(hash.to_string()).execute(conn).await?;
    Ok(true)
}

/// Forgets a blob whose bytes are gone: the deletion that began at `began_at` has ended.
pub async fn end_collecting(conn: &mut DbConnection, hash: BlobHash, began_at: Micros) -> sqlx::Result<()> {
    sqlx::query(
        "delete from small_blob
        where hash = $1
          and exists (select 1 from blob where blob.hash = small_blob.hash and blob.collected_at = $2)",
    )
    .bind(hash.to_string())
    .bind(began_at)
    .execute(&mut *conn)
    .await?;
    sqlx::query("delete from blob where hash = $1 and collected_at = $2")
        .bind(hash.to_string())
        .bind(began_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// No deletion is under way: the one process that could have begun one has just started.
pub async fn forget_collecting(conn: &mut DbConnection) -> sqlx::Result<()> {
    sqlx::query("update blob set collected_at = 0 where collected_at > 0").execute(conn).await?;
    Ok(())
}
