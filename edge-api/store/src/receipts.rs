//! Devices' signed statements and what became of them.

use rules::billing::bill::Charge;
use sqlx::FromRow;
use wire::device::Backend;
use wire::explorer::ReceiptState;
use wire::number::to;
use wire::{
    AccountId, CheckRule, CheckedBy, Credits, DeviceId, JobId, LeaseId, Micros, Receipt, Signature, SliceId, TileHash,
};

use crate::codec::{count, id, json, named, uncount};
use crate::db::{DbConnection, Dialect};
use crate::list::list_sql;

/// Receipts as [`StoredReceipt`] reads them: selected, or as an update left them.
macro_rules! receipts_sql {
    (select $($rest:expr),+) => {
        concat!("select ", receipts_sql!(columns), " from receipt ", $($rest),+)
    };
    (update $($rest:expr),+) => {
        concat!("update receipt ", $($rest),+, " returning ", receipts_sql!(columns))
    };
    (columns) => {
        "lease_id, job_id, slice_id, device_id, account_id, first_tile, tiles, root, output_hash, program, backend,
         device_time, cost, fee, kflop, flops_left, recomputed, state,
         (select job.account_id from job where job.job_id = receipt.job_id) as customer_id"
    };
}

macro_rules! pending_receipts_sql {
    ($engine:ident) => {
        receipts_sql!(
            select
            "where state = 'pending' and slice_id in (", list_sql!($engine "$1"), ") order by lease_id"
        )
    };
}

#[derive(FromRow)]
struct ReceiptRow {
    lease_id: String,
    job_id: String,
    slice_id: String,
    device_id: String,
    account_id: String,
    first_tile: i64,
    tiles: i64,
    root: String,
    output_hash: String,
    program: String,
    backend: String,
    device_time: i64,
    cost: i64,
    fee: i64,
    kflop: i64,
    flops_left: i64,
    recomputed: i64,
    state: String,
    customer_id: String,
}

/// A receipt with who is paid for it, and by whom.
#[derive(Clone, Debug)]
pub struct StoredReceipt {
    pub receipt: Receipt,
    pub slice: SliceId,
    pub device: DeviceId,
    pub provider: AccountId,
    pub customer: AccountId,
    pub charge: Charge,
    pub kflop: u64,
    /// Operations that were not needed of those that the lease was lent for.
    pub flops_left: u64,
    /// Tiles that others computed again before it was settled.
    pub recomputed: u64,
}

impl From<ReceiptRow> for StoredReceipt {
    fn from(row: ReceiptRow) -> Self {
        let root: TileHash = id(&row.root);
        Self {
            receipt: Receipt {
                lease: id(&row.lease_id),
                job: id(&row.job_id),
                first_tile: uncount(row.first_tile),
                tiles: to(row.tiles),
                root,
                output: id(&row.output_hash),
                program: row.program,
                backend: named(&Backend::ALL, Backend::name, &row.backend),
                time: row.device_time,
            },
            slice: id(&row.slice_id),
            device: id(&row.device_id),
            provider: id(&row.account_id),
            customer: id(&row.customer_id),
            charge: Charge { cost: Credits::from_micros(row.cost), fee: Credits::from_micros(row.fee) },
            kflop: uncount(row.kflop),
            flops_left: uncount(row.flops_left),
            recomputed: uncount(row.recomputed),
        }
    }
}

/// Stores a receipt that awaits its check. Twice is once.
pub async fn insert_pending_receipt(
    conn: &mut DbConnection,
    receipt: &Receipt,
    signature: Signature,
    slice: SliceId,
    device: DeviceId,
    now: Micros,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into receipt (lease_id, job_id, slice_id, device_id, account_id, first_tile, tiles, root, output_hash, program,
                              backend, device_time, signature, state, cost, fee, kflop, recomputed, matures_at, created_at)
        values ($1, $2, $3, $4, (select account_id from device where device_id = $4), $5, $6, $7, $8, $9,
                $10, $11, $12, 'pending', 0, 0, 0, 0, 0, $13)
        on conflict (lease_id) do nothing",
    )
    .bind(receipt.lease.to_string())
    .bind(receipt.job.to_string())
    .bind(slice.to_string())
    .bind(device.to_string())
    .bind(count(receipt.first_tile))
    .bind(i64::from(receipt.tiles))
    .bind(receipt.root.to_string())
    .bind(receipt.output.to_string())
    .bind(&receipt.program)
    .bind(receipt.backend.name())
    .bind(receipt.time)
    .bind(signature.to_string())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Receipts of these slices that await a check.
pub async fn list_pending_receipts(conn: &mut DbConnection, slices: &[SliceId]) -> sqlx::Result<Vec<StoredReceipt>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => pending_receipts_sql!(sqlite),
        Dialect::Postgres => pending_receipts_sql!(postgres),
    };
    let rows: Vec<ReceiptRow> = sqlx::query_as(statement).bind(json(&slices)).fetch_all(conn).await?;
    Ok(rows.into_iter().map(StoredReceipt::from).collect())
}

/// Tiles of a job that are computed and await their check: where each lease's begin, and how many.
pub async fn list_tiles_in_check(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Vec<(u64, u64)>> {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("select first_tile, tiles from receipt where job_id = $1 and state = 'pending'")
            .bind(job.to_string())
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(|(first, tiles)| (uncount(first), uncount(tiles))).collect())
}

/// Receipts of a job that are settled and not mature.
pub async fn list_accepted_receipts(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Vec<StoredReceipt>> {
    let rows: Vec<ReceiptRow> =
        sqlx::query_as(receipts_sql!(select "where job_id = $1 and state = 'accepted' order by first_tile"))
            .bind(job.to_string())
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(StoredReceipt::from).collect())
}

/// What an accepted receipt is paid, and how it was checked.
#[derive(Clone, Copy, Debug)]
pub struct Acceptance {
    /// Floating-point operations, in thousands.
    pub kflop: u64,
    /// Operations that were not needed of those that the lease was lent for.
    pub flops_left: u64,
    pub charge: Charge,
    pub recomputed: u64,
    pub checked_by: CheckedBy,
    pub rule: CheckRule,
    /// It matures once so much of its device's work in this program is verified, in thousands of operations.
    pub matures_at: u64,
    pub now: Micros,
}

/// `false` when the receipt no longer awaits its check: nothing was written.
pub async fn accept_receipt(conn: &mut DbConnection, lease: LeaseId, acceptance: Acceptance) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update receipt
        set state = 'accepted', cost = $2, fee = $3, recomputed = $4, matures_at = $5, kflop = $6, flops_left = $7,
            settled_at = $8, checked_by = $9, check_rule = $10,
            account_id = (select device.account_id from device where device.device_id = receipt.device_id)
        where lease_id = $1
          and state = 'pending'",
    )
    .bind(lease.to_string())
    .bind(acceptance.charge.cost.micros())
    .bind(acceptance.charge.fee.micros())
    .bind(count(acceptance.recomputed))
    .bind(count(acceptance.matures_at))
    .bind(count(acceptance.kflop))
    .bind(count(acceptance.flops_left))
    .bind(acceptance.now)
    .bind(acceptance.checked_by.name())
    .bind(json(&acceptance.rule))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a device has not yet been paid for good belongs to `account` from here on.
pub async fn reassign_receipts(conn: &mut DbConnection, device: DeviceId, account: AccountId) -> sqlx::Result<()> {
    sqlx::query("update receipt set account_id = $2 where device_id = $1 and state in ('pending', 'accepted')")
        .bind(device.to_string())
        .bind(account.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// The receipt came to nothing before it was settled: rejected, or void where nobody is to blame. `false` when it no longer
/// awaits a check.
pub async fn end_pending_receipt(conn: &mut DbConnection, lease: LeaseId, state: ReceiptState) -> sqlx::Result<bool> {
    let done = sqlx::query("update receipt set state = $2 where lease_id = $1 and state = 'pending'")
        .bind(lease.to_string())
        .bind(state.name())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A settled receipt comes to nothing after all: rejected, or void where nobody is to blame. Returns what is to be taken
/// back; `None` when it is mature, or was never settled.
pub async fn end_accepted_receipt(
    conn: &mut DbConnection,
    lease: LeaseId,
    state: ReceiptState,
) -> sqlx::Result<Option<StoredReceipt>> {
    let row: Option<ReceiptRow> = sqlx::query_as(receipts_sql!(
        update "set state = $2
        where lease_id = $1
          and state = 'accepted'"
    ))
    .bind(lease.to_string())
    .bind(state.name())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(StoredReceipt::from))
}

/// A receipt with what became of it.
pub async fn find_receipt(
    conn: &mut DbConnection,
    lease: LeaseId,
) -> sqlx::Result<Option<(StoredReceipt, ReceiptState)>> {
    let row: Option<ReceiptRow> = sqlx::query_as(receipts_sql!(select "where lease_id = $1"))
        .bind(lease.to_string())
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| {
        let state = named(&ReceiptState::ALL, ReceiptState::name, &row.state);
        (StoredReceipt::from(row), state)
    }))
}

/// Receipts of an ended job that await a check, which nobody makes any more.
pub async fn void_pending_receipts_of_job(conn: &mut DbConnection, job: JobId) -> sqlx::Result<()> {
    sqlx::query("update receipt set state = 'void' where job_id = $1 and state = 'pending'")
        .bind(job.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// What a device was promised and not yet given.
pub async fn list_accepted_receipts_of_device(
    conn: &mut DbConnection,
    device: DeviceId,
) -> sqlx::Result<Vec<StoredReceipt>> {
    let rows: Vec<ReceiptRow> =
        sqlx::query_as(receipts_sql!(select "where device_id = $1 and state = 'accepted' order by lease_id"))
            .bind(device.to_string())
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(StoredReceipt::from).collect())
}

/// Matures a device's accepted receipts of a program once others have verified so much of its work in it, but for those
/// that are being drawn from once more; returns them.
pub async fn mature_receipts_of_device(
    conn: &mut DbConnection,
    device: DeviceId,
    program: &str,
    verified_kflop: u64,
) -> sqlx::Result<Vec<StoredReceipt>> {
    let rows: Vec<ReceiptRow> = sqlx::query_as(receipts_sql!(
        update "set state = 'matured'
        where device_id = $1
          and state = 'accepted'
          and matures_at <= $2
          and program like $3
          and not exists (
            select 1
            from verdict
            where verdict.lease_id = receipt.lease_id
              and verdict.state = 'open'
          )"
    ))
    .bind(device.to_string())
    .bind(count(verified_kflop))
    .bind(format!("{program}/%"))
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(StoredReceipt::from).collect())
}

/// Matures what is left of a job's accepted receipts; returns them.
pub async fn mature_receipts_of_job(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Vec<StoredReceipt>> {
    let rows: Vec<ReceiptRow> = sqlx::query_as(receipts_sql!(
        update "set state = 'matured'
        where job_id = $1
          and state = 'accepted'"
    ))
    .bind(job.to_string())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(StoredReceipt::from).collect())
}
