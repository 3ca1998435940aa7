use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use wire::{BlobHash, ErrorCode};

use super::UploadError;
use crate::app::App;
use crate::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Refusal, not_found};
use crate::http::extract::PathParam;
use crate::openapi::answers::{Binary, ForeignOrigin, Refusals, UploadFailed};

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
        Refusals<(Caller, ForeignOrigin, UploadFailed)>
    )
)]
pub async fn upload_blob(
    caller: Caller,
    State(app): State<App>,
    body: Body,
) -> ApiResult<(StatusCode, Json<wire::Blob>)> {
    let name = app.new_nonce().to_string();
    let blob = app.blobs.upload(&name, app.config.blob_bytes_max, body.into_data_stream()).await?;
    let mut tx = app.db.begin_write().await?;
    store::blobs::insert_owned_blob(&mut tx, caller.account, &blob).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(blob)))
}

/// Download a blob of the caller's own
#[utoipa::path(
    get,
    path = "/v1/blobs/{hash}",
    tag = "blobs",
    params(("hash" = BlobHash, Path, description = "The blob's hash")),
    responses(
        (status = 200, description = "The file", body = Binary, content_type = "application/octet-stream"),
        Refusals<(Caller, PathParam<BlobHash>)>
    )
)]
pub async fn download_blob(
    caller: Caller,
    State(app): State<App>,
    PathParam(hash): PathParam<BlobHash>,
) -> ApiResult<Response> {
    let blob = store::blobs::find_owned_blob(&mut *app.db.read().await?, caller.account, hash).await?;
    let blob = blob.ok_or_else(|| not_found("blob"))?;
    let headers = [("content-type", "application/octet-stream".to_owned()), ("content-length", blob.size.to_string())];
    Ok((headers, Body::from_stream(app.blobs.stream(hash).await?)).into_response())
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
