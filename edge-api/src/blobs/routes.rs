use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use wire::{AccountId, ErrorCode};

use super::disk::DiskFull;
use super::{Staged, UPLOAD_BYTES, UploadError, collect};
use crate::app::App;
use crate::auth::Caller;
use crate::http::client_address::ClientAddress;
use crate::http::error::{ApiError, ApiResult, Refusal};
use crate::http::extract::content_length;
use crate::http::limits::Action;
use crate::http::pace::paced;
use crate::openapi::answers::{Binary, ForeignOrigin, RateLimited, Refusals, UploadFailed};
use crate::retry::retry;

/// Upload a blob
///
/// The body is the file. Its address is its hash, so what is there already is stored once.
#[utoipa::path(
    post,
    path = "/v1/blobs",
    tag = "blobs",
    request_body(content = Binary, content_type = "application/octet-stream", description = "The file"),
    responses(
        (status = 201, description = "The blob", body = wire::Blob),
        Refusals<(Caller, ForeignOrigin, RateLimited, UploadFailed)>
    )
)]
pub async fn upload_blob(
    caller: Caller,
    State(app): State<App>,
    from: ClientAddress,
    request: Request,
) -> ApiResult<(StatusCode, Json<wire::Blob>)> {
    app.limits.check(Action::Upload, from)?;
    app.limits.check(Action::Upload, caller.account)?;
    let _entry = app.limits.uploads.enter(caller.account, "uploads of an account are taken")?;
    let announced = content_length(&request).unwrap_or(0);
    let limit = app.config.blob_bytes_max;
    if announced > limit {
        return Err(UploadError::TooLarge { limit }.into());
    }
    let stored = store::blobs::sum_owned_bytes(&mut *app.db.read().await?, caller.account).await?;
    check_account_bytes(&app, stored.saturating_add(announced))?;
    let _room =
        app.limits.hold_body(content_length(&request).map_or(UPLOAD_BYTES, |size| size.min(UPLOAD_BYTES))).await?;
    let name = app.new_nonce().to_string();
    let body = paced(request.into_body());
    let staged = app.blobs.stage(&name, limit, &app.disk, body).await?;
    if staged.blob.size == 0 {
        discard(&app, &staged).await;
        let message = "the file is empty, and nothing was stored; look at it, and upload it again";
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::InvalidInput, message).into());
    }
    keep(&app, caller.account, &staged).await?;
    Ok((StatusCode::CREATED, Json(staged.blob)))
}

/// Puts an upload in its place, and lets the account read it. Where that fails, nothing is left of it.
pub async fn keep(app: &App, account: AccountId, staged: &Staged) -> ApiResult<()> {
    let kept = try_to_keep(app, account, staged).await;
    if kept.is_err() {
        discard(app, staged).await;
    }
    kept
}

async fn try_to_keep(app: &App, account: AccountId, staged: &Staged) -> ApiResult<()> {
    let mut conn = app.db.read().await?;
    // What the account has already takes no more.
    if store::blobs::find_owned_blob(&mut conn, account, staged.blob.hash).await?.is_none() {
        let stored = store::blobs::sum_owned_bytes(&mut conn, account).await?;
        check_account_bytes(app, stored.saturating_add(staged.blob.size))?;
    }
    drop(conn);
    collect::reserve(app, &staged.blob).await?;
    app.blobs.place(staged).await?;
    retry(async || {
        let mut tx = app.db.begin_write().await?;
        store::blobs::insert_blob_owner(&mut tx, account, staged.blob.hash).await?;
        check_account_bytes(app, store::blobs::sum_owned_bytes(&mut tx, account).await?)?;
        tx.commit().await?;
        Ok(())
    })
    .await
}

pub async fn discard(app: &App, staged: &Staged) {
    if let Err(left) = app.blobs.discard(staged).await {
        tracing::debug!(%left, "a refused upload lies in its place already");
    }
}

pub fn check_account_bytes(app: &App, bytes: u64) -> Result<(), ApiError> {
    let most = app.config.limits.account_bytes_max;
    if bytes <= most {
        return Ok(());
    }
    let message =
        format!("an account's files take at most {most} bytes here; those that no job needs go after a while");
    Err(Refusal::new(StatusCode::INSUFFICIENT_STORAGE, ErrorCode::StorageFull, message).into())
}

impl From<DiskFull> for Refusal {
    fn from(_full: DiskFull) -> Self {
        let message = "the server's disk is full; its operator has to make room";
        Self::new(StatusCode::INSUFFICIENT_STORAGE, ErrorCode::StorageFull, message)
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::TooLarge { limit } => {
                let message = format!(
                    "the upload is larger than {limit} bytes, the most that this server takes; split rows over several jobs, or store a model's weights as float16"
                );
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge, message).into()
            }
            UploadError::DiskFull(full) => Refusal::from(full).into(),
            UploadError::Broken(_) => Refusal::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::MalformedRequest,
                "the upload broke off; send it again",
            )
            .into(),
            UploadError::Store(_) | UploadError::Move(_) => Self::Internal(error.into()),
        }
    }
}
