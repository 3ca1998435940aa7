//! The network as a whole, out of `public_*` views and no table.

use wire::explorer::{Period, SupplyGroup, Work};
use wire::{Credits, JobState, Micros};

use crate::codec::uncount;
use crate::db::DbConnection;
use crate::explorer::{ONLINE, class};

/// Devices online by kind, most first.
pub async fn list_supply(conn: &mut DbConnection, now: Micros) -> sqlx::Result<Vec<SupplyGroup>> {
    let rows: Vec<(String, String, i64, i64, i64)> = sqlx::query_as(
        "select class, backend, software, cast(count(*) as bigint) as devices, cast(sum(flops_per_sec) as bigint)
        from public_device
        where present_at > $1
        group by class, backend, software
        order by devices desc, class, backend",
    )
    .bind(now - ONLINE)
    .fetch_all(conn)
    .await?;
    let group = |(kind, backend, software, devices, rate): (String, String, i64, i64, i64)| SupplyGroup {
        class: class(&kind),
        backend,
        software: software != 0,
        devices: uncount(devices),
        flops_per_sec: uncount(rate),
    };
    Ok(rows.into_iter().map(group).collect())
}

/// Periods from `since` on, oldest first.
pub async fn list_periods(conn: &mut DbConnection, since: Micros) -> sqlx::Result<Vec<Period>> {
    let work: Vec<(i64, i64, i64, i64, i64)> = sqlx::query_as(
        "select period, receipts, tiles, kflop, cost
        from public_work
        where period >= $1",
    )
    .bind(since)
    .fetch_all(&mut *conn)
    .await?;
    let supply: Vec<(i64, i64, i64, i64, i64)> = sqlx::query_as(
        "select period, cast(sum(device_micros) as bigint), cast(sum(offered_micros) as bigint),
               cast(sum(busy_micros) as bigint), cast(sum(capacity_kflop) as bigint)
        from public_supply
        where period >= $1
        group by period",
    )
    .bind(since)
    .fetch_all(conn)
    .await?;
    let mut periods = std::collections::BTreeMap::new();
    let empty = |start| Period { start, ..Period::default() };
    for (start, receipts, tiles, kflop, cost) in work {
        periods.entry(start).or_insert_with(|| empty(start)).work = Work {
            receipts: uncount(receipts),
            tiles: uncount(tiles),
            kflop: uncount(kflop),
            cost: Credits::from_micros(cost),
        };
    }
    for (start, device_micros, offered, busy, capacity) in supply {
        let period = periods.entry(start).or_insert_with(|| empty(start));
        (period.device_micros, period.offered_micros) = (uncount(device_micros), uncount(offered));
        (period.busy_micros, period.capacity_kflop) = (uncount(busy), uncount(capacity));
    }
    Ok(periods.into_values().collect())
}

/// Tiles of the latest settled leases, newest first.
pub async fn list_latest_leases(conn: &mut DbConnection, since: Micros, most: i64) -> sqlx::Result<Vec<u64>> {
    let rows: Vec<(i64,)> = sqlx::query_as(
        "select tiles
        from public_receipt
        where created_at >= $1
          and state in ('accepted', 'matured')
        order by created_at desc, lease_id desc
        limit $2",
    )
    .bind(since)
    .bind(most)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(tiles,)| uncount(tiles)).collect())
}

/// Jobs in a state, published or not.
pub async fn count_jobs(conn: &mut DbConnection, state: JobState) -> sqlx::Result<u64> {
    let row: Option<(i64,)> = sqlx::query_as("select jobs from public_job_count where state = $1")
        .bind(state.name())
        .fetch_optional(conn)
        .await?;
    Ok(row.map_or(0, |(jobs,)| uncount(jobs)))
}
