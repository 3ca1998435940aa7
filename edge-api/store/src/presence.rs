//! Which devices are online, for how long, and what the network could do and did: what the explorer's figures
//! over time are made of.

use wire::{DeviceId, Micros};

use crate::codec::count;
use crate::db::DbConnection;

/// Devices on this replica's sockets, as the explorer is to see them from `now` on.
pub async fn mark_present(conn: &mut DbConnection, replica: &str, device: DeviceId, now: Micros) -> sqlx::Result<()> {
    sqlx::query(
        "insert into presence (device_id, replica_id, seen_at)
        values ($1, $2, $3)
        on conflict (device_id)
        do update set replica_id = excluded.replica_id, seen_at = excluded.seen_at",
    )
    .bind(device.to_string())
    .bind(replica)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// The device left this replica, unless it has come to another since.
pub async fn mark_absent(conn: &mut DbConnection, replica: &str, device: DeviceId, now: Micros) -> sqlx::Result<()> {
    sqlx::query("delete from presence where device_id = $1 and replica_id = $2")
        .bind(device.to_string())
        .bind(replica)
        .execute(&mut *conn)
        .await?;
    sqlx::query("update device set seen_at = $2 where device_id = $1 and seen_at < $2")
        .bind(device.to_string())
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether another replica has said of a device since `after` that it is there.
pub async fn has_devices_elsewhere(conn: &mut DbConnection, replica: &str, after: Micros) -> sqlx::Result<bool> {
    let row: Option<(i64,)> =
        sqlx::query_as("select seen_at from presence where replica_id <> $1 and seen_at > $2 limit 1")
            .bind(replica)
            .bind(after)
            .fetch_optional(conn)
            .await?;
    Ok(row.is_some())
}

/// Devices of which some replica has said since `after` that they are there.
pub async fn count_present(conn: &mut DbConnection, after: Micros) -> sqlx::Result<i64> {
    let (devices,): (i64,) =
        sqlx::query_as("select count(*) from presence where seen_at > $1").bind(after).fetch_one(conn).await?;
    Ok(devices)
}

/// Forgets devices that no replica has vouched for since `before`.
pub async fn delete_stale_presence(conn: &mut DbConnection, before: Micros) -> sqlx::Result<()> {
    sqlx::query("delete from presence where seen_at < $1").bind(before).execute(conn).await?;
    Ok(())
}

pub async fn add_online(conn: &mut DbConnection, device: DeviceId, day: i64, micros: i64) -> sqlx::Result<()> {
    sqlx::query(
        "insert into device_day (device_id, day, online_micros)
        values ($1, $2, $3)
        on conflict (device_id, day)
        do update set online_micros = device_day.online_micros + excluded.online_micros",
    )
    .bind(device.to_string())
    .bind(day)
    .bind(micros)
    .execute(conn)
    .await?;
    Ok(())
}

/// What devices of a replica could have done in a period, and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supply {
    /// That they were online, all together.
    pub device_micros: u64,
    /// That they took work.
    pub offered_micros: u64,
    /// That they worked on what they committed.
    pub busy_micros: u64,
    /// What they could have done by the speeds that they are shown with, in thousands of operations.
    pub capacity_kflop: u64,
}

/// Adds to what this replica's devices could have done in a period.
pub async fn add_supply(conn: &mut DbConnection, replica: &str, period: Micros, supply: Supply) -> sqlx::Result<()> {
    sqlx::query(
        "insert into supply_period (period, replica_id, device_micros, offered_micros, busy_micros, capacity_kflop)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (period, replica_id)
        do update set device_micros = supply_period.device_micros + excluded.device_micros,
                      offered_micros = supply_period.offered_micros + excluded.offered_micros,
                      busy_micros = supply_period.busy_micros + excluded.busy_micros,
                      capacity_kflop = supply_period.capacity_kflop + excluded.capacity_kflop",
    )
    .bind(period)
    .bind(replica)
    .bind(count(supply.device_micros))
    .bind(count(supply.offered_micros))
    .bind(count(supply.busy_micros))
    .bind(count(supply.capacity_kflop))
    .execute(conn)
    .await?;
    Ok(())
}

/// Sums settled work into periods of `length`, for every period that begins at `since` or later.
pub async fn roll_up_work(conn: &mut DbConnection, since: Micros, length: Micros) -> sqlx::Result<()> {
    sqlx::query(
        "insert into work_period (period, receipts, tiles, kflop, cost)
        select created_at - created_at % $2, count(*), cast(sum(tiles) as bigint), cast(sum(kflop) as bigint),
               cast(sum(cost) as bigint)
        from receipt
        where created_at >= $1
          and state in ('accepted', 'matured')
        group by created_at - created_at % $2
        on conflict (period)
        do update set receipts = excluded.receipts, tiles = excluded.tiles, kflop = excluded.kflop, cost = excluded.cost",
    )
    .bind(since)
    .bind(length)
    .execute(conn)
    .await?;
    Ok(())
}
