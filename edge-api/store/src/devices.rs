//! Devices: what they say of themselves, what was verified of them, and the codes that link them.

use std::collections::{BTreeMap, BTreeSet};

use rules::scheduling::line::LineSpeed;
use rules::scheduling::speed::Proof;
use rules::verification::party::Network;
use serde::Serialize;
use sqlx::FromRow;
use wire::explorer::PublicDevice;
use wire::{AccountId, Credits, DeviceId, Hello, LeaseId, Micros};

use crate::codec::{count, flag, id, json, uncount};
use crate::db::{DbConnection, Dialect};
use crate::explorer::PublicDeviceRow;
use crate::list::{list_sql, rows_sql};

/// A device as the database knows it.
#[derive(Clone, Debug)]
pub struct DeviceRecord {
    pub account: AccountId,
    /// Where it last connected from.
    pub network: Option<Network>,
    pub verified: bool,
    /// The account whose owner has unlinked it: no key links it to that any more.
    pub unlinked_from: Option<AccountId>,
    pub suspended_until: Micros,
    pub created_at: Micros,
    /// By its work for others, in operations a second; 0 until it has shown one.
    pub worked_flops_per_sec: u64,
    /// What it showed when it was last challenged.
    pub proof: Option<Proof>,
    pub line: LineSpeed,
    /// What its account was paid for its leases, fees deducted.
    pub earned: Credits,
}

#[derive(FromRow)]
struct DeviceRow {
    account_id: String,
    network: String,
    verified: i64,
    unlinked_from: String,
    suspended_until: i64,
    created_at: i64,
    worked_flops_per_sec: i64,
    proved_ops_per_sec: i64,
    proved_at: i64,
    line_down: i64,
    line_up: i64,
    line_probed_at: i64,
    earned: i64,
}

pub async fn find_device(conn: &mut DbConnection, device: DeviceId) -> sqlx::Result<Option<DeviceRecord>> {
    let row: Option<DeviceRow> = sqlx::query_as(
        "select device.account_id, device.network, account.verified, device.unlinked_from, device.suspended_until,
                device.created_at, device.worked_flops_per_sec, device.proved_ops_per_sec, device.proved_at, device.line_down,
                device.line_up, device.line_probed_at, device.earned
        from device
        join account on account.account_id = device.account_id
        where device.device_id = $1",
    )
    .bind(device.to_string())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| DeviceRecord {
        account: id(&row.account_id),
        network: row.network.parse().ok().and_then(Network::of),
        verified: row.verified != 0,
        unlinked_from: row.unlinked_from.parse().ok(),
        suspended_until: row.suspended_until,
        created_at: row.created_at,
        worked_flops_per_sec: uncount(row.worked_flops_per_sec),
        proof: (row.proved_at > 0).then(|| Proof { ops_per_sec: uncount(row.proved_ops_per_sec), at: row.proved_at }),
        line: LineSpeed { down: uncount(row.line_down), up: uncount(row.line_up), probed_at: row.line_probed_at },
        earned: Credits::from_micros(row.earned),
    }))
}

/// Writes down what a challenge showed of a device, and the speed that others are shown from now on.
pub async fn record_proof(
    conn: &mut DbConnection,
    device: DeviceId,
    proof: Proof,
    flops_per_sec: u64,
) -> sqlx::Result<()> {
    sqlx::query(
        "update device
        set proved_ops_per_sec = $2, proved_at = $3, flops_per_sec = $4
        where device_id = $1",
    )
    .bind(device.to_string())
    .bind(count(proof.ops_per_sec))
    .bind(proof.at)
    .bind(count(flops_per_sec))
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes down what a device's line was measured to be.
pub async fn record_line(conn: &mut DbConnection, device: DeviceId, line: LineSpeed) -> sqlx::Result<()> {
    sqlx::query("update device set line_down = $2, line_up = $3, line_probed_at = $4 where device_id = $1")
        .bind(device.to_string())
        .bind(count(line.down))
        .bind(count(line.up))
        .bind(line.probed_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// What judges of a lease were paid so far, in atto-credits.
pub async fn sum_judged(conn: &mut DbConnection, lease: LeaseId) -> sqlx::Result<i64> {
    let (attos,): (i64,) =
        sqlx::query_as("select cast(coalesce(sum(attos), 0) as bigint) from judge_answer where lease_id = $1")
            .bind(lease.to_string())
            .fetch_one(conn)
            .await?;
    Ok(attos)
}

/// Writes down what a device computed again of a lease, from a tile on. `false` where that stands there already.
pub async fn insert_judge_answer(
    conn: &mut DbConnection,
    (lease, tile): (LeaseId, u64),
    device: DeviceId,
    attos: i64,
    now: Micros,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into judge_answer (lease_id, tile, device_id, attos, created_at)
        values ($1, $2, $3, $4, $5)
        on conflict (lease_id, tile, device_id) do nothing",
    )
    .bind(lease.to_string())
    .bind(count(tile))
    .bind(device.to_string())
    .bind(attos)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Adds to what a device is owed in atto-credits; returns its account and all that it is owed. `None`: there is no such
/// device.
pub async fn add_owed(conn: &mut DbConnection, device: DeviceId, attos: i64) -> sqlx::Result<Option<(AccountId, i64)>> {
    let row: Option<(String, i64)> = sqlx::query_as(
        "update device
        set owed_attos = owed_attos + $2
        where device_id = $1
        returning account_id, owed_attos",
    )
    .bind(device.to_string())
    .bind(attos)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(account, owed)| (id(&account), owed)))
}

/// The rest was paid.
pub async fn set_owed(conn: &mut DbConnection, device: DeviceId, attos: i64) -> sqlx::Result<()> {
    sqlx::query("update device set owed_attos = $2 where device_id = $1")
        .bind(device.to_string())
        .bind(attos)
        .execute(conn)
        .await?;
    Ok(())
}

/// What a device computes with.
pub async fn find_backend(conn: &mut DbConnection, device: DeviceId) -> sqlx::Result<Option<String>> {
    let row: Option<(String,)> = sqlx::query_as("select backend from device where device_id = $1")
        .bind(device.to_string())
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|(backend,)| backend))
}

/// Records what a device says of itself, under `account` and in `network` from here on.
pub async fn upsert_device(
    conn: &mut DbConnection,
    hello: &Hello,
    account: AccountId,
    network: Option<Network>,
    now: Micros,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into device (device_id, account_id, class, name, backend, software, network, passed, failed,
                            suspended_until, tiles, kflop, earned, flops_per_sec, created_at, seen_at)
        values ($1, $2, $3, $4, $5, $6, $8, 0, 0, 0, 0, 0, 0, 0, $7, $7)
        on conflict (device_id)
        do update set account_id = excluded.account_id, class = excluded.class, name = excluded.name,
                      backend = excluded.backend, software = excluded.software,
                      network = excluded.network, seen_at = excluded.seen_at, unlinked_at = 0",
    )
    .bind(hello.device.to_string())
    .bind(account.to_string())
    .bind(hello.class.name())
    .bind(hello.shown_name())
    .bind(hello.backend.name())
    .bind(flag(hello.software))
    .bind(now)
    .bind(network.map(|network| network.first().to_string()).unwrap_or_default())
    .execute(conn)
    .await?;
    Ok(())
}

/// The device is its account's by a key, or by a code, for which there is no hash.
pub async fn link_device(conn: &mut DbConnection, device: DeviceId, key_hash: Option<&str>) -> sqlx::Result<()> {
    sqlx::query("update device set key_hash = $2, unlinked_from = '' where device_id = $1")
        .bind(device.to_string())
        .bind(key_hash.unwrap_or_default())
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes a device from an account and gives it to a guest; what it has earned stays. `for_good`: the account's keys
/// link it no more. `false` when it is none of the account's.
pub async fn unlink_device(
    conn: &mut DbConnection,
    device: DeviceId,
    (from, guest): (AccountId, AccountId),
    for_good: bool,
    now: Micros,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update device
        set account_id = $3, key_hash = '', unlinked_at = $4, unlinked_from = $5
        where device_id = $1
          and account_id = $2",
    )
    .bind(device.to_string())
    .bind(from.to_string())
    .bind(guest.to_string())
    .bind(now)
    .bind(if for_good { from.to_string() } else { String::new() })
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Devices that linked themselves by a key.
pub async fn list_devices_of_key(conn: &mut DbConnection, key_hash: &str) -> sqlx::Result<Vec<DeviceId>> {
    let rows: Vec<(String,)> = sqlx::query_as("select device_id from device where key_hash = $1 order by device_id")
        .bind(key_hash)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(|(device,)| id(&device)).collect())
}

/// Devices that were taken from an account after `since` and have not connected again.
pub async fn list_unlinked_devices(conn: &mut DbConnection, since: Micros) -> sqlx::Result<Vec<DeviceId>> {
    let rows: Vec<(String,)> = sqlx::query_as("select device_id from device where unlinked_at > $1 order by device_id")
        .bind(since)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(|(device,)| id(&device)).collect())
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
                device.seen_at, coalesce(presence.seen_at, 0) as present_at, device.proved_ops_per_sec, device.proved_at,
                device.line_down, device.line_up
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

/// What accepted leases add to their device's record.
#[derive(Clone, Copy, Debug)]
pub struct AcceptedWork {
    pub leases: u64,
    pub tiles: u64,
    /// Floating-point operations, in thousands.
    pub kflop: u64,
    pub earned: Credits,
    /// Speed as others are shown it, in operations a second.
    pub flops_per_sec: u64,
    /// By its work for others alone.
    pub worked_flops_per_sec: u64,
}

#[derive(Serialize)]
struct WorkRow {
    of_device: String,
    leases: i64,
    work_tiles: i64,
    work_kflop: i64,
    work_earned: i64,
    speed: i64,
    worked_speed: i64,
}

macro_rules! count_passed_sql {
    ($engine:ident) => {
        concat!(
            "update device
            set passed = passed + work.leases, tiles = tiles + work.work_tiles, kflop = kflop + work.work_kflop,
                earned = earned + work.work_earned, flops_per_sec = work.speed, worked_flops_per_sec = work.worked_speed
            from (",
            rows_sql!($engine "$1", of_device text, leases bigint, work_tiles bigint, work_kflop bigint,
                work_earned bigint, speed bigint, worked_speed bigint),
            ") as work
            where device.device_id = work.of_device"
        )
    };
}

/// Counts accepted leases of devices whose rows this transaction has locked.
pub async fn count_passed(conn: &mut DbConnection, works: &BTreeMap<DeviceId, AcceptedWork>) -> sqlx::Result<()> {
    let row = |(device, work): (&DeviceId, &AcceptedWork)| WorkRow {
        of_device: device.to_string(),
        leases: count(work.leases),
        work_tiles: count(work.tiles),
        work_kflop: count(work.kflop),
        work_earned: work.earned.micros(),
        speed: count(work.flops_per_sec),
        worked_speed: count(work.worked_flops_per_sec),
    };
    let rows: Vec<WorkRow> = works.iter().map(row).collect();
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => count_passed_sql!(sqlite),
        Dialect::Postgres => count_passed_sql!(postgres),
    };
    sqlx::query(statement).bind(json(&rows)).execute(conn).await?;
    Ok(())
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

/// A device whose row is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockedDevice {
    pub account: AccountId,
    pub suspended_until: Micros,
    /// What its account was paid for its leases, fees deducted.
    pub earned: Credits,
}

macro_rules! lock_devices_sql {
    ($engine:ident, $lock:literal) => {
        concat!(
            "select device_id, account_id, suspended_until, earned from device where device_id in (",
            list_sql!($engine "$1"),
            ") order by device_id",
            $lock
        )
    };
}

/// Locks devices for the rest of the transaction, in the order of their ids.
pub async fn lock_devices(
    conn: &mut DbConnection,
    devices: &BTreeSet<DeviceId>,
) -> sqlx::Result<BTreeMap<DeviceId, LockedDevice>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => lock_devices_sql!(sqlite, ""),
        Dialect::Postgres => lock_devices_sql!(postgres, " for no key update"),
    };
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(statement).bind(json(devices)).fetch_all(conn).await?;
    let device = |(device, account, suspended_until, earned): (String, String, i64, i64)| {
        let earned = Credits::from_micros(earned);
        (id(&device), LockedDevice { account: id(&account), suspended_until, earned })
    };
    Ok(rows.into_iter().map(device).collect())
}

/// Counts a failed check, which takes all standing; returns how many there were.
pub async fn count_failed(conn: &mut DbConnection, device: DeviceId) -> sqlx::Result<i64> {
    let (failed,): (i64,) =
        sqlx::query_as("update device set failed = failed + 1 where device_id = $1 returning failed")
            .bind(device.to_string())
            .fetch_one(&mut *conn)
            .await?;
    sqlx::query("update device_standing set verified_at_failure = verified_kflop where device_id = $1")
        .bind(device.to_string())
        .execute(conn)
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
