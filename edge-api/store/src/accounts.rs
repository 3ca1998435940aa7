//! Accounts, their keys and sessions.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::FromRow;
use wire::{Account, AccountId, AccountKey, AccountKind, Credits, Micros};

use crate::codec::{flag, id, json, named};
use crate::db::{DbConnection, Dialect};
use crate::list::list_sql;

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

/// A new account with nothing in it.
pub async fn insert_account(
    conn: &mut DbConnection,
    account: AccountId,
    kind: AccountKind,
    name: &str,
    now: Micros,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into account (account_id, kind, name, verified, posted, held, pending, created_at)
        values ($1, $2, $3, 0, 0, 0, 0, $4)",
    )
    .bind(account.to_string())
    .bind(kind_name(kind))
    .bind(name)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

fn kind_name(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Customer => "customer",
        AccountKind::Guest => "guest",
    }
}

/// A key as it is stored: never the secret itself.
#[derive(Clone, Copy, Debug)]
pub struct NewKeyRow<'a> {
    pub key_hash: &'a str,
    pub name: &'a str,
    /// The secret's last characters.
    pub hint: &'a str,
}

pub async fn insert_key(
    conn: &mut DbConnection,
    account: AccountId,
    key: NewKeyRow<'_>,
    now: Micros,
) -> sqlx::Result<()> {
    sqlx::query("insert into account_key (key_hash, account_id, name, hint, created_at) values ($1, $2, $3, $4, $5)")
        .bind(key.key_hash)
        .bind(account.to_string())
        .bind(key.name)
        .bind(key.hint)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// An account's keys, oldest first. A key's id is the beginning of its hash.
pub async fn list_keys(conn: &mut DbConnection, account: AccountId) -> sqlx::Result<Vec<AccountKey>> {
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "select key_hash, name, hint, created_at from account_key where account_id = $1 order by created_at, key_hash",
    )
    .bind(account.to_string())
    .fetch_all(conn)
    .await?;
    let key = |(hash, name, hint, created_at): (String, String, String, i64)| AccountKey {
        id: key_id(&hash).to_owned(),
        name,
        hint,
        created_at,
    };
    Ok(rows.into_iter().map(key).collect())
}

/// What names a key to its owner.
pub fn key_id(key_hash: &str) -> &str {
    key_hash.get(..16).unwrap_or(key_hash)
}

/// Deletes a key and the sessions that were opened with it; returns its hash. `None` when the account has no such key.
pub async fn delete_key(conn: &mut DbConnection, account: AccountId, key: &str) -> sqlx::Result<Option<String>> {
    let deleted: Option<(String,)> = sqlx::query_as(
        "delete from account_key where account_id = $1 and substr(key_hash, 1, 16) = $2 returning key_hash",
    )
    .bind(account.to_string())
    .bind(key)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((key_hash,)) = deleted else { return Ok(None) };
    sqlx::query("delete from session where key_hash = $1").bind(&key_hash).execute(conn).await?;
    Ok(Some(key_hash))
}

pub async fn delete_session(conn: &mut DbConnection, token_hash: &str) -> sqlx::Result<()> {
    sqlx::query("delete from session where token_hash = $1").bind(token_hash).execute(conn).await?;
    Ok(())
}

/// A session that was opened with a key, and ends with it.
pub async fn insert_session(
    conn: &mut DbConnection,
    account: AccountId,
    (token_hash, key_hash): (&str, &str),
    expires_at: Micros,
) -> sqlx::Result<()> {
    sqlx::query("insert into session (token_hash, account_id, expires_at, key_hash) values ($1, $2, $3, $4)")
        .bind(token_hash)
        .bind(account.to_string())
        .bind(expires_at)
        .bind(key_hash)
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

/// A session's account, and the hash of the key that it was opened with.
pub async fn find_account_by_session(
    conn: &mut DbConnection,
    token_hash: &str,
    now: Micros,
) -> sqlx::Result<Option<(AccountId, String)>> {
    let row: Option<(String, String)> =
        sqlx::query_as("select account_id, key_hash from session where token_hash = $1 and expires_at > $2")
            .bind(token_hash)
            .bind(now)
            .fetch_optional(conn)
            .await?;
    Ok(row.map(|(account, key_hash)| (id(&account), key_hash)))
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
        kind: named(&[AccountKind::Customer, AccountKind::Guest], kind_name, &row.kind),
        name: row.name,
        verified: row.verified != 0,
        available: Credits::from_micros(row.posted - row.held),
        held: Credits::from_micros(row.held),
        pending: Credits::from_micros(row.pending),
        created_at: row.created_at,
        development,
    }))
}

macro_rules! balances_sql {
    ($engine:ident) => {
        concat!(
            "select account_id, posted - held, pending from account where account_id in (",
            list_sql!($engine "$1"),
            ")"
        )
    };
}

/// What accounts may spend, and what they may yet lose.
pub async fn list_balances(
    conn: &mut DbConnection,
    accounts: &BTreeSet<AccountId>,
) -> sqlx::Result<BTreeMap<AccountId, (Credits, Credits)>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => balances_sql!(sqlite),
        Dialect::Postgres => balances_sql!(postgres),
    };
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(statement).bind(json(accounts)).fetch_all(conn).await?;
    let balance = |(account, available, pending): (String, i64, i64)| {
        (id(&account), (Credits::from_micros(available), Credits::from_micros(pending)))
    };
    Ok(rows.into_iter().map(balance).collect())
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

/// The platform's own accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformAccount {
    /// Where a development server's play money comes from; it alone may owe.
    Faucet,
    /// The platform's part of payments.
    Fees,
}

impl PlatformAccount {
    fn name(self) -> &'static str {
        match self {
            Self::Faucet => "faucet",
            Self::Fees => "fees",
        }
    }
}

/// The platform's own account of a kind, made on first use.
pub async fn ensure_platform_account(
    conn: &mut DbConnection,
    account: AccountId,
    kind: PlatformAccount,
    now: Micros,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into account (account_id, kind, name, verified, posted, held, pending, created_at)
        values ($1, $2, $2, 0, 0, 0, 0, $3)
        on conflict (account_id) do nothing",
    )
    .bind(account.to_string())
    .bind(kind.name())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}
