//! Guests: accounts that are bound to a device's key. One that never earned and is not coming back is forgotten.

use wire::{AccountId, Micros};

use crate::codec::id;
use crate::db::DbConnection;

/// Up to `most` guests after `after` who own nothing, whose devices were last seen before `seen_before`, and whom
/// nothing else is about. In the order of their ids.
pub async fn list_dead_guests(
    conn: &mut DbConnection,
    seen_before: Micros,
    after: Option<AccountId>,
    most: i64,
) -> sqlx::Result<Vec<AccountId>> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "select account_id
        from account
        where kind = 'guest'
          and created_at < $1
          and account_id > $2
          and posted = 0 and held = 0 and pending = 0
          and not exists (select 1 from device where device.account_id = account.account_id and device.seen_at >= $1)
          and not exists (
            select 1
            from device
            join presence on presence.device_id = device.device_id
            where device.account_id = account.account_id
          )
          and not exists (
            select 1
            from device
            join receipt on receipt.device_id = device.device_id
            where device.account_id = account.account_id
          )
          and not exists (select 1 from ledger_entry where ledger_entry.account_id = account.account_id)
          and not exists (select 1 from job where job.account_id = account.account_id)
          and not exists (select 1 from blob_owner where blob_owner.account_id = account.account_id)
          and not exists (select 1 from account_key where account_key.account_id = account.account_id)
        order by account_id
        limit $3",
    )
    .bind(seen_before)
    .bind(after.map(|account| account.to_string()).unwrap_or_default())
    .bind(most)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(account,)| id(&account)).collect())
}

/// Forgets a guest and its devices. Fails where a device came back, or where something refers to them after all:
/// then the transaction must not be committed.
pub async fn delete_guest(conn: &mut DbConnection, guest: AccountId, seen_before: Micros) -> sqlx::Result<()> {
    let guest = guest.to_string();
    for statement in [
        "delete from device_day where device_id in (select device_id from device where account_id = $1 and seen_at < $2)",
        "delete from device where account_id = $1 and seen_at < $2",
        "delete from account where account_id = $1 and kind = 'guest' and created_at < $2",
    ] {
        sqlx::query(statement).bind(&guest).bind(seen_before).execute(&mut *conn).await?;
    }
    Ok(())
}
