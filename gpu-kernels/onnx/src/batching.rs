//! How a model takes its rows: as many at once as there are, in micro-batches of the number that it fixes, or not
//! by rows at all.

use crate::error::ModelError;
use crate::graph::{Feed, Graph};
use crate::ir::{Plan, long};
use crate::passes::rows::{self, Rows};
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
            None => {
                let plan = self.plan_at_once(batch, feeds)?;
                self.check_rows(&plan, batch, feeds)?;
                Ok(plan)
            }
        }
    }

    /// Holds a plan to what two rows and three have shown: a model may look how many there are.
    fn check_rows(&self, plan: &Plan, batch: usize, feeds: &[Feed]) -> Result<(), ModelError> {
        if !feeds.iter().any(Feed::is_rows) {
            return Ok(());
        }
        let rows = (batch > 1).then(|| rows::of_plan(plan, batch));
        for (name, &id) in self.outputs.iter().zip(&plan.outputs) {
            let value = &plan.values[id];
            let follows = value.shape.first() == Some(&batch);
            let separate = Rows::Separate { inner: long(value.len() / batch.max(1)) };
            let is_apart = rows.as_ref().is_none_or(|rows| rows[plan.root(id)] == separate);
            if follows && is_apart {
                continue;
            }
            // Nothing was promised of a model that mixes rows anyway, but that its output has as many.
            if let Ok(signature) = self.batched_signature(feeds)
                && (!follows || signature.mixed_by.is_none())
            {
                return Err(ModelError::MixesRows { node: name.clone() });
            }
        }
        Ok(())
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
