//! A graph for one batch size: every shape known, every node turned into kernel calls.

use std::collections::HashMap;
use std::sync::Arc;

use super::rows::Rows;
use super::{Constant, Graph, ModelError, lower};
use crate::kernels::Call;

/// Index of a [`Value`] in [`Plan::values`].
pub type ValueId = usize;

/// Most values of one tensor: indices stay well inside a shader's u32.
pub(super) const VALUES_MAX: usize = 1 << 31;

#[derive(Debug)]
pub struct Plan {
    pub values: Vec<Value>,
    pub steps: Vec<Step>,
    pub input: ValueId,
    pub output: ValueId,
}

/// A tensor of the plan.
#[derive(Clone, Debug)]
pub struct Value {
    pub shape: Vec<usize>,
    pub rows: Rows,
    pub source: Source,
}

#[derive(Clone, Debug)]
pub enum Source {
    Input,
    Constant(Arc<[f32]>),
    Computed,
    /// The same data under another shape.
    Alias(ValueId),
}

/// One kernel call. The last steps of a concatenation write one output together.
#[derive(Clone, Debug)]
pub struct Step {
    pub call: Call,
    pub inputs: Vec<ValueId>,
    pub output: ValueId,
}

impl Value {
    /// Number of values; shapes were checked when the plan was made.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Graph {
    /// Fixes the batch at `batch` rows of shape `row`.
    pub fn plan(&self, batch: usize, row: &[usize]) -> Result<Plan, ModelError> {
        let shape: Vec<usize> = std::iter::once(batch).chain(row.iter().copied()).collect();
        let mut builder = Builder { graph: self, batch, values: Vec::new(), steps: Vec::new(), names: HashMap::new() };
        let input = builder.value("input", shape, Rows::Rows, Source::Input)?;
        builder.names.insert(&self.input, input);
        for (index, node) in self.nodes.iter().enumerate() {
            let output = lower::lower(&mut builder, index, node)?;
            builder.names.insert(&node.output, output);
        }
        let output = builder.tensor("output", &self.output)?;
        let Builder { values, steps, .. } = builder;
        let mut plan = Plan { values, steps, input, output };
        plan.fold_constants();
        Ok(plan)
    }
}

impl Plan {
    pub fn flops(&self) -> u64 {
        self.steps.iter().fold(0, |sum: u64, step| sum.saturating_add(step.call.flops()))
    }

    /// The value whose data `id` shows: itself, or what it is an alias of.
    pub fn root(&self, mut id: ValueId) -> ValueId {
        while let Source::Alias(of) = self.values[id].source {
            id = of;
        }
        id
    }

    /// Computes what depends on constants alone, once, on the references.
    fn fold_constants(&mut self) {
        let steps = std::mem::take(&mut self.steps);
        for step in steps {
            let inputs: Option<Vec<Arc<[f32]>>> = step
                .inputs
                .iter()
                .map(|&id| match &self.values[self.root(id)].source {
                    Source::Constant(data) => Some(Arc::clone(data)),
                    Source::Input | Source::Computed | Source::Alias(_) => None,
                })
                .collect();
            // A concatenation's output is written by several steps: folding one would lose the rest.
            match inputs {
                Some(inputs) if !matches!(step.call, Call::Concat(_)) => {
                    let mut data = vec![0.0; self.values[step.output].len()];
                    let inputs: Vec<&[f32]> = inputs.iter().map(AsRef::as_ref).collect();
                    step.call.run_reference(&inputs, &mut data);
                    self.values[step.output].source = Source::Constant(data.into());
                }
                _ => self.steps.push(step),
            }
        }
    }

    /// Runs the plan in plain Rust.
    ///
    /// # Panics
    /// When `input` does not hold exactly the plan's input.
    pub fn run_reference(&self, input: &[f32]) -> Vec<f32> {
        assert_eq!(input.len(), self.values[self.input].len(), "the input should fill the plan's input");
        let mut data: Vec<Vec<f32>> = vec![Vec::new(); self.values.len()];
        let mut last_use = vec![0; self.values.len()];
        for (index, step) in self.steps.iter().enumerate() {
            step.inputs.iter().for_each(|&id| last_use[self.root(id)] = index);
        }
        last_use[self.root(self.output)] = usize::MAX;
        for (index, step) in self.steps.iter().enumerate() {
            let mut out = std::mem::take(&mut data[step.output]);
            out.resize(self.values[step.output].len(), 0.0);
            let inputs: Vec<&[f32]> = step.inputs.iter().map(|&id| self.read(&data, input, id)).collect();
            step.call.run_reference(&inputs, &mut out);
            data[step.output] = out;
            for &id in &step.inputs {
                let root = self.root(id);
                if last_use[root] == index {
                    data[root] = Vec::new();
                }
            }
        }
        self.read(&data, input, self.output).to_vec()
    }

    fn read<'a>(&'a self, data: &'a [Vec<f32>], input: &'a [f32], id: ValueId) -> &'a [f32] {
        let root = self.root(id);
        match &self.values[root].source {
            Source::Input => input,
            Source::Constant(constant) => constant,
            Source::Computed | Source::Alias(_) => &data[root],
        }
    }
}

pub(super) struct Builder<'a> {
    graph: &'a Graph,
    pub(super) batch: usize,
    values: Vec<Value>,
    steps: Vec<Step>,
    names: HashMap<&'a str, ValueId>,
}

impl<'a> Builder<'a> {
    /// The float tensor called `name`, which `node` reads.
    pub(super) fn tensor(&mut self, node: &str, name: &'a str) -> Result<ValueId, ModelError> {
        if let Some(&id) = self.names.get(name) {
            return Ok(id);
        }
        match self.graph.constants.get(name) {
            Some(Constant::Floats { shape, data }) => {
                let id = self.value(name, shape.clone(), Rows::Constant, Source::Constant(Arc::clone(data)))?;
                self.names.insert(name, id);
                Ok(id)
            }
            Some(Constant::Ints(_)) => Err(ModelError::DataType { tensor: name.to_owned(), found: "int64" }),
            None => Err(ModelError::MissingTensor { node: node.to_owned(), tensor: name.to_owned() }),
        }
    }

    /// The whole numbers stored as `name`, if they are stored.
    pub(super) fn ints(&self, name: &str) -> Option<&'a [i64]> {
        match self.graph.constants.get(name) {
            Some(Constant::Ints(data)) => Some(data),
            Some(Constant::Floats { .. }) | None => None,
        }
    }

    /// The only number stored as `name`, if one is.
    pub(super) fn scalar(&self, name: &str) -> Option<f32> {
        match self.graph.constants.get(name) {
            Some(Constant::Floats { data, .. }) if data.len() == 1 => Some(data[0]),
            Some(Constant::Floats { .. } | Constant::Ints(_)) | None => None,
        }
    }

    pub(super) fn shape(&self, id: ValueId) -> &[usize] {
        &self.values[id].shape
    }

    pub(super) fn rows(&self, id: ValueId) -> Rows {
        self.values[id].rows
    }

    pub(super) fn value(
        &mut self,
        node: &str,
        shape: Vec<usize>,
        rows: Rows,
        source: Source,
    ) -> Result<ValueId, ModelError> {
        let len = shape.iter().try_fold(1usize, |len, &size| len.checked_mul(size));
        match len {
            Some(0) => Err(ModelError::Shape {
                node: node.to_owned(),
                reason: "a tensor has no values",
                found: super::error::show(&shape),
            }),
            Some(len) if len < VALUES_MAX => {
                self.values.push(Value { shape, rows, source });
                Ok(self.values.len() - 1)
            }
            _ => Err(ModelError::TooLarge { node: node.to_owned() }),
        }
    }

    pub(super) fn step(&mut self, call: Call, inputs: Vec<ValueId>, output: ValueId) {
        self.steps.push(Step { call, inputs, output });
    }
}
