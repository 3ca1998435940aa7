//! What a request can end with besides success.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use wire::{ErrorBody, ErrorCode, Place};

pub type ApiResult<T> = Result<T, ApiError>;

#[derive(Debug)]
pub enum ApiError {
    /// The caller can mend it.
    Refused(Refusal),
    /// The caller cannot; nothing is revealed.
    Internal(anyhow::Error),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    pub body: ErrorBody,
}

impl Refusal {
    pub fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, body: ErrorBody { code, message: message.into(), field: None, place: None } }
    }

    pub fn field(mut self, field: &str) -> Self {
        self.body.field = Some(field.to_owned());
        self
    }
}

pub fn unauthorized() -> ApiError {
    Refusal::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, "sign in, or send 'Authorization: Bearer <key>'")
        .into()
}

/// What does not exist, and what the caller may not know to exist.
pub fn not_found(what: &str) -> ApiError {
    Refusal::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, format!("there is no such {what}")).into()
}

/// A field of the request that is wrong in itself.
pub fn invalid(code: ErrorCode, field: &str, message: impl Into<String>) -> ApiError {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).field(field).into()
}

/// A text of the customer's that is wrong at one place.
pub fn invalid_at(code: ErrorCode, field: &str, place: Place, message: impl Into<String>) -> ApiError {
    let mut refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).field(field);
    refusal.body.place = Some(place);
    refusal.into()
}

pub fn conflict(code: ErrorCode, message: impl Into<String>) -> ApiError {
    Refusal::new(StatusCode::CONFLICT, code, message).into()
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl From<object_store::Error> for ApiError {
    fn from(error: object_store::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => (refusal.status, Json(refusal.body)).into_response(),
            Self::Internal(error) => {
                tracing::error!(error = format!("{error:#}"), "a request failed");
                let message = "something went wrong on the server; try again".to_owned();
                let body = ErrorBody { code: ErrorCode::Internal, message, field: None, place: None };
                (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
            }
        }
    }
}
