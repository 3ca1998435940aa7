//! Steps that no output needs.

use crate::ir::{Plan, Step};

impl Plan {
    /// Leaves out steps that no output needs.
    pub(crate) fn drop_unused(&mut self) {
        let mut needed = vec![false; self.values.len()];
        for &id in &self.outputs {
            needed[self.root(id)] = true;
        }
        let steps = std::mem::take(&mut self.steps);
        let mut kept: Vec<Step> = steps
            .into_iter()
            .rev()
            .filter(|step| {
                if needed[step.output] {
                    step.inputs.iter().for_each(|&id| needed[id] = true);
                }
                needed[step.output]
            })
            .collect();
        kept.reverse();
        self.steps = kept;
    }
}
