//! Why an order is no job: the customer's fault, or ours.

use rules::admission::AdmitError;

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
