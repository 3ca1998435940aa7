use sqlx::FromRow;
use wire::{Account, AccountId, AccountKind, Credits, Micros};

use crate::db::{DbConnection, flag, id};

#[derive(FromRow)]
struct AccountRow {
    account_id: String,
    kind: String,
    name: String,
    verified: i64,
    posted: i64,
    held: i64,
    pending: i64,
    created_at: i64,
}

/// A new account with nothing in it. `kind` is a word of the `account` table.
pub async fn insert_account(
    conn: &mut DbConnection,
    account: AccountId,
    kind: &str,
    name: &str,
    now: Micros,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into account (account_id, kind, name, verified, posted, held, pending, created_at)
        values ($1, $2, $3, 0, 0, 0, 0, $4)",
    )
    .bind(account.to_string())
    .bind(kind)
    .bind(name)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn insert_key(conn: &mut DbConnection, account: AccountId, key_hash: &str, now: Micros) -> sqlx::Result<()> {
    sqlx::query("insert into account_key (key_hash, account_id, created_at) values ($1, $2, $3)")
        .bind(key_hash)
        .bind(account.to_string())
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn insert_session(
    conn: &mut DbConnection,
    account: AccountId,
    token_hash: &str,
    expires_at: Micros,
) -> sqlx::Result<()> {
    sqlx::query("insert into session (token_hash, account_id, expires_at) values ($1, $2, $3)")
        .bind(token_hash)
        .bind(account.to_string())
        .bind(expires_at)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn delete_expired_sessions(conn: &mut DbConnection, now: Micros) -> sqlx::Result<()> {
    sqlx::query("delete from session where expires_at <= $1").bind(now).execute(conn).await?;
    Ok(())
}

pub async fn find_account_by_key(conn: &mut DbConnection, key_hash: &str) -> sqlx::Result<Option<AccountId>> {
    let row: Option<(String,)> = sqlx::query_as("select account_id from account_key where key_hash = $1")
        .bind(key_hash)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|(account,)| id(&account)))
}

pub async fn find_account_by_session(
    conn: &mut DbConnection,
    token_hash: &str,
    now: Micros,
) -> sqlx::Result<Option<AccountId>> {
    let row: Option<(String,)> =
        sqlx::query_as("select account_id from session where token_hash = $1 and expires_at > $2")
            .bind(token_hash)
            .bind(now)
            .fetch_optional(conn)
            .await?;
    Ok(row.map(|(account,)| id(&account)))
}

/// The account as its owner sees it. `development` is the server's mode.
pub async fn find_account(
    conn: &mut DbConnection,
    account: AccountId,
    development: bool,
) -> sqlx::Result<Option<Account>> {
    let row: Option<AccountRow> = sqlx::query_as(
        "select account_id, kind, name, verified, posted, held, pending, created_at
        from account
        where account_id = $1
          and kind in ('customer', 'guest')",
    )
    .bind(account.to_string())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Account {
        id: id(&row.account_id),
        kind: if row.kind == "guest" { AccountKind::Guest } else { AccountKind::Customer },
        name: row.name,
        verified: row.verified != 0,
        available: Credits::from_micros(row.posted - row.held),
        held: Credits::from_micros(row.held),
        pending: Credits::from_micros(row.pending),
        created_at: row.created_at,
        development,
    }))
}

/// Marks an account as known to the operator. `false` when there is none.
pub async fn verify_account(conn: &mut DbConnection, account: AccountId) -> sqlx::Result<bool> {
    let done = sqlx::query("update account set verified = $2 where account_id = $1 and kind = 'customer'")
        .bind(account.to_string())
        .bind(flag(true))
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// The platform's own account of a kind, made on first use.
pub async fn ensure_platform_account(
    conn: &mut DbConnection,
    account: AccountId,
    kind: &str,
    now: Micros,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into account (account_id, kind, name, verified, posted, held, pending, created_at)
        values ($1, $2, $2, 0, 0, 0, 0, $3)
        on conflict (account_id) do nothing",
    )
    .bind(account.to_string())
    .bind(kind)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}
