//! What replicas tell each other over the database, by PostgreSQL's `notify`. A notice belongs to the transaction that makes
//! the change: it goes out when that commits. It is a hint: whoever misses one finds the change by looking.

use std::time::Duration;

use sqlx::postgres::PgListener;
use wire::{DeviceId, JobId, Micros};

use crate::db::{DbConnection, Dialect};

const CHANNEL: &str = "tessera";
/// Of the notices' form. Those of another are passed over, so that servers of two versions run side by side.
const VERSION: &str = "1";
/// After so long without a notice the connection is tried: a cut that nobody was told of looks like silence.
const SILENCE: Duration = Duration::from_secs(5);

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A job was submitted, or slices were let go: there may be something to claim.
    Work,
    /// Whoever watches the job looks again.
    JobChanged(JobId),
    JobEnded(JobId),
    /// A job was published, or taken back.
    Published,
    /// Devices were taken from their account, by name or with the key that linked them.
    Unlinked,
    Suspended(DeviceId, Micros),
}

impl Notice {
    fn text(self) -> String {
        match self {
            Self::Work => "work".to_owned(),
            Self::JobChanged(job) => format!("job_changed {job}"),
            Self::JobEnded(job) => format!("job_ended {job}"),
            Self::Published => "published".to_owned(),
            Self::Unlinked => "unlinked".to_owned(),
            Self::Suspended(device, until) => format!("suspended {device} {until}"),
        }
    }

    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let notice = match words.next()? {
            "work" => Self::Work,
            "job_changed" => Self::JobChanged(words.next()?.parse().ok()?),
            "job_ended" => Self::JobEnded(words.next()?.parse().ok()?),
            "published" => Self::Published,
            "unlinked" => Self::Unlinked,
            "suspended" => Self::Suspended(words.next()?.parse().ok()?, words.next()?.parse().ok()?),
            _ => return None,
        };
        words.next().is_none().then_some(notice)
    }
}

/// Tells all other replicas once this transaction commits. An embedded database has one process, and nobody to tell.
pub async fn notify(conn: &mut DbConnection, replica: &str, notice: Notice) -> sqlx::Result<()> {
    if Dialect::of(conn) == Dialect::Postgres {
        let payload = format!("{VERSION} {replica} {}", notice.text());
        let statement = sqlx::query("select cast(pg_notify($1, $2) as text)");
        statement.bind(CHANNEL).bind(payload).execute(conn).await?;
    }
    Ok(())
}

/// What a listener hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Notice(Notice),
    /// The connection was lost and is there again: what was said meanwhile was said for nothing.
    Missed,
}

/// A connection that hears what other replicas say.
pub struct Notices {
    listener: PgListener,
    /// Whose own notices are passed over.
    replica: String,
}

impl Notices {
    pub async fn listen(url: &str, replica: &str) -> sqlx::Result<Self> {
        let mut listener = PgListener::connect(url).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self { listener, replica: replica.to_owned() })
    }

    /// The next thing that another replica says. After an error this is of no use any more. Losing the future loses nothing.
    pub async fn next(&mut self) -> sqlx::Result<Heard> {
        loop {
            let Ok(heard) = tokio::time::timeout(SILENCE, self.listener.try_recv()).await else {
                self.try_connection().await?;
                continue;
            };
            let Some(notification) = heard? else { return Ok(Heard::Missed) };
            if let Some(notice) = self.read(notification.payload()) {
                return Ok(Heard::Notice(notice));
            }
        }
    }

    async fn try_connection(&mut self) -> sqlx::Result<()> {
        let asked = sqlx::query("select 1").execute(&mut self.listener);
        let answered = tokio::time::timeout(SILENCE, asked).await;
        answered.map_err(|elapsed| sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed)))??;
        Ok(())
    }

    /// `None`: it is this replica's own, or none that this version knows.
    fn read(&self, payload: &str) -> Option<Notice> {
        let mut words = payload.split(' ');
        let is_others = words.next() == Some(VERSION) && words.next()? != self.replica;
        if is_others { Notice::parse(words) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_as_it_was_written_and_no_other_is() {
        let (job, device) = (JobId::from_parts(7, [3; 10]), DeviceId([9; 32]));
        for notice in [
            Notice::Work,
            Notice::JobChanged(job),
            Notice::JobEnded(job),
            Notice::Published,
            Notice::Unlinked,
            Notice::Suspended(device, 1_795_372_807_000_000),
        ] {
            assert_eq!(Notice::parse(notice.text().split(' ')), Some(notice));
            let longer = format!("{} more", notice.text());
            assert_eq!(Notice::parse(longer.split(' ')), None, "a newer version says more than this one reads");
        }
        for unknown in ["", "moved", "job_ended", "job_ended x", "suspended 00 1"] {
            assert_eq!(Notice::parse(unknown.split(' ')), None, "{unknown}");
        }
    }
}
