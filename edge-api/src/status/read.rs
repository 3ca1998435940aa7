//! The network's health as it was written down.

use store::Db;
use store::incidents::{
    Finding, FoundPart, LastLook, find_last_look, list_found_parts, list_incidents, list_part_days,
};
use wire::status::{NetworkStatus, PartState, PartStatus, StatusPart};

use super::judge::{KNOWN_FOR, first_day};

const INCIDENTS_MAX: i64 = 100;

pub async fn read_status(db: &Db) -> store::Result<NetworkStatus> {
    let mut conn = db.read().await?;
    let LastLook { looked_at, now: at } = find_last_look(&mut conn).await?;
    let since = first_day(at);
    let found = list_found_parts(&mut conn).await?;
    let days = list_part_days(&mut conn, since).await?;
    let incidents = list_incidents(&mut conn, since, INCIDENTS_MAX).await?;
    // A clock that was set back makes of the last look one that is yet to come.
    let is_known = looked_at.is_some_and(|looked_at| (at - looked_at).abs() <= KNOWN_FOR);
    let status_of = |part: StatusPart| {
        let found = found.iter().find(|found| found.part == part).filter(|_| is_known);
        let days = days.iter().filter(|(of, _)| *of == part).map(|(_, day)| *day).collect();
        status_of(part, found, days)
    };
    let parts = StatusPart::ALL.into_iter().map(status_of).collect();
    Ok(NetworkStatus { at, looked_at, parts, incidents })
}

fn status_of(part: StatusPart, found: Option<&FoundPart>, days: Vec<wire::status::PartDay>) -> PartStatus {
    let (state, trouble) = match found.map(|found| found.finding) {
        Some(Finding::Works) => (PartState::Up, None),
        Some(Finding::Idle) => (PartState::Idle, None),
        Some(Finding::Fails(trouble)) => (PartState::Down, Some(trouble)),
        None => (PartState::Unknown, None),
    };
    PartStatus {
        part,
        state,
        trouble,
        latency_micros: found.and_then(|found| found.latency),
        present: found.and_then(|found| found.present),
        days,
    }
}
