//! Devices: what they say of themselves, what was verified of them, and the codes that link them.

use sqlx::FromRow;
use wire::explorer::PublicDevice;
use wire::{AccountId, Credits, DeviceId, Hello, Micros};

use crate::codec::{count, flag, id, uncount};
use crate::db::DbConnection;
use crate::explorer::PublicDeviceRow;

/// A device as the database knows it.
#[derive(Clone, Debug)]
pub struct DeviceRecord {
    pub account: AccountId,
    pub verified: bool,
    /// Accepted leases since its last failed check.
    pub passed: u64,
    pub suspended_until: Micros,
    pub created_at: Micros,
    /// As last measured, in operations a second; 0 until it has shown one.
    pub flops_per_sec: u64,
}

#[derive(FromRow)]
struct DeviceRow {
    account_id: String,
    verified: i64,
    passed: i64,
    suspended_until: i64,
    created_at: i64,
    flops_per_sec: i64,
}

pub async fn find_device(conn: &mut DbConnection, device: DeviceId) -> sqlx::Result<Option<DeviceRecord>> {
    let row: Option<DeviceRow> = sqlx::query_as(
        "select device.account_id, account.verified, device.passed - device.passed_at_failure as passed,
                device.suspended_until, device.created_at, device.flops_per_sec
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
        flops_per_sec: uncount(row.flops_per_sec),
    }))
}

/// What a device computes with.
pub async fn find_backend(conn: &mut DbConnection, device: DeviceId) -> sqlx::Result<Option<String>> {
    let row: Option<(String,)> = sqlx::query_as("select backend from device where device_id = $1")
        .bind(device.to_string())
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|(backend,)| backend))
}

/// Records what a device says of itself, under `account` from here on.
pub async fn upsert_device(
    conn: &mut DbConnection,
    hello: &Hello,
    account: AccountId,
    now: Micros,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into device (device_id, account_id, class, name, backend, software, passed, passed_at_failure, failed,
                            suspended_until, tiles, kflop, earned, flops_per_sec, created_at, seen_at)
        values ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 0, 0, 0, 0, $7, $7)
        on conflict (device_id)
        do update set account_id = excluded.account_id, class = excluded.class, name = excluded.name,
                      backend = excluded.backend, software = excluded.software, seen_at = excluded.seen_at",
    )
    .bind(hello.device.to_string())
    .bind(account.to_string())
    .bind(hello.class.name())
    .bind(&hello.name)
    .bind(&hello.backend)
    .bind(flag(hello.software))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `most` devices of an account, those seen last first.
pub async fn list_devices_of_account(
    conn: &mut DbConnection,
    account: AccountId,
    most: i64,
    now: Micros,
) -> sqlx::Result<Vec<PublicDevice>> {
    let rows: Vec<PublicDeviceRow> = sqlx::query_as(
        "select device.device_id, device.class, device.name, device.backend, device.software, device.passed, device.failed,
                device.suspended_until, device.tiles, device.kflop, device.earned, device.flops_per_sec, device.created_at,
                device.seen_at, coalesce(presence.seen_at, 0) as present_at
        from device
        left join presence on presence.device_id = device.device_id
        where device.account_id = $1
        order by device.seen_at desc, device.device_id
        limit $2",
    )
    .bind(account.to_string())
    .bind(most)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.public(now)).collect())
}

/// A code that links one device to `account`, until `expires_at`.
pub async fn insert_device_code(
    conn: &mut DbConnection,
    code_hash: &str,
    account: AccountId,
    expires_at: Micros,
) -> sqlx::Result<()> {
    sqlx::query("insert into device_code (code_hash, account_id, expires_at) values ($1, $2, $3)")
        .bind(code_hash)
        .bind(account.to_string())
        .bind(expires_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// Uses a code up. `None` for one that is unknown, used or over.
pub async fn take_device_code(
    conn: &mut DbConnection,
    code_hash: &str,
    now: Micros,
) -> sqlx::Result<Option<AccountId>> {
    let row: Option<(String, i64)> =
        sqlx::query_as("delete from device_code where code_hash = $1 returning account_id, expires_at")
            .bind(code_hash)
            .fetch_optional(conn)
            .await?;
    Ok(row.filter(|(_, expires_at)| *expires_at > now).map(|(account, _)| id(&account)))
}

pub async fn delete_expired_codes(conn: &mut DbConnection, now: Micros) -> sqlx::Result<()> {
    sqlx::query("delete from device_code where expires_at <= $1").bind(now).execute(conn).await?;
    Ok(())
}

/// What an accepted lease adds to its device's record.
#[derive(Clone, Copy, Debug)]
pub struct AcceptedWork {
    pub tiles: u64,
    /// Floating-point operations, in thousands.
    pub kflop: u64,
    pub earned: Credits,
    /// Speed as measured by now, in operations a second.
    pub flops_per_sec: u64,
}

/// Counts an accepted lease; returns its number in the device's life.
pub async fn count_passed(conn: &mut DbConnection, device: DeviceId, work: AcceptedWork) -> sqlx::Result<i64> {
    let (passed,): (i64,) = sqlx::query_as(
        "update device
        set passed = passed + 1, tiles = tiles + $2, kflop = kflop + $3, earned = earned + $4, flops_per_sec = $5
        where device_id = $1
        returning passed",
    )
    .bind(device.to_string())
    .bind(count(work.tiles))
    .bind(count(work.kflop))
    .bind(work.earned.micros())
    .bind(count(work.flops_per_sec))
    .fetch_one(conn)
    .await?;
    Ok(passed)
}

/// Takes a voided lease off its device's record.
pub async fn uncount_lease(
    conn: &mut DbConnection,
    device: DeviceId,
    tiles: u64,
    kflop: u64,
    earned: Credits,
) -> sqlx::Result<()> {
    sqlx::query(
        "update device
        set tiles = tiles - $2, kflop = kflop - $3, earned = earned - $4
        where device_id = $1",
    )
    .bind(device.to_string())
    .bind(count(tiles))
    .bind(count(kflop))
    .bind(earned.micros())
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts a failed check; returns how many there were.
pub async fn count_failed(conn: &mut DbConnection, device: DeviceId) -> sqlx::Result<i64> {
    let (failed,): (i64,) = sqlx::query_as(
        "update device set failed = failed + 1, passed_at_failure = passed where device_id = $1 returning failed",
    )
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
