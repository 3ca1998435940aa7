//! JSON bodies, query strings and path ids whose faults are refusals in our own shape, with the field at fault.

use std::convert::Infallible;
use std::str::FromStr;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use wire::ErrorCode;

use super::body_error::{BodyError, parse_json, plain_words};
use super::client_address::ClientAddress;
use super::error::{ApiError, ApiResult, Refusal, invalid, not_found};
use super::pace::paced;
use crate::app::App;

/// Largest JSON body, in bytes.
pub const BODY_BYTES_MAX: usize = 256 << 10;

/// What text may hold and PostgreSQL has no room for, so that nothing there is called by it. Names in bodies have no
/// control characters at all.
const ZERO: char = '\0';

/// A parsed JSON body.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(malformed("send JSON, with 'Content-Type: application/json'").into());
        }
        let most = wire::number::to(BODY_BYTES_MAX);
        let bytes = content_length(&request).map_or(most, |bytes| bytes.min(most));
        let _room = app.limits.hold_body(bytes).await?;
        let request = request.map(|body| Body::from_stream(paced(body)));
        let bytes = Bytes::from_request(request, app).await.map_err(|rejection| refuse_bytes(&rejection))?;
        parse_json(&bytes).map(Self).map_err(|error| match error {
            BodyError::Syntax { message } => malformed(message).into(),
            BodyError::Field { field, message } => {
                let refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::MalformedRequest, message);
                if field.is_empty() { refusal.into() } else { refusal.field(&field).into() }
            }
        })
    }
}

/// What a request's head says of its body's size.
pub fn content_length(request: &Request) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::MalformedRequest, message)
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn refuse_bytes(rejection: &BytesRejection) -> ApiError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let message = "the body is too large: a request's JSON has at most 256 KiB";
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::MalformedRequest, message).into()
        }
        _ => malformed("the body broke off; send it again").into(),
    }
}

impl FromRequestParts<App> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let address = Self::of(parts, &app.config.limits.trusted_proxies);
        address.ok_or_else(|| anyhow::anyhow!("a request should come over a connection").into())
    }
}

impl axum::extract::OptionalFromRequestParts<App> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Infallible> {
        Ok(Self::of(parts, &app.config.limits.trusted_proxies))
    }
}

/// The parsed query string.
pub struct QueryParams<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        if let Some((name, _)) = pairs.clone().find(|(_, value)| value.contains(ZERO)) {
            return Err(malformed("expected text without the character zero").field(&name).into());
        }
        let read = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs));
        read.map(Self).map_err(|error| {
            let (message, missing) = plain_words(&error.inner().to_string());
            let field = missing.unwrap_or_else(|| error.path().to_string());
            malformed(message).field(&field).into()
        })
    }
}

/// How many rows a page may have.
#[derive(Clone, Copy, Debug)]
pub struct PageSize {
    pub usual: i64,
    pub most: i64,
}

impl PageSize {
    /// What was asked for, if a page may be so long.
    pub fn limit(self, wanted: Option<i64>) -> ApiResult<i64> {
        let limit = wanted.unwrap_or(self.usual);
        if (1..=self.most).contains(&limit) {
            return Ok(limit);
        }
        Err(invalid(ErrorCode::MalformedRequest, "limit", format!("a page has 1 to {} rows", self.most)))
    }
}

/// The id in the path. What is no id of the kind names nothing: 404.
pub struct PathParam<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for PathParam<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok().map(|path| path.0);
        let text = text.filter(|text| !text.contains(ZERO));
        text.and_then(|text| text.parse().ok()).map(Self).ok_or_else(|| not_found("id"))
    }
}

/// The request that opens a WebSocket.
pub struct SocketUpgrade(pub WebSocketUpgrade);

impl<S: Send + Sync> FromRequestParts<S> for SocketUpgrade {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        WebSocketUpgrade::from_request_parts(parts, state).await.map(Self).map_err(|rejection| {
            let message = format!("this address is a WebSocket: {}", rejection.body_text());
            malformed(message).into()
        })
    }
}
