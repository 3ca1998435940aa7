//! What each device did of a job, kept with every receipt that is settled or falls afterwards.

use std::collections::BTreeMap;

use serde::Serialize;
use wire::device::Backend;
use wire::explorer::Share;
use wire::{DeviceId, JobId};

use crate::codec::{count, id, json, uncount};
use crate::db::{DbConnection, Dialect};
use crate::explorer::ShareRow;
use crate::list::rows_sql;

/// Part of a job that one device did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The latest.
    pub backend: Backend,
    pub tiles: u64,
    pub receipts: u64,
    pub recomputed: u64,
    pub kflop: u64,
}

#[derive(Serialize)]
struct WorkRow {
    of_job: String,
    of_device: String,
    of_backend: &'static str,
    more_tiles: i64,
    more_receipts: i64,
    more_recomputed: i64,
    more_kflop: i64,
}

macro_rules! add_sql {
    ($engine:ident) => {
        concat!(
            "insert into job_share (job_id, device_id, backend, tiles, receipts, recomputed, kflop)
            select of_job, of_device, of_backend, more_tiles, more_receipts, more_recomputed, more_kflop
            from (",
            rows_sql!($engine "$1", of_job text, of_device text, of_backend text, more_tiles bigint, more_receipts bigint,
                more_recomputed bigint, more_kflop bigint),
            ") as work
            where true
            on conflict (job_id, device_id)
            do update set backend = excluded.backend, tiles = job_share.tiles + excluded.tiles,
                          receipts = job_share.receipts + excluded.receipts,
                          recomputed = job_share.recomputed + excluded.recomputed,
                          kflop = job_share.kflop + excluded.kflop
            returning job_id, device_id, receipts"
        )
    };
}

/// Adds settled work to what devices did of jobs whose rows this transaction has locked.
pub(crate) async fn add_work(conn: &mut DbConnection, works: &BTreeMap<(JobId, DeviceId), Work>) -> sqlx::Result<()> {
    let row = |((job, device), work): (&(JobId, DeviceId), &Work)| WorkRow {
        of_job: job.to_string(),
        of_device: device.to_string(),
        of_backend: work.backend.name(),
        more_tiles: count(work.tiles),
        more_receipts: count(work.receipts),
        more_recomputed: count(work.recomputed),
        more_kflop: count(work.kflop),
    };
    let rows: Vec<WorkRow> = works.iter().map(row).collect();
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => add_sql!(sqlite),
        Dialect::Postgres => add_sql!(postgres),
    };
    let sums: Vec<(String, String, i64)> = sqlx::query_as(statement).bind(json(&rows)).fetch_all(&mut *conn).await?;
    let mut newcomers: BTreeMap<JobId, i64> = BTreeMap::new();
    for (job, device, receipts) in sums {
        let (job, device) = (id(&job), id(&device));
        if works.get(&(job, device)).is_some_and(|work| work.receipts == uncount(receipts)) {
            *newcomers.entry(job).or_default() += 1;
        }
    }
    for (job, devices) in newcomers {
        add_devices(conn, job, devices).await?;
    }
    Ok(())
}

/// Takes work back that was settled and fell: a device without any is no longer one of the job's.
pub(crate) async fn take_work(conn: &mut DbConnection, job: JobId, device: DeviceId, work: Work) -> sqlx::Result<()> {
    let (left,): (i64,) = sqlx::query_as(
        "update job_share
        set tiles = tiles - $3, receipts = receipts - $4, recomputed = recomputed - $5, kflop = kflop - $6
        where job_id = $1
          and device_id = $2
        returning receipts",
    )
    .bind(job.to_string())
    .bind(device.to_string())
    .bind(count(work.tiles))
    .bind(count(work.receipts))
    .bind(count(work.recomputed))
    .bind(count(work.kflop))
    .fetch_one(&mut *conn)
    .await?;
    if left > 0 {
        return Ok(());
    }
    sqlx::query("delete from job_share where job_id = $1 and device_id = $2")
        .bind(job.to_string())
        .bind(device.to_string())
        .execute(&mut *conn)
        .await?;
    add_devices(conn, job, -1).await
}

async fn add_devices(conn: &mut DbConnection, job: JobId, devices: i64) -> sqlx::Result<()> {
    sqlx::query("update job set devices = devices + $2 where job_id = $1")
        .bind(job.to_string())
        .bind(devices)
        .execute(conn)
        .await
        .map(drop)
}

/// Who computed a job, most tiles first; 200 at most.
pub async fn list_shares(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Vec<Share>> {
    let rows: Vec<ShareRow> = sqlx::query_as(
        "select part.device_id as device_id, device.name as name, part.backend as backend, part.tiles as tiles,
                part.receipts as receipts, part.recomputed as recomputed, part.kflop as kflop
        from job_share as part
        join device on device.device_id = part.device_id
        where part.job_id = $1
        order by part.tiles desc, part.device_id
        limit 200",
    )
    .bind(job.to_string())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Share::from).collect())
}
