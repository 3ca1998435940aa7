//! Devices' signed statements and what became of them.

use std::collections::{BTreeMap, BTreeSet};

use rules::billing::bill::Charge;
use serde::Serialize;
use sqlx::FromRow;
use wire::device::Backend;
use wire::explorer::ReceiptState;
use wire::number::to;
use wire::{
    AccountId, CheckRule, CheckedBy, Credits, DeviceId, JobId, LeaseId, Micros, Receipt, Signature, SliceId, TileHash,
};

use crate::codec::{count, id, json, named, uncount};
use crate::db::{DbConnection, Dialect};
use crate::list::{list_sql, rows_sql};
use crate::shares::{self, Work};
use crate::standings::{WorkClass, bound};

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

/// A receipt as a device hands it in.
#[derive(Clone, Debug)]
pub struct NewReceipt {
    pub receipt: Receipt,
    pub signature: Signature,
    pub slice: SliceId,
    pub device: DeviceId,
}

impl NewReceipt {
    /// As it is on record once it was inserted, for its device's account and a customer's job.
    pub fn stored(&self, provider: AccountId, customer: AccountId) -> StoredReceipt {
        StoredReceipt {
            receipt: self.receipt.clone(),
            slice: self.slice,
            device: self.device,
            provider,
            customer,
            charge: Charge::default(),
            kflop: 0,
            flops_left: 0,
            recomputed: 0,
        }
    }
}

#[derive(Serialize)]
struct NewRow<'a> {
    lease: String,
    job: String,
    slice: String,
    device: String,
    first: i64,
    count: i64,
    root: String,
    output: String,
    program: &'a str,
    backend: &'static str,
    device_time: i64,
    signature: String,
}

macro_rules! insert_pending_sql {
    ($engine:ident) => {
        concat!(
            "insert into receipt (lease_id, job_id, slice_id, device_id, account_id, first_tile, tiles, root, output_hash,
                                  program, backend, device_time, signature, state, cost, fee, kflop, recomputed, matures_at,
                                  created_at)
            select new.lease, new.job, new.slice, new.device, device.account_id, new.first, new.count, new.root, new.output,
                   new.program, new.backend, new.device_time, new.signature, 'pending', 0, 0, 0, 0, 0, $2
            from (",
            rows_sql!($engine "$1", lease text, job text, slice text, device text, first bigint, count bigint, root text,
                output text, program text, backend text, device_time bigint, signature text),
            ") as new
            join device on device.device_id = new.device
            where true
            on conflict (lease_id) do nothing
            returning lease_id, account_id"
        )
    };
}

/// Stores receipts that await their check, and returns those that were not on record, with whose their devices are. Twice is
/// once.
pub async fn insert_pending_receipts(
    conn: &mut DbConnection,
    receipts: &[NewReceipt],
    now: Micros,
) -> sqlx::Result<BTreeMap<LeaseId, AccountId>> {
    let mut rows = Vec::new();
    for NewReceipt { receipt, signature, slice, device } in receipts {
        rows.push(NewRow {
            lease: receipt.lease.to_string(),
            job: receipt.job.to_string(),
            slice: slice.to_string(),
            device: device.to_string(),
            first: count(receipt.first_tile),
            count: i64::from(receipt.tiles),
            root: receipt.root.to_string(),
            output: receipt.output.to_string(),
            program: &receipt.program,
            backend: receipt.backend.name(),
            device_time: receipt.time,
            signature: signature.to_string(),
        });
    }
    // In one order, so that of two who hand in the same one waits for the other.
    rows.sort_unstable_by(|a, b| a.lease.cmp(&b.lease));
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => insert_pending_sql!(sqlite),
        Dialect::Postgres => insert_pending_sql!(postgres),
    };
    let inserted: Vec<(String, String)> = sqlx::query_as(statement).bind(json(&rows)).bind(now).fetch_all(conn).await?;
    Ok(inserted.iter().map(|(lease, provider)| (id(lease), id(provider))).collect())
}

macro_rules! list_receipts_sql {
    ($engine:ident) => {
        receipts_sql!(select "where lease_id in (", list_sql!($engine "$1"), ")")
    };
}

/// Receipts by their leases.
pub async fn list_receipts(
    conn: &mut DbConnection,
    leases: &BTreeSet<LeaseId>,
) -> sqlx::Result<BTreeMap<LeaseId, StoredReceipt>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => list_receipts_sql!(sqlite),
        Dialect::Postgres => list_receipts_sql!(postgres),
    };
    let rows: Vec<ReceiptRow> = sqlx::query_as(statement).bind(json(leases)).fetch_all(conn).await?;
    Ok(rows.into_iter().map(StoredReceipt::from).map(|stored| (stored.receipt.lease, stored)).collect())
}

macro_rules! lock_pending_sql {
    ($engine:ident, $lock:literal) => {
        concat!(
            "select lease_id from receipt where state = 'pending' and lease_id in (",
            list_sql!($engine "$1"),
            ") order by lease_id",
            $lock
        )
    };
}

/// Locks receipts that await their check for the rest of the transaction, in the order of their leases; returns those that
/// still do.
pub async fn lock_pending_receipts(
    conn: &mut DbConnection,
    leases: &BTreeSet<LeaseId>,
) -> sqlx::Result<BTreeSet<LeaseId>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => lock_pending_sql!(sqlite, ""),
        Dialect::Postgres => lock_pending_sql!(postgres, " for no key update"),
    };
    let rows: Vec<(String,)> = sqlx::query_as(statement).bind(json(leases)).fetch_all(conn).await?;
    Ok(rows.iter().map(|(lease,)| id(lease)).collect())
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
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select first_tile, tiles
            from receipt
            where state = 'pending'
              and slice_id in (select slice_id from slice where job_id = $1)",
    )
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
    pub lease: LeaseId,
    pub job: JobId,
    pub device: DeviceId,
    pub backend: Backend,
    pub tiles: u64,
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

#[derive(Serialize)]
struct AcceptedRow {
    of_lease: String,
    paid: i64,
    paid_fee: i64,
    checked: i64,
    matures: i64,
    work: i64,
    work_left: i64,
    at: i64,
    who: &'static str,
    rule: String,
}

macro_rules! accept_sql {
    ($engine:ident) => {
        concat!(
            "update receipt
            set state = 'accepted', cost = accepted.paid, fee = accepted.paid_fee, recomputed = accepted.checked,
                matures_at = accepted.matures, kflop = accepted.work, flops_left = accepted.work_left,
                settled_at = accepted.at, checked_by = accepted.who, check_rule = accepted.rule,
                account_id = (select device.account_id from device where device.device_id = receipt.device_id)
            from (",
            rows_sql!($engine "$1", of_lease text, paid bigint, paid_fee bigint, checked bigint, matures bigint, work bigint,
                work_left bigint, at bigint, who text, rule text),
            ") as accepted
            where receipt.lease_id = accepted.of_lease
              and receipt.state = 'pending'"
        )
    };
}

/// Accepts receipts that await their check, of jobs whose rows this transaction has locked, and counts them to what their
/// devices did. `false`: some of them await it no longer, and the transaction is not to go on.
pub async fn accept_receipts(conn: &mut DbConnection, acceptances: &[Acceptance]) -> sqlx::Result<bool> {
    let row = |acceptance: &Acceptance| AcceptedRow {
        of_lease: acceptance.lease.to_string(),
        paid: acceptance.charge.cost.micros(),
        paid_fee: acceptance.charge.fee.micros(),
        checked: count(acceptance.recomputed),
        matures: count(acceptance.matures_at),
        work: count(acceptance.kflop),
        work_left: count(acceptance.flops_left),
        at: acceptance.now,
        who: acceptance.checked_by.name(),
        rule: json(&acceptance.rule),
    };
    let rows: Vec<AcceptedRow> = acceptances.iter().map(row).collect();
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => accept_sql!(sqlite),
        Dialect::Postgres => accept_sql!(postgres),
    };
    let accepted = sqlx::query(statement).bind(json(&rows)).execute(&mut *conn).await?.rows_affected();
    if accepted != to::<u64>(acceptances.len()) {
        return Ok(false);
    }
    let mut works: BTreeMap<(JobId, DeviceId), Work> = BTreeMap::new();
    for Acceptance { job, device, backend, tiles, recomputed, kflop, .. } in acceptances {
        let nothing = Work { backend: *backend, tiles: 0, receipts: 0, recomputed: 0, kflop: 0 };
        let work = works.entry((*job, *device)).or_insert(nothing);
        work.backend = *backend;
        work.tiles += tiles;
        work.receipts += 1;
        work.recomputed += recomputed;
        work.kflop += kflop;
    }
    shares::add_work(conn, &works).await?;
    Ok(true)
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
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let fallen = StoredReceipt::from(row);
    let StoredReceipt { receipt, device, recomputed, kflop, .. } = &fallen;
    let (backend, tiles) = (receipt.backend, receipt.tiles.into());
    let work = Work { backend, tiles, receipts: 1, recomputed: *recomputed, kflop: *kflop };
    shares::take_work(conn, receipt.job, *device, work).await?;
    Ok(Some(fallen))
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

macro_rules! mature_sql {
    ($engine:ident) => {
        receipts_sql!(
            update "set state = 'matured'
            from (",
            rows_sql!($engine "$1", of_device text, of_program text, verified bigint),
            ") as work
            where receipt.device_id = work.of_device
              and receipt.state = 'accepted'
              and receipt.matures_at <= work.verified
              and receipt.program like work.of_program || '/%'
              and not exists (
                select 1
                from verdict
                where verdict.lease_id = receipt.lease_id
                  and verdict.state = 'open'
              )"
        )
    };
}

/// Matures devices' accepted receipts of a program once others have verified so much of their work in it, in thousands of
/// operations, but for those that are being drawn from once more; returns them.
pub async fn mature_receipts_of_devices(
    conn: &mut DbConnection,
    verified: &BTreeMap<WorkClass, u64>,
) -> sqlx::Result<Vec<StoredReceipt>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => mature_sql!(sqlite),
        Dialect::Postgres => mature_sql!(postgres),
    };
    let rows: Vec<ReceiptRow> = sqlx::query_as(statement).bind(bound(verified)).fetch_all(conn).await?;
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
