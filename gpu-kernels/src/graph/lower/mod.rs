//! One node to kernel calls, with shapes inferred and checked on the way, after the operator
//! definitions at <https://onnx.ai/onnx/operators/>.

mod image;

use super::Node;
use super::error::{ModelError, show};
use super::op::Op;
use super::plan::{Builder, Source, VALUES_MAX, ValueId};
use super::rows::Rows;
use image::Pooling;

use crate::kernels::{Call, MAX_RANK, batch_norm, binary, concat, matmul, softmax, transpose, unary, units_for};

/// Appends the calls of `node` and returns its output.
pub(super) fn lower<'a>(b: &mut Builder<'a>, index: usize, node: &'a Node) -> Result<ValueId, ModelError> {
    let at = At { index, node };
    match &node.op {
        Op::MatMul => at.matmul(b),
        Op::Gemm { alpha, beta, trans_a, trans_b } => at.gemm(b, *alpha, *beta, *trans_a, *trans_b),
        Op::Conv { window, groups } => at.conv(b, window, *groups),
        Op::MaxPool { window, ceil } => at.pool(b, window, *ceil, &Pooling::Max),
        Op::AveragePool { window, ceil, count_include_pad } => {
            at.pool(b, window, *ceil, &Pooling::Average { count_include_pad: *count_include_pad })
        }
        Op::GlobalAveragePool => at.global_average_pool(b),
        Op::BatchNormalization { epsilon } => at.batch_norm(b, *epsilon),
        Op::Binary(op) => at.binary(b, *op),
        Op::Relu => at.unary(b, unary::Op::Relu, 0.0, 0.0),
        Op::LeakyRelu { alpha } => at.unary(b, unary::Op::LeakyRelu, *alpha, 0.0),
        Op::Sigmoid => at.unary(b, unary::Op::Sigmoid, 0.0, 0.0),
        Op::Tanh => at.unary(b, unary::Op::Tanh, 0.0, 0.0),
        Op::Clip => at.clip(b),
        Op::Softmax { axis } => at.softmax(b, *axis),
        Op::Transpose { perm } => at.transpose(b, perm),
        Op::Reshape { allow_zero } => at.reshape(b, *allow_zero),
        Op::Flatten { axis } => at.flatten(b, *axis),
        Op::Concat { axis } => at.concat(b, *axis),
        Op::Identity => at.identity(b),
        Op::Constant(_) => Err(at.shape("constants are taken out before lowering", "a constant")),
    }
}

/// A size as a shader counts it.
fn u(size: usize) -> u32 {
    u32::try_from(size).expect("tensor sizes should have been checked against 2^31")
}

/// Elements to step for each axis of a contiguous tensor.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// Strides that read a tensor of `shape` as if it had `target`'s; `None` where it does not broadcast.
fn broadcast_strides(shape: &[usize], target: &[usize]) -> Option<Vec<usize>> {
    let missing = target.len().checked_sub(shape.len())?;
    let own = strides(shape);
    let mut result = vec![0; target.len()];
    for (i, &size) in shape.iter().enumerate() {
        if size == target[missing + i] {
            result[missing + i] = if size == 1 { 0 } else { own[i] };
        } else if size != 1 {
            return None;
        }
    }
    Some(result)
}

fn broadcast_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
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

fn ranked(values: &[usize]) -> [u32; MAX_RANK] {
    let mut result = [0; MAX_RANK];
    for (slot, &value) in result.iter_mut().zip(values) {
        *slot = u(value);
    }
    result
}

struct At<'a> {
    index: usize,
    node: &'a Node,
}

impl<'a> At<'a> {
    fn shape(&self, reason: &'static str, found: impl Into<String>) -> ModelError {
        ModelError::Shape { node: self.node.name.clone(), reason, found: found.into() }
    }

    fn arity(&self, operator: &'static str, expected: &'static str) -> ModelError {
        let found = self.node.inputs.len();
        ModelError::InputArity { node: self.node.name.clone(), operator, expected, found }
    }

    fn optional_name(&self, i: usize) -> Option<&'a str> {
        self.node.inputs.get(i).map(String::as_str).filter(|name| !name.is_empty())
    }

    fn optional(&self, b: &mut Builder<'a>, i: usize) -> Result<Option<ValueId>, ModelError> {
        self.optional_name(i).map(|name| b.tensor(&self.node.name, name)).transpose()
    }

    fn input(
        &self,
        b: &mut Builder<'a>,
        i: usize,
        operator: &'static str,
        expected: &'static str,
    ) -> Result<ValueId, ModelError> {
        self.optional(b, i)?.ok_or_else(|| self.arity(operator, expected))
    }

    fn computed(&self, b: &mut Builder<'a>, shape: Vec<usize>, rows: Rows) -> Result<ValueId, ModelError> {
        // A tensor holds rows only while its first dimension is a multiple of the batch.
        let rows = match rows {
            Rows::Rows if shape.first().is_none_or(|first| first % b.batch != 0) => Rows::Mixed(self.index),
            rows => rows,
        };
        b.value(&self.node.name, shape, rows, Source::Computed)
    }

    /// Number of values of `shape`, if a shader can count them.
    fn len(&self, shape: &[usize]) -> Result<u32, ModelError> {
        let len = shape.iter().try_fold(1usize, |len, &size| len.checked_mul(size)).filter(|&len| len < VALUES_MAX);
        len.map(u).ok_or_else(|| ModelError::TooLarge { node: self.node.name.clone() })
    }

    fn alias(&self, b: &mut Builder<'a>, of: ValueId, shape: Vec<usize>) -> Result<ValueId, ModelError> {
        let rows = match b.rows(of) {
            Rows::Rows if shape.first().is_none_or(|first| first % b.batch != 0) => Rows::Mixed(self.index),
            rows => rows,
        };
        b.value(&self.node.name, shape, rows, Source::Alias(of))
    }

    /// `rows`, unless it holds rows and `mixes` says that the node mixes them.
    fn mix_if(&self, mixes: bool, rows: Rows) -> Rows {
        if mixes && rows.is_rows() { Rows::Mixed(self.index) } else { rows }
    }

    fn identity(&self, b: &mut Builder<'a>) -> Result<ValueId, ModelError> {
        if let Some(name) = self.optional_name(2)
            && b.ints(name).is_none_or(|flags| flags.iter().any(|&flag| flag != 0))
        {
            return Err(ModelError::UnsupportedAttribute {
                node: self.node.name.clone(),
                attribute: "training_mode".to_owned(),
                reason: "export the model for inference",
            });
        }
        let x = self.input(b, 0, "Identity", "1")?;
        let shape = b.shape(x).to_vec();
        self.alias(b, x, shape)
    }

    fn unary(&self, b: &mut Builder<'a>, op: unary::Op, low: f32, high: f32) -> Result<ValueId, ModelError> {
        let x = self.input(b, 0, "elementwise", "1")?;
        let shape = b.shape(x).to_vec();
        let len = self.len(&shape)?;
        let out = self.computed(b, shape, b.rows(x))?;
        let params = unary::Params { start: 0, units: units_for(len), len, op: op as u32, a: low, b: high };
        b.step(Call::Unary(params), vec![x], out);
        Ok(out)
    }

    fn clip(&self, b: &mut Builder<'a>) -> Result<ValueId, ModelError> {
        let bound = |i: usize, open: f32| match self.optional_name(i) {
            None => Ok(open),
            Some(name) => b
                .scalar(name)
                .ok_or_else(|| ModelError::NotConstant { node: self.node.name.clone(), tensor: name.to_owned() }),
        };
        let (low, high) = (bound(1, f32::MIN)?, bound(2, f32::MAX)?);
        self.unary(b, unary::Op::Clip, low, high)
    }

    fn binary(&self, b: &mut Builder<'a>, op: binary::Op) -> Result<ValueId, ModelError> {
        let (x, y) = (self.input(b, 0, "elementwise", "2")?, self.input(b, 1, "elementwise", "2")?);
        let (shape_x, shape_y) = (b.shape(x).to_vec(), b.shape(y).to_vec());
        let found = || format!("{} and {}", show(&shape_x), show(&shape_y));
        let shape =
            broadcast_shape(&shape_x, &shape_y).ok_or_else(|| self.shape("the shapes do not broadcast", found()))?;
        if shape.len() > MAX_RANK {
            return Err(self.shape("at most 8 dimensions are supported", found()));
        }
        let (rows_x, rows_y) = (b.rows(x), b.rows(y));
        let mixes = match (rows_x.is_rows(), rows_y.is_rows()) {
            (true, true) => shape_x.len() != shape_y.len() || shape_x[0] != shape_y[0],
            // A constant with a size of its own in the batch's dimension would fix the batch.
            (true, false) => shape_x.len() < shape.len() || shape_y.len() == shape.len() && shape_y[0] != 1,
            (false, true) => shape_y.len() < shape.len() || shape_x.len() == shape.len() && shape_x[0] != 1,
            (false, false) => false,
        };
        let len = self.len(&shape)?;
        let params = binary::Params {
            start: 0,
            units: units_for(len),
            len,
            op: op as u32,
            rank: u(shape.len()),
            shape: ranked(&shape),
            a_strides: ranked(&broadcast_strides(&shape_x, &shape).unwrap_or_default()),
            b_strides: ranked(&broadcast_strides(&shape_y, &shape).unwrap_or_default()),
        };
        let out = self.computed(b, shape, self.mix_if(mixes, Rows::join([rows_x, rows_y])))?;
        b.step(Call::Binary(params), vec![x, y], out);
        Ok(out)
    }

    fn gemm(
        &self,
        b: &mut Builder<'a>,
        alpha: f32,
        beta: f32,
        trans_a: bool,
        trans_b: bool,
    ) -> Result<ValueId, ModelError> {
        let (x, w) = (self.input(b, 0, "Gemm", "2 or 3")?, self.input(b, 1, "Gemm", "2 or 3")?);
        let c = self.optional(b, 2)?;
        let (shape_x, shape_w) = (b.shape(x).to_vec(), b.shape(w).to_vec());
        let found = || format!("{} and {}", show(&shape_x), show(&shape_w));
        let (&[x0, x1], &[w0, w1]) = (&shape_x[..], &shape_w[..]) else {
            return Err(self.shape("Gemm multiplies two matrices", found()));
        };
        let (m, k) = if trans_a { (x1, x0) } else { (x0, x1) };
        let (k_w, n) = if trans_b { (w1, w0) } else { (w0, w1) };
        if k != k_w {
            return Err(self.shape("the inner sizes of a matrix product differ", found()));
        }
        let mut params = matmul::Params {
            alpha,
            beta,
            a_row: u(if trans_a { 1 } else { x1 }),
            a_col: u(if trans_a { x1 } else { 1 }),
            b_row: u(if trans_b { 1 } else { w1 }),
            b_col: u(if trans_b { w1 } else { 1 }),
            ..product(1, m, n, k)
        };
        let mut rows = Rows::join([self.mix_if(trans_a, b.rows(x)), self.mix_if(true, b.rows(w))]);
        if let Some(c) = c {
            let shape_c = b.shape(c).to_vec();
            let strides = broadcast_strides(&shape_c, &[m, n])
                .ok_or_else(|| self.shape("C does not broadcast to the product", show(&shape_c)))?;
            (params.c_row, params.c_col, params.has_c) = (u(strides[0]), u(strides[1]), 1);
            let apart = if b.rows(c).is_rows() { shape_c.len() == 2 } else { strides[0] == 0 };
            rows = self.mix_if(!apart, Rows::join([rows, b.rows(c)]));
        }
        let out = self.computed(b, vec![m, n], rows)?;
        b.step(Call::Matmul(params.whole()), vec![x, w, c.unwrap_or(x)], out);
        Ok(out)
    }

    fn matmul(&self, b: &mut Builder<'a>) -> Result<ValueId, ModelError> {
        let (x, w) = (self.input(b, 0, "MatMul", "2")?, self.input(b, 1, "MatMul", "2")?);
        let (shape_x, shape_w) = (b.shape(x).to_vec(), b.shape(w).to_vec());
        let found = || format!("{} and {}", show(&shape_x), show(&shape_w));
        if shape_x.is_empty() || shape_w.is_empty() || shape_x.len().max(shape_w.len()) > MAX_RANK {
            return Err(self.shape("MatMul needs 1 to 8 dimensions", found()));
        }
        // A vector is a matrix of one row, or of one column; the extra dimension goes again at the end.
        let (vector_x, vector_w) = (shape_x.len() == 1, shape_w.len() == 1);
        let full_x = if vector_x { vec![1, shape_x[0]] } else { shape_x.clone() };
        let full_w = if vector_w { vec![shape_w[0], 1] } else { shape_w.clone() };
        let (&[ref outer_x @ .., m, k], &[ref outer_w @ .., k_w, n]) = (&full_x[..], &full_w[..]) else {
            return Err(self.shape("MatMul needs 1 to 8 dimensions", found()));
        };
        let outer = broadcast_shape(outer_x, outer_w).filter(|_| k == k_w);
        let outer = outer.ok_or_else(|| self.shape("the shapes of a matrix product do not fit", found()))?;

        let (rows_x, rows_w) = (b.rows(x), b.rows(w));
        let rank = outer.len() + 2;
        let keeps_x = !vector_x && full_x.len() == rank && (rank > 2 || !rows_w.is_rows());
        let keeps_w = outer_w.len() == outer.len() && !outer.is_empty();
        let mixes = match (rows_x.is_rows(), rows_w.is_rows()) {
            (true, true) => !(keeps_x && keeps_w && full_x[0] == full_w[0]),
            (true, false) => !keeps_x || outer_w.len() == outer.len() && outer_w.first().is_some_and(|&size| size != 1),
            (false, true) => !keeps_w || outer_x.len() == outer.len() && outer_x[0] != 1,
            (false, false) => false,
        };
        let rows = self.mix_if(mixes, Rows::join([rows_x, rows_w]));
        let mut shape = outer.clone();
        shape.extend([m, n].iter().zip([vector_x, vector_w]).filter(|(_, vector)| !vector).map(|(size, _)| size));

        let batch: usize = outer.iter().product();
        let (batches_x, batches_w): (usize, usize) = (outer_x.iter().product(), outer_w.iter().product());
        let params = if batches_w == 1 {
            // One right side for all: the batches of the left are further rows.
            product(1, batches_x * m, n, k)
        } else {
            product(batch, m, n, k)
        };
        let x = if batches_w == 1 || batches_x == 1 || batches_x == batch {
            x
        } else {
            self.expand(b, x, &full_x, &outer)?
        };
        let w = if batches_w == 1 || batches_w == batch { w } else { self.expand(b, w, &full_w, &outer)? };
        let params = matmul::Params { a_batch: if batches_x == 1 { 0 } else { params.a_batch }, ..params };
        let out = self.computed(b, shape, rows)?;
        b.step(Call::Matmul(params.whole()), vec![x, w, x], out);
        Ok(out)
    }

    /// Copies a stack of matrices so that its outer dimensions are `outer`.
    fn expand(
        &self,
        b: &mut Builder<'a>,
        id: ValueId,
        shape: &[usize],
        outer: &[usize],
    ) -> Result<ValueId, ModelError> {
        let target: Vec<usize> = outer.iter().chain(&shape[shape.len() - 2..]).copied().collect();
        let strides = broadcast_strides(shape, &target).unwrap_or_default();
        let rows = b.rows(id);
        let out = b.value(&self.node.name, target.clone(), rows, Source::Computed)?;
        copy(b, id, out, &target, &strides);
        Ok(out)
    }

    fn transpose(&self, b: &mut Builder<'a>, perm: &[i64]) -> Result<ValueId, ModelError> {
        let x = self.input(b, 0, "Transpose", "1")?;
        let shape = b.shape(x).to_vec();
        let order: Option<Vec<usize>> = if perm.is_empty() {
            Some((0..shape.len()).rev().collect())
        } else {
            perm.iter().map(|&axis| usize::try_from(axis).ok()).collect()
        };
        let mut seen = vec![false; shape.len()];
        let order = order.filter(|order| {
            order.iter().for_each(|&axis| {
                if let Some(seen) = seen.get_mut(axis) {
                    *seen = true;
                }
            });
            order.len() == shape.len() && shape.len() <= MAX_RANK && seen.iter().all(|&seen| seen)
        });
        let order = order.ok_or_else(|| self.shape("perm must name each of at most 8 axes once", show(&shape)))?;
        let own = strides(&shape);
        let target: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        let source: Vec<usize> = order.iter().map(|&axis| own[axis]).collect();
        let mixes = order.first().is_some_and(|&first| first != 0);
        let out = self.computed(b, target.clone(), self.mix_if(mixes, b.rows(x)))?;
        copy(b, x, out, &target, &source);
        Ok(out)
    }

    fn reshape(&self, b: &mut Builder<'a>, allow_zero: bool) -> Result<ValueId, ModelError> {
        let x = self.input(b, 0, "Reshape", "2")?;
        let name = self.optional_name(1).ok_or_else(|| self.arity("Reshape", "2"))?;
        let not_constant = || ModelError::NotConstant { node: self.node.name.clone(), tensor: name.to_owned() };
        let wanted = b.ints(name).ok_or_else(not_constant)?;
        let shape = b.shape(x).to_vec();
        let found = || format!("{} to {wanted:?}", show(&shape));
        let len: usize = shape.iter().product();
        let mut target = Vec::with_capacity(wanted.len());
        let mut open = None;
        for (i, &size) in wanted.iter().enumerate() {
            target.push(match size {
                -1 if open.is_none() => {
                    open = Some(i);
                    1
                }
                0 if !allow_zero => *shape.get(i).ok_or_else(|| self.shape("a 0 has no dimension to copy", found()))?,
                size => usize::try_from(size)
                    .map_err(|_negative| self.shape("a size must be positive, 0 or one -1", found()))?,
            });
        }
        let fixed = target.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        let fixed = fixed
            .filter(|&fixed| fixed > 0)
            .ok_or_else(|| self.shape("the shape holds nothing, or overflows", found()))?;
        match open {
            Some(i) if len.is_multiple_of(fixed) => target[i] = len / fixed,
            None if len == fixed => {}
            _ => {
                return Err(
                    self.shape("the number of values changes; keep the batch's dimension free (0 or -1)", found())
                );
            }
        }
        self.alias(b, x, target)
    }

    fn flatten(&self, b: &mut Builder<'a>, axis: i64) -> Result<ValueId, ModelError> {
        let x = self.input(b, 0, "Flatten", "1")?;
        let shape = b.shape(x).to_vec();
        let axis = self.axis(axis, shape.len(), shape.len() + 1)?;
        let target = vec![shape[..axis].iter().product(), shape[axis..].iter().product()];
        self.alias(b, x, target)
    }

    fn axis(&self, axis: i64, rank: usize, end: usize) -> Result<usize, ModelError> {
        let positive = if axis < 0 { i64::try_from(rank).map_or(-1, |rank| axis + rank) } else { axis };
        usize::try_from(positive)
            .ok()
            .filter(|&axis| axis < end)
            .ok_or_else(|| self.shape("the axis is outside the tensor", axis.to_string()))
    }

    fn softmax(&self, b: &mut Builder<'a>, axis: i64) -> Result<ValueId, ModelError> {
        let x = self.input(b, 0, "Softmax", "1")?;
        let shape = b.shape(x).to_vec();
        let axis = self.axis(axis, shape.len(), shape.len())?;
        let inner: usize = shape[axis + 1..].iter().product();
        let outer: usize = shape[..axis].iter().product();
        let params = softmax::Params { start: 0, units: u(outer * inner), axis: u(shape[axis]), inner: u(inner) };
        let out = self.computed(b, shape, self.mix_if(axis == 0, b.rows(x)))?;
        b.step(Call::Softmax(params), vec![x], out);
        Ok(out)
    }

    fn concat(&self, b: &mut Builder<'a>, axis: i64) -> Result<ValueId, ModelError> {
        let count = self.node.inputs.len();
        let inputs: Vec<ValueId> =
            (0..count).map(|i| self.input(b, i, "Concat", "at least 1")).collect::<Result<_, _>>()?;
        let &first = inputs.first().ok_or_else(|| self.arity("Concat", "at least 1"))?;
        let mut shape = b.shape(first).to_vec();
        let axis = self.axis(axis, shape.len(), shape.len())?;
        shape[axis] = 0;
        for &id in &inputs {
            let other = b.shape(id);
            let fits = other.len() == shape.len() && (0..shape.len()).all(|i| i == axis || other[i] == shape[i]);
            if !fits {
                return Err(self.shape(
                    "the inputs differ outside the axis",
                    format!("{} and {}", show(b.shape(first)), show(other)),
                ));
            }
            shape[axis] += other[axis];
        }
        let rows: Vec<Rows> = inputs.iter().map(|&id| b.rows(id)).collect();
        let mixes = axis == 0 || rows.contains(&Rows::Constant);
        let inner: usize = shape[axis + 1..].iter().product();
        let out_run = u(shape[axis] * inner);
        let out = self.computed(b, shape, self.mix_if(mixes, Rows::join(rows)))?;
        let mut offset = 0;
        for id in inputs {
            let len = u(b.shape(id).iter().product());
            let run = u(b.shape(id)[axis] * inner);
            let params = concat::Params { start: 0, units: units_for(len), len, run, out_run, offset };
            b.step(Call::Concat(params), vec![id], out);
            offset += run;
        }
        Ok(out)
    }

    fn batch_norm(&self, b: &mut Builder<'a>, epsilon: f32) -> Result<ValueId, ModelError> {
        let inputs: Vec<ValueId> =
            (0..5).map(|i| self.input(b, i, "BatchNormalization", "5")).collect::<Result<_, _>>()?;
        let shape = b.shape(inputs[0]).to_vec();
        let channels = *shape.get(1).ok_or_else(|| self.shape("the input needs a channel dimension", show(&shape)))?;
        for &id in &inputs[1..] {
            if b.shape(id) != [channels] {
                return Err(self.shape("scale, bias, mean and variance need a value a channel", show(b.shape(id))));
            }
        }
        let mixes = inputs[1..].iter().any(|&id| b.rows(id) != Rows::Constant);
        let rows = self.mix_if(mixes, Rows::join(inputs.iter().map(|&id| b.rows(id))));
        let len = u(shape.iter().product());
        let inner = u(shape[2..].iter().product());
        let params = batch_norm::Params { start: 0, units: units_for(len), len, channels: u(channels), inner, epsilon };
        let out = self.computed(b, shape, rows)?;
        b.step(Call::BatchNorm(params), inputs, out);
        Ok(out)
    }
}

/// A matrix product of contiguous operands without C.
fn product(batch: usize, m: usize, n: usize, k: usize) -> matmul::Params {
    matmul::Params {
        start: 0,
        units: 0,
        batch: u(batch),
        m: u(m),
        n: u(n),
        k: u(k),
        a_batch: u(m * k),
        a_row: u(k),
        a_col: 1,
        b_batch: u(k * n),
        b_row: u(n),
        b_col: 1,
        c_row: 0,
        c_col: 0,
        has_c: 0,
        alpha: 1.0,
        beta: 0.0,
    }
}

/// Copies a tensor that is read through `strides`.
fn copy(b: &mut Builder<'_>, from: ValueId, to: ValueId, shape: &[usize], strides: &[usize]) {
    let len = u(shape.iter().product());
    let params = transpose::Params {
        start: 0,
        units: units_for(len),
        len,
        rank: u(shape.len()),
        shape: ranked(shape),
        strides: ranked(strides),
    };
    b.step(Call::Transpose(params), vec![from], to);
}
