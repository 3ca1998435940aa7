//! The body of a branch or a loop, node by node into the plan around it. A plan holds no jump: what repeats is
//! unrolled and what branches is decided while the plan is made, so that the work is known, and priced, before
//! the run.

use crate::builder::Builder;
use crate::error::ModelError;
use crate::graph::Body;
use crate::ir::ValueId;
use crate::limits::UNROLLED_MAX;
use crate::lower;

impl<'a> Builder<'a> {
    /// Lowers a body with `inputs` bound to its names, which go out of scope at its end; gives its outputs.
    pub(crate) fn unroll(
        &mut self,
        node: &str,
        body: &'a Body,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, ModelError> {
        let mut hidden = Vec::new();
        for (name, tensor) in &body.constants {
            let id = self.constant(tensor)?;
            hidden.push((name, self.names.insert(name, id)));
        }
        for (name, &id) in body.inputs.iter().zip(inputs) {
            hidden.push((name, self.names.insert(name, id)));
        }
        if body.nodes.is_empty() {
            // It takes its time all the same, as often as it is turned.
            self.count_unrolled(node)?;
        }
        for inner in &body.nodes {
            self.count_unrolled(node)?;
            let outputs = lower::lower(self, inner)?;
            for (name, id) in inner.outputs.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
                hidden.push((name, self.names.insert(name, id)));
            }
            self.check_length(&inner.name)?;
        }
        let outputs = body.outputs.iter().map(|name| self.tensor(node, name)).collect();
        for (name, before) in hidden.into_iter().rev() {
            match before {
                Some(id) => self.names.insert(name, id),
                None => self.names.remove(name.as_str()),
            };
        }
        outputs
    }

    fn count_unrolled(&mut self, node: &str) -> Result<(), ModelError> {
        self.unrolled += 1;
        if self.unrolled > UNROLLED_MAX { Err(ModelError::Unrolled { node: node.to_owned() }) } else { Ok(()) }
    }
}
