use axum::Json;
use axum::extract::State;
use wire::{JobId, PublicJob};

use super::store;
use crate::app::App;
use crate::error::{ApiResult, not_found};
use crate::json::At;

/// Show a published job to anyone
pub async fn show_public_job(
    State(app): State<App>,
    At(id): At<JobId>,
) -> ApiResult<([(&'static str, &'static str); 1], Json<PublicJob>)> {
    let job = store::find_public_job(&mut *app.db.read().await?, id).await?;
    let job = job.ok_or_else(|| not_found("published job"))?;
    Ok(([("cache-control", "public, max-age=2")], Json(job)))
}
