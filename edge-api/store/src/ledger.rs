//! Money: holds, the legs of transfers, and what the ledger must say of itself at any moment.

use rules::billing::transfer::{BUCKET, Purse, Transfer};
use wire::explorer::Page;
use wire::number::to;
use wire::{AccountId, Credits, JobId, LedgerEntry};

use crate::codec::{optional_id, optional_text};
use crate::db::DbConnection;

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

/// Takes `amount` out of an open hold, to be paid. `false` when the hold has ended or holds less.
pub async fn draw_hold(conn: &mut DbConnection, job: JobId, amount: Credits) -> sqlx::Result<bool> {
    let drawn = sqlx::query(
        "update hold
        set settled = settled + $2
        where hold_id = $1
          and state = 'open'
          and amount - settled >= $2",
    )
    .bind(job.to_string())
    .bind(amount.micros())
    .execute(&mut *conn)
    .await?;
    if drawn.rows_affected() == 0 {
        return Ok(false);
    }
    change_held(conn, job, amount.micros().checked_neg().expect("an amount should have a negative")).await?;
    Ok(true)
}

/// Puts `amount` back into a hold that is still open; a hold that has ended stays as it is.
pub async fn refill_hold(conn: &mut DbConnection, job: JobId, amount: Credits) -> sqlx::Result<()> {
    let refilled = sqlx::query(
        "update hold
        set settled = settled - $2
        where hold_id = $1
          and state = 'open'",
    )
    .bind(job.to_string())
    .bind(amount.micros())
    .execute(&mut *conn)
    .await?;
    if refilled.rows_affected() > 0 {
        change_held(conn, job, amount.micros()).await?;
    }
    Ok(())
}

/// Ends a hold: what was not settled is free to spend again. `false` when it had ended before.
pub async fn release(conn: &mut DbConnection, job: JobId) -> sqlx::Result<bool> {
    let rest: Option<(i64,)> = sqlx::query_as(
        "update hold
        set state = 'released'
        where hold_id = $1
          and state = 'open'
        returning amount - settled",
    )
    .bind(job.to_string())
    .fetch_optional(&mut *conn)
    .await?;
    let Some((rest,)) = rest else {
        return Ok(false);
    };
    change_held(conn, job, rest.checked_neg().expect("an amount should have a negative")).await?;
    Ok(true)
}

async fn change_held(conn: &mut DbConnection, job: JobId, change: i64) -> sqlx::Result<()> {
    sqlx::query(
        "update account
        set held = held + $2
        where account_id = (select account_id from hold where hold_id = $1)",
    )
    .bind(job.to_string())
    .bind(change)
    .execute(conn)
    .await?;
    Ok(())
}

/// Moves the money and writes it down. Rows are locked in account order.
pub async fn post(conn: &mut DbConnection, transfer: &Transfer) -> sqlx::Result<()> {
    for leg in &transfer.legs {
        let statement = match leg.purse {
            Purse::Posted => "update account set posted = posted + $2 where account_id = $1",
            Purse::Pending => "update account set pending = pending + $2 where account_id = $1",
        };
        sqlx::query(statement).bind(leg.account.to_string()).bind(leg.amount.micros()).execute(&mut *conn).await?;
        sqlx::query(
            "insert into ledger_entry (kind, job_id, device_id, bucket, account_id, purse, amount)
            values ($1, $2, $3, $4, $5, $6, $7)
            on conflict (account_id, kind, job_id, device_id, bucket, purse)
            do update set amount = ledger_entry.amount + excluded.amount",
        )
        .bind(transfer.kind.name())
        .bind(optional_text(transfer.job))
        .bind(optional_text(transfer.device))
        .bind(transfer.bucket)
        .bind(leg.account.to_string())
        .bind(leg.purse.name())
        .bind(leg.amount.micros())
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
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

/// An account's entries, newest first.
pub async fn list_entries(
    conn: &mut DbConnection,
    account: AccountId,
    after: Option<EntryCursor>,
    most: i64,
) -> sqlx::Result<Page<LedgerEntry>> {
    let after = after.unwrap_or(EntryCursor {
        bucket: i64::MAX,
        kind: String::new(),
        job: String::new(),
        device: String::new(),
        purse: String::new(),
    });
    let mut rows: Vec<EntryRow> = sqlx::query_as(
        "select bucket, kind, job_id, device_id, purse, amount
        from ledger_entry
        where account_id = $1
          and (bucket < $2 or (bucket = $2 and (kind, job_id, device_id, purse) > ($3, $4, $5, $6)))
        order by bucket desc, kind, job_id, device_id, purse
        limit $7",
    )
    .bind(account.to_string())
    .bind(after.bucket)
    .bind(after.kind)
    .bind(after.job)
    .bind(after.device)
    .bind(after.purse)
    .bind(most.saturating_add(1))
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

/// What the ledger must say of itself at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Sum of every ledger entry.
    pub sum: i64,
    /// Accounts whose balances are not the sum of their entries.
    pub accounts_off: i64,
    /// Accounts whose `held` is not the rest of their open holds.
    pub holds_off: i64,
    /// Jobs whose cost is not the sum of their accepted receipts.
    pub jobs_off: i64,
}

impl Audit {
    pub const CLEAN: Self = Self { sum: 0, accounts_off: 0, holds_off: 0, jobs_off: 0 };
}

pub async fn audit(conn: &mut DbConnection) -> sqlx::Result<Audit> {
    let (sum, accounts_off, holds_off, jobs_off): (i64, i64, i64, i64) =
        sqlx::query_as(include_str!("audit.sql")).fetch_one(conn).await?;
    Ok(Audit { sum, accounts_off, holds_off, jobs_off })
}
