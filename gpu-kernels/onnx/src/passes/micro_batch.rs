//! Models whose batch was fixed when they were exported, as exporters do unless told otherwise: reshapes
//! in them hold the one, or the four. Such a model runs in *micro-batches* of that many rows, in one plan
//! as many as the rows need; the last one is filled up with its last row.

use gpu_kernels::kernels::Call;
use gpu_kernels::kernels::elementwise::{Elementwise, Program};

use crate::error::{ModelError, show};
use crate::graph::{Feed, Graph};
use crate::ir::{Plan, Step, Value, ValueId, ValueKind, long, strides};
use crate::limits::{STEPS_MAX, VALUES_MAX};
use crate::passes::rows::{self, Rows};
use crate::signature::{Field, Signature};

/// Kernel calls that a plan should have: its text travels, and each call costs a moment.
const STEPS_AIM: usize = 4096;

impl Graph {
    /// The batch that the inputs fed by rows declare; `None` where it is free, or they disagree.
    pub(crate) fn fixed_batch(&self, feeds: &[Feed]) -> Option<usize> {
        let rows = self.inputs.iter().zip(feeds).filter(|(_, feed)| feed.is_rows());
        let mut declared = rows.filter_map(|(input, _)| input.shape.as_ref()?.first().copied().flatten());
        let first = declared.next()?;
        declared.all(|batch| batch == first).then_some(first)
    }

    /// The rows of a micro-batch, where the model fixes its batch and another number at once would not do.
    pub(crate) fn micro_batch(&self, feeds: &[Feed]) -> Option<usize> {
        let batch = self.fixed_batch(feeds)?;
        let mut known = self.micro_batch_known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((for_feeds, micro_batch)) = &*known
            && for_feeds == feeds
        {
            return *micro_batch;
        }
        let micro_batch = match self.batched_signature(feeds) {
            Ok(signature) if batch > 1 || signature.mixed_by.is_none() => None,
            _ if batch == 1 => Some(1),
            _ => self.plan_of_micro_batch(batch, feeds).is_ok().then_some(batch),
        };
        *known = Some((feeds.to_vec(), micro_batch));
        micro_batch
    }

    /// The plan for one micro-batch, whose rows are computed apart.
    fn plan_of_micro_batch(&self, batch: usize, feeds: &[Feed]) -> Result<Plan, ModelError> {
        let plan = self.plan_at_once(batch, feeds)?;
        if batch == 1 {
            return Ok(plan);
        }
        let rows = rows::of_plan(&plan, batch);
        for &id in &plan.outputs {
            let (value, found) = (&plan.values[id], rows[plan.root(id)]);
            if value.shape.first() != Some(&batch) || found != (Rows::Separate { inner: long(value.len() / batch) }) {
                let by = if let Rows::Mixed(node) = found { Some(node) } else { self.nodes.len().checked_sub(1) };
                let node = by.and_then(|node| self.nodes.get(node)).map_or_else(String::new, |node| node.name.clone());
                return Err(ModelError::FixedBatch { batch, error: Box::new(ModelError::MixesRows { node }) });
            }
        }
        Ok(plan)
    }

    /// What such a model does to a row.
    pub(crate) fn micro_batched_signature(&self, batch: usize, feeds: &[Feed]) -> Result<Signature, ModelError> {
        let plan = self.plan_of_micro_batch(batch, feeds)?;
        let field = |(name, &id): (&String, &ValueId)| {
            let Value { dtype, shape, .. } = &plan.values[id];
            let row = plan.row_shape(id, batch).to_vec();
            if row.contains(&0) {
                let (node, found) = (name.clone(), show(shape));
                return Err(ModelError::Shape { node, reason: "a row of the output holds no value", found });
            }
            Ok(Field { name: name.clone(), dtype: *dtype, shape: row })
        };
        let outputs = self.outputs.iter().zip(&plan.outputs).map(field).collect::<Result<_, _>>()?;
        let rows_at_once = (STEPS_AIM / plan.steps_per_micro_batch()).max(1) * batch;
        Ok(Signature { outputs, mixed_by: None, micro_batch: batch, rows_at_once })
    }

    /// Why a model that runs neither with a free batch nor in micro-batches does not run.
    pub(crate) fn unsupported_batch_reason(&self, error: ModelError, feeds: &[Feed]) -> ModelError {
        match self.fixed_batch(feeds) {
            Some(batch) if batch > 1 => self.plan_of_micro_batch(batch, feeds).err().unwrap_or(error),
            _ => error,
        }
    }

    /// `rows` rows by micro-batches of `batch`.
    pub(crate) fn micro_batched_plan(&self, batch: usize, rows: usize, feeds: &[Feed]) -> Result<Plan, ModelError> {
        self.plan_at_once(batch, feeds)?.repeated(batch, rows)
    }
}

impl Plan {
    /// Kernel calls that a micro-batch takes in a plan of several, its rows' filling aside.
    fn steps_per_micro_batch(&self) -> usize {
        self.steps.len() + self.inputs.len() + self.outputs.len()
    }

    /// What a row of a value is, in a plan for `batch` rows.
    fn row_shape(&self, id: ValueId, batch: usize) -> &[usize] {
        let shape = &self.values[id].shape;
        shape.strip_prefix(&[batch]).unwrap_or(shape)
    }

    /// A plan for one micro-batch as one for `rows` rows, micro-batch after micro-batch.
    fn repeated(&self, batch: usize, rows: usize) -> Result<Self, ModelError> {
        let too_long = |steps| ModelError::TooLong { node: "output".to_owned(), steps };
        let micro_batches = rows.div_ceil(batch);
        let steps = self.steps_per_micro_batch().saturating_mul(micro_batches);
        if steps > STEPS_MAX {
            return Err(too_long(steps));
        }
        let mut repeated =
            MicroBatches { plan: self, batch, rows, values: Vec::new(), steps: Vec::with_capacity(steps) };
        let kept: Vec<Option<ValueId>> = self.values.iter().map(|value| repeated.shared_value(value)).collect();
        let fed: Vec<Option<ValueId>> = self
            .inputs
            .iter()
            .zip(&self.shared)
            .map(|(&id, &shared)| repeated.input_of_all(id, shared))
            .collect::<Result<_, _>>()?;
        let outputs: Vec<ValueId> =
            self.outputs.iter().map(|&id| repeated.value_of_all(id, ValueKind::Computed)).collect::<Result<_, _>>()?;
        for first in (0..rows).step_by(batch) {
            repeated.push_micro_batch(first, kept.clone(), &fed, &outputs)?;
        }
        let inputs = self.inputs.iter().zip(&fed).map(|(&id, all)| all.or(kept[id]).unwrap_or(id)).collect();
        let MicroBatches { values, steps, .. } = repeated;
        Ok(Self {
            values,
            steps,
            inputs,
            outputs,
            shared: self.shared.clone(),
            f16_constants: self.f16_constants.clone(),
        })
    }
}

/// A plan that is being written out micro-batch by micro-batch.
struct MicroBatches<'a> {
    /// The plan for one of them.
    plan: &'a Plan,
    /// Rows of one of them.
    batch: usize,
    /// Rows of all of them.
    rows: usize,
    values: Vec<Value>,
    steps: Vec<Step>,
}

impl MicroBatches<'_> {
    fn push(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        self.values.len() - 1
    }

    /// What is the same for all rows: constants, and inputs that they share.
    fn shared_value(&mut self, value: &Value) -> Option<ValueId> {
        match value.kind {
            ValueKind::Constant(_) => Some(self.push(value.clone())),
            ValueKind::Input(index) if self.plan.shared[index] => Some(self.push(value.clone())),
            ValueKind::Input(_) | ValueKind::Computed | ValueKind::View { .. } => None,
        }
    }

    /// The input that holds all rows, where `id` holds those of a micro-batch.
    fn input_of_all(&mut self, id: ValueId, shared: bool) -> Result<Option<ValueId>, ModelError> {
        if shared { Ok(None) } else { self.value_of_all(id, self.plan.values[id].kind.clone()).map(Some) }
    }

    /// A value for all rows, where `id` is one for a micro-batch.
    fn value_of_all(&mut self, id: ValueId, kind: ValueKind) -> Result<ValueId, ModelError> {
        let dtype = &self.plan.values[id].dtype;
        let row = self.plan.row_shape(id, self.batch);
        let shape: Vec<usize> = std::iter::once(self.rows).chain(row.iter().copied()).collect();
        let len = shape.iter().try_fold(1usize, |len, &size| len.checked_mul(size.max(1)));
        if len.is_none_or(|len| len >= VALUES_MAX) {
            return Err(ModelError::TooLarge { node: "output".to_owned() });
        }
        Ok(self.push(Value { dtype: *dtype, shape, kind }))
    }

    /// A copy of `len` values, from a place in one buffer to one in another, `times` times on end.
    fn copy(
        &mut self,
        (times, len): (usize, usize),
        from: (ValueId, usize),
        to: (ValueId, usize),
    ) -> Result<(), ModelError> {
        let mut program = Program::default();
        program.load(self.values[to.0].dtype.repr());
        let shape = [times, len];
        let there = strides(&shape);
        let layouts = [(long(from.1), vec![0, there[1]]), (long(to.1), there)];
        let too_large = || ModelError::TooLarge { node: "output".to_owned() };
        let call = Elementwise::new(program, &shape, &layouts).ok_or_else(too_large)?;
        self.steps.push(Step { call: Call::Elementwise(Box::new(call)), inputs: vec![from.0], output: to.0, node: 0 });
        Ok(())
    }

    /// Writes out the micro-batch that begins with the row `first`.
    fn push_micro_batch(
        &mut self,
        first: usize,
        mut ids: Vec<Option<ValueId>>,
        fed: &[Option<ValueId>],
        outputs: &[ValueId],
    ) -> Result<(), ModelError> {
        let taken = self.batch.min(self.rows - first);
        for (&id, all) in self.plan.inputs.iter().zip(fed) {
            if let Some(all) = *all {
                let own = self.push(Value { kind: ValueKind::Computed, ..self.plan.values[id].clone() });
                let len = self.plan.values[id].len() / self.batch;
                self.copy((1, taken * len), (all, first * len), (own, 0))?;
                if taken < self.batch {
                    self.copy((self.batch - taken, len), (all, (self.rows - 1) * len), (own, taken * len))?;
                }
                ids[id] = Some(own);
            }
        }
        for step in &self.plan.steps {
            let mut own = |id: ValueId| match ids[id] {
                Some(own) => own,
                None => *ids[id].insert(self.push(self.plan.values[id].clone())),
            };
            let inputs = step.inputs.iter().map(|&id| own(id)).collect();
            let output = own(step.output);
            self.steps.push(Step { call: step.call.clone(), inputs, output, node: step.node });
        }
        for (&id, &all) in self.plan.outputs.iter().zip(outputs) {
            let (root, len) = (self.plan.root(id), self.plan.values[id].len() / self.batch);
            let made = ids[root]
                .ok_or_else(|| ModelError::MissingTensor { node: "output".to_owned(), tensor: format!("{root}") })?;
            self.copy((1, taken * len), (made, 0), (all, first * len))?;
        }
        Ok(())
    }
}
