use sqlx::FromRow;
use wire::device::DeviceClass;
use wire::{AccountId, Credits, DeviceId, Hello, JobId, LeaseId, Micros, Receipt, Signature, SliceId, TileHash};

use super::core::Settlement;
use crate::billing::TileWork;
use crate::db::{DbConnection, Dialect, count, flag, id, uncount};

// Devices.

/// A device as the database knows it.
#[derive(Clone, Debug)]
pub struct DeviceRecord {
    pub account: AccountId,
    pub verified: bool,
    /// Accepted leases since its last failed check.
    pub passed: u64,
    pub suspended_until: Micros,
    pub created_at: Micros,
}

#[derive(FromRow)]
struct DeviceRow {
    account_id: String,
    verified: i64,
    passed: i64,
    suspended_until: i64,
    created_at: i64,
}

pub async fn find_device(conn: &mut DbConnection, device: DeviceId) -> sqlx::Result<Option<DeviceRecord>> {
    let row: Option<DeviceRow> = sqlx::query_as(
        "select device.account_id, account.verified, device.passed - device.passed_at_failure as passed,
                device.suspended_until, device.created_at
        from device
        join account on account.account_id = device.account_id
        where device.device_id = $1",
    )
    .bind(device.to_string())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| DeviceRecord {
        account: id(&row.account_id),
        verified: row.verified != 0,
        passed: uncount(row.passed),
        suspended_until: row.suspended_until,
        created_at: row.created_at,
    }))
}

/// Records what a device says of itself, under `account` from here on.
pub async fn upsert_device(conn: &mut DbConnection, hello: &Hello, account: AccountId, now: Micros) -> sqlx::Result<()> {
    sqlx::query(
        "insert into device (device_id, account_id, class, name, backend, software, passed, passed_at_failure, failed,
                            suspended_until, created_at, seen_at)
        values ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, $7, $7)
        on conflict (device_id)
        do update set account_id = excluded.account_id, class = excluded.class, name = excluded.name,
                      backend = excluded.backend, software = excluded.software, seen_at = excluded.seen_at",
    )
    .bind(hello.device.to_string())
    .bind(account.to_string())
    .bind(match hello.class {
        DeviceClass::Native => "native",
        DeviceClass::Tab => "tab",
    })
    .bind(&hello.name)
    .bind(&hello.backend)
    .bind(flag(hello.software))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts an accepted lease; returns its number in the device's life.
pub async fn count_passed(conn: &mut DbConnection, device: DeviceId) -> sqlx::Result<i64> {
    let (passed,): (i64,) = sqlx::query_as("update device set passed = passed + 1 where device_id = $1 returning passed")
        .bind(device.to_string())
        .fetch_one(conn)
        .await?;
    Ok(passed)
}

/// Counts a failed check; returns how many there were.
pub async fn count_failed(conn: &mut DbConnection, device: DeviceId) -> sqlx::Result<i64> {
    let (failed,): (i64,) = sqlx::query_as("update device set failed = failed + 1, passed_at_failure = passed where device_id = $1 returning failed")
        .bind(device.to_string())
        .fetch_one(conn)
        .await?;
    Ok(failed)
}

pub async fn suspend_device(conn: &mut DbConnection, device: DeviceId, until: Micros) -> sqlx::Result<()> {
    sqlx::query("update device set suspended_until = $2 where device_id = $1")
        .bind(device.to_string())
        .bind(until)
        .execute(conn)
        .await?;
    Ok(())
}

/// Nobody is blamed for a job whose runs disagree: the devices it turned away may work again.
pub async fn forgive_devices_of(conn: &mut DbConnection, job: JobId) -> sqlx::Result<()> {
    sqlx::query(
        "update device
        set failed = failed - 1, suspended_until = 0
        where failed > 0
          and device_id in (select device_id from receipt where job_id = $1 and state = 'rejected')",
    )
    .bind(job.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

/// Accounts whose devices failed a check of this job.
pub async fn count_accounts_rejected(conn: &mut DbConnection, job: JobId) -> sqlx::Result<i64> {
    let (accounts,): (i64,) =
        sqlx::query_as("select cast(count(distinct account_id) as bigint) from receipt where job_id = $1 and state = 'rejected'")
            .bind(job.to_string())
            .fetch_one(conn)
            .await?;
    Ok(accounts)
}

// Replicas and slices.

pub async fn heartbeat(conn: &mut DbConnection, replica: &str, now: Micros) -> sqlx::Result<()> {
    sqlx::query(
        "insert into replica (replica_id, heartbeat_at)
        values ($1, $2)
        on conflict (replica_id) do update set heartbeat_at = excluded.heartbeat_at",
    )
    .bind(replica)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets replicas that were last heard before `dead_before`; their slices are free to claim.
pub async fn delete_replicas(conn: &mut DbConnection, dead_before: Micros) -> sqlx::Result<()> {
    sqlx::query("delete from replica where heartbeat_at < $1").bind(dead_before).execute(conn).await?;
    Ok(())
}

#[derive(FromRow)]
struct SliceRow {
    slice_id: String,
    job_id: String,
    first_tile: i64,
    tiles: i64,
    settled: Vec<u8>,
    fence: i64,
    version: i64,
}

/// A slice as claimed, under its new fence.
#[derive(Clone, Debug)]
pub struct ClaimedSlice {
    pub slice: SliceId,
    pub job: JobId,
    pub first_tile: u64,
    pub tiles: u64,
    pub settled: Vec<u8>,
    pub fence: i64,
    pub version: i64,
}

pub async fn insert_slice(conn: &mut DbConnection, slice: SliceId, job: JobId, first_tile: u64, tiles: u64, settled: Vec<u8>) -> sqlx::Result<()> {
    sqlx::query(
        "insert into slice (slice_id, job_id, first_tile, tiles, settled, remaining, owner, fence, version)
        values ($1, $2, $3, $4, $5, $4, '', 0, 0)",
    )
    .bind(slice.to_string())
    .bind(job.to_string())
    .bind(count(first_tile))
    .bind(count(tiles))
    .bind(settled)
    .execute(conn)
    .await?;
    Ok(())
}

macro_rules! claim_slices_sql {
    ($lock:literal) => {
        concat!(
            "update slice
            set owner = $1, fence = fence + 1
            where slice_id in (
                select slice.slice_id
                from slice
                join job on job.job_id = slice.job_id
                where slice.remaining > 0
                  and job.state = 'running'
                  and slice.owner <> $1
                  and not exists (select 1 from replica where replica.replica_id = slice.owner and replica.heartbeat_at >= $2)
                order by slice.slice_id
                limit $3",
            $lock,
            ")
            returning slice_id, job_id, first_tile, tiles, settled, fence, version"
        )
    };
}

/// Takes up to `most` unfinished slices that no living replica owns.
pub async fn claim_slices(conn: &mut DbConnection, dialect: Dialect, replica: &str, alive_since: Micros, most: i64) -> sqlx::Result<Vec<ClaimedSlice>> {
    let statement = match dialect {
        Dialect::Sqlite => claim_slices_sql!(" "),
        Dialect::Postgres => claim_slices_sql!(" for update of slice skip locked "),
    };
    let rows: Vec<SliceRow> = sqlx::query_as(statement).bind(replica).bind(alive_since).bind(most).fetch_all(conn).await?;
    Ok(rows.into_iter().map(ClaimedSlice::from).collect())
}

impl From<SliceRow> for ClaimedSlice {
    fn from(row: SliceRow) -> Self {
        Self {
            slice: id(&row.slice_id),
            job: id(&row.job_id),
            first_tile: uncount(row.first_tile),
            tiles: uncount(row.tiles),
            settled: row.settled,
            fence: row.fence,
            version: row.version,
        }
    }
}

/// Lets a slice go that nobody works on here. Nothing happens when it is somebody else's by now.
pub async fn release_slice(conn: &mut DbConnection, replica: &str, slice: SliceId) -> sqlx::Result<()> {
    sqlx::query("update slice set owner = '' where slice_id = $1 and owner = $2")
        .bind(slice.to_string())
        .bind(replica)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes a settlement, if the slice is as its owner left it. `false`: nothing was written.
pub async fn settle_slice(conn: &mut DbConnection, settlement: &Settlement) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update slice
        set settled = $4, version = version + 1, remaining = remaining - $5
        where slice_id = $1
          and fence = $2
          and version = $3",
    )
    .bind(settlement.slice.to_string())
    .bind(settlement.fence)
    .bind(settlement.version)
    .bind(settlement.settled.to_bytes())
    .bind(count(settlement.tiles))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes a slice from whoever owns it, locked for the rest of the transaction.
pub async fn seize_slice(conn: &mut DbConnection, slice: SliceId) -> sqlx::Result<ClaimedSlice> {
    let row: SliceRow = sqlx::query_as(
        "update slice
        set owner = '', fence = fence + 1
        where slice_id = $1
        returning slice_id, job_id, first_tile, tiles, settled, fence, version",
    )
    .bind(slice.to_string())
    .fetch_one(conn)
    .await?;
    Ok(row.into())
}

/// Writes the settled tiles of a slice seized in this transaction.
pub async fn write_seized_slice(conn: &mut DbConnection, slice: SliceId, settled: Vec<u8>, tiles_back: u64) -> sqlx::Result<()> {
    sqlx::query(
        "update slice
        set settled = $2, version = version + 1, remaining = remaining + $3
        where slice_id = $1",
    )
    .bind(slice.to_string())
    .bind(settled)
    .bind(count(tiles_back))
    .execute(conn)
    .await?;
    Ok(())
}

// Receipts.

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
}

/// A receipt with who is paid for it.
#[derive(Clone, Debug)]
pub struct StoredReceipt {
    pub receipt: Receipt,
    pub slice: SliceId,
    pub device: DeviceId,
    pub provider: AccountId,
    pub cost: Credits,
    pub fee: Credits,
}

impl From<ReceiptRow> for StoredReceipt {
    fn from(row: ReceiptRow) -> Self {
        let root: TileHash = id(&row.root);
        Self {
            receipt: Receipt {
                lease: id(&row.lease_id),
                job: id(&row.job_id),
                first_tile: uncount(row.first_tile),
                tiles: u32::try_from(row.tiles).unwrap_or(u32::MAX),
                root,
                output: id(&row.output_hash),
                program: row.program,
                backend: row.backend,
                time: row.device_time,
            },
            slice: id(&row.slice_id),
            device: id(&row.device_id),
            provider: id(&row.account_id),
            cost: Credits::from_micros(row.cost),
            fee: Credits::from_micros(row.fee),
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
                              backend, device_time, signature, state, cost, fee, recomputed, sequence, created_at)
        values ($1, $2, $3, $4, (select account_id from device where device_id = $4), $5, $6, $7, $8, $9,
                $10, $11, $12, 'pending', 0, 0, 0, 0, $13)
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
    .bind(&receipt.backend)
    .bind(receipt.time)
    .bind(signature.to_string())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Receipts of a slice that await a check.
pub async fn list_pending_receipts(conn: &mut DbConnection, slice: SliceId) -> sqlx::Result<Vec<StoredReceipt>> {
    let rows: Vec<ReceiptRow> = sqlx::query_as(
        "select lease_id, job_id, slice_id, device_id, account_id, first_tile, tiles, root, output_hash, program, backend,
                device_time, cost, fee
        from receipt
        where slice_id = $1
          and state = 'pending'
        order by lease_id",
    )
    .bind(slice.to_string())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(StoredReceipt::from).collect())
}

/// Receipts of a job that are settled and not mature.
pub async fn list_accepted_receipts(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Vec<StoredReceipt>> {
    let rows: Vec<ReceiptRow> = sqlx::query_as(
        "select lease_id, job_id, slice_id, device_id, account_id, first_tile, tiles, root, output_hash, program, backend,
                device_time, cost, fee
        from receipt
        where job_id = $1
          and state = 'accepted'
        order by first_tile",
    )
    .bind(job.to_string())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(StoredReceipt::from).collect())
}

/// What an accepted receipt is paid, and how it was checked.
#[derive(Clone, Copy, Debug)]
pub struct Acceptance {
    pub cost: Credits,
    pub fee: Credits,
    pub recomputed: u64,
    /// The lease's number in its device's life.
    pub sequence: i64,
}

/// `false` when the receipt no longer awaits its check: nothing was written.
pub async fn accept_receipt(conn: &mut DbConnection, lease: LeaseId, acceptance: Acceptance) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update receipt
        set state = 'accepted', cost = $2, fee = $3, recomputed = $4, sequence = $5
        where lease_id = $1
          and state = 'pending'",
    )
    .bind(lease.to_string())
    .bind(acceptance.cost.micros())
    .bind(acceptance.fee.micros())
    .bind(count(acceptance.recomputed))
    .bind(acceptance.sequence)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The receipt's check failed. `false` when it no longer awaits one.
pub async fn reject_receipt(conn: &mut DbConnection, lease: LeaseId) -> sqlx::Result<bool> {
    let done = sqlx::query("update receipt set state = 'rejected' where lease_id = $1 and state in ('pending', 'void')")
        .bind(lease.to_string())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The receipt came to nothing, and nobody is to blame.
pub async fn void_pending_receipt(conn: &mut DbConnection, lease: LeaseId) -> sqlx::Result<()> {
    sqlx::query("update receipt set state = 'void' where lease_id = $1 and state = 'pending'")
        .bind(lease.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes back all that a device was promised and not yet given; returns it.
pub async fn void_accepted_receipts(conn: &mut DbConnection, device: DeviceId) -> sqlx::Result<Vec<StoredReceipt>> {
    let rows: Vec<ReceiptRow> = sqlx::query_as(
        "update receipt
        set state = 'void'
        where device_id = $1
          and state = 'accepted'
        returning lease_id, job_id, slice_id, device_id, account_id, first_tile, tiles, root, output_hash, program, backend,
                  device_time, cost, fee",
    )
    .bind(device.to_string())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(StoredReceipt::from).collect())
}

/// Matures a device's accepted receipts up to one of its leases; returns them.
pub async fn mature_receipts_of_device(conn: &mut DbConnection, device: DeviceId, up_to: i64) -> sqlx::Result<Vec<StoredReceipt>> {
    let rows: Vec<ReceiptRow> = sqlx::query_as(
        "update receipt
        set state = 'matured'
        where device_id = $1
          and state = 'accepted'
          and sequence <= $2
        returning lease_id, job_id, slice_id, device_id, account_id, first_tile, tiles, root, output_hash, program, backend,
                  device_time, cost, fee",
    )
    .bind(device.to_string())
    .bind(up_to)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(StoredReceipt::from).collect())
}

/// Matures what is left of a job's accepted receipts; returns them.
pub async fn mature_receipts_of_job(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Vec<StoredReceipt>> {
    let rows: Vec<ReceiptRow> = sqlx::query_as(
        "update receipt
        set state = 'matured'
        where job_id = $1
          and state = 'accepted'
        returning lease_id, job_id, slice_id, device_id, account_id, first_tile, tiles, root, output_hash, program, backend,
                  device_time, cost, fee",
    )
    .bind(job.to_string())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(StoredReceipt::from).collect())
}

// The running side of jobs.

#[derive(FromRow)]
struct FactsRow {
    job_id: String,
    account_id: String,
    privacy: String,
    model_hash: String,
    input_hash: String,
    input_offset: i64,
    row_shape: String,
    output_row_shape: String,
    row_count: i64,
    tile_rows: i64,
    tiles: i64,
    row_flops: i64,
    price: i64,
    device_bytes: i64,
}

/// What leases of a job look like, and which devices may hold them.
#[derive(Clone, Debug)]
pub struct JobRecord {
    pub facts: super::JobFacts,
    pub job: super::core::Job,
}

pub async fn find_job_record(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Option<JobRecord>> {
    let row: Option<FactsRow> = sqlx::query_as(
        "select job_id, account_id, privacy, model_hash, input_hash, input_offset, row_shape, output_row_shape, row_count,
                tile_rows, tiles, row_flops, price, device_bytes
        from job
        where job_id = $1",
    )
    .bind(job.to_string())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(JobRecord::from))
}

impl From<FactsRow> for JobRecord {
    fn from(row: FactsRow) -> Self {
        let row_shape = crate::jobs::store::shape(&row.row_shape);
        let output_row_len = crate::jobs::store::shape(&row.output_row_shape).iter().product::<u64>();
        let work = TileWork {
            rows: uncount(row.row_count),
            tile_rows: uncount(row.tile_rows),
            tiles: uncount(row.tiles),
            row_flops: uncount(row.row_flops),
            price: wire::PricePerCu(row.price),
        };
        let row_bytes = 4 * (row_shape.iter().product::<u64>() + output_row_len);
        Self {
            job: super::core::Job {
                account: id(&row.account_id),
                privacy: crate::jobs::store::privacy(&row.privacy),
                device_bytes: uncount(row.device_bytes),
                tile_flops: work.row_flops.saturating_mul(work.tile_rows),
                tile_bytes: row_bytes.saturating_mul(work.tile_rows),
            },
            facts: super::JobFacts {
                id: id(&row.job_id),
                customer: id(&row.account_id),
                model: id(&row.model_hash),
                input: id(&row.input_hash),
                input_offset: uncount(row.input_offset),
                row_shape,
                output_row_len,
                work,
            },
        }
    }
}

/// Takes settled tiles off a running job; returns what remains. `None`: the job has ended, nothing was written.
pub async fn take_tiles(conn: &mut DbConnection, job: JobId, tiles: u64, recomputed: u64, cost: Credits) -> sqlx::Result<Option<i64>> {
    let row: Option<(i64,)> = sqlx::query_as(
        "update job
        set remaining_tiles = remaining_tiles - $2, recomputed_tiles = recomputed_tiles + $3, cost = cost + $4
        where job_id = $1
          and state = 'running'
        returning remaining_tiles",
    )
    .bind(job.to_string())
    .bind(count(tiles))
    .bind(count(recomputed))
    .bind(cost.micros())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(remaining,)| remaining))
}

/// Takes a settlement off a job's account again, whatever its state.
pub async fn return_tiles(conn: &mut DbConnection, job: JobId, tiles: u64, cost: Credits) -> sqlx::Result<()> {
    sqlx::query("update job set remaining_tiles = remaining_tiles + $2, cost = cost - $3 where job_id = $1")
        .bind(job.to_string())
        .bind(count(tiles))
        .bind(cost.micros())
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends a running job. `done` asks that nothing remains. `false`: it had ended, or is not done.
pub async fn end_job(conn: &mut DbConnection, job: JobId, state: wire::JobState, now: Micros) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update job
        set state = $2, ended_at = $3
        where job_id = $1
          and state = 'running'
          and ($2 <> 'done' or remaining_tiles = 0)",
    )
    .bind(job.to_string())
    .bind(state.name())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Jobs that only want closing: all is settled, or they ended with receipts that are not mature.
pub async fn list_jobs_to_close(conn: &mut DbConnection, most: i64) -> sqlx::Result<Vec<JobId>> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "select job_id
        from job
        where (state = 'running' and remaining_tiles = 0)
           or (state <> 'running' and exists (select 1 from receipt where receipt.job_id = job.job_id and receipt.state = 'accepted'))
        order by job_id
        limit $1",
    )
    .bind(most)
    .fetch_all(conn)
    .await?;
    Ok(rows.iter().map(|(job,)| id(job)).collect())
}

/// The value of a secret that all replicas share; `fresh` is kept if there was none.
pub async fn find_or_insert_secret(conn: &mut DbConnection, name: &str, fresh: TileHash) -> sqlx::Result<TileHash> {
    sqlx::query("insert into secret (name, value) values ($1, $2) on conflict (name) do nothing")
        .bind(name)
        .bind(fresh.to_string())
        .execute(&mut *conn)
        .await?;
    let (value,): (String,) = sqlx::query_as("select value from secret where name = $1").bind(name).fetch_one(conn).await?;
    Ok(id(&value))
}
