//! Matrix products.

use gpu_kernels::dtype::{DType, Repr};
use gpu_kernels::kernels::elementwise::Binary;
use gpu_kernels::kernels::{Call, matmul as kernel, reduce as reduction};

use crate::error::{ModelError, show};
use crate::ir::ValueId;
use crate::lower::context::NodeContext;
use crate::lower::prims::product::{matrices, multiply, operand, params};
use crate::lower::prims::reduce::reduce_axes;
use crate::lower::prims::views::{broadcast_to, permute_axes};

pub(crate) fn matmul(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    if cx.dtype(a) != cx.dtype(b) {
        return Err(cx.type_error(cx.dtype(b)));
    }
    Ok(vec![multiply(cx, a, b)?])
}

pub(crate) fn gemm(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let (alpha, beta) = (cx.float("alpha", 1.0), cx.float("beta", 1.0));
    let flip = |cx: &mut NodeContext<'_, '_>, x: ValueId, name: &str| {
        let flipped = cx.flag(name);
        if cx.shape(x).len() != 2 {
            return Err(cx.shape_error("Gemm multiplies matrices", show(&cx.shape(x))));
        }
        if flipped { permute_axes(cx, x, &[1, 0]) } else { Ok(x) }
    };
    let (a, b) = (flip(cx, a, "transA")?, flip(cx, b, "transB")?);
    let c = cx.optional_input(2)?;
    let dtype = cx.dtype(a);
    let [m, k] = cx.shape(a)[..] else { return Err(cx.shape_error("Gemm multiplies matrices", show(&cx.shape(a)))) };
    let [inner, n] = cx.shape(b)[..] else {
        return Err(cx.shape_error("Gemm multiplies matrices", show(&cx.shape(b))));
    };
    if inner != k {
        return Err(cx.shape_error("the matrices do not fit", format!("{} times {}", show(&[m, k]), show(&[inner, n]))));
    }
    let fused = match c {
        Some(c) => {
            cx.builder.broadcast_view(c, &[m, n]).filter(|place| place.1 == 0 && place.2.iter().all(|&s| s >= 0))
        }
        None => None,
    };
    if c.is_some() && fused.is_none() {
        return Err(cx.shape_error("C does not broadcast to the product", show(&[m, n])));
    }
    if dtype != DType::F32 || m * n * k == 0 {
        return gemm_apart(cx, a, b, c, [alpha, beta]);
    }
    let (left, right) = (operand(cx, a, &[])?, operand(cx, b, &[])?);
    let out = cx.builder.computed(dtype, vec![m, n])?;
    let none = [(left.offset, vec![0]), (right.offset, vec![0])];
    let params = params(&[1], &none, &left, &right, [m, n, k]);
    let mut params = params.ok_or_else(|| cx.shape_error("the matrices are too large", show(&[m, n, k])))?;
    params.alpha = alpha;
    let mut third = left.root;
    if let Some((root, _, walked)) = fused {
        third = root;
        params.has_c = 1;
        params.beta = beta;
        let stride = |stride: i64| {
            u32::try_from(stride).map_err(|_wide| cx.shape_error("the matrices are too large", show(&[m, n])))
        };
        (params.c_row, params.c_col) = (stride(walked[0])?, stride(walked[1])?);
    }
    let call = Call::Matmul(kernel::Matmul { repr: Repr::F32, params });
    let step = cx.builder.step(call, vec![left.root, right.root, third], out);
    cx.builder.emit(vec![step], out);
    Ok(vec![out])
}

/// `Gemm` as a product and an addition, for types and shapes that the kernel does not take at once.
fn gemm_apart(
    cx: &mut NodeContext<'_, '_>,
    a: ValueId,
    b: ValueId,
    c: Option<ValueId>,
    [alpha, beta]: [f32; 2],
) -> Result<Vec<ValueId>, ModelError> {
    let dtype = cx.dtype(a);
    if !dtype.is_float() && (alpha, beta) != (1.0, 1.0) {
        return Err(cx.unsupported_attribute("alpha", "whole numbers are multiplied by 1 only"));
    }
    let mut result = multiply(cx, a, b)?;
    if let Some(c) = c {
        result = cx.elementwise(&[result, c], dtype, |p, r| {
            let (mut product, mut added) = (r[0], r[1]);
            if dtype.is_float() {
                let (alpha, beta) = (p.f(alpha), p.f(beta));
                product = p.bin(Binary::Mul, product, alpha);
                added = p.bin(Binary::Mul, added, beta);
            }
            p.bin(Binary::Add, product, added)
        })?;
    } else if dtype.is_float() {
        result = cx.elementwise(&[result], dtype, |p, r| {
            let alpha = p.f(alpha);
            p.bin(Binary::Mul, r[0], alpha)
        })?;
    }
    Ok(vec![result])
}

/// Labels of an operand's axes, and those of the result.
struct Equation {
    operands: Vec<Vec<char>>,
    result: Vec<char>,
}

/// Labels of the axes that an ellipsis stands for, from the last one; no equation can name them.
const ELLIPSIS: [char; 8] = ['0', '1', '2', '3', '4', '5', '6', '7'];

fn parse(text: &str, ranks: &[usize]) -> Option<Equation> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = text.split_once("->").map_or((text.as_str(), None), |(left, right)| (left, Some(right)));
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != ranks.len() {
        return None;
    }
    let mut widest = 0;
    let mut operands = Vec::new();
    for (term, &rank) in terms.iter().zip(ranks) {
        let labels = expand(term, rank)?;
        widest = widest.max(labels.iter().filter(|label| ELLIPSIS.contains(label)).count());
        operands.push(labels);
    }
    let dots: Vec<char> = ELLIPSIS[..widest].iter().rev().copied().collect();
    let result = if let Some(right) = right {
        let (before, after) = right.split_once("...").unwrap_or((right, ""));
        let dots = if right.contains("...") { dots } else { Vec::new() };
        before.chars().chain(dots).chain(after.chars()).collect()
    } else {
        let mut letters: Vec<char> = operands.iter().flatten().copied().filter(|c| c.is_alphabetic()).collect();
        letters.sort_unstable();
        let once = |c: &char| letters.iter().filter(|d| *d == c).count() == 1;
        dots.into_iter().chain(letters.iter().copied().filter(once)).collect()
    };
    Some(Equation { operands, result })
}

fn expand(term: &str, rank: usize) -> Option<Vec<char>> {
    let labels: Vec<char> = match term.split_once("...") {
        Some((before, after)) => {
            let named = before.chars().count() + after.chars().count();
            let dots = ELLIPSIS.get(..rank.checked_sub(named)?)?;
            before.chars().chain(dots.iter().rev().copied()).chain(after.chars()).collect()
        }
        None => term.chars().collect(),
    };
    (labels.len() == rank).then_some(labels)
}

/// A value whose axes have labels.
struct LabelledTensor {
    id: ValueId,
    labels: Vec<char>,
}

pub(crate) fn einsum(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let text = cx.text("equation", "");
    let inputs = cx.inputs()?;
    let ranks: Vec<usize> = inputs.iter().map(|&id| cx.shape(id).len()).collect();
    let equation =
        parse(text, &ranks).ok_or_else(|| cx.unsupported_attribute("equation", "it does not fit the inputs"))?;
    let mut parts = Vec::new();
    for (&id, labels) in inputs.iter().zip(&equation.operands) {
        parts.push(diagonal(cx, id, labels)?);
    }
    let mut parts = parts.into_iter();
    let mut total = parts.next().ok_or_else(|| cx.unsupported_attribute("equation", "it has no operand"))?;
    let mut rest: Vec<LabelledTensor> = parts.collect();
    while !rest.is_empty() {
        let next = rest.remove(0);
        let needed: Vec<char> =
            equation.result.iter().chain(rest.iter().flat_map(|part| &part.labels)).copied().collect();
        total = contract(cx, total, next, &needed)?;
    }
    let total = summed(cx, total, &equation.result)?;
    let order: Option<Vec<usize>> =
        equation.result.iter().map(|label| total.labels.iter().position(|other| other == label)).collect();
    let order =
        order.ok_or_else(|| cx.unsupported_attribute("equation", "the result names an axis that no operand has"))?;
    Ok(vec![permute_axes(cx, total.id, &order)?])
}

/// The diagonal of axes that share a label.
fn diagonal(cx: &mut NodeContext<'_, '_>, id: ValueId, labels: &[char]) -> Result<LabelledTensor, ModelError> {
    let (root, offset, own) = cx.builder.buffer_view(id);
    let shape = cx.shape(id);
    let (mut names, mut sizes, mut walked): (Vec<char>, Vec<usize>, Vec<i64>) = Default::default();
    for ((&label, &size), &stride) in labels.iter().zip(&shape).zip(&own) {
        match names.iter().position(|&name| name == label) {
            Some(place) if sizes[place] == size => walked[place] += stride,
            Some(_) => return Err(cx.shape_error("an axis that is named twice has two sizes", show(&shape))),
            None => {
                names.push(label);
                sizes.push(size);
                walked.push(stride);
            }
        }
    }
    let id = cx.builder.view(cx.dtype(id), sizes, (root, offset, walked))?;
    Ok(LabelledTensor { id, labels: names })
}

/// Sums over the axes that neither the result nor another operand has.
fn summed(cx: &mut NodeContext<'_, '_>, part: LabelledTensor, needed: &[char]) -> Result<LabelledTensor, ModelError> {
    let gone: Vec<usize> = (0..part.labels.len()).filter(|&i| !needed.contains(&part.labels[i])).collect();
    if gone.is_empty() {
        return Ok(part);
    }
    let id = reduce_axes(cx, reduction::Op::Sum, part.id, &gone, false)?;
    Ok(LabelledTensor { id, labels: part.labels.into_iter().filter(|label| needed.contains(label)).collect() })
}

/// Two operands to one, as a stack of matrix products.
fn contract(
    cx: &mut NodeContext<'_, '_>,
    a: LabelledTensor,
    b: LabelledTensor,
    needed: &[char],
) -> Result<LabelledTensor, ModelError> {
    let (in_a, in_b) = (a.labels.clone(), b.labels.clone());
    let wanted_a: Vec<char> = needed.iter().chain(&in_b).copied().collect();
    let wanted_b: Vec<char> = needed.iter().chain(&in_a).copied().collect();
    let (a, b) = (summed(cx, a, &wanted_a)?, summed(cx, b, &wanted_b)?);
    let both = |label: &&char| b.labels.contains(label);
    let batch: Vec<char> = a.labels.iter().filter(both).filter(|l| needed.contains(l)).copied().collect();
    let inner: Vec<char> = a.labels.iter().filter(both).filter(|l| !needed.contains(l)).copied().collect();
    let rows: Vec<char> = a.labels.iter().filter(|l| !b.labels.contains(l)).copied().collect();
    let cols: Vec<char> = b.labels.iter().filter(|l| !a.labels.contains(l)).copied().collect();
    let size = |cx: &NodeContext<'_, '_>, label: char| {
        let size_in = |part: &LabelledTensor| {
            part.labels.iter().position(|&l| l == label).map_or(1, |i| cx.builder.shape(part.id)[i])
        };
        size_in(&a).max(size_in(&b))
    };
    let sizes =
        |cx: &NodeContext<'_, '_>, labels: &[char]| labels.iter().map(|&label| size(cx, label)).collect::<Vec<_>>();
    let (batch_sizes, inner_sizes) = (sizes(cx, &batch), sizes(cx, &inner));
    let (row_sizes, col_sizes) = (sizes(cx, &rows), sizes(cx, &cols));
    let left = stacked(cx, &a, [&batch, &rows, &inner], [&batch_sizes, &row_sizes, &inner_sizes])?;
    let right = stacked(cx, &b, [&batch, &inner, &cols], [&batch_sizes, &inner_sizes, &col_sizes])?;
    let product = matrices(cx, left, right)?;
    let shape = [batch_sizes, row_sizes, col_sizes].concat();
    let id = cx.builder.reshaped(product, shape)?;
    Ok(LabelledTensor { id, labels: [batch, rows, cols].concat() })
}

/// An operand as `[batch, rows, cols]`; axes of size 1 are broadcast to the other operand's size.
fn stacked(
    cx: &mut NodeContext<'_, '_>,
    part: &LabelledTensor,
    groups: [&[char]; 3],
    sizes: [&[usize]; 3],
) -> Result<ValueId, ModelError> {
    let order: Vec<usize> =
        groups.concat().iter().filter_map(|label| part.labels.iter().position(|other| other == label)).collect();
    let ordered = permute_axes(cx, part.id, &order)?;
    let wide = broadcast_to(cx, ordered, sizes.concat())?;
    cx.builder.reshaped(wide, sizes.iter().map(|group| group.iter().product()).collect())
}
