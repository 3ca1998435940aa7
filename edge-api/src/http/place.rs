//! A connection's place among those that this server takes.

use std::sync::Arc;

/// Held for as long as the connection is open, by whoever reads from it: a socket goes on after its request was answered.
#[derive(Clone)]
pub struct Place(#[expect(dead_code, reason = "it is held, and never read")] Arc<dyn Send + Sync>);

impl Place {
    pub fn new(held: impl Send + Sync + 'static) -> Self {
        Self(Arc::new(held))
    }
}
