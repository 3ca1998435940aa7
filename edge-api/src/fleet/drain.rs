//! A replica that goes away: it lends nothing more, its devices hand in what they have begun and go elsewhere, and others take
//! its slices over at once.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::Instant;

use super::claim;
use super::closing::goodbye;
use crate::app::App;
use crate::http::error::{ApiResult, Refusal};

/// Time for leases that are out. What takes longer goes on, and is committed to another replica.
const LEASES_WITHIN: Duration = Duration::from_secs(4);
/// Time for devices to take the reason why they are disconnected.
const GOODBYES_WITHIN: Duration = Duration::from_secs(1);
/// From its first moment on, until what is under way breaks off.
const DRAINED_WITHIN: Duration = Duration::from_secs(7);
const LOOK: Duration = Duration::from_millis(100);

/// Devices are to go where they are lent something.
pub fn refuse_if_draining(app: &App) -> ApiResult<()> {
    if app.draining.is_cancelled() {
        let closing = goodbye();
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, closing.code, closing.message).retry_after(1).into());
    }
    Ok(())
}

/// Readiness is gone from here on, and whatever can end well does. Returns when nothing more may be under way.
pub async fn drain(app: &App) {
    let begun = Instant::now();
    tracing::info!("asked to stop: leases and requests under way end first");
    app.draining.cancel();
    app.scheduler.lock().rest_all();
    let mut look = tokio::time::interval(LOOK);
    while begun.elapsed() < LEASES_WITHIN {
        look.tick().await;
        let untouched = app.scheduler.lock().core.untouched_slices();
        if let Err(error) = claim::let_go(app, &untouched).await {
            tracing::warn!(error = format!("{error:#}"), "slices could not be let go");
        }
        if app.scheduler.lock().send_idle_devices_away() == 0 {
            break;
        }
    }
    app.stop.cancel();
    app.sockets.close();
    // Whoever does not listen is cut off with the process.
    drop(tokio::time::timeout(GOODBYES_WITHIN, app.sockets.wait()).await);
    tokio::time::sleep_until(begun + DRAINED_WITHIN).await;
    app.over.cancel();
}
