//! What a replica remembers of the network's health, for when the database cannot be asked.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wire::Micros;
use wire::number::to;
use wire::status::{Incident, NetworkStatus, PartState, PartStatus, StatusPart, Trouble};

use super::judge::KNOWN_FOR;

#[derive(Debug)]
pub struct KnownStatus {
    started: Instant,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// With the moment at which it was read.
    shown: Option<(NetworkStatus, Instant)>,
    away: Option<Away>,
}

/// The database has not answered, so many times in a row.
#[derive(Clone, Copy, Debug)]
struct Away {
    since: Instant,
    looks: u32,
}

impl Away {
    /// Once is no incident.
    fn confirmed(self) -> Option<Duration> {
        (self.looks > 1).then(|| self.since.elapsed())
    }
}

impl Default for KnownStatus {
    fn default() -> Self {
        Self { started: Instant::now(), memory: Mutex::default() }
    }
}

impl KnownStatus {
    fn change<T>(&self, change: impl FnOnce(&mut Memory) -> T) -> T {
        change(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How long this replica has been there.
    pub fn running_for(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn keep(&self, status: NetworkStatus) {
        self.change(|memory| memory.shown = Some((status, Instant::now())));
    }

    /// The database did not answer to a look.
    pub fn note_database_away(&self) {
        self.change(|memory| {
            let away = memory.away.get_or_insert(Away { since: Instant::now(), looks: 0 });
            away.looks += 1;
        });
    }

    /// The database has answered. For how long it had not, if it was asked more than once.
    pub fn note_database_back(&self) -> Option<Duration> {
        self.change(|memory| memory.away.take()).and_then(Away::confirmed)
    }

    /// Whether nothing that this replica has seen speaks against what was read: a database may answer, and take nothing.
    pub fn agrees_with(&self, status: &NetworkStatus) -> bool {
        is_known(status) || self.change(|memory| memory.away.and_then(Away::confirmed)).is_none()
    }

    /// What is known while the database does not answer: what was read last, as far as it still holds. `now` by this server's
    /// clock, where nothing was ever read.
    pub fn without_database(&self, now: Micros) -> NetworkStatus {
        let (shown, away_for) = self.change(|memory| (memory.shown.clone(), memory.away.and_then(Away::confirmed)));
        let mut status = match shown {
            Some((status, read_at)) => {
                NetworkStatus { at: status.at + to::<Micros>(read_at.elapsed().as_micros()), ..status }
            }
            None => nothing_known(now),
        };
        let is_known = is_known(&status);
        for part in &mut status.parts {
            if part.part == StatusPart::Database {
                (part.state, part.trouble, part.latency_micros) = (PartState::Down, Some(Trouble::Unreachable), None);
            } else if !is_known {
                (part.state, part.trouble, part.latency_micros, part.present) = (PartState::Unknown, None, None, None);
            }
        }
        if let Some(away_for) = away_for {
            let began_at = status.at - to::<Micros>(away_for.as_micros());
            let incident =
                Incident { part: StatusPart::Database, trouble: Trouble::Unreachable, began_at, ended_at: None };
            status.incidents.insert(0, incident);
        }
        status
    }
}

/// Whether what the last look found still holds. A clock that was set back makes of it one that is yet to come.
pub fn is_known(status: &NetworkStatus) -> bool {
    status.looked_at.is_some_and(|looked_at| (status.at - looked_at).abs() <= KNOWN_FOR)
}

fn nothing_known(at: Micros) -> NetworkStatus {
    let unknown = |part| PartStatus {
        part,
        state: PartState::Unknown,
        trouble: None,
        latency_micros: None,
        present: None,
        days: Vec::new(),
    };
    NetworkStatus { at, looked_at: None, parts: StatusPart::ALL.map(unknown).to_vec(), incidents: Vec::new() }
}
