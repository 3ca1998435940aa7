//! What nobody will ask for again is forgotten, bit by bit: sessions that ended, and guests that never earned and
//! are not coming back.

use std::time::Duration;

use wire::{AccountId, Micros};

use crate::app::App;

const EVERY: Duration = Duration::from_secs(600);
/// A guest whose devices were not seen for this long is dead.
pub const GUEST_LASTS: Micros = 30 * 86_400_000_000;
/// Guests forgotten at one sweep.
const GUESTS_AT_ONCE: i64 = 200;

/// Sweeps until the server stops.
pub async fn run(app: App) {
    let mut tick = tokio::time::interval(EVERY);
    let mut after = None;
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = sweep_sessions(&app).await {
            tracing::error!(error = format!("{error:#}"), "ended sessions could not be swept");
        }
        match sweep_guests(&app, after).await {
            Ok(last) => after = last,
            Err(error) => tracing::error!(error = format!("{error:#}"), "dead guests could not be swept"),
        }
    }
}

pub async fn sweep_sessions(app: &App) -> anyhow::Result<()> {
    let mut tx = app.db.begin_write().await?;
    store::accounts::delete_expired_sessions(&mut tx, app.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// Forgets dead guests after `after`. The last one looked at, where there may be more behind it.
pub async fn sweep_guests(app: &App, after: Option<AccountId>) -> anyhow::Result<Option<AccountId>> {
    let seen_before = app.clock.now() - GUEST_LASTS;
    let guests =
        store::guests::list_dead_guests(&mut *app.db.read().await?, seen_before, after, GUESTS_AT_ONCE).await?;
    for &guest in &guests {
        let mut tx = app.db.begin_write().await?;
        match store::guests::delete_guest(&mut tx, guest, seen_before).await {
            Ok(()) => tx.commit().await?,
            // Its device has just come back; what was deleted of it stays.
            Err(error) if store::db::is_referenced(&error) => tx.rollback().await?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(guests.last().copied())
}
