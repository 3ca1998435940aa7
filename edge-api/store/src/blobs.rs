//! Which blobs there are, and who may read them.

use wire::{AccountId, Blob, BlobHash};

use crate::codec::{count, uncount};
use crate::db::DbConnection;

/// Records a stored blob and that `account` may read it. Twice is once.
pub async fn insert_owned_blob(conn: &mut DbConnection, account: AccountId, blob: &Blob) -> sqlx::Result<()> {
    sqlx::query(
        "insert into blob (hash, size)
        values ($1, $2)
        on conflict (hash) do nothing",
    )
    .bind(blob.hash.to_string())
    .bind(count(blob.size))
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into blob_owner (account_id, hash)
        values ($1, $2)
        on conflict (account_id, hash) do nothing",
    )
    .bind(account.to_string())
    .bind(blob.hash.to_string())
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
