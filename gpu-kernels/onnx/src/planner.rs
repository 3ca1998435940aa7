//! From a graph to a plan for one batch size.

use std::sync::Arc;

use crate::builder::Builder;
use crate::error::{ModelError, show};
use crate::graph::{Feed, Graph};
use crate::ir::{Plan, ValueKind};
use crate::lower;

impl Graph {
    /// Fixes the batch at `batch` rows of what is fed, all computed at once.
    pub(crate) fn plan_at_once(&self, batch: usize, feeds: &[Feed]) -> Result<Plan, ModelError> {
        Ok(self.plan_squeezing(batch, feeds, Vec::new())?.0)
    }

    /// A row alone as it is among others, where nothing squeezes the batch away.
    pub(crate) fn plan_one_row(&self, feeds: &[Feed]) -> Result<Plan, ModelError> {
        let (_, squeezed) = self.plan_squeezing(2, feeds, Vec::new())?;
        Ok(self.plan_squeezing(1, feeds, squeezed)?.0)
    }

    /// A plan, and what it squeezed without being told which axes; `to_squeeze` is what another one did.
    fn plan_squeezing(
        &self,
        batch: usize,
        feeds: &[Feed],
        to_squeeze: Vec<Vec<usize>>,
    ) -> Result<(Plan, Vec<Vec<usize>>), ModelError> {
        self.check_feeds(feeds)?;
        let mut builder = Builder::new(self, to_squeeze);
        let mut inputs = Vec::new();
        let mut shared = Vec::new();
        for (port, feed) in self.inputs.iter().zip(feeds) {
            let kind = match feed {
                Feed::Known(tensor) => ValueKind::Constant(Arc::clone(&tensor.words)),
                Feed::Rows(_) | Feed::Whole(_) => ValueKind::Input(inputs.len()),
            };
            let fed = matches!(kind, ValueKind::Input(_));
            let id = builder.value(&port.name, port.dtype, feed.shape_of(batch), kind)?;
            builder.names.insert(&port.name, id);
            if fed {
                inputs.push(id);
                shared.push(matches!(feed, Feed::Whole(_)));
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            builder.node = index;
            let outputs = lower::lower(&mut builder, node)?;
            for (name, id) in node.outputs.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
                builder.names.insert(name, id);
            }
            builder.check_length(&node.name)?;
        }
        let mut outputs = Vec::new();
        for name in &self.outputs {
            let id = builder.tensor("output", name)?;
            if builder.list_items(id).is_some() {
                return Err(ModelError::DataType { tensor: name.clone(), found: "a sequence, map or optional" });
            }
            let id = builder.rounded(id)?;
            outputs.push(builder.dense(id)?);
        }
        let Builder { values, steps, squeezed, .. } = builder;
        let mut plan = Plan { values, steps, inputs, outputs, shared, f16_constants: Arc::clone(&self.f16_constants) };
        plan.drop_unused();
        plan.fuse();
        Ok((plan, squeezed))
    }

    fn check_feeds(&self, feeds: &[Feed]) -> Result<(), ModelError> {
        if feeds.len() != self.inputs.len() {
            let names = self.inputs.iter().map(|input| input.name.clone()).collect();
            return Err(ModelError::InputCount { names, expected: self.inputs.len(), found: feeds.len() });
        }
        for (input, feed) in self.inputs.iter().zip(feeds) {
            let Some(declared) = &input.shape else { continue };
            let found = feed.shape_of(1);
            // A batch that the model fixes is not held against it: exporters fix it without need.
            let from = usize::from(feed.is_rows());
            let fits = declared.len() == found.len()
                && declared.iter().zip(&found).skip(from).all(|(said, size)| said.is_none_or(|said| said == *size));
            if !fits {
                let said =
                    declared.iter().skip(from).map(|size| size.map_or("any".to_owned(), |size| size.to_string()));
                let (expected, found) = (said.collect::<Vec<_>>().join(", "), show(&found[from..]));
                let input = input.name.clone();
                return Err(ModelError::InputShape { input, expected: format!("[{expected}]"), found });
            }
        }
        Ok(())
    }
}
