//! Models whose batch was fixed at one when they were exported, as exporters do unless told otherwise:
//! reshapes in them hold that one. Such a model runs row by row, in one plan as often as there are rows.

use super::plan::{STEPS_MAX, Step, VALUES_MAX, long, strides};
use super::{Feed, Graph, ModelError, Plan, Signature, Source, Value, ValueId};
use crate::kernels::Call;
use crate::kernels::map::{Map, Program};

/// Kernel calls that a plan should have: its text travels, and each call costs a moment.
const STEPS_AIM: usize = 4096;

impl Graph {
    /// The batch that the inputs fed by rows declare; `None` where it is free, or they disagree.
    pub(super) fn fixed_batch(&self, feeds: &[Feed]) -> Option<usize> {
        let rows = self.inputs.iter().zip(feeds).filter(|(_, feed)| feed.is_rows());
        let mut declared = rows.filter_map(|(input, _)| input.shape.as_ref()?.first().copied().flatten());
        let first = declared.next()?;
        declared.all(|batch| batch == first).then_some(first)
    }

    /// Whether rows run one by one: where the model says one, and more at once would not do.
    pub(super) fn is_repeated(&self, feeds: &[Feed]) -> bool {
        if self.fixed_batch(feeds) != Some(1) {
            return false;
        }
        let mut known = self.repeated.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((for_feeds, repeated)) = &*known
            && for_feeds == feeds
        {
            return *repeated;
        }
        let repeated = !self.batched_signature(feeds).is_ok_and(|signature| signature.mixed_by.is_none());
        *known = Some((feeds.to_vec(), repeated));
        repeated
    }

    /// What such a model does to a row.
    pub(super) fn repeated_signature(&self, feeds: &[Feed]) -> Result<Signature, ModelError> {
        let plan = self.plan_at_once(1, feeds)?;
        let field = |(name, &id): (&String, &ValueId)| {
            let Value { dtype, shape, .. } = &plan.values[id];
            let row = shape.strip_prefix(&[1]).unwrap_or(shape).to_vec();
            if row.contains(&0) {
                let (node, found) = (name.clone(), super::error::show(shape));
                return Err(ModelError::Shape { node, reason: "a row of the output holds no value", found });
            }
            Ok(super::Field { name: name.clone(), dtype: *dtype, shape: row })
        };
        let outputs = self.outputs.iter().zip(&plan.outputs).map(field).collect::<Result<_, _>>()?;
        Ok(Signature { outputs, mixed_by: None, rows_at_once: (STEPS_AIM / plan.repeated_steps()).max(1) })
    }
}

impl Plan {
    /// Kernel calls that a row takes in a plan of several.
    fn repeated_steps(&self) -> usize {
        self.steps.len() + self.inputs.len() + self.outputs.len()
    }

    /// A plan for one row as one for `rows` of them, one after another.
    pub(super) fn repeated(&self, rows: usize) -> Result<Self, ModelError> {
        let too_long = |steps| ModelError::TooLong { node: "output".to_owned(), steps };
        let steps = self.repeated_steps().saturating_mul(rows);
        if steps > STEPS_MAX {
            return Err(too_long(steps));
        }
        let mut of = Repeated { one: self, rows, values: Vec::new(), steps: Vec::with_capacity(steps) };
        let kept: Vec<Option<ValueId>> = self.values.iter().map(|value| of.kept(value)).collect();
        let fed: Vec<Option<ValueId>> =
            self.inputs.iter().zip(&self.shared).map(|(&id, &shared)| of.all(id, shared)).collect::<Result<_, _>>()?;
        let outputs: Vec<ValueId> =
            self.outputs.iter().map(|&id| of.whole(id, Source::Computed)).collect::<Result<_, _>>()?;
        for row in 0..rows {
            of.row(row, kept.clone(), &fed, &outputs)?;
        }
        let inputs = self.inputs.iter().zip(&fed).map(|(&id, all)| all.or(kept[id]).unwrap_or(id)).collect();
        let Repeated { values, steps, .. } = of;
        Ok(Self { values, steps, inputs, outputs, shared: self.shared.clone(), halves: self.halves.clone() })
    }
}

/// A plan that is being written out row by row.
struct Repeated<'a> {
    one: &'a Plan,
    rows: usize,
    values: Vec<Value>,
    steps: Vec<Step>,
}

impl Repeated<'_> {
    fn push(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        self.values.len() - 1
    }

    /// What is the same for all rows: constants, and inputs that they share.
    fn kept(&mut self, value: &Value) -> Option<ValueId> {
        match value.source {
            Source::Constant(_) => Some(self.push(value.clone())),
            Source::Input(index) if self.one.shared[index] => Some(self.push(value.clone())),
            Source::Input(_) | Source::Computed | Source::View { .. } => None,
        }
    }

    /// The input that holds all rows of what `id` holds one.
    fn all(&mut self, id: ValueId, shared: bool) -> Result<Option<ValueId>, ModelError> {
        if shared { Ok(None) } else { self.whole(id, self.one.values[id].source.clone()).map(Some) }
    }

    /// All rows of a value that is one row's.
    fn whole(&mut self, id: ValueId, source: Source) -> Result<ValueId, ModelError> {
        let Value { dtype, shape, .. } = &self.one.values[id];
        let row = shape.strip_prefix(&[1]).unwrap_or(shape);
        let shape: Vec<usize> = std::iter::once(self.rows).chain(row.iter().copied()).collect();
        let len = shape.iter().try_fold(1usize, |len, &size| len.checked_mul(size.max(1)));
        if len.is_none_or(|len| len >= VALUES_MAX) {
            return Err(ModelError::TooLarge { node: "output".to_owned() });
        }
        Ok(self.push(Value { dtype: *dtype, shape, source }))
    }

    /// A copy of `len` values, from a place in one buffer to one in another.
    fn copy(&mut self, len: usize, from: (ValueId, usize), to: (ValueId, usize)) -> Result<(), ModelError> {
        let mut program = Program::default();
        program.load(self.values[to.0].dtype.repr());
        let walk = |place: usize| (long(place), strides(&[len]));
        let too_large = || ModelError::TooLarge { node: "output".to_owned() };
        let map = Map::new(program, &[len], &[walk(from.1), walk(to.1)]).ok_or_else(too_large)?;
        self.steps.push(Step { call: Call::Map(Box::new(map)), inputs: vec![from.0], output: to.0, node: 0 });
        Ok(())
    }

    fn row(
        &mut self,
        row: usize,
        mut ids: Vec<Option<ValueId>>,
        fed: &[Option<ValueId>],
        outputs: &[ValueId],
    ) -> Result<(), ModelError> {
        for (&id, all) in self.one.inputs.iter().zip(fed) {
            if let Some(all) = *all {
                let own = self.push(Value { source: Source::Computed, ..self.one.values[id].clone() });
                let len = self.one.values[id].len();
                self.copy(len, (all, row * len), (own, 0))?;
                ids[id] = Some(own);
            }
        }
        for step in &self.one.steps {
            let mut own = |id: ValueId| match ids[id] {
                Some(own) => own,
                None => *ids[id].insert(self.push(self.one.values[id].clone())),
            };
            let inputs = step.inputs.iter().map(|&id| own(id)).collect();
            let output = own(step.output);
            self.steps.push(Step { call: step.call.clone(), inputs, output, node: step.node });
        }
        for (&id, &all) in self.one.outputs.iter().zip(outputs) {
            let (root, len) = (self.one.root(id), self.one.values[id].len());
            let made = ids[root]
                .ok_or_else(|| ModelError::MissingTensor { node: "output".to_owned(), tensor: format!("{root}") })?;
            self.copy(len, (made, 0), (all, row * len))?;
        }
        Ok(())
    }
}
