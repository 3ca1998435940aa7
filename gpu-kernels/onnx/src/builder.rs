//! What lowering writes into: the values and calls of a plan in the making. What is known before the run is
//! computed here at once, and what strides can say is a view.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Elementwise, Program, Unary};
use gpu_kernels::kernels::{Call, MAX_RANK};

use crate::error::{ModelError, show};
use crate::graph::Graph;
use crate::ir::{BufferView, Step, Value, ValueId, ValueKind, long, strides};
use crate::limits::{STEPS_MAX, VALUES_MAX};
use crate::tensor::Tensor;

/// Most tensors of a list.
const LIST_MAX: usize = 1024;
/// Values that one plan may compute while it is made: constants of constants.
const FOLD_MAX: usize = 1 << 26;
/// And operations.
const FOLD_FLOPS_MAX: u64 = 2_000_000_000;
/// Most values of a view that are read one by one before the run.
const KNOWN_MAX: usize = 1 << 20;

pub(crate) struct Builder<'a> {
    graph: &'a Graph,
    /// The node at hand.
    pub(crate) node: usize,
    pub(crate) values: Vec<Value>,
    pub(crate) steps: Vec<Step>,
    pub(crate) names: HashMap<&'a str, ValueId>,
    /// Values that are lists of others.
    lists: HashMap<ValueId, Vec<ValueId>>,
    /// Nodes of bodies so far.
    pub(crate) unrolled: usize,
    /// Values and operations spent on constants.
    folded: (usize, u64),
    /// Buffers that casts made half floats of, which nobody has rounded yet.
    cast_to_half: HashSet<ValueId>,
    /// What each squeeze that names no axes takes, where another plan has told, and what it took.
    to_squeeze: std::vec::IntoIter<Vec<usize>>,
    pub(crate) squeezed: Vec<Vec<usize>>,
}

impl<'a> Builder<'a> {
    /// `to_squeeze` is what another plan of the graph has `squeezed`.
    pub(crate) fn new(graph: &'a Graph, to_squeeze: Vec<Vec<usize>>) -> Self {
        Self {
            graph,
            node: 0,
            values: Vec::new(),
            steps: Vec::new(),
            names: HashMap::new(),
            lists: HashMap::new(),
            unrolled: 0,
            folded: (0, 0),
            cast_to_half: HashSet::new(),
            to_squeeze: to_squeeze.into_iter(),
            squeezed: Vec::new(),
        }
    }

    /// The tensor called `name`, which `node` reads.
    pub(crate) fn tensor(&mut self, node: &str, name: &'a str) -> Result<ValueId, ModelError> {
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

    pub(crate) fn constant(&mut self, tensor: &Tensor) -> Result<ValueId, ModelError> {
        let kind = ValueKind::Constant(Arc::clone(&tensor.words));
        self.value("constant", tensor.dtype, tensor.shape.clone(), kind)
    }

    /// The axes that a squeeze takes which names none.
    pub(crate) fn unnamed_axes(&mut self, shape: &[usize]) -> Vec<usize> {
        let of_size_one = || (0..shape.len()).filter(|&axis| shape[axis] == 1).collect();
        let axes: Vec<usize> = self.to_squeeze.next().unwrap_or_else(of_size_one);
        self.squeezed.push(axes.clone());
        axes
    }

    /// A list of tensors, as a value that nothing else may read.
    pub(crate) fn list(&mut self, tensors: Vec<ValueId>) -> Result<ValueId, ModelError> {
        if tensors.len() > LIST_MAX {
            return Err(ModelError::TooLarge { node: self.node_name() });
        }
        let id = self.value("list", DType::F32, vec![0], ValueKind::Constant(Arc::new([])))?;
        self.lists.insert(id, tensors);
        Ok(id)
    }

    pub(crate) fn list_items(&self, id: ValueId) -> Option<&[ValueId]> {
        self.lists.get(&id).map(Vec::as_slice)
    }

    pub(crate) fn opset(&self) -> i64 {
        self.graph.opset
    }

    /// Refuses to go on once there are too many steps.
    pub(crate) fn check_length(&self, node: &str) -> Result<(), ModelError> {
        let steps = self.steps.len();
        if steps > STEPS_MAX { Err(ModelError::TooLong { node: node.to_owned(), steps }) } else { Ok(()) }
    }

    pub(crate) fn node_name(&self) -> String {
        self.graph.nodes.get(self.node).map_or_else(|| "output".to_owned(), |node| node.name.clone())
    }

    pub(crate) fn shape(&self, id: ValueId) -> &[usize] {
        &self.values[id].shape
    }

    pub(crate) fn dtype(&self, id: ValueId) -> DType {
        self.values[id].dtype
    }

    pub(crate) fn value(
        &mut self,
        node: &str,
        dtype: DType,
        shape: Vec<usize>,
        kind: ValueKind,
    ) -> Result<ValueId, ModelError> {
        // An empty axis counts as one, so that no product of the others overflows later.
        let len = shape.iter().try_fold(1usize, |len, &size| len.checked_mul(size.max(1)));
        if len.is_none_or(|len| len >= VALUES_MAX) {
            return Err(ModelError::TooLarge { node: node.to_owned() });
        }
        self.values.push(Value { dtype, shape, kind });
        Ok(self.values.len() - 1)
    }

    pub(crate) fn computed(&mut self, dtype: DType, shape: Vec<usize>) -> Result<ValueId, ModelError> {
        let node = self.node_name();
        self.value(&node, dtype, shape, ValueKind::Computed)
    }

    /// Where a value's elements lie.
    pub(crate) fn buffer_view(&self, id: ValueId) -> BufferView {
        match &self.values[id].kind {
            ValueKind::View { root, offset, strides } => (*root, *offset, strides.clone()),
            ValueKind::Input(_) | ValueKind::Constant(_) | ValueKind::Computed => {
                (id, 0, strides(&self.values[id].shape))
            }
        }
    }

    /// Some of a value's elements under another shape.
    pub(crate) fn view(
        &mut self,
        dtype: DType,
        shape: Vec<usize>,
        (root, offset, strides): BufferView,
    ) -> Result<ValueId, ModelError> {
        let node = self.node_name();
        self.value(&node, dtype, shape, ValueKind::View { root, offset, strides })
    }

    fn is_contiguous(&self, id: ValueId) -> bool {
        match &self.values[id].kind {
            ValueKind::View { root, offset, strides: own } => {
                let shape = &self.values[id].shape;
                let in_order = shape.iter().zip(own).zip(strides(shape)).all(|((&size, &a), b)| size == 1 || a == b);
                *offset == 0 && in_order && self.values[id].len() == self.values[*root].len()
            }
            ValueKind::Input(_) | ValueKind::Constant(_) | ValueKind::Computed => true,
        }
    }

    /// The value with its elements in order, filling a buffer: itself, or a copy.
    pub(crate) fn dense(&mut self, id: ValueId) -> Result<ValueId, ModelError> {
        if self.is_contiguous(id) {
            return Ok(id);
        }
        let shape = self.values[id].shape.clone();
        let mut copy = Program::default();
        copy.load(self.values[id].dtype.repr());
        let dtype = self.values[id].dtype;
        let out = self.elementwise(&[id], &shape, dtype, copy)?;
        // Whoever asks for it again gets the copy.
        let place = self.buffer_view(out);
        self.values[id].kind = ValueKind::View { root: place.0, offset: place.1, strides: place.2 };
        Ok(out)
    }

    /// The buffer that holds a dense value.
    pub(crate) fn root(&self, id: ValueId) -> ValueId {
        self.buffer_view(id).0
    }

    /// The same elements in the same order under another shape.
    pub(crate) fn reshaped(&mut self, id: ValueId, shape: Vec<usize>) -> Result<ValueId, ModelError> {
        let len = |shape: &[usize]| shape.iter().try_fold(1usize, |len, &size| len.checked_mul(size));
        if len(&shape) != len(self.shape(id)) {
            let found = format!("{} as {}", show(self.shape(id)), show(&shape));
            return Err(ModelError::Shape {
                node: self.node_name(),
                reason: "an input has another number of values",
                found,
            });
        }
        let dense = self.dense(id)?;
        let (root, ..) = self.buffer_view(dense);
        let strides = strides(&shape);
        self.view(self.values[id].dtype, shape, (root, 0, strides))
    }

    /// Strides that read a value as if it had `target`'s shape; `None` where it does not broadcast.
    pub(crate) fn broadcast_view(&self, id: ValueId, target: &[usize]) -> Option<BufferView> {
        let (root, offset, own) = self.buffer_view(id);
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
    pub(crate) fn elementwise(
        &mut self,
        inputs: &[ValueId],
        shape: &[usize],
        dtype: DType,
        program: Program,
    ) -> Result<ValueId, ModelError> {
        let out = self.computed(dtype, shape.to_vec())?;
        let step = self.elementwise_step(inputs, shape, (out, 0, strides(shape)), program)?;
        self.emit(step.into_iter().collect(), out);
        Ok(out)
    }

    /// Half floats as a file holds them. Between nodes they are float32, beyond a half's precision and range.
    pub(crate) fn rounded(&mut self, id: ValueId) -> Result<ValueId, ModelError> {
        let dtype = self.dtype(id);
        let root = &self.values[self.root(id)];
        let fed = matches!(root.kind, ValueKind::Input(_)) && root.dtype == dtype;
        if fed || !matches!(dtype, DType::F16 | DType::BF16) {
            return Ok(id);
        }
        let mut program = Program::default();
        let value = program.load(dtype.repr());
        program.un(Unary::Wrap(dtype), value);
        let shape = self.shape(id).to_vec();
        self.elementwise(&[id], &shape, dtype, program)
    }

    /// Remembers that a cast gave a value.
    pub(crate) fn note_cast(&mut self, id: ValueId) {
        if matches!(self.dtype(id), DType::F16 | DType::BF16) {
            let root = self.root(id);
            self.cast_to_half.insert(root);
        }
    }

    /// What a cast reads: a cast to half floats and back rounds, as models do that imitate half floats.
    pub(crate) fn rounded_if_cast(&mut self, id: ValueId) -> Result<ValueId, ModelError> {
        if self.cast_to_half.contains(&self.root(id)) { self.rounded(id) } else { Ok(id) }
    }

    /// The call of a program whose output goes to `out`; nothing where there is nothing to do.
    pub(crate) fn elementwise_step(
        &self,
        inputs: &[ValueId],
        shape: &[usize],
        out: BufferView,
        program: Program,
    ) -> Result<Option<Step>, ModelError> {
        if shape.contains(&0) {
            return Ok(None);
        }
        let node = self.node_name();
        let mut roots = Vec::with_capacity(inputs.len());
        let mut views = Vec::with_capacity(inputs.len() + 1);
        for &id in inputs {
            let place = self.broadcast_view(id, shape).ok_or_else(|| ModelError::Shape {
                node: node.clone(),
                reason: "the shapes do not broadcast",
                found: format!("{} to {}", show(self.shape(id)), show(shape)),
            })?;
            roots.push(place.0);
            views.push((place.1, place.2));
        }
        views.push((out.1, out.2));
        let call = Elementwise::new(program, shape, &views).ok_or_else(|| ModelError::Shape {
            node,
            reason: "an operator works on at most 8 axes that cannot be merged",
            found: format!("{} ({MAX_RANK} at most)", show(shape)),
        })?;
        Ok(Some(Step { call: Call::Elementwise(Box::new(call)), inputs: roots, output: out.0, node: self.node }))
    }

    pub(crate) fn step(&self, call: Call, inputs: Vec<ValueId>, output: ValueId) -> Step {
        Step { call, inputs, output, node: self.node }
    }

    /// Appends the calls that make `output`, or, where all they read is known, its values.
    pub(crate) fn emit(&mut self, steps: Vec<Step>, output: ValueId) {
        let len = self.values[output].len();
        let known = |id: &ValueId| match &self.values[*id].kind {
            ValueKind::Constant(words) => Some(Arc::clone(words)),
            ValueKind::Input(_) | ValueKind::Computed | ValueKind::View { .. } => None,
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
                self.values[output].kind = ValueKind::Constant(words.into());
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
    pub(crate) fn stored(&self, root: ValueId) -> Option<&[u32]> {
        match &self.values[root].kind {
            ValueKind::Constant(words) => Some(words),
            ValueKind::Input(_) | ValueKind::Computed | ValueKind::View { .. } => None,
        }
    }

    /// The values of a tensor that is known before the run, in order.
    pub(crate) fn known(&self, id: ValueId) -> Option<Vec<u32>> {
        let (root, offset, strides) = self.buffer_view(id);
        let ValueKind::Constant(words) = &self.values[root].kind else { return None };
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
    pub(crate) fn known_ints(&self, id: ValueId) -> Option<Vec<i64>> {
        if self.dtype(id).is_float() {
            return None;
        }
        let signed = self.dtype(id).repr() == gpu_kernels::dtype::Repr::I32;
        let read = |word: &u32| if signed { i64::from(word.cast_signed()) } else { i64::from(*word) };
        self.known(id).map(|words| words.iter().map(read).collect())
    }

    pub(crate) fn known_floats(&self, id: ValueId) -> Option<Vec<f32>> {
        if !self.dtype(id).is_float() {
            return None;
        }
        self.known(id).map(|words| words.iter().map(|&word| f32::from_bits(word)).collect())
    }
}
