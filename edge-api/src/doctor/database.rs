//! The database: its schema, its clock, who stands on it, what waits there, and the books.

use store::audit::audit_sums;
use store::condition::{known_migrations, list_applied_migrations, list_durability_settings, read_clock};
use store::measures::{find_oldest_pending, read_backlog};
use store::presence::count_present;
use store::replicas::list_heartbeats;
use store::{Db, DbConnection, Dialect};
use tokio::time::Instant;
use wire::Micros;

use super::finding::{Finding, failed, ok, warning};

/// Clocks should agree to within a second; a replica that is heard of five seconds late loses its slices.
const CLOCK_OFF_WARNED: Micros = 1_000_000;
const CLOCK_OFF_MAX: Micros = 5_000_000;
const SILENT: Micros = 5_000_000;
const REPLICAS: i64 = 1000;
/// Devices are vouched for every fifteen seconds.
const DEVICE_SEEN: Micros = 60_000_000;
const RECEIPT_WAITS: Micros = 600_000_000;

pub async fn look(db: &Db, now: Micros, findings: &mut Vec<Finding>) {
    if let Err(error) = examine(db, now, findings).await {
        let message = format!("a statement failed: {error}");
        findings.push(failed("database", message, "look at the database's own log"));
    }
}

async fn examine(db: &Db, now: Micros, findings: &mut Vec<Finding>) -> store::Result<()> {
    let since = Instant::now();
    let mut conn = db.read().await?;
    store::db::ping(&mut conn).await?;
    let engine = match db.dialect {
        Dialect::Sqlite => "SQLite",
        Dialect::Postgres => "PostgreSQL",
    };
    findings.push(ok("database", format!("{engine} answers in {:.1} ms", since.elapsed().as_secs_f64() * 1000.0)));
    let (schema, is_current) = schema(&mut conn).await?;
    findings.push(schema);
    findings.push(durability(&mut conn).await?);
    findings.push(clock(&mut conn, now).await?);
    if is_current {
        findings.push(replicas(&mut conn, now).await?);
        findings.push(devices(&mut conn, now).await?);
        findings.push(backlog(&mut conn, now).await?);
        findings.push(money(&mut conn).await?);
    }
    Ok(())
}

/// Whether the rest can be looked at, too.
async fn schema(conn: &mut DbConnection) -> store::Result<(Finding, bool)> {
    let (known, applied) = (known_migrations(), list_applied_migrations(conn).await?);
    let missing: Vec<i64> = known.iter().filter(|version| !applied.contains(version)).copied().collect();
    let unknown: Vec<i64> = applied.iter().filter(|version| !known.contains(version)).copied().collect();
    let finding = if !missing.is_empty() {
        failed(
            "schema",
            format!("changes {missing:?} are not applied"),
            "start a server of this version: it applies them",
        )
    } else if !unknown.is_empty() {
        let message = format!("changes {unknown:?} are of a newer version than this program");
        warning("schema", message, "use the tessera-admin that came with the server")
    } else {
        ok("schema", format!("all {} changes are applied", known.len()))
    };
    Ok((finding, missing.is_empty()))
}

async fn durability(conn: &mut DbConnection) -> store::Result<Finding> {
    let settings = list_durability_settings(conn).await?;
    let say = |name: &str, value: &str| format!("{name} = {value}");
    let weak: Vec<String> =
        settings.iter().filter(|one| !one.is_durable).map(|one| say(&one.name, &one.value)).collect();
    if !weak.is_empty() {
        let remedy = "set it back: what was paid may be forgotten when the machine loses power";
        return Ok(failed("durability", weak.join(", "), remedy));
    }
    let all: Vec<String> = settings.iter().map(|one| say(&one.name, &one.value)).collect();
    Ok(ok("durability", all.join(", ")))
}

async fn clock(conn: &mut DbConnection, now: Micros) -> store::Result<Finding> {
    let Some(clock) = read_clock(conn).await? else {
        return Ok(ok("clock", "an embedded database has this machine's"));
    };
    let off = clock - now;
    let message = format!("the database's is {} ms {} this machine's", off.abs() / 1000, ahead_of(off));
    let remedy = "have both machines follow a time server";
    Ok(if off.abs() <= CLOCK_OFF_WARNED {
        ok("clock", message)
    } else if off.abs() <= CLOCK_OFF_MAX {
        warning("clock", message, remedy)
    } else {
        failed("clock", message, remedy)
    })
}

fn ahead_of(off: Micros) -> &'static str {
    if off < 0 { "behind" } else { "ahead of" }
}

async fn replicas(conn: &mut DbConnection, now: Micros) -> store::Result<Finding> {
    // Replicas go by the database's clock.
    let now = read_clock(conn).await?.unwrap_or(now);
    let beats = list_heartbeats(conn, REPLICAS).await?;
    let living = beats.iter().filter(|(_, beat)| now - beat <= SILENT).count();
    Ok(match beats.first() {
        Some((replica, beat)) if beat - now > CLOCK_OFF_WARNED => {
            let message = format!("{replica} says that it lives {} s in the future", (beat - now) / 1_000_000);
            failed("replicas", message, "set that machine's clock, or this one's")
        }
        Some(_) if living > 0 => ok("replicas", format!("{living} live; {} were there before", beats.len() - living)),
        Some((replica, beat)) => {
            let message = format!("none lives; {replica} was last heard of {} s ago", (now - beat) / 1_000_000);
            warning("replicas", message, "start a server: it goes on where that one stopped")
        }
        None => warning("replicas", "none has ever started", "start a server"),
    })
}

async fn devices(conn: &mut DbConnection, now: Micros) -> store::Result<Finding> {
    let devices = count_present(conn, now - DEVICE_SEEN).await?;
    if devices == 0 {
        let remedy = "run tessera-worker, and see that the proxy passes WebSockets at /v1/devices/socket";
        return Ok(warning("devices", "none was seen within a minute", remedy));
    }
    Ok(ok("devices", format!("{devices} were seen within a minute")))
}

async fn backlog(conn: &mut DbConnection, now: Micros) -> store::Result<Finding> {
    let waiting = read_backlog(conn).await?;
    let message = format!(
        "{} jobs run, {} receipts await their check, {} disputes are open",
        waiting.jobs_running, waiting.receipts_pending, waiting.disputes_open
    );
    let oldest = find_oldest_pending(conn).await?;
    if let Some(age) = oldest.map(|oldest| now - oldest).filter(|age| *age > RECEIPT_WAITS) {
        let message = format!("{message}; one receipt has waited for {} minutes", age / 60_000_000);
        return Ok(warning(
            "work",
            message,
            "connect a checker that can hold the job, and look at the log for why checks fail",
        ));
    }
    Ok(ok("work", message))
}

async fn money(conn: &mut DbConnection) -> store::Result<Finding> {
    let since = Instant::now();
    let audit = audit_sums(conn).await?;
    let off = audit.rules().into_iter().filter(|(_, rows)| *rows != 0);
    let off: Vec<String> = off.map(|(rule, rows)| format!("{rule}: {rows}")).collect();
    if !off.is_empty() {
        let remedy = "stop the servers, keep a copy of the database, and compare the rows that audit.sql counts";
        return Ok(failed("money", format!("rows contradict each other ({})", off.join(", ")), remedy));
    }
    let millis = since.elapsed().as_millis();
    Ok(ok("money", format!("every asset sums to zero, and the books agree (audited in {millis} ms)")))
}
