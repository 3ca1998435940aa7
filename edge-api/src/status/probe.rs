//! Looks at each part every fifteen seconds. All replicas would, and the first one does: the others see that somebody has. What the
//! database cannot be told while it is away, it is told when it is back.

use std::time::Duration;

use anyhow::Context;
use store::DbConnection;
use store::incidents::{Finding, FoundPart, LastLook};
use tokio::time::Instant;
use wire::Micros;
use wire::number::to;
use wire::status::{Incident, StatusPart, Trouble};

use super::judge::{KNOWN_FOR, Passed, Step, days, first_day, judge};
use super::read::read_status;
use crate::app::App;
use crate::random;

const EVERY: Duration = Duration::from_secs(15);
/// Replicas take turns by chance: one that alone cannot reach the blobs should not speak for all of them each time.
const JITTER_MILLIS: u64 = 3000;
/// Looks that are closer tell nothing new.
const EVERY_AT_LEAST: Micros = 12_000_000;
/// Less than an operator's patience with a database, and more than a busy one takes.
const DATABASE_ANSWERS_WITHIN: Duration = Duration::from_secs(5);
const BLOBS_ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Devices are vouched for every fifteen seconds.
const DEVICE_SEEN: Micros = 60_000_000;
const RECEIPT_WAITS: Micros = 600_000_000;
/// A replica says every second that it lives.
const SERVER_HEARD: Micros = 5_000_000;
const SERVERS_MAX: i64 = 1000;
/// Incidents beyond so many are forgotten before they are old.
const INCIDENTS_KEPT: i64 = 1000;

/// Looks until the server stops. Not at once: a replica that lived through what the others did not comes first.
pub async fn run(app: App) {
    loop {
        let jitter = Duration::from_millis(random::below(JITTER_MILLIS));
        let due = Instant::now() + EVERY + jitter;
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = tokio::time::sleep_until(due) => {}
        }
        if let Err(error) = look_if_due(&app, due.elapsed()).await {
            app.status.note_database_away();
            tracing::warn!(error = format!("{error:#}"), "the network's health could not be written down");
        }
    }
}

async fn look_if_due(app: &App, late: Duration) -> anyhow::Result<()> {
    let last = tokio::time::timeout(DATABASE_ANSWERS_WITHIN, async {
        store::incidents::find_last_look(&mut *app.db.read().await?).await
    });
    let LastLook { looked_at, now } = last.await.context("the database does not answer")??;
    // A clock that was set back must not keep everyone waiting for it.
    let is_due = looked_at.is_none_or(|looked_at| now - looked_at >= EVERY_AT_LEAST || looked_at - now > KNOWN_FOR);
    if is_due {
        look(app, looked_at, now, late).await?;
    } else {
        // Another replica has looked since, so that the network had its database.
        app.status.note_database_back();
    }
    let status = tokio::time::timeout(DATABASE_ANSWERS_WITHIN, read_status(&app.db)).await??;
    app.status.keep(status);
    Ok(())
}

/// Looks at every part. `late`: by how much this replica came late to it.
pub async fn look(app: &App, looked_at: Option<Micros>, now: Micros, late: Duration) -> anyhow::Result<()> {
    let blobs = blobs(app).await;
    let recorded = async {
        let mut found = read_parts(app, late).await?;
        found.push(blobs);
        record(app, looked_at, now, &found).await
    };
    tokio::time::timeout(DATABASE_ANSWERS_WITHIN, recorded).await.context("the database takes nothing")?
}

/// What was found of a part.
struct Found {
    part: StatusPart,
    finding: Finding,
    latency: Option<Micros>,
    present: Option<u64>,
}

/// Of everything that the database knows of, itself among it.
async fn read_parts(app: &App, late: Duration) -> anyhow::Result<Vec<Found>> {
    let since = Instant::now();
    let mut conn = app.db.read().await?;
    store::db::ping(&mut conn).await?;
    let answered = micros(since.elapsed());
    let heartbeats = store::replicas::list_heartbeats(&mut conn, SERVERS_MAX).await?;
    let latest = heartbeats.first().map_or(0, |(_, at)| *at);
    // This one runs, whether or not it has said so yet.
    let servers = heartbeats.iter().filter(|(_, at)| latest - at <= SERVER_HEARD).count().max(1);
    let devices = store::presence::count_present(&mut conn, app.clock.now() - DEVICE_SEEN).await?;
    let devices_found = if devices > 0 {
        Finding::Works
    } else if store::measures::has_running_job(&mut conn).await? {
        Finding::Fails(Trouble::NoDevices)
    } else {
        Finding::Idle
    };
    let oldest = store::measures::find_oldest_pending(&mut conn).await?;
    let waits = oldest.map_or(0, |oldest| (app.clock.now() - oldest).max(0));
    let checks = if waits > RECEIPT_WAITS { Finding::Fails(Trouble::ReceiptsWait) } else { Finding::Works };
    let found = |part, finding, latency, present| Found { part, finding, latency, present };
    Ok(vec![
        found(StatusPart::Edge, Finding::Works, Some(micros(late)), Some(to(servers))),
        found(StatusPart::Database, Finding::Works, Some(answered), None),
        found(StatusPart::Devices, devices_found, None, Some(to(devices))),
        found(StatusPart::Checks, checks, Some(waits), None),
    ])
}

/// Whether the mark of their place is found.
async fn blobs(app: &App) -> Found {
    let since = Instant::now();
    let marked = tokio::time::timeout(BLOBS_ANSWER_WITHIN, app.blobs.is_marked()).await;
    let (finding, latency) = match marked {
        Ok(Ok(true)) => (Finding::Works, Some(micros(since.elapsed()))),
        Ok(Ok(false) | Err(_)) | Err(_) => (Finding::Fails(Trouble::Unreachable), None),
    };
    Found { part: StatusPart::Blobs, finding, latency, present: None }
}

fn micros(time: Duration) -> Micros {
    to(time.as_micros())
}

/// Writes down what follows, unless another replica has looked since.
async fn record(app: &App, looked_at: Option<Micros>, now: Micros, found: &[Found]) -> anyhow::Result<()> {
    let mut tx = app.db.begin_write().await?;
    let claimed = store::incidents::claim_look(&mut tx, looked_at, now).await?;
    // Others could write while this one could not: the network had its database.
    let away_for = app.status.note_database_back();
    if !claimed {
        return Ok(());
    }
    let outage = looked_at.and_then(|looked_at| outage(looked_at, now, away_for, app.status.running_for()));
    if let Some(outage) = outage {
        write_outage(&mut tx, outage, now).await?;
    }
    let last = store::incidents::list_found_parts(&mut tx).await?;
    for found in found {
        let last = last.iter().find(|last| last.part == found.part).copied();
        let was_out = outage.is_some_and(|outage| outage.part == found.part);
        write_found(&mut tx, found, last, (looked_at, now), was_out).await?;
    }
    store::incidents::delete_old_status(&mut tx, first_day(now), INCIDENTS_KEPT).await?;
    Ok(tx.commit().await?)
}

/// What kept everyone from looking: the database was away, as this replica has seen, or no server ran, as this one was not there
/// either. A server that was there, and neither looked nor was kept from it, slept: of such a time nothing is known.
fn outage(looked_at: Micros, now: Micros, away_for: Option<Duration>, running_for: Duration) -> Option<Incident> {
    let incident = |part, trouble, began_at, ended_at| Incident { part, trouble, began_at, ended_at: Some(ended_at) };
    if let Some(away_for) = away_for {
        let began_at = now - micros(away_for);
        return (looked_at <= began_at).then(|| incident(StatusPart::Database, Trouble::Unreachable, began_at, now));
    }
    let started_at = now - micros(running_for);
    // A server that is started anew within a minute is not missed.
    (started_at - looked_at > KNOWN_FOR).then(|| incident(StatusPart::Edge, Trouble::NoServers, looked_at, started_at))
}

async fn write_outage(conn: &mut DbConnection, outage: Incident, now: Micros) -> store::Result<()> {
    store::incidents::insert_incident(conn, outage).await?;
    for time in days(outage.began_at, outage.ended_at.unwrap_or(now), Passed::Down) {
        store::incidents::add_part_time(conn, outage.part, time).await?;
    }
    Ok(())
}

async fn write_found(
    conn: &mut DbConnection,
    found: &Found,
    last: Option<FoundPart>,
    (looked_at, now): (Option<Micros>, Micros),
    was_out: bool,
) -> store::Result<()> {
    let &Found { part, finding, latency, present } = found;
    let judgement = judge(last, looked_at, now, finding);
    let passed = if was_out { Passed::Unknown } else { judgement.passed };
    for time in looked_at.map_or_else(Vec::new, |looked_at| days(looked_at, now, passed)) {
        store::incidents::add_part_time(conn, part, time).await?;
    }
    match (judgement.incident, finding) {
        (Step::Begins { began_at }, Finding::Fails(trouble)) => {
            let incident = Incident { part, trouble, began_at, ended_at: None };
            store::incidents::insert_incident(conn, incident).await?;
        }
        (Step::Ends, _) => store::incidents::end_incident(conn, part, now).await?,
        (Step::Begins { .. } | Step::Nothing, _) => {}
    }
    let failing_since = judgement.failing_since;
    store::incidents::upsert_found_part(conn, FoundPart { part, finding, failing_since, latency, present }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    #[track_caller]
    fn check(last_look: Micros, away_for: Option<u64>, running_for: u64, expected: Option<(Trouble, Micros, Micros)>) {
        let now = 100_000 * SECOND;
        let found =
            outage(now - last_look * SECOND, now, away_for.map(Duration::from_secs), Duration::from_secs(running_for));
        let ago = |at: Micros| (now - at) / SECOND;
        let found = found.map(|one| (one.trouble, ago(one.began_at), ago(one.ended_at.unwrap())));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_database_that_was_away_for_everyone_is_an_incident_and_for_one_replica_is_none() {
        check(100, Some(90), 5000, Some((Trouble::Unreachable, 90, 0)));
        check(15, Some(90), 5000, None);
    }

    #[test]
    fn that_no_server_ran_is_known_to_one_that_has_just_started() {
        check(900, None, 15, Some((Trouble::NoServers, 900, 15)));
        check(70, None, 15, None);
    }

    #[test]
    fn of_the_time_for_which_a_server_slept_nothing_is_known() {
        check(900, None, 5000, None);
        check(900, None, 880, None);
    }
}
