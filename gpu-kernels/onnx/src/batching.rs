//! How a model takes its rows: as many at once as there are, in micro-batches of the number that it fixes, or not
//! by rows at all.

use crate::error::ModelError;
use crate::graph::{Feed, Graph};
use crate::ir::Plan;
use crate::signature::Signature;

impl Graph {
    /// Fixes the batch at `batch` rows of what is fed.
    pub fn plan(&self, batch: usize, feeds: &[Feed]) -> Result<Plan, ModelError> {
        let is_declared = self.fixed_batch(feeds).is_none_or(|fixed| fixed == batch);
        // What squeezes every axis of size 1 would take the batch too, unless the model was made for one row.
        let is_alone = batch == 1 && feeds.iter().any(Feed::is_rows) && self.squeezes_unnamed_axes();
        match if is_declared && !is_alone { None } else { self.micro_batch(feeds) } {
            Some(micro_batch) => self.micro_batched_plan(micro_batch, batch, feeds),
            None if is_alone => self.plan_one_row(feeds),
            None => self.plan_at_once(batch, feeds),
        }
    }

    /// Checks what is fed against the model, and finds the outputs' row shapes.
    ///
    /// # Errors
    /// Whatever keeps the model from running on such rows, by node.
    pub fn signature(&self, feeds: &[Feed]) -> Result<Signature, ModelError> {
        if !feeds.iter().any(Feed::is_rows) {
            return self.whole_signature(feeds);
        }
        match self.micro_batch(feeds) {
            Some(batch) => self.micro_batched_signature(batch, feeds),
            None => self.batched_signature(feeds).map_err(|error| self.unsupported_batch_reason(error, feeds)),
        }
    }
}
