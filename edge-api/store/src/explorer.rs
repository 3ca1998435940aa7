//! What everyone may read, out of `public_*` views and no table.

use std::cmp::Reverse;

use rules::scheduling::mosaic;
use sqlx::FromRow;
use wire::device::{Backend, DeviceClass};
use wire::explorer::{
    Page, PublicDevice, PublicJobRow, PublicReceipt, ReceiptCheck, ReceiptState, Share, SignedReceipt,
};
use wire::number::to;
use wire::{CheckedBy, Credits, DeviceId, JobId, LeaseId, Micros, PricePerCu, PublicJob, Receipt, Task};

use crate::codec::{from_json, id, named, optional_id, uncount};
use crate::db::DbConnection;
use crate::jobs::state;
use crate::slices::settled_slice;
use crate::text_rows::{self, Columns, RECORD, UNIT};

/// A device is online while its replica has said so within this long.
pub const ONLINE: Micros = 60_000_000;
/// Sorts after every hex digit.
const LAST: &str = "g";

#[derive(FromRow)]
pub(crate) struct PublicDeviceRow {
    device_id: String,
    class: String,
    name: String,
    backend: String,
    software: i64,
    passed: i64,
    failed: i64,
    suspended_until: i64,
    tiles: i64,
    kflop: i64,
    earned: i64,
    flops_per_sec: i64,
    created_at: i64,
    seen_at: i64,
    present_at: i64,
    proved_ops_per_sec: i64,
    proved_at: i64,
    line_down: i64,
    line_up: i64,
}

impl PublicDeviceRow {
    fn read(mut columns: Columns<'_>) -> Self {
        Self {
            device_id: columns.text().to_owned(),
            class: columns.text().to_owned(),
            backend: columns.text().to_owned(),
            software: columns.number(),
            passed: columns.number(),
            failed: columns.number(),
            suspended_until: columns.number(),
            tiles: columns.number(),
            kflop: columns.number(),
            earned: columns.number(),
            flops_per_sec: columns.number(),
            created_at: columns.number(),
            seen_at: columns.number(),
            present_at: columns.number(),
            proved_ops_per_sec: columns.number(),
            proved_at: columns.number(),
            line_down: columns.number(),
            line_up: columns.number(),
            name: columns.rest().to_owned(),
        }
    }

    pub(crate) fn public(self, now: Micros) -> PublicDevice {
        PublicDevice {
            id: id(&self.device_id),
            class: class(&self.class),
            name: self.name,
            backend: self.backend,
            software: self.software != 0,
            online: self.present_at > now - ONLINE,
            flops_per_sec: uncount(self.flops_per_sec),
            proved_ops_per_sec: uncount(self.proved_ops_per_sec),
            proved_at: (self.proved_at > 0).then_some(self.proved_at),
            down_bytes_per_sec: uncount(self.line_down),
            up_bytes_per_sec: uncount(self.line_up),
            tiles: uncount(self.tiles),
            kflop: uncount(self.kflop),
            checks_passed: uncount(self.passed),
            checks_failed: uncount(self.failed),
            suspended_until: (self.suspended_until > now).then_some(self.suspended_until),
            earned: Credits::from_micros(self.earned),
            first_seen_at: self.created_at,
            seen_at: self.seen_at.max(self.present_at),
        }
    }
}

pub(crate) fn class(name: &str) -> DeviceClass {
    named(&DeviceClass::ALL, DeviceClass::name, name)
}

/// Which devices a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeviceFilter {
    pub class: Option<DeviceClass>,
    pub online: bool,
}

/// Devices by verified work, most first, after the one named where one is.
pub async fn list_public_devices(
    conn: &mut DbConnection,
    filter: DeviceFilter,
    after: Option<(u64, DeviceId)>,
    most: i64,
    now: Micros,
) -> sqlx::Result<Page<PublicDevice>> {
    let (kflop, device) = after
        .map_or((i64::MAX, LAST.to_owned()), |(kflop, id)| (i64::try_from(kflop).unwrap_or(i64::MAX), id.to_string()));
    let (text,): (Option<String>,) = sqlx::query_as(
        "select string_agg(concat_ws($6, device_id, class, backend, software, passed, failed, suspended_until, tiles, kflop,
                                     earned, flops_per_sec, created_at, seen_at, present_at, proved_ops_per_sec, proved_at,
                                     line_down, line_up, replace(name, $7, '')), $7)
        from (
          select device_id, class, name, backend, software, passed, failed, suspended_until, tiles, kflop, earned,
                 flops_per_sec, created_at, seen_at, present_at, proved_ops_per_sec, proved_at, line_down, line_up
          from public_device
          where (kflop < $1 or (kflop = $1 and device_id < $2))
            and ($3 = '' or class = $3)
            and present_at > $4
          order by kflop desc, device_id desc
          limit $5
        ) as listed",
    )
    .bind(kflop)
    .bind(device)
    .bind(filter.class.map_or("", DeviceClass::name))
    .bind(if filter.online { now - ONLINE } else { -1 })
    .bind(most + 1)
    .bind(UNIT.to_string())
    .bind(RECORD.to_string())
    .fetch_one(conn)
    .await?;
    let mut rows: Vec<_> =
        text_rows::rows(text.as_deref()).map(|columns| PublicDeviceRow::read(columns).public(now)).collect();
    // No engine promises that a text is put together in the order of what it is made of.
    rows.sort_by_key(|device| Reverse((device.kflop, device.id)));
    Ok(page(rows, most, |device: &PublicDevice| format!("{}.{}", device.kflop, device.id)))
}

/// Cuts off the row that only says that there are more.
fn page<T>(mut rows: Vec<T>, most: i64, key: impl Fn(&T) -> String) -> Page<T> {
    let most = to(most);
    let more = rows.len() > most;
    rows.truncate(most);
    let next = rows.last().filter(|_| more).map(key);
    Page { rows, next }
}

pub async fn find_public_device(
    conn: &mut DbConnection,
    device: DeviceId,
    now: Micros,
) -> sqlx::Result<Option<PublicDevice>> {
    let row: Option<PublicDeviceRow> = sqlx::query_as(
        "select device_id, class, name, backend, software, passed, failed, suspended_until, tiles, kflop, earned, flops_per_sec,
                created_at, seen_at, present_at, proved_ops_per_sec, proved_at, line_down, line_up
        from public_device
        where device_id = $1",
    )
    .bind(device.to_string())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.public(now)))
}

/// Microseconds online on each of the `days` days from `first` on.
pub async fn list_uptime(conn: &mut DbConnection, device: DeviceId, first: i64, days: usize) -> sqlx::Result<Vec<u64>> {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("select day, online_micros from public_device_day where device_id = $1 and day >= $2")
            .bind(device.to_string())
            .bind(first)
            .fetch_all(conn)
            .await?;
    let mut uptime = vec![0; days];
    for (day, online) in rows {
        if let Some(slot) = usize::try_from(day - first).ok().and_then(|at| uptime.get_mut(at)) {
            *slot = uncount(online);
        }
    }
    Ok(uptime)
}

#[derive(FromRow)]
pub(crate) struct ReceiptRow {
    lease_id: String,
    device_id: String,
    backend: String,
    program: String,
    tiles: i64,
    kflop: i64,
    state: String,
    recomputed: i64,
    created_at: i64,
    job_id: String,
}

impl From<ReceiptRow> for PublicReceipt {
    fn from(row: ReceiptRow) -> Self {
        Self {
            lease: id(&row.lease_id),
            device: id(&row.device_id),
            backend: row.backend,
            program: row.program,
            tiles: uncount(row.tiles),
            kflop: uncount(row.kflop),
            state: named(&ReceiptState::ALL, ReceiptState::name, &row.state),
            recomputed_tiles: uncount(row.recomputed),
            received_at: row.created_at,
            job: optional_id(&row.job_id),
        }
    }
}

fn receipt(mut columns: Columns<'_>) -> PublicReceipt {
    PublicReceipt {
        lease: id(columns.text()),
        device: id(columns.text()),
        backend: columns.text().to_owned(),
        program: columns.text().to_owned(),
        tiles: uncount(columns.number()),
        kflop: uncount(columns.number()),
        state: named(&ReceiptState::ALL, ReceiptState::name, columns.text()),
        recomputed_tiles: uncount(columns.number()),
        received_at: columns.number(),
        job: optional_id(columns.rest()),
    }
}

/// Where a list of receipts goes on.
pub type ReceiptCursor = (Micros, LeaseId);

fn receipt_page(text: Option<&str>, most: i64) -> Page<PublicReceipt> {
    let mut rows: Vec<PublicReceipt> = text_rows::rows(text).map(receipt).collect();
    rows.sort_by_key(|receipt| Reverse((receipt.received_at, receipt.lease)));
    page(rows, most, |receipt: &PublicReceipt| format!("{}.{}", receipt.received_at, receipt.lease))
}

fn receipt_bounds(after: Option<ReceiptCursor>) -> (Micros, String) {
    after.map_or((Micros::MAX, LAST.to_owned()), |(at, lease)| (at, lease.to_string()))
}

/// A device's receipts, newest first.
pub async fn list_receipts_of_device(
    conn: &mut DbConnection,
    device: DeviceId,
    after: Option<ReceiptCursor>,
    most: i64,
) -> sqlx::Result<Page<PublicReceipt>> {
    let (at, lease) = receipt_bounds(after);
    let (text,): (Option<String>,) = sqlx::query_as(
        "select string_agg(concat_ws($5, lease_id, device_id, backend, program, tiles, kflop, state, recomputed, created_at,
                                     job_id), $6)
        from (
          select lease_id, device_id, backend, program, tiles, kflop, state, recomputed, created_at, job_id
          from public_receipt
          where device_id = $1
            and (created_at < $2 or (created_at = $2 and lease_id < $3))
          order by created_at desc, lease_id desc
          limit $4
        ) as listed",
    )
    .bind(device.to_string())
    .bind(at)
    .bind(lease)
    .bind(most + 1)
    .bind(UNIT.to_string())
    .bind(RECORD.to_string())
    .fetch_one(conn)
    .await?;
    Ok(receipt_page(text.as_deref(), most))
}

/// All receipts, newest first.
pub async fn list_receipts(
    conn: &mut DbConnection,
    after: Option<ReceiptCursor>,
    most: i64,
) -> sqlx::Result<Page<PublicReceipt>> {
    let (at, lease) = receipt_bounds(after);
    let (text,): (Option<String>,) = sqlx::query_as(
        "select string_agg(concat_ws($4, lease_id, device_id, backend, program, tiles, kflop, state, recomputed, created_at,
                                     job_id), $5)
        from (
          select lease_id, device_id, backend, program, tiles, kflop, state, recomputed, created_at, job_id
          from public_receipt
          where (created_at < $1 or (created_at = $1 and lease_id < $2))
          order by created_at desc, lease_id desc
          limit $3
        ) as listed",
    )
    .bind(at)
    .bind(lease)
    .bind(most + 1)
    .bind(UNIT.to_string())
    .bind(RECORD.to_string())
    .fetch_one(conn)
    .await?;
    Ok(receipt_page(text.as_deref(), most))
}

/// How a receipt was checked before it was settled, as far as that is public; `None` as long as it is not.
pub async fn find_check(conn: &mut DbConnection, lease: LeaseId) -> sqlx::Result<Option<ReceiptCheck>> {
    let row: Option<(String, String)> =
        sqlx::query_as("select checked_by, check_rule from public_check where lease_id = $1")
            .bind(lease.to_string())
            .fetch_optional(conn)
            .await?;
    Ok(row.map(|(by, rule)| ReceiptCheck {
        by: named(&CheckedBy::ALL, CheckedBy::name, &by),
        rule: (!rule.is_empty()).then(|| from_json(&rule)),
    }))
}

pub async fn find_receipt(conn: &mut DbConnection, lease: LeaseId) -> sqlx::Result<Option<PublicReceipt>> {
    let row: Option<ReceiptRow> = sqlx::query_as(
        "select lease_id, device_id, backend, program, tiles, kflop, state, recomputed, created_at, job_id
        from public_receipt
        where lease_id = $1",
    )
    .bind(lease.to_string())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(PublicReceipt::from))
}

#[derive(FromRow)]
struct StatementRow {
    lease_id: String,
    job_id: String,
    device_id: String,
    first_tile: i64,
    tiles: i64,
    root: String,
    output_hash: String,
    program: String,
    backend: String,
    device_time: i64,
    signature: String,
    cost: i64,
}

impl From<StatementRow> for SignedReceipt {
    fn from(row: StatementRow) -> Self {
        Self {
            receipt: Receipt {
                lease: id(&row.lease_id),
                job: id(&row.job_id),
                first_tile: uncount(row.first_tile),
                tiles: to(row.tiles),
                root: id(&row.root),
                output: id(&row.output_hash),
                program: row.program,
                backend: named(&Backend::ALL, Backend::name, &row.backend),
                time: row.device_time,
            },
            device: id(&row.device_id),
            signature: id(&row.signature),
            cost: Credits::from_micros(row.cost),
        }
    }
}

/// What was signed, of a published job's receipt.
pub async fn find_statement(conn: &mut DbConnection, lease: LeaseId) -> sqlx::Result<Option<SignedReceipt>> {
    let row: Option<StatementRow> = sqlx::query_as(
        "select lease_id, job_id, device_id, first_tile, tiles, root, output_hash, program, backend, device_time, signature, cost
        from public_statement
        where lease_id = $1",
    )
    .bind(lease.to_string())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(SignedReceipt::from))
}

/// The matured receipt that settled a published job's tile.
pub async fn find_statement_of_tile(
    conn: &mut DbConnection,
    job: JobId,
    tile: i64,
) -> sqlx::Result<Option<SignedReceipt>> {
    let row: Option<StatementRow> = sqlx::query_as(
        "select lease_id, job_id, device_id, first_tile, tiles, root, output_hash, program, backend, device_time, signature, cost
        from public_statement
        where job_id = $1
          and state = 'matured'
          and first_tile <= $2
          and first_tile + tiles > $2
        limit 1",
    )
    .bind(job.to_string())
    .bind(tile)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(SignedReceipt::from))
}

#[derive(FromRow)]
struct PublicJobRecord {
    job_id: String,
    name: String,
    state: String,
    task: String,
    row_count: i64,
    tiles: i64,
    row_flops: i64,
    price: i64,
    cost: i64,
    remaining_tiles: i64,
    recomputed_tiles: i64,
    created_at: i64,
    ended_at: i64,
}

/// Published jobs, newest first.
pub async fn list_public_jobs(
    conn: &mut DbConnection,
    after: Option<JobId>,
    most: i64,
) -> sqlx::Result<Page<PublicJobRow>> {
    let rows: Vec<PublicJobRecord> = sqlx::query_as(
        "select job_id, name, state, task, row_count, tiles, row_flops, price, cost, remaining_tiles, recomputed_tiles,
                created_at, ended_at
        from public_job
        where job_id < $1
        order by job_id desc
        limit $2",
    )
    .bind(after.map_or_else(|| LAST.to_owned(), |job| job.to_string()))
    .bind(most + 1)
    .fetch_all(conn)
    .await?;
    let row = |row: PublicJobRecord| PublicJobRow {
        id: id(&row.job_id),
        name: row.name,
        state: state(&row.state),
        rows: uncount(row.row_count),
        tiles: uncount(row.tiles),
        verified_tiles: uncount(row.tiles - row.remaining_tiles),
        cost: Credits::from_micros(row.cost),
        created_at: row.created_at,
        ended_at: (row.ended_at != 0).then_some(row.ended_at),
    };
    Ok(page(rows.into_iter().map(row).collect(), most, |job: &PublicJobRow| job.id.to_string()))
}

/// A published job. `None` for one that is not, as for one that does not exist.
pub async fn find_public_job(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Option<PublicJob>> {
    let row: Option<PublicJobRecord> = sqlx::query_as(
        "select job_id, name, state, task, row_count, tiles, row_flops, price, cost, remaining_tiles, recomputed_tiles,
                created_at, ended_at
        from public_job
        where job_id = $1",
    )
    .bind(job.to_string())
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let parts: Vec<(i64, i64, Vec<u8>)> =
        sqlx::query_as("select first_tile, tiles, settled from public_slice where job_id = $1 order by first_tile")
            .bind(job.to_string())
            .fetch_all(&mut *conn)
            .await?;
    let parts: Vec<_> = parts.into_iter().filter_map(settled_slice).collect();
    let devices: Vec<ShareRow> = sqlx::query_as(
        "select part.device_id as device_id, public_device.name as name, part.backend as backend, part.tiles as tiles,
                part.receipts as receipts, part.recomputed as recomputed, part.kflop as kflop
        from public_share as part
        join public_device on public_device.device_id = part.device_id
        where part.job_id = $1
        order by part.tiles desc, part.device_id
        limit 200",
    )
    .bind(job.to_string())
    .fetch_all(&mut *conn)
    .await?;
    let matured: Option<(i64,)> =
        sqlx::query_as("select first_tile from public_statement where job_id = $1 and state = 'matured' limit 1")
            .bind(job.to_string())
            .fetch_optional(conn)
            .await?;
    let tiles = uncount(row.tiles);
    Ok(Some(PublicJob {
        id: id(&row.job_id),
        name: row.name,
        state: state(&row.state),
        code: from_json::<Task>(&row.task).code(),
        rows: uncount(row.row_count),
        tiles,
        verified_tiles: uncount(row.tiles - row.remaining_tiles),
        recomputed_tiles: uncount(row.recomputed_tiles),
        flops: uncount(row.row_flops).saturating_mul(uncount(row.row_count)),
        price: PricePerCu(row.price),
        cost: Credits::from_micros(row.cost),
        created_at: row.created_at,
        ended_at: (row.ended_at != 0).then_some(row.ended_at),
        mosaic: mosaic::draw(tiles, &parts),
        devices: devices.into_iter().map(Share::from).collect(),
        has_sample: matured.is_some(),
    }))
}

/// One device's part of a job.
#[derive(FromRow)]
pub(crate) struct ShareRow {
    device_id: String,
    name: String,
    backend: String,
    tiles: i64,
    receipts: i64,
    recomputed: i64,
    kflop: i64,
}

impl From<ShareRow> for Share {
    fn from(row: ShareRow) -> Self {
        Self {
            device: id(&row.device_id),
            name: row.name,
            backend: row.backend,
            tiles: uncount(row.tiles),
            receipts: uncount(row.receipts),
            recomputed_tiles: uncount(row.recomputed),
            kflop: uncount(row.kflop),
        }
    }
}
