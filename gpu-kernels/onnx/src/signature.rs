//! What a model does to rows: which outputs it has, and whether rows can be computed separately.

use gpu_kernels::dtype::DType;

use crate::error::{ModelError, show};
use crate::graph::{Feed, Graph};
use crate::ir::{Plan, Value, ValueKind, long};
use crate::passes::rows::{self, Rows};

/// What a model does to rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    pub outputs: Vec<Field>,
    /// The node that mixes rows, if one does: then all rows are one tile.
    pub mixed_by: Option<String>,
    /// Rows that the model takes at a time: fewer cost as much. One, unless it fixes its batch.
    pub micro_batch: usize,
    /// Rows that one plan should hold; more would make it too long.
    pub rows_at_once: usize,
}

/// An output, a row at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub dtype: DType,
    /// Without the batch.
    pub shape: Vec<usize>,
}

impl Graph {
    /// What it does to arrays that are no rows: one row's work, whose outputs are whole too.
    pub(crate) fn whole_signature(&self, feeds: &[Feed]) -> Result<Signature, ModelError> {
        let plan = self.plan_at_once(1, feeds)?;
        let fields = self.outputs.iter().zip(&plan.outputs).map(|(name, &id)| {
            let Value { dtype, shape, .. } = &plan.values[id];
            Field { name: name.clone(), dtype: *dtype, shape: shape.clone() }
        });
        let outputs: Vec<Field> = fields.collect();
        if let Some(Field { name, shape, .. }) = outputs.iter().find(|field| field.shape.contains(&0)) {
            let (node, found) = (name.clone(), show(shape));
            return Err(ModelError::Shape { node, reason: "the output holds no value", found });
        }
        Ok(Signature { outputs, mixed_by: None, micro_batch: 1, rows_at_once: 1 })
    }

    /// What it does to rows, several at once.
    pub(crate) fn batched_signature(&self, feeds: &[Feed]) -> Result<Signature, ModelError> {
        // Two batch sizes tell a dimension that follows the batch from one that only equals it.
        let (two, three) = (self.plan_at_once(2, feeds)?, self.plan_at_once(3, feeds)?);
        let (rows_two, rows_three) = (rows::of_plan(&two, 2), rows::of_plan(&three, 3));
        let mut mixed = batch_in_constants(&two, &three);
        let mut outputs = Vec::new();
        for ((name, &a), &b) in self.outputs.iter().zip(&two.outputs).zip(&three.outputs) {
            let (shape, other) = (&two.values[a].shape, &three.values[b].shape);
            if shape.contains(&0) {
                let (node, found) = (name.clone(), show(shape));
                return Err(ModelError::Shape { node, reason: "a row of the output holds no value", found });
            }
            let follows = shape.first() == Some(&2) && other.first() == Some(&3) && shape[1..] == other[1..];
            let kept = [rows_two[two.root(a)], rows_three[three.root(b)]];
            // Separate rows of an output lie one after another, with the batch as the first axis.
            let separate = [(&two.values[a], 2), (&three.values[b], 3)]
                .map(|(value, batch)| Rows::Separate { inner: long(value.len() / batch) });
            let by = kept.iter().find_map(|rows| if let Rows::Mixed(node) = rows { Some(*node) } else { None });
            if !follows || (by.is_none() && kept != separate) {
                let last = by.or_else(|| self.nodes.len().checked_sub(1)).and_then(|node| self.nodes.get(node));
                let node = last.map_or_else(|| name.clone(), |node| node.name.clone());
                return Err(ModelError::MixesRows { node });
            }
            mixed = mixed.or(by);
            outputs.push(Field { name: name.clone(), dtype: two.values[a].dtype, shape: shape[1..].to_vec() });
        }
        let mixed_by = mixed.and_then(|node| self.nodes.get(node)).map(|node| node.name.clone());
        Ok(Signature { outputs, mixed_by, micro_batch: 1, rows_at_once: usize::MAX })
    }
}

/// A step that reads a small constant which differs between two batch sizes, though its shape does
/// not: a mean over the batch, say, written as a product with its inverse.
fn batch_in_constants(two: &Plan, three: &Plan) -> Option<usize> {
    const SMALL: usize = 64;
    let pairs = two.steps.iter().zip(&three.steps).filter(|(a, b)| a.node == b.node);
    for (a, b) in pairs {
        for (&x, &y) in a.inputs.iter().zip(&b.inputs) {
            if let (ValueKind::Constant(x), ValueKind::Constant(y)) = (&two.values[x].kind, &three.values[y].kind)
                && x.len() == y.len()
                && x.len() <= SMALL
                && x != y
            {
                return Some(a.node);
            }
        }
    }
    None
}
