//! How each part of the network does, as whichever replica looked first has found it, and what was wrong.

use sqlx::FromRow;
use wire::Micros;
use wire::status::{Incident, PartDay, StatusPart, Trouble};

use crate::codec::{count, named, uncount};
use crate::db::{DbConnection, Dialect, now_sql};

/// What a look has found of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    Works,
    /// Nobody is there, and nobody is wanted.
    Idle,
    Fails(Trouble),
}

impl Finding {
    fn name(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Idle => "idle",
            Self::Fails(trouble) => trouble.name(),
        }
    }

    fn stored(name: &str) -> Self {
        match name {
            "works" => Self::Works,
            "idle" => Self::Idle,
            trouble => Self::Fails(trouble_named(trouble)),
        }
    }
}

/// A part as it was found last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundPart {
    pub part: StatusPart,
    pub finding: Finding,
    /// The first look in a row that found something wrong.
    pub failing_since: Option<Micros>,
    pub latency: Option<Micros>,
    pub present: Option<u64>,
}

/// When a replica last looked, and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastLook {
    pub looked_at: Option<Micros>,
    /// By the database's clock, so that replicas whose own differ agree on who is next.
    pub now: Micros,
}

fn part_named(name: &str) -> StatusPart {
    named(&StatusPart::ALL, StatusPart::name, name)
}

fn trouble_named(name: &str) -> Trouble {
    named(&Trouble::ALL, Trouble::name, name)
}

pub async fn find_last_look(conn: &mut DbConnection) -> sqlx::Result<LastLook> {
    let statement = match Dialect::of(conn) {
        Dialect::Sqlite => concat!("select looked_at, ", now_sql!(sqlite), " from status_look"),
        Dialect::Postgres => concat!("select looked_at, ", now_sql!(postgres), " from status_look"),
    };
    let (looked_at, now): (i64, i64) = sqlx::query_as(statement).fetch_one(conn).await?;
    Ok(LastLook { looked_at: (looked_at > 0).then_some(looked_at), now })
}

/// Says that this replica has looked, unless another has since `before`.
pub async fn claim_look(conn: &mut DbConnection, before: Option<Micros>, now: Micros) -> sqlx::Result<bool> {
    let claimed = sqlx::query("update status_look set looked_at = $2 where looked_at = $1")
        .bind(before.unwrap_or(0))
        .bind(now)
        .execute(conn)
        .await?;
    Ok(claimed.rows_affected() == 1)
}

pub async fn upsert_found_part(conn: &mut DbConnection, found: FoundPart) -> sqlx::Result<()> {
    sqlx::query(
        "insert into part_status (part, finding, failing_since, latency, present)
        values ($1, $2, $3, $4, $5)
        on conflict (part)
        do update set finding = excluded.finding,
                      failing_since = excluded.failing_since,
                      latency = excluded.latency,
                      present = excluded.present",
    )
    .bind(found.part.name())
    .bind(found.finding.name())
    .bind(found.failing_since.unwrap_or(0))
    .bind(found.latency.unwrap_or(-1))
    .bind(found.present.map_or(-1, count))
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn list_found_parts(conn: &mut DbConnection) -> sqlx::Result<Vec<FoundPart>> {
    let rows: Vec<(String, String, i64, i64, i64)> =
        sqlx::query_as("select part, finding, failing_since, latency, present from part_status order by part")
            .fetch_all(conn)
            .await?;
    let found = |(part, finding, failing_since, latency, present): (String, String, i64, i64, i64)| FoundPart {
        part: part_named(&part),
        finding: Finding::stored(&finding),
        failing_since: (failing_since > 0).then_some(failing_since),
        latency: (latency >= 0).then_some(latency),
        present: (present >= 0).then(|| uncount(present)),
    };
    Ok(rows.into_iter().map(found).collect())
}

/// Adds to what is known of a part's day.
pub async fn add_part_time(conn: &mut DbConnection, part: StatusPart, time: PartDay) -> sqlx::Result<()> {
    sqlx::query(
        "insert into part_day (part, day, up_micros, down_micros)
        values ($1, $2, $3, $4)
        on conflict (part, day)
        do update set up_micros = part_day.up_micros + excluded.up_micros,
                      down_micros = part_day.down_micros + excluded.down_micros",
    )
    .bind(part.name())
    .bind(time.day)
    .bind(time.up_micros)
    .bind(time.down_micros)
    .execute(conn)
    .await?;
    Ok(())
}

/// Each part's days since one, oldest first.
pub async fn list_part_days(conn: &mut DbConnection, since: Micros) -> sqlx::Result<Vec<(StatusPart, PartDay)>> {
    let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "select part, day, up_micros, down_micros
        from part_day
        where day >= $1
        order by part, day",
    )
    .bind(since)
    .fetch_all(conn)
    .await?;
    let day = |(part, day, up_micros, down_micros): (String, i64, i64, i64)| {
        (part_named(&part), PartDay { day, up_micros, down_micros })
    };
    Ok(rows.into_iter().map(day).collect())
}

/// Writes an incident down, unless one of the part goes on.
pub async fn insert_incident(conn: &mut DbConnection, incident: Incident) -> sqlx::Result<()> {
    sqlx::query(
        "insert into incident (part, began_at, ended_at, trouble)
        values ($1, $2, $3, $4)
        on conflict do nothing",
    )
    .bind(incident.part.name())
    .bind(incident.began_at)
    .bind(incident.ended_at.unwrap_or(0))
    .bind(incident.trouble.name())
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends what goes on of a part, if anything does.
pub async fn end_incident(conn: &mut DbConnection, part: StatusPart, ended_at: Micros) -> sqlx::Result<()> {
    sqlx::query("update incident set ended_at = $2 where part = $1 and ended_at = 0")
        .bind(part.name())
        .bind(ended_at)
        .execute(conn)
        .await?;
    Ok(())
}

#[derive(FromRow)]
struct IncidentRow {
    part: String,
    began_at: i64,
    ended_at: i64,
    trouble: String,
}

/// What went on at some time since `since`, the latest first.
pub async fn list_incidents(conn: &mut DbConnection, since: Micros, most: i64) -> sqlx::Result<Vec<Incident>> {
    let rows: Vec<IncidentRow> = sqlx::query_as(
        "select part, began_at, ended_at, trouble
        from incident
        where ended_at = 0
           or ended_at >= $1
        order by began_at desc, part
        limit $2",
    )
    .bind(since)
    .bind(most)
    .fetch_all(conn)
    .await?;
    let incident = |row: IncidentRow| Incident {
        part: part_named(&row.part),
        trouble: trouble_named(&row.trouble),
        began_at: row.began_at,
        ended_at: (row.ended_at > 0).then_some(row.ended_at),
    };
    Ok(rows.into_iter().map(incident).collect())
}

/// Forgets days before `before`, incidents that ended before it, and all but the latest `kept` of those that ended.
pub async fn delete_old_status(conn: &mut DbConnection, before: Micros, kept: i64) -> sqlx::Result<()> {
    sqlx::query("delete from part_day where day < $1").bind(before).execute(&mut *conn).await?;
    sqlx::query(
        "delete from incident
        where ended_at > 0
          and (ended_at < $1
               or began_at < (select began_at from incident order by began_at desc limit 1 offset $2))",
    )
    .bind(before)
    .bind(kept - 1)
    .execute(conn)
    .await?;
    Ok(())
}
