use sqlx::FromRow;
use wire::device::DeviceClass;
use wire::{AccountId, DeviceId, Hello, JobId, Micros};

use crate::db::{DbConnection, flag, id, uncount};

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
pub async fn upsert_device(
    conn: &mut DbConnection,
    hello: &Hello,
    account: AccountId,
    now: Micros,
) -> sqlx::Result<()> {
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
    let (passed,): (i64,) =
        sqlx::query_as("update device set passed = passed + 1 where device_id = $1 returning passed")
            .bind(device.to_string())
            .fetch_one(conn)
            .await?;
    Ok(passed)
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
    let (accounts,): (i64,) = sqlx::query_as(
        "select cast(count(distinct account_id) as bigint) from receipt where job_id = $1 and state = 'rejected'",
    )
    .bind(job.to_string())
    .fetch_one(conn)
    .await?;
    Ok(accounts)
}
