//! What is looked up as it is asked for. The scheduler's lock is held for a handful of lengths.

use std::borrow::Cow;
use std::fmt;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::sampled::{Books, engine};
use crate::app::App;

/// All that this replica says of itself, in the format of `OpenMetrics`.
pub fn write(app: &App) -> Result<String, fmt::Error> {
    let mut text = String::new();
    app.metrics.write_counted(&mut text)?;
    let mut looked_up = LookedUp(Registry::with_prefix("tessera"));
    looked_up.process(app);
    looked_up.room(app);
    looked_up.work(app);
    looked_up.database(app);
    encode_registry(&mut text, &looked_up.0)?;
    encode_eof(&mut text)?;
    Ok(text)
}

struct LookedUp(Registry);

type Labels = [(&'static str, Cow<'static, str>); 1];

impl LookedUp {
    fn one(&mut self, name: &str, help: &str, value: impl TryInto<i64>) {
        self.0.register(name, help, ConstGauge::new(value.try_into().unwrap_or(i64::MAX)));
    }

    fn by<N: TryInto<i64>, W: Into<Cow<'static, str>>>(
        &mut self,
        (name, help): (&str, &str),
        label: &'static str,
        values: impl IntoIterator<Item = (W, N)>,
    ) {
        let family = Family::<Labels, Gauge>::default();
        for (word, value) in values {
            family.get_or_create(&[(label, word.into())]).set(value.try_into().unwrap_or(i64::MAX));
        }
        self.0.register(name, help, family);
    }

    fn process(&mut self, app: &App) {
        let build = vec![("version", env!("CARGO_PKG_VERSION")), ("engine", engine(app.db.dialect))];
        self.0.register("build", "The program and what it stands on", Info::new(build));
        if let Some(bytes) = resident_bytes() {
            self.one("resident_memory_bytes", "Memory of this process", bytes);
        }
    }

    /// How much of what is limited is taken.
    fn room(&mut self, app: &App) {
        let limits = &app.config.limits;
        self.one("connections_limit", "Connections that may be open", limits.connections_max);
        for (name, help, budget) in [
            ("body", "Request bodies in memory", &app.limits.bodies),
            ("check", "Outputs in memory that are checked", &app.outputs),
        ] {
            self.one(&format!("{name}_memory_bytes"), help, budget.bytes_held());
            self.one(&format!("{name}_memory_limit_bytes"), help, budget.bytes_max());
        }
        let compilers = &app.compilers;
        self.by(("compilers", "Processes that read strangers' text"), "purpose", compilers.places_used());
        self.one("compilers_limit", "Such processes of one purpose at once", compilers.places());
        let disks = app.disk.free().map(|(folder, free)| (folder.display().to_string(), free));
        self.by(("disk_free_bytes", "Free on the disk of a folder"), "folder", disks);
        self.one("disk_reserve_bytes", "What uploads leave free", app.disk.bytes());
        let pools = app.db.pools();
        let help = "Connections to the database that are in use";
        self.by(("database_connections_used", help), "pool", pools.iter().map(|pool| (pool.name, pool.used)));
        let help = "Connections to the database at most";
        self.by(("database_connections_limit", help), "pool", pools.iter().map(|pool| (pool.name, pool.most)));
    }

    /// What this replica holds.
    fn work(&mut self, app: &App) {
        let (counts, closing, unanswered) = {
            let state = app.scheduler.lock();
            (state.core.counts(), state.closing.len(), state.unanswered.len())
        };
        self.one("devices_waiting", "Devices that would take a lease more", counts.devices_waiting);
        self.one("jobs_held", "Jobs with slices on this replica", counts.jobs);
        self.one("jobs_with_free_tiles", "Of them, those whose tiles wait for a device", counts.jobs_with_free_tiles);
        self.one("slices_held", "Slices on this replica", counts.slices);
        let leases = [("out", counts.leases_out), ("committed", counts.leases_committed)];
        self.by(("leases", "Leases that devices compute, and that await their check"), "state", leases);
        let rechecks = [("waiting", counts.rechecks_waiting), ("assigned", counts.rechecks_assigned)];
        self.by(("rechecks", "Requests for tiles to be computed again"), "state", rechecks);
        self.one("jobs_closing", "Jobs whose end is under way on this replica", closing);
        self.one("commits_unanswered", "Devices' commits without an answer", unanswered);
    }

    /// What was last read from the database.
    fn database(&mut self, app: &App) {
        let latest = app.metrics.sampled.latest();
        self.0.register("sample_failures", "Readings of the database that failed", ConstCounter::new(latest.failures));
        if let Some(backlog) = latest.backlog {
            self.one("jobs_running", "Jobs that run, on all replicas", backlog.jobs_running);
            self.one("receipts_pending", "Receipts that await their check, on all replicas", backlog.receipts_pending);
            self.one("verdicts_open", "Draws that are not decided, on all replicas", backlog.verdicts_open);
            self.one("disputes_open", "Disputes that are not decided, on all replicas", backlog.disputes_open);
        }
        if let Some(books) = latest.books {
            self.books(app, books);
        }
    }

    fn books(&mut self, app: &App, books: Books) {
        let Books { audit, purses, sums, at, took } = books;
        // The slices' bits are for an audit at rest.
        let found = audit.rules().into_iter().filter(|(rule, _)| *rule != "bits");
        self.by(
            ("audit_rows_off", "Rows that contradict others, by the rule that they break: all are zero"),
            "rule",
            found,
        );
        self.by(("ledger_sum_micros", "The sum of an asset's entries: zero"), "asset", sums);
        let purses_by_name = [("posted", purses.posted), ("held", purses.held), ("pending", purses.pending)];
        self.by(("purse_micros", "What accounts have, in micro-credits"), "purse", purses_by_name);
        self.one("holds_open", "Holds of jobs that have not ended", purses.holds_open);
        self.one("audit_age_seconds", "Since the audit was last begun", (app.clock.now() - at) / 1_000_000);
        let help = "What the audit last took";
        self.0.register("audit_seconds", help, ConstGauge::new(took.as_secs_f64()));
    }
}

/// On Linux alone.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    Some(kib.parse::<u64>().ok()?.saturating_mul(1024))
}
