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
    /// A second attempt's failure, where the refusal of the first says more than that of the second. What is ours remains.
    #[must_use]
    pub fn or_if_refused(self, first: impl FnOnce() -> AdmitError) -> Self {
        match self {
            Self::Refused(_) => Self::Refused(first()),
            Self::Internal(error) => Self::Internal(error),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_attempts_refusal_gives_way_to_the_first_and_our_own_fault_does_not() {
        let refusal = |reason: &str| AdmitError::InvalidModel { reason: reason.to_owned(), detail: None };
        let shown = |failure: AdmitFailure| format!("{:?}", failure.or_if_refused(|| refusal("by rows")));

        assert!(shown(refusal("as a whole").into()).contains("by rows"));
        let ours = shown(anyhow::anyhow!("a process ended").into());
        assert!(ours.contains("a process ended") && !ours.contains("by rows"), "{ours}");
    }
}
