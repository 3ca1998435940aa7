//! Which blobs there are, who may read them, and which of them nothing refers to any more.
//!
//! A blob's row is written before its bytes lie in their place, and deleted after they are gone. What uses a blob
//! renews its time in the same transaction, and so holds its row against a collector.

use wire::{AccountId, Blob, BlobHash, JobId, LeaseId, Micros};

use crate::codec::{count, id, uncount};
use crate::db::DbConnection;

/// Records a blob as used now, whether or not it is known. `false` while it is being deleted: nothing was written.
pub async fn use_blob(conn: &mut DbConnection, blob: &Blob, now: Micros) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into blob (hash, size, used_at, collected_at)
        values ($1, $2, $3, 0)
        on conflict (hash)
        do update set used_at = excluded.used_at
        where blob.collected_at = 0",
    )
    .bind(blob.hash.to_string())
    .bind(count(blob.size))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
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

/// Records a lease's output, unless it has one. The one that it has.
pub async fn insert_lease_output(
    conn: &mut DbConnection,
    lease: LeaseId,
    hash: BlobHash,
    expires_at: Micros,
) -> sqlx::Result<BlobHash> {
    sqlx::query(
        "insert into lease_output (lease_id, hash, expires_at)
        values ($1, $2, $3)
        on conflict (lease_id) do nothing",
    )
    .bind(lease.to_string())
    .bind(hash.to_string())
    .bind(expires_at)
    .execute(&mut *conn)
    .await?;
    let (hash,): (String,) = sqlx::query_as("select hash from lease_output where lease_id = $1")
        .bind(lease.to_string())
        .fetch_one(conn)
        .await?;
    Ok(id(&hash))
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
