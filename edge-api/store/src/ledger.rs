//! Money: holds, and the legs of transfers.

use std::collections::BTreeMap;

use rules::billing::transfer::{ASSET, BUCKET, HoldDraw, Purse, Transfer};
use serde::Serialize;
use wire::explorer::Page;
use wire::number::to;
use wire::{AccountId, Credits, JobId, LedgerEntry, Micros};

use crate::codec::{id, json, optional_id, optional_text};
use crate::db::{DbConnection, Dialect};
use crate::list::{list_sql, rows_sql};

/// Sets `amount` aside for a job. `false` when the account cannot cover it: nothing was written.
pub async fn hold(conn: &mut DbConnection, job: JobId, account: AccountId, amount: Credits) -> sqlx::Result<bool> {
    let covered = sqlx::query(
        "update account
        set held = held + $2
        where account_id = $1
          and posted - held >= $2",
    )
    .bind(account.to_string())
    .bind(amount.micros())
    .execute(&mut *conn)
    .await?;
    if covered.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(
        "insert into hold (hold_id, account_id, amount, settled, state)
        values ($1, $2, $3, 0, 'open')",
    )
    .bind(job.to_string())
    .bind(account.to_string())
    .bind(amount.micros())
    .execute(conn)
    .await?;
    Ok(true)
}

/// What transfers change in one account's row.
#[derive(Clone, Copy, Debug, Default)]
struct BalanceChange {
    posted: i64,
    pending: i64,
    held: i64,
}

/// A row of `ledger_entry`, as a list of them is bound.
#[derive(Serialize)]
struct NewEntry<'a> {
    kind: &'static str,
    reference: &'a str,
    account: String,
    purse: &'static str,
    asset: &'static str,
    amount: i64,
    job: String,
    device: String,
    bucket: i64,
    at: Micros,
}

macro_rules! insert_entries_sql {
    ($entries:literal) => {
        concat!(
            "insert into ledger_entry (kind, reference, account_id, purse, asset, amount, job_id, device_id, bucket, created_at) ",
            $entries
        )
    };
}

/// Moves the money of transfers and writes it down: holds first, in the order of their jobs, and then accounts, in the order
/// of their ids. `false` when a hold has ended or holds less: roll the transaction back.
///
/// A transfer that the ledger holds already is an error, by its key.
pub async fn post(conn: &mut DbConnection, transfers: &[Transfer]) -> sqlx::Result<bool> {
    post_with(conn, transfers, BTreeMap::new()).await
}

/// Ends a job's hold, so that what was not settled is free to spend again, and moves the money of transfers. A hold
/// that has ended stays as it is.
pub async fn release_and_post(conn: &mut DbConnection, job: JobId, transfers: &[Transfer]) -> sqlx::Result<bool> {
    let rest: Option<(String, i64)> = sqlx::query_as(
        "update hold
        set state = 'released'
        where hold_id = $1
          and state = 'open'
        returning account_id, amount - settled",
    )
    .bind(job.to_string())
    .fetch_optional(&mut *conn)
    .await?;
    let released =
        rest.map(|(account, rest)| (id(&account), BalanceChange { held: -rest, ..BalanceChange::default() }));
    post_with(conn, transfers, released.into_iter().collect()).await
}

async fn post_with(
    conn: &mut DbConnection,
    transfers: &[Transfer],
    mut changes: BTreeMap<AccountId, BalanceChange>,
) -> sqlx::Result<bool> {
    let mut draws: BTreeMap<JobId, HoldDraw> = BTreeMap::new();
    for transfer in transfers {
        for leg in &transfer.legs {
            let change = changes.entry(leg.account).or_default();
            match leg.purse {
                Purse::Posted => change.posted += leg.amount.micros(),
                Purse::Pending => change.pending += leg.amount.micros(),
            }
        }
        if let (Some(job), Some(hold)) = (transfer.job, transfer.hold) {
            let draw = draws.entry(job).or_insert(HoldDraw { amount: Credits::ZERO, ..hold });
            draw.amount = Credits::from_micros(draw.amount.micros() + hold.amount.micros());
        }
    }
    for (job, HoldDraw { customer, amount }) in draws {
        match draw_hold(conn, job, amount).await? {
            Drawn::FromOpen => changes.entry(customer).or_default().held -= amount.micros(),
            Drawn::FromReleased => {}
            Drawn::NotCovered => return Ok(false),
        }
    }
    change_balances(conn, changes).await?;
    insert_entries(conn, transfers).await?;
    Ok(true)
}

enum Drawn {
    FromOpen,
    /// It has ended: what comes back is free to spend.
    FromReleased,
    NotCovered,
}

async fn draw_hold(conn: &mut DbConnection, job: JobId, amount: Credits) -> sqlx::Result<Drawn> {
    let drawn: Option<(String,)> = sqlx::query_as(
        "update hold
        set settled = settled + $2
        where hold_id = $1
          and (state = 'open' or $2 <= 0)
          and amount - settled >= $2
        returning state",
    )
    .bind(job.to_string())
    .bind(amount.micros())
    .fetch_optional(conn)
    .await?;
    Ok(match drawn {
        Some((state,)) if state == "open" => Drawn::FromOpen,
        Some(_) => Drawn::FromReleased,
        None => Drawn::NotCovered,
    })
}

macro_rules! lock_accounts_sql {
    ($engine:ident, $lock:literal) => {
        concat!(
            "select account_id from account where kind in ('customer', 'guest') and account_id in (",
            list_sql!($engine "$1"),
            ") order by account_id",
            $lock
        )
    };
}

#[derive(Serialize)]
struct ChangeRow {
    of_account: String,
    to_posted: i64,
    to_pending: i64,
    to_held: i64,
}

macro_rules! change_balances_sql {
    ($engine:ident) => {
        concat!(
            "update account
            set posted = posted + change.to_posted, pending = pending + change.to_pending, held = held + change.to_held
            from (",
            rows_sql!($engine "$1", of_account text, to_posted bigint, to_pending bigint, to_held bigint),
            ") as change
            where account.account_id = change.of_account
              and account.kind in ('customer', 'guest')"
        )
    };
}

/// All at once: an account whose purses and hold were changed one after another would break its own rules in between.
/// The platform's accounts have no balance: it is the sum of their entries.
async fn change_balances(conn: &mut DbConnection, changes: BTreeMap<AccountId, BalanceChange>) -> sqlx::Result<()> {
    let row = |(account, change): (&AccountId, &BalanceChange)| ChangeRow {
        of_account: account.to_string(),
        to_posted: change.posted,
        to_pending: change.pending,
        to_held: change.held,
    };
    let rows: Vec<ChangeRow> = changes.iter().map(row).collect();
    let accounts: Vec<&str> = rows.iter().map(|row| row.of_account.as_str()).collect();
    let (lock, change) = match Dialect::of(conn) {
        Dialect::Sqlite => (lock_accounts_sql!(sqlite, ""), change_balances_sql!(sqlite)),
        Dialect::Postgres => (lock_accounts_sql!(postgres, " for no key update"), change_balances_sql!(postgres)),
    };
    if accounts.len() > 1 {
        sqlx::query(lock).bind(json(&accounts)).fetch_all(&mut *conn).await?;
    }
    if !accounts.is_empty() {
        sqlx::query(change).bind(json(&rows)).execute(conn).await?;
    }
    Ok(())
}

async fn insert_entries(conn: &mut DbConnection, transfers: &[Transfer]) -> sqlx::Result<()> {
    let entries = transfers.iter().flat_map(|transfer| {
        transfer.legs.iter().map(|leg| NewEntry {
            kind: transfer.kind.name(),
            reference: &transfer.reference,
            account: leg.account.to_string(),
            purse: leg.purse.name(),
            asset: ASSET,
            amount: leg.amount.micros(),
            job: optional_text(transfer.job),
            device: optional_text(transfer.device),
            bucket: transfer.at.div_euclid(BUCKET),
            at: transfer.at,
        })
    });
    let entries: Vec<NewEntry<'_>> = entries.collect();
    if entries.is_empty() {
        return Ok(());
    }
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => insert_entries_sql!(
            "select value ->> 'kind', value ->> 'reference', value ->> 'account', value ->> 'purse', value ->> 'asset',
                    value ->> 'amount', value ->> 'job', value ->> 'device', value ->> 'bucket', value ->> 'at'
            from json_each($1)"
        ),
        Dialect::Postgres => insert_entries_sql!(
            "select kind, reference, account, purse, asset, amount, job, device, bucket, at
            from jsonb_to_recordset($1::jsonb)
                as entry (kind text, reference text, account text, purse text, asset text, amount bigint, job text,
                          device text, bucket bigint, at bigint)"
        ),
    };
    sqlx::query(statement).bind(json(&entries)).execute(conn).await?;
    Ok(())
}

/// The sum of a platform account's entries: what is its own, and what it may yet lose.
pub async fn find_platform_balance(conn: &mut DbConnection, account: AccountId) -> sqlx::Result<(Credits, Credits)> {
    let (posted, pending): (i64, i64) = sqlx::query_as(
        "select cast(coalesce(sum(case when purse = 'posted' then amount else 0 end), 0) as bigint),
                cast(coalesce(sum(case when purse = 'pending' then amount else 0 end), 0) as bigint)
        from ledger_entry
        where account_id = $1",
    )
    .bind(account.to_string())
    .fetch_one(conn)
    .await?;
    Ok((Credits::from_micros(posted), Credits::from_micros(pending)))
}

/// Where a list of entries goes on: the key of the last row shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryCursor {
    bucket: i64,
    kind: String,
    job: String,
    device: String,
    purse: String,
}

impl EntryCursor {
    /// From what [`Page::next`] said.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        let [bucket, kind, job, device, purse] = parts.try_into().ok()?;
        Some(Self {
            bucket: bucket.parse().ok()?,
            kind: kind.to_owned(),
            job: job.to_owned(),
            device: device.to_owned(),
            purse: purse.to_owned(),
        })
    }
}

#[derive(sqlx::FromRow)]
struct EntryRow {
    bucket: i64,
    kind: String,
    job_id: String,
    device_id: String,
    purse: String,
    amount: i64,
}

/// Which of an account's entries a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    All,
    /// Those that are about no job.
    WithoutJob,
}

/// An account's entries, newest first: those of one kind, job, device, purse and ten seconds in one row.
pub async fn list_entries(
    conn: &mut DbConnection,
    account: AccountId,
    which: Entries,
    after: Option<EntryCursor>,
    most: i64,
) -> sqlx::Result<Page<LedgerEntry>> {
    // No name or id sorts after a tilde.
    let last = || "~".to_owned();
    let first = EntryCursor { bucket: i64::MAX, kind: last(), job: last(), device: last(), purse: last() };
    let after = after.unwrap_or(first);
    let mut rows: Vec<EntryRow> = sqlx::query_as(
        "select bucket, kind, job_id, device_id, purse, cast(sum(amount) as bigint) as amount
        from ledger_entry
        where account_id = $1
          and (bucket, kind, job_id, device_id, purse) < ($2, $3, $4, $5, $6)
          and ($8 = 0 or job_id = '')
        group by bucket, kind, job_id, device_id, purse
        order by bucket desc, kind desc, job_id desc, device_id desc, purse desc
        limit $7",
    )
    .bind(account.to_string())
    .bind(after.bucket)
    .bind(after.kind)
    .bind(after.job)
    .bind(after.device)
    .bind(after.purse)
    .bind(most.saturating_add(1))
    .bind(i64::from(which == Entries::WithoutJob))
    .fetch_all(conn)
    .await?;
    let most = to(most);
    let more = rows.len() > most;
    rows.truncate(most);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|row| format!("{}.{}.{}.{}.{}", row.bucket, row.kind, row.job_id, row.device_id, row.purse));
    let entry = |row: EntryRow| LedgerEntry {
        at: row.bucket.saturating_mul(BUCKET),
        kind: row.kind,
        purse: row.purse,
        amount: Credits::from_micros(row.amount),
        job: optional_id(&row.job_id),
        device: optional_id(&row.device_id),
    };
    Ok(Page { rows: rows.into_iter().map(entry).collect(), next })
}
