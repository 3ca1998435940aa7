//! What a handler of the API gives a page of the same process: the answer itself, which is neither written as JSON nor
//! read again.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

/// In a request's extensions: a place for the answer. A handler that knows nothing of it answers in JSON.
#[derive(Clone, Debug, Default)]
pub struct Handover(Arc<Mutex<Option<Box<dyn Any + Send>>>>);

impl Handover {
    pub fn give(&self, answer: impl Any + Send) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(answer));
    }

    pub(crate) fn take(&self) -> Option<Box<dyn Any + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
