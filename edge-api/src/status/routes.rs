use std::time::Duration;

use axum::Json;
use axum::extract::State;
use wire::status::NetworkStatus;

use super::read::read_status;
use crate::app::App;
use crate::openapi::answers::Refusals;

/// Whoever wants to know whether something is wrong waits no longer for a database that is.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Show the network's health
///
/// Each part as it was found last, for how long of each of ninety days it was found to work and not to, and what was wrong. While
/// the database is away the server says what it remembers.
#[utoipa::path(
    get,
    path = "/v1/public/status",
    tag = "server",
    responses(
        (status = 200, description = "Each part, and incidents", body = NetworkStatus),
        Refusals<()>
    )
)]
pub async fn show_status(State(app): State<App>) -> ([(&'static str, &'static str); 1], Json<NetworkStatus>) {
    // The probe writes into the log why the database does not answer, and does so less often.
    let status = match tokio::time::timeout(ANSWER_WITHIN, read_status(&app.db)).await {
        Ok(Ok(status)) if app.status.agrees_with(&status) => status,
        Ok(Ok(_) | Err(_)) | Err(_) => app.status.without_database(app.clock.now()),
    };
    ([("cache-control", "public, max-age=2")], Json(status))
}
