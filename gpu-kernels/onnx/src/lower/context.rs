//! The node at hand: its inputs, its attributes (each of which somebody must have asked for), and
//! the refusals that name it.

use std::cell::Cell;

use gpu_kernels::dtype::{DType, Repr};
use gpu_kernels::kernels::elementwise::{Program, Reg};

use crate::builder::Builder;
use crate::error::{ModelError, shortened, show};
use crate::graph::{Body, Node};
use crate::ir::{ValueId, broadcast};
use crate::lower::prims::cast::{convert, same, wrapped};
use crate::proto;
use crate::tensor::Tensor;

pub(crate) struct NodeContext<'a, 'b> {
    pub(crate) builder: &'b mut Builder<'a>,
    pub(crate) node: &'a Node,
    pub(crate) opset: i64,
    /// Which attributes were asked for, by their place.
    asked: Cell<u64>,
}

impl<'a, 'b> NodeContext<'a, 'b> {
    pub(crate) fn new(builder: &'b mut Builder<'a>, node: &'a Node) -> Self {
        let opset = builder.opset();
        Self { builder, node, opset, asked: Cell::new(0) }
    }

    /// Refuses attributes that no version of the operator is known to have.
    pub(crate) fn finish(self) -> Result<(), ModelError> {
        let left = self.node.attributes.iter().enumerate().find(|(i, _)| *i >= 64 || self.asked.get() & (1 << i) == 0);
        match left {
            Some((_, attribute)) => {
                Err(self.unsupported_attribute(&attribute.name, "this operator is not known to have it"))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&'a proto::Attribute> {
        let place = self.node.attributes.iter().position(|attribute| attribute.name == name)?;
        self.asked.set(self.asked.get() | 1u64.checked_shl(u32::try_from(place).unwrap_or(64)).unwrap_or(0));
        Some(&self.node.attributes[place])
    }

    /// Attributes that make no difference here.
    pub(crate) fn ignore(&self, names: &[&str]) {
        for name in names {
            let _asked = self.attribute(name);
        }
    }

    pub(crate) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.int(name, 0) != 0
    }

    pub(crate) fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |attribute| attribute.f)
    }

    pub(crate) fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.attribute(name).map(|attribute| attribute.ints.clone())
    }

    pub(crate) fn text(&self, name: &str, default: &'a str) -> &'a str {
        self.attribute(name).map_or(default, |attribute| std::str::from_utf8(&attribute.s).unwrap_or("?"))
    }

    pub(crate) fn unsupported_attribute(&self, attribute: &str, reason: &'static str) -> ModelError {
        ModelError::UnsupportedAttribute { node: self.node.name.clone(), attribute: attribute.to_owned(), reason }
    }

    pub(crate) fn shape_error(&self, reason: &'static str, found: impl Into<String>) -> ModelError {
        ModelError::Shape { node: self.node.name.clone(), reason, found: shortened(found.into()) }
    }

    pub(crate) fn type_error(&self, dtype: DType) -> ModelError {
        let operator = self.node.op.clone();
        ModelError::UnsupportedType { node: self.node.name.clone(), operator, dtype: dtype.name() }
    }

    /// How many outputs the model wants.
    pub(crate) fn is_output_used(&self, output: usize) -> bool {
        self.node.outputs.get(output).is_some_and(|name| !name.is_empty())
    }

    fn name(&self, i: usize) -> Option<&'a str> {
        self.node.inputs.get(i).map(String::as_str).filter(|name| !name.is_empty())
    }

    pub(crate) fn optional_input(&mut self, i: usize) -> Result<Option<ValueId>, ModelError> {
        let Some(name) = self.name(i) else { return Ok(None) };
        let id = self.builder.tensor(&self.node.name, name)?;
        if self.builder.list_items(id).is_some() {
            return Err(ModelError::DataType { tensor: name.to_owned(), found: "a sequence, map or optional" });
        }
        Ok(Some(id))
    }

    /// An input that may be a list.
    pub(crate) fn tensor_or_list(&mut self, i: usize) -> Result<ValueId, ModelError> {
        match self.name(i) {
            Some(name) => self.builder.tensor(&self.node.name, name),
            None => self.input(i),
        }
    }

    /// The tensors of an input that is a list.
    pub(crate) fn list_items(&mut self, i: usize) -> Result<Vec<ValueId>, ModelError> {
        let id = self.tensor_or_list(i)?;
        self.builder.list_items(id).map(<[ValueId]>::to_vec).ok_or_else(|| self.type_error(self.dtype(id)))
    }

    /// The graph that an attribute holds.
    pub(crate) fn body(&self, name: &str) -> Result<&'a Body, ModelError> {
        let _asked = self.attribute(name);
        let found = self.node.bodies.iter().find(|(attribute, _)| attribute == name);
        found.map(|(_, body)| body).ok_or_else(|| self.unsupported_attribute(name, "it must hold a graph"))
    }

    /// The outputs of such a graph that is given `inputs`.
    pub(crate) fn unroll(&mut self, body: &'a Body, inputs: &[ValueId]) -> Result<Vec<ValueId>, ModelError> {
        self.builder.unroll(&self.node.name, body, inputs)
    }

    pub(crate) fn input(&mut self, i: usize) -> Result<ValueId, ModelError> {
        self.optional_input(i)?.ok_or_else(|| ModelError::InputArity {
            node: self.node.name.clone(),
            operator: self.node.op.clone(),
            expected: i + 1,
            found: self.node.inputs.len(),
        })
    }

    /// All inputs; none may be left out.
    pub(crate) fn inputs(&mut self) -> Result<Vec<ValueId>, ModelError> {
        (0..self.node.inputs.len().max(1)).map(|i| self.input(i)).collect()
    }

    pub(crate) fn not_constant(&self, i: usize) -> ModelError {
        ModelError::NotConstant { node: self.node.name.clone(), tensor: self.name(i).unwrap_or("input").to_owned() }
    }

    /// Whole numbers that must be known before the run.
    pub(crate) fn known_ints(&mut self, i: usize) -> Result<Option<Vec<i64>>, ModelError> {
        let Some(id) = self.optional_input(i)? else { return Ok(None) };
        self.builder.known_ints(id).map(Some).ok_or_else(|| self.not_constant(i))
    }

    pub(crate) fn known_floats(&mut self, i: usize) -> Result<Option<Vec<f32>>, ModelError> {
        let Some(id) = self.optional_input(i)? else { return Ok(None) };
        self.builder.known_floats(id).map(Some).ok_or_else(|| self.not_constant(i))
    }

    /// A list that older operator sets keep in an attribute and newer ones in an input.
    pub(crate) fn ints_or_input(&mut self, attribute: &str, i: usize) -> Result<Option<Vec<i64>>, ModelError> {
        match self.ints(attribute) {
            // Brought near, so that no sum of a few overflows.
            Some(list) => {
                Ok(Some(list.into_iter().map(|value| value.clamp(-UNBOUNDED_SIZE, UNBOUNDED_SIZE)).collect()))
            }
            None => self.known_ints(i),
        }
    }

    pub(crate) fn shape(&self, id: ValueId) -> Vec<usize> {
        self.builder.shape(id).to_vec()
    }

    pub(crate) fn dtype(&self, id: ValueId) -> DType {
        self.builder.dtype(id)
    }

    pub(crate) fn repr(&self, id: ValueId) -> Repr {
        self.builder.dtype(id).repr()
    }

    /// The type, if it is a float's.
    pub(crate) fn float_type(&self, id: ValueId) -> Result<DType, ModelError> {
        let dtype = self.dtype(id);
        if dtype.is_float() { Ok(dtype) } else { Err(self.type_error(dtype)) }
    }

    pub(crate) fn axis(&self, axis: i64, rank: usize, end: usize) -> Result<usize, ModelError> {
        let positive = if axis < 0 { i64::try_from(rank).map_or(-1, |rank| axis.saturating_add(rank)) } else { axis };
        usize::try_from(positive)
            .ok()
            .filter(|&axis| axis < end)
            .ok_or_else(|| self.shape_error("the axis is outside the tensor", axis.to_string()))
    }

    /// Different axes of a tensor, in order.
    pub(crate) fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, ModelError> {
        let mut found: Vec<usize> = axes.iter().map(|&axis| self.axis(axis, rank, rank)).collect::<Result<_, _>>()?;
        found.sort_unstable();
        if found.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(self.shape_error("an axis is named twice", format!("{axes:?}")));
        }
        Ok(found)
    }

    /// A size that a model computes or stores.
    pub(crate) fn size(&self, size: i64) -> Result<usize, ModelError> {
        usize::try_from(size).map_err(|_negative| self.shape_error("a size must not be negative", size.to_string()))
    }

    /// Refuses to make a table of more entries than are reasonable.
    pub(crate) fn check_table(&self, len: Option<usize>) -> Result<(), ModelError> {
        match len {
            Some(len) if len <= TABLE_MAX => Ok(()),
            _ => Err(ModelError::TooLarge { node: self.node.name.clone() }),
        }
    }

    pub(crate) fn broadcast(&self, ids: &[ValueId]) -> Result<Vec<usize>, ModelError> {
        let mut shape = Vec::new();
        for &id in ids {
            let other = self.builder.shape(id);
            shape = broadcast(&shape, other).ok_or_else(|| {
                self.shape_error("the shapes do not broadcast", format!("{} and {}", show(&shape), show(other)))
            })?;
        }
        Ok(shape)
    }

    /// An elementwise program over inputs that broadcast together. `write` is given their registers.
    pub(crate) fn elementwise(
        &mut self,
        ids: &[ValueId],
        dtype: DType,
        write: impl FnOnce(&mut Program, &[Reg]) -> Reg,
    ) -> Result<ValueId, ModelError> {
        let shape = self.broadcast(ids)?;
        self.elementwise_to(ids, &shape, dtype, write)
    }

    /// The same to a shape that all inputs broadcast to.
    pub(crate) fn elementwise_to(
        &mut self,
        ids: &[ValueId],
        shape: &[usize],
        dtype: DType,
        write: impl FnOnce(&mut Program, &[Reg]) -> Reg,
    ) -> Result<ValueId, ModelError> {
        let (mut program, registers) = self.loaded(ids);
        let result = write(&mut program, &registers);
        self.mapped(ids, shape, dtype, program, result)
    }

    /// A program that has loaded its inputs. Apart from `elementwise_to`, so that a bundle has it once.
    fn loaded(&self, ids: &[ValueId]) -> (Program, Vec<Reg>) {
        let mut program = Program::default();
        let registers = ids.iter().map(|&id| program.load(self.builder.dtype(id).repr())).collect();
        (program, registers)
    }

    fn mapped(
        &mut self,
        ids: &[ValueId],
        shape: &[usize],
        dtype: DType,
        mut program: Program,
        result: Reg,
    ) -> Result<ValueId, ModelError> {
        let result = wrapped(&mut program, result, dtype);
        // The last instruction is the result.
        if result + 1 != program.insts.len() {
            program.un(same(program.repr(result)), result);
        }
        self.builder.elementwise(ids, shape, dtype, program)
    }

    /// A value of another type, converted. Floats are float32 whatever their type, and are not rounded.
    pub(crate) fn cast(&mut self, id: ValueId, dtype: DType) -> Result<ValueId, ModelError> {
        let from = self.dtype(id);
        if from == dtype {
            return Ok(id);
        }
        if from.is_float() && dtype.is_float() {
            let (place, shape) = (self.builder.buffer_view(id), self.shape(id));
            return self.builder.view(dtype, shape, place);
        }
        self.elementwise(&[id], dtype, |p, r| convert(p, r[0], from, dtype))
    }

    pub(crate) fn constant(&mut self, tensor: &Tensor) -> Result<ValueId, ModelError> {
        self.builder.constant(tensor)
    }

    /// Whole numbers known before the run.
    pub(crate) fn constant_ints(&mut self, shape: Vec<usize>, values: &[i64]) -> Result<ValueId, ModelError> {
        let too_large = || self.shape_error("a whole number does not fit 32 bits", format!("{values:?}"));
        let tensor = Tensor::ints(shape, values).ok_or_else(too_large)?;
        self.builder.constant(&tensor)
    }

    pub(crate) fn constant_floats(&mut self, shape: Vec<usize>, values: &[f32]) -> Result<ValueId, ModelError> {
        self.builder.constant(&Tensor::floats(shape, values))
    }
}

/// Stands for "to the end" in a slice: larger than any dimension that a model can have.
const UNBOUNDED_SIZE: i64 = 1 << 40;
/// Most entries of a table that is made for a node.
pub(crate) const TABLE_MAX: usize = 1 << 24;
