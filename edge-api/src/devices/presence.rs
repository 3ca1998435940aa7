//! Which devices are online, for how long, and what they could do: written down while they are
//! connected, so that the explorer's figures survive this process.

use std::time::Duration;

use rules::scheduling::device::Offer;
use store::DbConnection;
use store::presence::Supply;
use wire::{DeviceId, Micros};

use super::unlink;
use crate::app::App;

const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// How often what was done lately is summed.
const SUM_INTERVAL: Duration = Duration::from_secs(3);
const DAY: Micros = 86_400_000_000;
/// Length of a period of the explorer's charts.
const PERIOD: Micros = 600_000_000;
/// A transaction of this many devices holds the write lock for milliseconds.
const DEVICES_AT_ONCE: usize = 256;
/// The most time that one heartbeat adds to an uptime: while a machine sleeps, its devices are not online.
const ELAPSED_MAX: Micros = 60_000_000;
/// Presence that nobody refreshed for this long is deleted.
const STALE: Micros = 600_000_000;

/// A device's time on this replica that is not written down yet.
#[derive(Clone, Copy, Debug)]
pub struct UptimeSample {
    pub device: DeviceId,
    /// It takes work.
    pub is_awake: bool,
    /// That it offered, in operations a second.
    pub speed: u64,
    pub since: Micros,
    /// How long it worked on what it has committed.
    pub busy: Micros,
}

impl UptimeSample {
    fn micros(&self, now: Micros) -> Micros {
        (now - self.since).clamp(0, ELAPSED_MAX)
    }
}

/// Writes down who is here until the server stops.
pub async fn run(app: App) {
    let mut tick = tokio::time::interval(HEARTBEAT_INTERVAL);
    let mut sum = tokio::time::interval(SUM_INTERVAL);
    loop {
        let written = tokio::select! {
            () = app.stop.cancelled() => return,
            _ = tick.tick() => beat(&app, app.clock.now()).await,
            _ = sum.tick() => sum_work(&app, 1).await,
        };
        if let Err(error) = written {
            tracing::error!(error = format!("{error:#}"), "presence could not be written");
        }
    }
}

async fn beat(app: &App, now: Micros) -> anyhow::Result<()> {
    unlink::disconnect_unlinked(app, now).await?;
    record_uptime(app, now).await
}

/// Accounts for everyone's time up to `now`.
pub async fn record_uptime(app: &App, now: Micros) -> anyhow::Result<()> {
    let samples: Vec<UptimeSample> = {
        let mut state = app.scheduler.lock();
        let supply = state.core.supply(now);
        let sample = |Offer { device, is_awake, flops_per_sec: speed }| {
            let since = state.accounted.insert(device, now).unwrap_or(now);
            UptimeSample { device, is_awake, speed, since, busy: state.core.take_busy(device) }
        };
        supply.into_iter().map(sample).collect()
    };
    for samples in samples.chunks(DEVICES_AT_ONCE) {
        let mut tx = app.db.begin_write().await?;
        for sample in samples {
            store::presence::mark_present(&mut tx, &app.replica, sample.device, now).await?;
        }
        write_samples(&mut tx, app, samples, now).await?;
        tx.commit().await?;
    }
    let mut tx = app.db.begin_write().await?;
    store::presence::delete_stale_presence(&mut tx, now - STALE).await?;
    store::devices::delete_expired_codes(&mut tx, now).await?;
    tx.commit().await?;
    // Receipts may still be voided: the last hour is summed anew.
    sum_work(app, 6).await
}

/// A device has gone: its last time, and that it is here no more.
pub async fn record_departure(app: &App, sample: UptimeSample, now: Micros) -> anyhow::Result<()> {
    let mut tx = app.db.begin_write().await?;
    store::presence::mark_absent(&mut tx, &app.replica, sample.device, now).await?;
    write_samples(&mut tx, app, &[sample], now).await?;
    tx.commit().await?;
    Ok(())
}

async fn write_samples(
    conn: &mut DbConnection,
    app: &App,
    samples: &[UptimeSample],
    now: Micros,
) -> anyhow::Result<()> {
    let (mut supply, mut kflop) = (Supply::default(), 0u128);
    for sample in samples {
        let micros = sample.micros(now);
        store::presence::add_online(conn, sample.device, now.div_euclid(DAY), micros).await?;
        let micros = u64::try_from(micros)?;
        supply.device_micros += micros;
        supply.busy_micros += u64::try_from(sample.busy)?;
        if sample.is_awake {
            supply.offered_micros += micros;
        }
        kflop += u128::from(sample.speed) * u128::from(micros) / 1_000_000_000;
    }
    if supply.device_micros > 0 {
        supply.capacity_kflop = u64::try_from(kflop)?;
        let period = now - now.rem_euclid(PERIOD);
        store::presence::add_supply(conn, &app.replica, period, supply).await?;
    }
    Ok(())
}

/// Sums settled work of this period and of so many before it.
async fn sum_work(app: &App, periods_before: i64) -> anyhow::Result<()> {
    let now = app.clock.now();
    let mut tx = app.db.begin_write().await?;
    store::presence::roll_up_work(&mut tx, now - now.rem_euclid(PERIOD) - periods_before * PERIOD, PERIOD).await?;
    tx.commit().await?;
    Ok(())
}
