//! A graph for one batch size: every shape known, every node turned into kernel calls.

use std::collections::HashMap;
use std::sync::Arc;

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Elementwise, Program};
use gpu_kernels::kernels::{Call, MAX_RANK};

use super::halves::Halves;
use super::tensor::Tensor;
use super::{Arena, Feed, Graph, ModelError, error, lower};

/// Index of a [`Value`] in [`Plan::values`].
pub type ValueId = usize;

/// Most values of one tensor: indices stay well inside a shader's i32.
pub(super) const VALUES_MAX: usize = 1 << 31;
/// Most kernel calls of a plan.
pub(super) const STEPS_MAX: usize = 20_000;
/// Most tensors of a list.
const LIST_MAX: usize = 1024;
/// Values that one plan may compute while it is made: constants of constants.
pub(super) const FOLD_MAX: usize = 1 << 26;
/// And operations.
const FOLD_FLOPS_MAX: u64 = 2_000_000_000;

#[derive(Debug)]
pub struct Plan {
    pub values: Vec<Value>,
    pub steps: Vec<Step>,
    /// What is fed and not known before the run, in order.
    pub inputs: Vec<ValueId>,
    pub outputs: Vec<ValueId>,
    /// For each of those, whether all rows share it.
    pub shared: Vec<bool>,
    pub(super) halves: Arc<Halves>,
}

/// A tensor of the plan.
#[derive(Clone, Debug)]
pub struct Value {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub source: Source,
}

#[derive(Clone, Debug)]
pub enum Source {
    Input(usize),
    Constant(Arc<[u32]>),
    Computed,
    /// Some of another value's data, which is itself no view.
    View {
        of: ValueId,
        offset: i64,
        strides: Vec<i64>,
    },
}

/// One kernel call. Several may write one output together, each its part, in order.
#[derive(Clone, Debug)]
pub struct Step {
    pub call: Call,
    pub inputs: Vec<ValueId>,
    pub output: ValueId,
    /// The node it comes from.
    pub node: usize,
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

/// Elements to step for each axis of a contiguous tensor.
pub(super) fn strides(shape: &[usize]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * long(shape[i].max(1));
    }
    strides
}

pub(super) fn long(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The shape that numpy's broadcasting gives.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank)
        .map(|i| match (size(a, i), size(b, i)) {
            (x, y) if x == y || y == 1 => Some(x),
            (1, y) => Some(y),
            _ => None,
        })
        .collect()
}

impl Graph {
    /// Fixes the batch at `batch` rows of what is fed.
    pub fn plan(&self, batch: usize, feeds: &[Feed]) -> Result<Plan, ModelError> {
        let is_declared = self.fixed_batch(feeds).is_none_or(|fixed| fixed == batch);
        match if is_declared { None } else { self.turn(feeds) } {
            Some(turn) => self.plan_by_turns(turn, batch, feeds),
            None => self.plan_at_once(batch, feeds),
        }
    }

    pub(super) fn plan_at_once(&self, batch: usize, feeds: &[Feed]) -> Result<Plan, ModelError> {
        self.check_feeds(feeds)?;
        let mut builder = Builder {
            graph: self,
            node: 0,
            values: Vec::new(),
            steps: Vec::new(),
            names: HashMap::new(),
            lists: HashMap::new(),
            unrolled: 0,
            folded: (0, 0),
        };
        let mut inputs = Vec::new();
        let mut shared = Vec::new();
        for (port, feed) in self.inputs.iter().zip(feeds) {
            let source = match feed {
                Feed::Known(tensor) => Source::Constant(Arc::clone(&tensor.words)),
                Feed::Rows(_) | Feed::Whole(_) => Source::Input(inputs.len()),
            };
            let fed = matches!(source, Source::Input(_));
            let id = builder.value(&port.name, port.dtype, feed.shape_of(batch), source)?;
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
            if builder.lists.contains_key(&id) {
                return Err(ModelError::DataType { tensor: name.clone(), found: "a sequence, map or optional" });
            }
            outputs.push(builder.dense(id)?);
        }
        let Builder { values, steps, .. } = builder;
        let mut plan = Plan { values, steps, inputs, outputs, shared, halves: Arc::clone(&self.halves) };
        plan.drop_unused();
        plan.fuse();
        Ok(plan)
    }
}

impl Plan {
    pub fn flops(&self) -> u64 {
        self.steps.iter().fold(0, |sum: u64, step| sum.saturating_add(step.call.flops()))
    }

    /// The value whose data `id` shows: itself, or what it is a view of.
    pub fn root(&self, id: ValueId) -> ValueId {
        match self.values[id].source {
            Source::View { of, .. } => of,
            Source::Input(_) | Source::Constant(_) | Source::Computed => id,
        }
    }

    /// Leaves out steps that no output needs.
    fn drop_unused(&mut self) {
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

    /// Runs the plan on the CPU: the outputs' words in order.
    ///
    /// # Panics
    /// When `inputs` do not hold exactly the plan's inputs.
    pub fn run(&self, inputs: &[&[u32]]) -> Vec<Vec<u32>> {
        self.run_in(&mut Arena::default(), inputs)
    }

    /// The same in memory that an earlier run has left: fresh memory costs as much as many a step.
    ///
    /// # Panics
    /// When `inputs` do not hold exactly the plan's inputs.
    pub fn run_in(&self, arena: &mut Arena, inputs: &[&[u32]]) -> Vec<Vec<u32>> {
        for (&id, input) in self.inputs.iter().zip(inputs) {
            assert_eq!(input.len(), self.values[id].len(), "an input should fill the plan's input");
        }
        let joined = self.joined();
        let slots = self.slots_by(&joined);
        let arena = arena.with_room(&slots.sizes);
        for (index, step) in self.steps.iter().enumerate().filter(|(index, _)| joined[*index].is_none()) {
            let slot = slots.of_value[step.output].expect("a computed value should have a slot");
            let mut out = std::mem::take(&mut arena[slot]);
            {
                let read = |ids: &[ValueId]| -> Vec<&[u32]> {
                    ids.iter().map(|&id| self.read(&slots.of_value, arena, inputs, id)).collect()
                };
                let whole = &mut out[..self.values[step.output].len()];
                let before = index.checked_sub(1).map(|before| (&self.steps[before], joined[before]));
                match before {
                    Some((before, Some(taken))) => {
                        let (read, own) = (read(&before.inputs), read(&step.inputs[1..]));
                        before.call.run_fused(&step.call, taken, &read, &own, whole);
                    }
                    _ => step.call.run(&read(&step.inputs), whole),
                }
            }
            arena[slot] = out;
        }
        self.outputs.iter().map(|&id| self.read(&slots.of_value, arena, inputs, id).to_vec()).collect()
    }

    /// For each step, how many channels at a time the CPU takes it together with the next one; what it
    /// writes is then nowhere whole.
    fn joined(&self) -> Vec<Option<usize>> {
        let mut uses = vec![0usize; self.values.len()];
        for &id in self.steps.iter().flat_map(|step| &step.inputs) {
            uses[id] += 1;
        }
        for &id in &self.outputs {
            uses[self.root(id)] += 1;
        }
        let mut joined = vec![None; self.steps.len()];
        for (index, pair) in self.steps.windows(2).enumerate() {
            let [first, next] = pair else { continue };
            let alone = next.inputs.first() == Some(&first.output) && uses[first.output] == 1;
            let free = index == 0 || joined[index - 1].is_none();
            if alone && free {
                joined[index] = first.call.fused_channels(&next.call);
            }
        }
        joined
    }

    fn read<'a>(
        &'a self,
        slots: &[Option<usize>],
        arena: &'a [Vec<u32>],
        inputs: &[&'a [u32]],
        id: ValueId,
    ) -> &'a [u32] {
        let root = self.root(id);
        match &self.values[root].source {
            Source::Input(index) => inputs[*index],
            Source::Constant(words) => words,
            Source::Computed | Source::View { .. } => {
                let slot = slots[root].expect("a computed value should have a slot");
                &arena[slot][..self.values[root].len()]
            }
        }
    }
}

/// Most values of a view that are read one by one before the run.
const KNOWN_MAX: usize = 1 << 20;

/// What a view of another value needs: root, offset, strides.
pub(super) type Place = (ValueId, i64, Vec<i64>);

pub(super) struct Builder<'a> {
    graph: &'a Graph,
    /// The node at hand.
    node: usize,
    values: Vec<Value>,
    steps: Vec<Step>,
    pub(super) names: HashMap<&'a str, ValueId>,
    /// Values that are lists of others.
    lists: HashMap<ValueId, Vec<ValueId>>,
    /// Nodes of bodies so far.
    pub(super) unrolled: usize,
    /// Values and operations spent on constants.
    folded: (usize, u64),
}

impl<'a> Builder<'a> {
    /// The tensor called `name`, which `node` reads.
    pub(super) fn tensor(&mut self, node: &str, name: &'a str) -> Result<ValueId, ModelError> {
        if let Some(&id) = self.names.get(name) {
            return Ok(id);
        }
        let Some(tensor) = self.graph.constants.get(name) else {
            return Err(ModelError::MissingTensor { node: node.to_owned(), tensor: name.to_owned() });
        };
        let id = self.constant(tensor)?;
        self.names.insert(name, id);
        Ok(id)
    }

    pub(super) fn constant(&mut self, tensor: &Tensor) -> Result<ValueId, ModelError> {
        let source = Source::Constant(Arc::clone(&tensor.words));
        self.value("constant", tensor.dtype, tensor.shape.clone(), source)
    }

    /// A list of tensors, as a value that nothing else may read.
    pub(super) fn list(&mut self, tensors: Vec<ValueId>) -> Result<ValueId, ModelError> {
        if tensors.len() > LIST_MAX {
            return Err(ModelError::TooLarge { node: self.node_name() });
        }
        let id = self.value("list", DType::F32, vec![0], Source::Constant(Arc::new([])))?;
        self.lists.insert(id, tensors);
        Ok(id)
    }

    pub(super) fn listed(&self, id: ValueId) -> Option<&[ValueId]> {
        self.lists.get(&id).map(Vec::as_slice)
    }

    pub(super) fn opset(&self) -> i64 {
        self.graph.opset
    }

    /// Refuses to go on once there are too many steps.
    pub(super) fn check_length(&self, node: &str) -> Result<(), ModelError> {
        let steps = self.steps.len();
        if steps > STEPS_MAX { Err(ModelError::TooLong { node: node.to_owned(), steps }) } else { Ok(()) }
    }

    pub(super) fn node_name(&self) -> String {
        self.graph.nodes.get(self.node).map_or_else(|| "output".to_owned(), |node| node.name.clone())
    }

    pub(super) fn shape(&self, id: ValueId) -> &[usize] {
        &self.values[id].shape
    }

    pub(super) fn dtype(&self, id: ValueId) -> DType {
        self.values[id].dtype
    }

    pub(super) fn value(
        &mut self,
        node: &str,
        dtype: DType,
        shape: Vec<usize>,
        source: Source,
    ) -> Result<ValueId, ModelError> {
        // An empty axis counts as one, so that no product of the others overflows later.
        let len = shape.iter().try_fold(1usize, |len, &size| len.checked_mul(size.max(1)));
        if len.is_none_or(|len| len >= VALUES_MAX) {
            return Err(ModelError::TooLarge { node: node.to_owned() });
        }
        self.values.push(Value { dtype, shape, source });
        Ok(self.values.len() - 1)
    }

    pub(super) fn computed(&mut self, dtype: DType, shape: Vec<usize>) -> Result<ValueId, ModelError> {
        let node = self.node_name();
        self.value(&node, dtype, shape, Source::Computed)
    }

    /// Where a value's elements lie.
    pub(super) fn place(&self, id: ValueId) -> Place {
        match &self.values[id].source {
            Source::View { of, offset, strides } => (*of, *offset, strides.clone()),
            Source::Input(_) | Source::Constant(_) | Source::Computed => (id, 0, strides(&self.values[id].shape)),
        }
    }

    /// Some of a value's elements under another shape.
    pub(super) fn view(
        &mut self,
        dtype: DType,
        shape: Vec<usize>,
        (of, offset, strides): Place,
    ) -> Result<ValueId, ModelError> {
        let node = self.node_name();
        self.value(&node, dtype, shape, Source::View { of, offset, strides })
    }

    fn is_contiguous(&self, id: ValueId) -> bool {
        match &self.values[id].source {
            Source::View { of, offset, strides: own } => {
                let shape = &self.values[id].shape;
                let walks = shape.iter().zip(own).zip(strides(shape)).all(|((&size, &a), b)| size == 1 || a == b);
                *offset == 0 && walks && self.values[id].len() == self.values[*of].len()
            }
            Source::Input(_) | Source::Constant(_) | Source::Computed => true,
        }
    }

    /// The value with its elements in order, filling a buffer: itself, or a copy.
    pub(super) fn dense(&mut self, id: ValueId) -> Result<ValueId, ModelError> {
        if self.is_contiguous(id) {
            return Ok(id);
        }
        let shape = self.values[id].shape.clone();
        let mut copy = Program::default();
        copy.load(self.values[id].dtype.repr());
        let dtype = self.values[id].dtype;
        let out = self.map(&[id], &shape, dtype, copy)?;
        // Whoever asks for it again gets the copy.
        let place = self.place(out);
        self.values[id].source = Source::View { of: place.0, offset: place.1, strides: place.2 };
        Ok(out)
    }

    /// The buffer that holds a dense value.
    pub(super) fn root(&self, id: ValueId) -> ValueId {
        self.place(id).0
    }

    /// The same elements in the same order under another shape.
    pub(super) fn reshaped(&mut self, id: ValueId, shape: Vec<usize>) -> Result<ValueId, ModelError> {
        let len = |shape: &[usize]| shape.iter().try_fold(1usize, |len, &size| len.checked_mul(size));
        if len(&shape) != len(self.shape(id)) {
            let found = format!("{} as {}", error::show(self.shape(id)), error::show(&shape));
            return Err(ModelError::Shape {
                node: self.node_name(),
                reason: "an input has another number of values",
                found,
            });
        }
        let dense = self.dense(id)?;
        let (of, ..) = self.place(dense);
        let strides = strides(&shape);
        self.view(self.values[id].dtype, shape, (of, 0, strides))
    }

    /// Strides that read a value as if it had `target`'s shape; `None` where it does not broadcast.
    pub(super) fn broadcast_place(&self, id: ValueId, target: &[usize]) -> Option<Place> {
        let (root, offset, own) = self.place(id);
        let shape = &self.values[id].shape;
        let missing = target.len().checked_sub(shape.len())?;
        let mut result = vec![0; target.len()];
        for (i, &size) in shape.iter().enumerate() {
            if size == target[missing + i] {
                result[missing + i] = if size == 1 { 0 } else { own[i] };
            } else if size != 1 {
                return None;
            }
        }
        Some((root, offset, result))
    }

    /// A program over values that broadcast to `shape`.
    pub(super) fn map(
        &mut self,
        inputs: &[ValueId],
        shape: &[usize],
        dtype: DType,
        program: Program,
    ) -> Result<ValueId, ModelError> {
        let out = self.computed(dtype, shape.to_vec())?;
        let step = self.map_step(inputs, shape, (out, 0, strides(shape)), program)?;
        self.emit(step.into_iter().collect(), out);
        Ok(out)
    }

    /// The call of a program whose output goes to `out`; nothing where there is nothing to do.
    pub(super) fn map_step(
        &self,
        inputs: &[ValueId],
        shape: &[usize],
        out: Place,
        program: Program,
    ) -> Result<Option<Step>, ModelError> {
        if shape.contains(&0) {
            return Ok(None);
        }
        let node = self.node_name();
        let mut roots = Vec::with_capacity(inputs.len());
        let mut views = Vec::with_capacity(inputs.len() + 1);
        for &id in inputs {
            let place = self.broadcast_place(id, shape).ok_or_else(|| ModelError::Shape {
                node: node.clone(),
                reason: "the shapes do not broadcast",
                found: format!("{} to {}", error::show(self.shape(id)), error::show(shape)),
            })?;
            roots.push(place.0);
            views.push((place.1, place.2));
        }
        views.push((out.1, out.2));
        let call = Elementwise::new(program, shape, &views).ok_or_else(|| ModelError::Shape {
            node,
            reason: "an operator works on at most 8 axes that cannot be merged",
            found: format!("{} ({MAX_RANK} at most)", error::show(shape)),
        })?;
        Ok(Some(Step { call: Call::Elementwise(Box::new(call)), inputs: roots, output: out.0, node: self.node }))
    }

    pub(super) fn step(&self, call: Call, inputs: Vec<ValueId>, output: ValueId) -> Step {
        Step { call, inputs, output, node: self.node }
    }

    /// Appends the calls that make `output`, or, where all they read is known, its values.
    pub(super) fn emit(&mut self, steps: Vec<Step>, output: ValueId) {
        let len = self.values[output].len();
        let known = |id: &ValueId| match &self.values[*id].source {
            Source::Constant(words) => Some(Arc::clone(words)),
            Source::Input(_) | Source::Computed | Source::View { .. } => None,
        };
        let read: Option<Vec<Vec<Arc<[u32]>>>> =
            steps.iter().map(|step| step.inputs.iter().map(known).collect()).collect();
        match read {
            Some(read) if self.may_fold(&steps, len) => {
                let mut words = vec![0; len];
                for (step, read) in steps.iter().zip(&read) {
                    let read: Vec<&[u32]> = read.iter().map(AsRef::as_ref).collect();
                    step.call.run(&read, &mut words);
                }
                self.values[output].source = Source::Constant(words.into());
            }
            _ => self.steps.extend(steps.into_iter().filter(|step| step.call.units() > 0)),
        }
    }

    fn may_fold(&mut self, steps: &[Step], len: usize) -> bool {
        let flops = steps.iter().fold(self.folded.1, |sum: u64, step| sum.saturating_add(step.call.flops()));
        let values = self.folded.0.saturating_add(len);
        let may = values <= FOLD_MAX && flops <= FOLD_FLOPS_MAX;
        if may {
            self.folded = (values, flops);
        }
        may
    }

    /// What a buffer holds that is known before the run.
    pub(super) fn stored(&self, root: ValueId) -> Option<&[u32]> {
        match &self.values[root].source {
            Source::Constant(words) => Some(words),
            Source::Input(_) | Source::Computed | Source::View { .. } => None,
        }
    }

    /// The values of a tensor that is known before the run, in order.
    pub(super) fn known(&self, id: ValueId) -> Option<Vec<u32>> {
        let (root, offset, strides) = self.place(id);
        let Source::Constant(words) = &self.values[root].source else { return None };
        let shape = &self.values[id].shape;
        let len: usize = shape.iter().product();
        if self.is_contiguous(id) {
            return Some(words.to_vec());
        }
        if len > KNOWN_MAX {
            return None;
        }
        (0..len)
            .map(|mut i| {
                let mut place = offset;
                for (&size, &stride) in shape.iter().zip(&strides).rev() {
                    place += long(i % size) * stride;
                    i /= size;
                }
                usize::try_from(place).ok().and_then(|place| words.get(place)).copied()
            })
            .collect()
    }

    /// Whole numbers that are known before the run.
    pub(super) fn known_ints(&self, id: ValueId) -> Option<Vec<i64>> {
        if self.dtype(id).is_float() {
            return None;
        }
        let signed = self.dtype(id).repr() == gpu_kernels::dtype::Repr::I32;
        let read = |word: &u32| if signed { i64::from(word.cast_signed()) } else { i64::from(*word) };
        self.known(id).map(|words| words.iter().map(read).collect())
    }

    pub(super) fn known_floats(&self, id: ValueId) -> Option<Vec<f32>> {
        if !self.dtype(id).is_float() {
            return None;
        }
        self.known(id).map(|words| words.iter().map(|&word| f32::from_bits(word)).collect())
    }
}
