//! What a request can end with besides success.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{AppendHeaders, IntoResponse, Response};
use rules::admission::AdmitError;
use wire::{ErrorBody, ErrorCode};

use super::detail;
use crate::programs::failure::AdmitFailure;

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
    /// When to try again, in seconds.
    pub retry_after: Option<u64>,
}

impl Refusal {
    pub fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            status,
            body: ErrorBody { code, message: message.into(), field: None, place: None, detail: None },
            retry_after: None,
        }
    }

    pub fn field(mut self, field: &str) -> Self {
        self.body.field = Some(field.to_owned());
        self
    }

    pub fn retry_after(mut self, secs: u64) -> Self {
        self.retry_after = Some(secs);
        self
    }
}

pub fn unauthorized() -> ApiError {
    Refusal::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, "sign in, or send 'Authorization: Bearer <key>'")
        .into()
}

/// A key was sent, and it opens nothing: it was never made, or is revoked.
pub fn unknown_key() -> ApiError {
    Refusal::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, "no account has this key").into()
}

/// What does not exist, and what the caller may not know to exist.
pub fn not_found(what: &str) -> ApiError {
    Refusal::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, format!("there is no such {what}")).into()
}

/// The address is there for other methods, which the router names in `Allow`.
pub fn method_not_allowed() -> ApiError {
    let message = "this address does not take this method; 'Allow' names those that it takes";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::MethodNotAllowed, message).into()
}

/// A field of the request that is wrong in itself.
pub fn invalid(code: ErrorCode, field: &str, message: impl Into<String>) -> ApiError {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).field(field).into()
}

/// It was there, and will not be again.
pub fn gone(code: ErrorCode, message: impl Into<String>) -> ApiError {
    Refusal::new(StatusCode::GONE, code, message).into()
}

pub fn conflict(code: ErrorCode, message: impl Into<String>) -> ApiError {
    Refusal::new(StatusCode::CONFLICT, code, message).into()
}

impl From<AdmitFailure> for ApiError {
    fn from(failure: AdmitFailure) -> Self {
        match failure {
            AdmitFailure::Refused(error) => error.into(),
            AdmitFailure::Internal(error) => Self::Internal(error),
        }
    }
}

impl From<AdmitError> for ApiError {
    fn from(error: AdmitError) -> Self {
        let status = match error {
            AdmitError::OverLimit { .. } => StatusCode::CONFLICT,
            AdmitError::InsufficientFunds { .. } => StatusCode::PAYMENT_REQUIRED,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let (code, field) = code_and_field(&error);
        let mut refusal = Refusal::new(status, code, error.to_string());
        refusal.body.detail = detail::of_order(&error).map(Box::new);
        refusal.body.field = field.map(str::to_owned);
        if let AdmitError::InvalidKernel { place, .. } = error {
            refusal.body.place = Some(place);
        }
        refusal.into()
    }
}

/// What a refused order is called, and the request's field that is at fault.
fn code_and_field(error: &AdmitError) -> (ErrorCode, Option<&str>) {
    let (code, field) = match error {
        AdmitError::CompileLimit { field, .. } => {
            (if *field == "kernel" { ErrorCode::InvalidKernel } else { ErrorCode::InvalidModel }, *field)
        }
        AdmitError::InvalidName => (ErrorCode::MalformedRequest, "name"),
        AdmitError::DeadlineOutOfRange => (ErrorCode::MalformedRequest, "deadline_seconds"),
        AdmitError::InvalidFileNames => (ErrorCode::MalformedRequest, "file_names"),
        AdmitError::UnknownBlob { field } => (ErrorCode::UnknownBlob, field.as_str()),
        AdmitError::UnsupportedOperator { .. } => (ErrorCode::UnsupportedOperator, "model"),
        AdmitError::InvalidModel { .. } | AdmitError::OutputType { .. } => (ErrorCode::InvalidModel, "model"),
        AdmitError::ModelInput { .. } => (ErrorCode::InputMismatch, "input"),
        AdmitError::KernelTooLong { .. } | AdmitError::KernelNotText | AdmitError::InvalidKernel { .. } => {
            (ErrorCode::InvalidKernel, "kernel")
        }
        AdmitError::NeedsIntegerTolerance
        | AdmitError::NeedsTolerance
        | AdmitError::NothingToTolerate
        | AdmitError::NoIntegersToTolerate => (ErrorCode::InvalidKernel, "check"),
        AdmitError::RecordBytes { field, .. } => (ErrorCode::MalformedRequest, *field),
        AdmitError::TooMuchFuel { .. } => (ErrorCode::RowTooHeavy, "fuel"),
        AdmitError::KernelParams { .. } => (ErrorCode::InvalidParams, "params"),
        AdmitError::TooManyInputs { .. } | AdmitError::InputTwice => (ErrorCode::InvalidInput, "inputs"),
        AdmitError::NoInput | AdmitError::PartialRecord { .. } => (ErrorCode::InvalidInput, "input"),
        AdmitError::NoRecords => (ErrorCode::NoRows, "input"),
        AdmitError::UnreadableArray { field, .. }
        | AdmitError::OnlySingleValues { field }
        | AdmitError::EmptyRow { field, .. }
        | AdmitError::EmptyArray { field, .. }
        | AdmitError::ArrayTooLarge { field, .. }
        | AdmitError::IntegerTooWide { field, .. } => (ErrorCode::InvalidInput, field.as_str()),
        AdmitError::ModelWithoutInput { field }
        | AdmitError::UnnamedArray { field, .. }
        | AdmitError::UnknownInput { field, .. }
        | AdmitError::MissingInput { field, .. }
        | AdmitError::InputType { field, .. }
        | AdmitError::NeedsBatch { field, .. }
        | AdmitError::RowsDiffer { field, .. } => (ErrorCode::InputMismatch, field.as_str()),
        AdmitError::NoRows { field, .. } => (ErrorCode::NoRows, field.as_str()),
        AdmitError::SharedTooLarge { field, .. } => (ErrorCode::TooLarge, field.as_str()),
        AdmitError::TooManyRows { .. } | AdmitError::CostTooLarge => (ErrorCode::TooLarge, "input"),
        AdmitError::TileRows { field, .. } => (ErrorCode::InvalidTileRows, *field),
        AdmitError::TileRecords { .. } => (ErrorCode::InvalidTileRows, "tile_records"),
        AdmitError::LeaseTooLong { code, .. } => (ErrorCode::TooLarge, *code),
        AdmitError::TileTooHeavy { .. } => (ErrorCode::RowTooHeavy, "model"),
        AdmitError::RecordsTooHeavy { .. } => (ErrorCode::RowTooHeavy, "kernel"),
        AdmitError::NoDeviceFits { code, .. }
        | AdmitError::NoCheckerFits { code, .. }
        | AdmitError::NobodyChecks { code } => (ErrorCode::NoDeviceFits, *code),
        AdmitError::OverLimit { .. } => (ErrorCode::OverLimit, "limit"),
        AdmitError::InsufficientFunds { .. } => return (ErrorCode::InsufficientFunds, None),
    };
    (code, Some(field))
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

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
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
            Self::Refused(refusal) => {
                let retry_after = refusal.retry_after.map(|secs| [(RETRY_AFTER, secs.to_string())]);
                (refusal.status, retry_after.map(AppendHeaders), Json(refusal.body)).into_response()
            }
            Self::Internal(error) => {
                tracing::error!(error = format!("{error:#}"), "a request failed");
                let message = "something went wrong on the server; try again".to_owned();
                let body = ErrorBody { code: ErrorCode::Internal, message, field: None, place: None, detail: None };
                (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
            }
        }
    }
}
