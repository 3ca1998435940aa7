//! JSON bodies and path ids whose faults are refusals in our own shape.

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use wire::ErrorCode;

use crate::app::App;
use crate::error::{ApiError, Refusal};

/// A parsed JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        match axum::Json::<T>::from_request(request, app).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(refuse(&rejection)),
        }
    }
}

fn refuse(rejection: &JsonRejection) -> ApiError {
    let status = match rejection.status() {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::UNPROCESSABLE_ENTITY,
        StatusCode::PAYLOAD_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    Refusal::new(status, ErrorCode::MalformedRequest, rejection.body_text()).into()
}

/// The parsed query string.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> axum::extract::FromRequestParts<App> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, app: &App) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::from_request_parts(parts, app).await {
            Ok(query) => Ok(Self(query.0)),
            Err(rejection) => {
                Err(Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::MalformedRequest, rejection.body_text()).into())
            }
        }
    }
}

/// The id in the path. What is no id of the kind names nothing: 404.
pub struct At<T>(pub T);

impl<T: std::str::FromStr> axum::extract::FromRequestParts<App> for At<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, app: &App) -> Result<Self, ApiError> {
        let text = axum::extract::Path::<String>::from_request_parts(parts, app).await.ok().map(|path| path.0);
        text.and_then(|text| text.parse().ok()).map(Self).ok_or_else(|| crate::error::not_found("id"))
    }
}
