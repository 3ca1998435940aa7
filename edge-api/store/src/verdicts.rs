//! What was drawn of receipts and what came of it, and the tiles on which runs disagree.

use std::collections::{BTreeMap, BTreeSet};

use rules::scheduling::recheck_request::Answerer;
use rules::verification::dispute::{Comparison, Outcome};
use rules::verification::party::{Network, Party};
use serde::Serialize;
use sqlx::FromRow;
use wire::{AccountId, BlobHash, DeviceId, JobId, LeaseId, Micros, TileHash};

use crate::codec::{count, flag, from_json, id, json, named, optional_id, optional_text, uncount};
use crate::db::{DbConnection, Dialect};
use crate::list::{list_sql, rows_sql};

/// Why tiles of a receipt are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The device committed.
    Commit,
    /// Its job ends.
    Final,
    /// This lease of the same device was rejected.
    After(LeaseId),
}

impl Cause {
    fn text(self) -> String {
        match self {
            Self::Commit => "commit".to_owned(),
            Self::Final => "final".to_owned(),
            Self::After(lease) => format!("after {lease}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictState {
    Open,
    Passed,
    Rejected,
}

impl VerdictState {
    const ALL: [Self; 3] = [Self::Open, Self::Passed, Self::Rejected];

    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Passed => "passed",
            Self::Rejected => "rejected",
        }
    }
}

/// What was drawn of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Counted from the lease's first.
    pub tiles: Vec<u32>,
    pub state: VerdictState,
}

/// Tiles that are drawn of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVerdict {
    pub lease: LeaseId,
    pub seed: [u8; 32],
    /// Counted from the lease's first.
    pub tiles: Vec<u32>,
}

#[derive(Serialize)]
struct NewRow {
    lease: String,
    seed: String,
    tiles: String,
}

macro_rules! insert_verdicts_sql {
    ($engine:ident) => {
        concat!(
            "insert into verdict (lease_id, cause, seed, tiles, state, created_at, decided_at)
            select lease, $2, seed, tiles, 'open', $3, 0 from (",
            rows_sql!($engine "$1", lease text, seed text, tiles text),
            ") as new
            where true
            on conflict (lease_id, cause) do nothing
            returning lease_id"
        )
    };
}

macro_rules! list_verdicts_sql {
    ($engine:ident) => {
        concat!(
            "select lease_id, tiles, state from verdict where cause = $2 and lease_id in (",
            list_sql!($engine "$1"),
            ")"
        )
    };
}

/// Stores what is drawn for a cause, and returns what counts: where tiles of a receipt were drawn for it before, those do.
pub async fn open_verdicts(
    conn: &mut DbConnection,
    cause: Cause,
    drawn: &[NewVerdict],
    now: Micros,
) -> sqlx::Result<BTreeMap<LeaseId, Verdict>> {
    let row = |new: &NewVerdict| NewRow {
        lease: new.lease.to_string(),
        seed: TileHash(new.seed).to_string(),
        tiles: json(&new.tiles),
    };
    let mut rows: Vec<NewRow> = drawn.iter().map(row).collect();
    rows.sort_unstable_by(|a, b| a.lease.cmp(&b.lease));
    let (insert, list) = match Dialect::of(conn) {
        Dialect::Sqlite => (insert_verdicts_sql!(sqlite), list_verdicts_sql!(sqlite)),
        Dialect::Postgres => (insert_verdicts_sql!(postgres), list_verdicts_sql!(postgres)),
    };
    let inserted: Vec<(String,)> =
        sqlx::query_as(insert).bind(json(&rows)).bind(cause.text()).bind(now).fetch_all(&mut *conn).await?;
    let inserted: BTreeSet<LeaseId> = inserted.iter().map(|(lease,)| id(lease)).collect();
    let (new, before): (Vec<&NewVerdict>, Vec<&NewVerdict>) =
        drawn.iter().partition(|one| inserted.contains(&one.lease));
    let open = |one: &NewVerdict| (one.lease, Verdict { tiles: one.tiles.clone(), state: VerdictState::Open });
    let mut verdicts: BTreeMap<LeaseId, Verdict> = new.into_iter().map(open).collect();
    if before.is_empty() {
        return Ok(verdicts);
    }
    let leases: Vec<LeaseId> = before.iter().map(|one| one.lease).collect();
    let rows: Vec<(String, String, String)> =
        sqlx::query_as(list).bind(json(&leases)).bind(cause.text()).fetch_all(conn).await?;
    let verdict = |(lease, tiles, state): (String, String, String)| {
        let state = named(&VerdictState::ALL, VerdictState::name, &state);
        (id(&lease), Verdict { tiles: from_json(&tiles), state })
    };
    verdicts.extend(rows.into_iter().map(verdict));
    Ok(verdicts)
}

macro_rules! pass_verdicts_sql {
    ($engine:ident) => {
        concat!(
            "update verdict
            set state = 'passed', decided_at = $3
            where cause = $2
              and state = 'open'
              and lease_id in (",
            list_sql!($engine "$1"),
            ")"
        )
    };
}

/// Closes verdicts of one cause: what was drawn stood.
pub async fn pass_verdicts(conn: &mut DbConnection, cause: Cause, leases: &[LeaseId], now: Micros) -> sqlx::Result<()> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => pass_verdicts_sql!(sqlite),
        Dialect::Postgres => pass_verdicts_sql!(postgres),
    };
    sqlx::query(statement).bind(json(&leases)).bind(cause.text()).bind(now).execute(conn).await?;
    Ok(())
}

/// Closes a verdict. `false`: it was closed before.
pub async fn decide_verdict(
    conn: &mut DbConnection,
    lease: LeaseId,
    cause: Cause,
    state: VerdictState,
    now: Micros,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update verdict
        set state = $3, decided_at = $4
        where lease_id = $1
          and cause = $2
          and state = 'open'",
    )
    .bind(lease.to_string())
    .bind(cause.text())
    .bind(state.name())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

macro_rules! redraws_sql {
    ($engine:ident) => {
        concat!(
            "select verdict.lease_id, substr(verdict.cause, 7)
            from verdict
            join receipt on receipt.lease_id = verdict.lease_id
            where verdict.state = 'open'
              and receipt.state = 'accepted'
              and verdict.cause like 'after %'
              and verdict.lease_id not in (",
            list_sql!($engine "$2"),
            ")
            order by verdict.created_at, verdict.lease_id
            limit $1"
        )
    };
}

/// Settled receipts, but for those of the leases named, that are drawn from once more since their device was caught: each
/// with its cause.
pub async fn list_redraws(
    conn: &mut DbConnection,
    but: &BTreeSet<LeaseId>,
    most: i64,
) -> sqlx::Result<Vec<(LeaseId, Cause)>> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => redraws_sql!(sqlite),
        Dialect::Postgres => redraws_sql!(postgres),
    };
    let rows: Vec<(String, String)> = sqlx::query_as(statement).bind(most).bind(json(but)).fetch_all(conn).await?;
    Ok(rows.iter().map(|(lease, caught)| (id(lease), Cause::After(id(caught)))).collect())
}

/// Whether receipts of the job are being drawn from once more: it cannot end before that is decided.
pub async fn has_redraws(conn: &mut DbConnection, job: JobId) -> sqlx::Result<bool> {
    let (open,): (i64,) = sqlx::query_as(
        "select cast(count(*) as bigint)
        from receipt
        join verdict on verdict.lease_id = receipt.lease_id
        where receipt.job_id = $1
          and receipt.state = 'accepted'
          and verdict.state = 'open'
          and verdict.cause like 'after %'",
    )
    .bind(job.to_string())
    .fetch_one(conn)
    .await?;
    Ok(open > 0)
}

/// A tile on which two runs disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisputedTile {
    pub lease: LeaseId,
    /// Counted over the job.
    pub tile: u64,
    pub job: JobId,
    pub device: DeviceId,
    pub accused: Party,
    pub finder: Answerer,
    pub signed_output: BlobHash,
    /// `None` where the finder ran out of fuel.
    pub finder_output: Option<BlobHash>,
    /// `None` while it is open.
    pub outcome: Option<Outcome>,
    pub created_at: Micros,
}

#[derive(FromRow)]
struct DisputeRow {
    lease_id: String,
    tile: i64,
    job_id: String,
    device_id: String,
    account_id: String,
    network: Option<String>,
    finder_device_id: String,
    finder_account_id: String,
    finder_network: Option<String>,
    signed_output: String,
    finder_output: String,
    outcome: String,
    created_at: i64,
}

impl From<DisputeRow> for DisputedTile {
    fn from(row: DisputeRow) -> Self {
        let finder = match (optional_id(&row.finder_account_id), optional_id(&row.finder_device_id)) {
            (Some(account), Some(device)) => {
                Answerer::Peer { party: party(account, row.finder_network.as_deref()), device }
            }
            _ => Answerer::Checker,
        };
        Self {
            lease: id(&row.lease_id),
            tile: uncount(row.tile),
            job: id(&row.job_id),
            device: id(&row.device_id),
            accused: party(id(&row.account_id), row.network.as_deref()),
            finder,
            signed_output: id(&row.signed_output),
            finder_output: optional_id(&row.finder_output),
            outcome: (!row.outcome.is_empty()).then(|| named(&Outcome::ALL, Outcome::name, &row.outcome)),
            created_at: row.created_at,
        }
    }
}

macro_rules! select_disputes_sql {
    ($rest:literal) => {
        concat!(
            "select lease_id, tile, job_id, device_id, account_id, finder_device_id, finder_account_id, signed_output,
                    finder_output, outcome, created_at,
                    (select network from device where device.device_id = dispute.device_id) as network,
                    (select network from device where device.device_id = dispute.finder_device_id) as finder_network
            from dispute ",
            $rest
        )
    };
}

/// Opens a dispute, unless there is one about this tile: then it goes on. Returns the one that counts.
pub async fn open_dispute(conn: &mut DbConnection, dispute: &DisputedTile) -> sqlx::Result<DisputedTile> {
    let (account, device) = match dispute.finder {
        Answerer::Checker => (None, None),
        Answerer::Peer { party, device } => (Some(party.account), Some(device)),
    };
    sqlx::query(
        "insert into dispute (lease_id, tile, job_id, device_id, account_id, finder_device_id, finder_account_id,
                              signed_output, finder_output, outcome, created_at, decided_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', $10, 0)
        on conflict (lease_id, tile) do nothing",
    )
    .bind(dispute.lease.to_string())
    .bind(count(dispute.tile))
    .bind(dispute.job.to_string())
    .bind(dispute.device.to_string())
    .bind(dispute.accused.account.to_string())
    .bind(optional_text(device))
    .bind(optional_text(account))
    .bind(dispute.signed_output.to_string())
    .bind(optional_text(dispute.finder_output))
    .bind(dispute.created_at)
    .execute(&mut *conn)
    .await?;
    let row: DisputeRow = sqlx::query_as(select_disputes_sql!("where lease_id = $1 and tile = $2"))
        .bind(dispute.lease.to_string())
        .bind(count(dispute.tile))
        .fetch_one(conn)
        .await?;
    Ok(row.into())
}

/// The latest disputes of a job, newest first.
pub async fn list_disputes(conn: &mut DbConnection, job: JobId, most: i64) -> sqlx::Result<Vec<DisputedTile>> {
    let rows: Vec<DisputeRow> =
        sqlx::query_as(select_disputes_sql!("where job_id = $1 order by created_at desc, lease_id, tile limit $2"))
            .bind(job.to_string())
            .bind(most)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(DisputedTile::from).collect())
}

/// Whoever computed a disputed tile, and how it compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisputeRun {
    pub device: DeviceId,
    pub by: Party,
    pub comparison: Comparison,
}

#[derive(FromRow)]
struct RunRow {
    device_id: String,
    account_id: String,
    network: Option<String>,
    with_device: i64,
    with_checker: i64,
}

fn party(account: AccountId, network: Option<&str>) -> Party {
    Party { account, network: network.and_then(|network| network.parse().ok()).and_then(Network::of) }
}

/// Stores a run. Of one device the first counts.
pub async fn insert_dispute_run(
    conn: &mut DbConnection,
    lease: LeaseId,
    tile: u64,
    run: DisputeRun,
    now: Micros,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into dispute_run (lease_id, tile, device_id, account_id, with_device, with_checker, created_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (lease_id, tile, device_id) do nothing",
    )
    .bind(lease.to_string())
    .bind(count(tile))
    .bind(run.device.to_string())
    .bind(run.by.account.to_string())
    .bind(flag(run.comparison.with_device))
    .bind(flag(run.comparison.with_checker))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// The runs of a dispute, in their order.
pub async fn list_dispute_runs(conn: &mut DbConnection, lease: LeaseId, tile: u64) -> sqlx::Result<Vec<DisputeRun>> {
    let rows: Vec<RunRow> = sqlx::query_as(
        "select device_id, account_id, with_device, with_checker,
                (select network from device where device.device_id = dispute_run.device_id) as network
        from dispute_run
        where lease_id = $1
          and tile = $2
        order by created_at, device_id",
    )
    .bind(lease.to_string())
    .bind(count(tile))
    .fetch_all(conn)
    .await?;
    let run = |row: RunRow| DisputeRun {
        device: id(&row.device_id),
        by: party(id(&row.account_id), row.network.as_deref()),
        comparison: Comparison { with_device: row.with_device != 0, with_checker: row.with_checker != 0 },
    };
    Ok(rows.into_iter().map(run).collect())
}

/// Ends a dispute. `false`: it had ended.
pub async fn decide_dispute(
    conn: &mut DbConnection,
    lease: LeaseId,
    tile: u64,
    outcome: Outcome,
    now: Micros,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update dispute
        set outcome = $3, decided_at = $4
        where lease_id = $1
          and tile = $2
          and outcome = ''",
    )
    .bind(lease.to_string())
    .bind(count(tile))
    .bind(outcome.name())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes an open dispute and its runs off the record.
pub async fn withdraw_dispute(conn: &mut DbConnection, lease: LeaseId, tile: u64) -> sqlx::Result<()> {
    for sql in [
        "delete from dispute_run
        where lease_id = $1
          and tile = $2
          and exists (select 1 from dispute
                      where dispute.lease_id = dispute_run.lease_id
                        and dispute.tile = dispute_run.tile
                        and dispute.outcome = '')",
        "delete from dispute
        where lease_id = $1
          and tile = $2
          and outcome = ''",
    ] {
        sqlx::query(sql).bind(lease.to_string()).bind(count(tile)).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Tiles of a job that are not reproducible, and the accounts on whose devices that was found. Guests have no vote.
pub async fn count_unreproducible(conn: &mut DbConnection, job: JobId) -> sqlx::Result<(u64, u64)> {
    let (tiles, accounts): (i64, i64) = sqlx::query_as(
        "select cast(count(distinct dispute.tile) as bigint), cast(count(distinct dispute.account_id) as bigint)
        from dispute
        join account on account.account_id = dispute.account_id
        where dispute.job_id = $1
          and dispute.outcome = 'not_reproducible'
          and account.kind = 'customer'",
    )
    .bind(job.to_string())
    .fetch_one(conn)
    .await?;
    Ok((uncount(tiles), uncount(accounts)))
}
