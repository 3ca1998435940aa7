//! Why an order is no job: the customer's fault, or ours.

use rules::admission::AdmitError;

use crate::compile::message::{ModelRefusal, RefusalKind};
use crate::compile::pool::CompileError;

#[derive(Debug)]
pub enum AdmitFailure {
    /// The customer can mend it.
    Refused(AdmitError),
    /// The customer cannot.
    Internal(anyhow::Error),
}

impl From<AdmitError> for AdmitFailure {
    fn from(error: AdmitError) -> Self {
        Self::Refused(error)
    }
}

impl From<anyhow::Error> for AdmitFailure {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<store::Error> for AdmitFailure {
    fn from(error: store::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl From<object_store::Error> for AdmitFailure {
    fn from(error: object_store::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl AdmitFailure {
    /// What a compiler says of a customer's `field`.
    pub fn of_compiler(error: CompileError, field: &'static str) -> Self {
        match error {
            CompileError::Limit { megabytes, seconds } => AdmitError::CompileLimit { field, megabytes, seconds }.into(),
            CompileError::Refused(ModelRefusal { kind, reason, detail }) => Self::Refused(match kind {
                RefusalKind::UnsupportedOperator => AdmitError::UnsupportedOperator { reason, detail },
                RefusalKind::Input => AdmitError::ModelInput { reason, detail },
                RefusalKind::Model => AdmitError::InvalidModel { reason, detail },
            }),
            CompileError::Internal(error) => Self::Internal(error),
        }
    }
}
