//! What others verified of devices' work, by program.

use std::collections::{BTreeMap, BTreeSet};

use rules::verification::standing::Standings;
use serde::Serialize;
use wire::{DeviceId, Micros};

use crate::codec::{count, id, json, uncount};
use crate::db::{DbConnection, Dialect};
use crate::list::{list_sql, rows_sql};

/// What others verified of a device, by program.
pub async fn find_standings(conn: &mut DbConnection, device: DeviceId) -> sqlx::Result<Standings> {
    Ok(list_standings(conn, &[device].into()).await?.remove(&device).unwrap_or_else(no_standing))
}

/// Nobody has verified anything of it.
pub fn no_standing() -> Standings {
    Standings { since: Micros::MAX, verified_kflop: BTreeMap::new() }
}

macro_rules! standings_sql {
    ($engine:ident) => {
        concat!(
            "select device.device_id, device.created_at, device_standing.program,
                    device_standing.verified_kflop - device_standing.verified_at_failure
            from device
            join device_standing on device_standing.device_id = device.device_id
            where device.device_id in (",
            list_sql!($engine "$1"),
            ")"
        )
    };
}

/// What others verified of devices, by program; nothing of devices of which they verified nothing.
pub async fn list_standings(
    conn: &mut DbConnection,
    devices: &BTreeSet<DeviceId>,
) -> sqlx::Result<BTreeMap<DeviceId, Standings>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => standings_sql!(sqlite),
        Dialect::Postgres => standings_sql!(postgres),
    };
    let rows: Vec<(String, i64, String, i64)> = sqlx::query_as(statement).bind(json(devices)).fetch_all(conn).await?;
    let mut standings: BTreeMap<DeviceId, Standings> = BTreeMap::new();
    for (device, since, program, kflop) in rows {
        let standing = standings.entry(id(&device)).or_insert_with(no_standing);
        standing.since = since;
        standing.verified_kflop.insert(program, uncount(kflop));
    }
    Ok(standings)
}

/// Work in one program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkClass {
    pub device: DeviceId,
    pub program: String,
}

#[derive(Serialize)]
struct VerifiedRow<'a> {
    of_device: String,
    of_program: &'a str,
    verified: i64,
}

/// Work by class, in thousands of operations, as a list of it is bound: `of_device`, `of_program` and `verified`.
pub(crate) fn bound(kflops: &BTreeMap<WorkClass, u64>) -> String {
    let mut rows = Vec::new();
    for (class, kflop) in kflops {
        let (of_device, of_program) = (class.device.to_string(), class.program.as_str());
        rows.push(VerifiedRow { of_device, of_program, verified: count(*kflop) });
    }
    json(&rows)
}

macro_rules! add_verified_sql {
    ($engine:ident) => {
        concat!(
            "insert into device_standing (device_id, program, verified_kflop, verified_at_failure)
            select of_device, of_program, verified, 0 from (",
            rows_sql!($engine "$1", of_device text, of_program text, verified bigint),
            ") as work
            where true
            on conflict (device_id, program)
            do update set verified_kflop = device_standing.verified_kflop + excluded.verified_kflop
            returning device_id, program, verified_kflop"
        )
    };
}

/// Adds what others verified of devices' work, in thousands of operations; returns all that they ever did.
pub async fn add_verified(
    conn: &mut DbConnection,
    kflops: &BTreeMap<WorkClass, u64>,
) -> sqlx::Result<BTreeMap<WorkClass, u64>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => add_verified_sql!(sqlite),
        Dialect::Postgres => add_verified_sql!(postgres),
    };
    let rows: Vec<(String, String, i64)> = sqlx::query_as(statement).bind(bound(kflops)).fetch_all(conn).await?;
    let class = |(device, program, verified): (String, String, i64)| {
        (WorkClass { device: id(&device), program }, uncount(verified))
    };
    Ok(rows.into_iter().map(class).collect())
}
