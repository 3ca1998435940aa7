//! What a job's owner may see of how it went: who computed it, how fast, what happened, what came out.

use wire::explorer::PublicReceipt;
use wire::{BlobHash, DeviceId, JobEvent, JobEventKind, JobId, Micros, Throughput, number};

use crate::codec::{id, named, optional_id, optional_text, uncount};
use crate::db::DbConnection;
use crate::explorer::ReceiptRow;

/// Points of a throughput curve.
const STEPS: i64 = 60;
/// A curve's shortest step.
const STEP_MIN: Micros = 100_000;

/// Adds a line to the story that a job's owner reads. Twice at one moment is once.
pub async fn insert_event(
    conn: &mut DbConnection,
    job: JobId,
    kind: JobEventKind,
    device: Option<DeviceId>,
    now: Micros,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into job_event (job_id, created_at, kind, device_id)
        values ($1, $2, $3, $4)
        on conflict (job_id, created_at, kind, device_id) do nothing",
    )
    .bind(job.to_string())
    .bind(now)
    .bind(kind.name())
    .bind(optional_text(device))
    .execute(conn)
    .await?;
    Ok(())
}

/// The first `most` events of a job, oldest first.
pub async fn list_events(conn: &mut DbConnection, job: JobId, most: i64) -> sqlx::Result<Vec<JobEvent>> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "select created_at, kind, device_id
        from job_event
        where job_id = $1
        order by created_at, kind, device_id
        limit $2",
    )
    .bind(job.to_string())
    .bind(most)
    .fetch_all(conn)
    .await?;
    let event = |(at, kind, device): (i64, String, String)| JobEvent {
        at,
        kind: named(&JobEventKind::ALL, JobEventKind::name, &kind),
        device: optional_id(&device),
    };
    Ok(rows.into_iter().map(event).collect())
}

/// Settled tiles of a job between two moments, in equal steps: when they were settled, not when they came in.
pub async fn list_throughput(
    conn: &mut DbConnection,
    job: JobId,
    from: Micros,
    to: Micros,
) -> sqlx::Result<Throughput> {
    let step = ((to - from) / STEPS + 1).max(STEP_MIN);
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select step, cast(sum(tiles) as bigint)
        from (
          select (case when settled_at > 0 then settled_at else created_at end - $2) / $3 as step, tiles
          from receipt
          where job_id = $1
            and state in ('accepted', 'matured')
        ) as settled
        group by step",
    )
    .bind(job.to_string())
    .bind(from)
    .bind(step)
    .fetch_all(conn)
    .await?;
    let mut tiles = vec![0; number::to((to - from).max(0) / step + 1)];
    for (position, settled) in rows {
        // A receipt that came in after `to` is the next curve's.
        if let Some(slot) = usize::try_from(position).ok().and_then(|position| tiles.get_mut(position)) {
            *slot = uncount(settled);
        }
    }
    Ok(Throughput { step, tiles })
}

/// The latest receipts of a job, newest first.
pub async fn list_latest_receipts(conn: &mut DbConnection, job: JobId, most: i64) -> sqlx::Result<Vec<PublicReceipt>> {
    let rows: Vec<ReceiptRow> = sqlx::query_as(
        "select lease_id, device_id, backend, program, tiles, kflop, state, recomputed, created_at, job_id
        from receipt
        where job_id = $1
        order by created_at desc, lease_id desc
        limit $2",
    )
    .bind(job.to_string())
    .bind(most)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(PublicReceipt::from).collect())
}

/// The outputs of a finished job, in order.
pub async fn list_outputs(conn: &mut DbConnection, job: JobId) -> sqlx::Result<Vec<OutputPart>> {
    let rows: Vec<(i64, i64, String)> = sqlx::query_as(
        "select first_tile, tiles, output_hash
        from receipt
        where job_id = $1
          and state in ('accepted', 'matured')
        order by first_tile",
    )
    .bind(job.to_string())
    .fetch_all(conn)
    .await?;
    let part = |(first_tile, tiles, hash): (i64, i64, String)| OutputPart {
        first_tile: uncount(first_tile),
        tiles: uncount(tiles),
        blob: id(&hash),
    };
    Ok(rows.into_iter().map(part).collect())
}

/// The output of one lease, verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputPart {
    pub first_tile: u64,
    pub tiles: u64,
    pub blob: BlobHash,
}
