//! JSON bodies, query strings and path ids whose faults are refusals in our own shape.

use std::str::FromStr;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use wire::ErrorCode;

use super::client_address::ClientAddress;
use super::error::{ApiError, Refusal, not_found};
use super::pace::paced;
use crate::app::App;

/// Largest JSON body, in bytes.
pub const BODY_BYTES_MAX: usize = 256 << 10;

/// A parsed JSON body.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let most = wire::number::to(BODY_BYTES_MAX);
        let bytes = content_length(&request).map_or(most, |bytes| bytes.min(most));
        let _room = app.limits.hold_body(bytes).await?;
        let request = request.map(|body| Body::from_stream(paced(body)));
        match Json::<T>::from_request(request, app).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(refuse(&rejection)),
        }
    }
}

/// What a request's head says of its body's size.
pub fn content_length(request: &Request) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn refuse(rejection: &JsonRejection) -> ApiError {
    let status = match rejection.status() {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::UNPROCESSABLE_ENTITY,
        StatusCode::PAYLOAD_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    Refusal::new(status, ErrorCode::MalformedRequest, rejection.body_text()).into()
}

impl FromRequestParts<App> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let address = Self::of(parts, &app.config.limits.trusted_proxies);
        address.ok_or_else(|| anyhow::anyhow!("a request should come over a connection").into())
    }
}

/// The parsed query string.
pub struct QueryParams<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(query) => Ok(Self(query.0)),
            Err(rejection) => {
                Err(Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::MalformedRequest, rejection.body_text()).into())
            }
        }
    }
}

/// The id in the path. What is no id of the kind names nothing: 404.
pub struct PathParam<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for PathParam<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok().map(|path| path.0);
        text.and_then(|text| text.parse().ok()).map(Self).ok_or_else(|| not_found("id"))
    }
}
