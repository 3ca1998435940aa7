//! Matrix products.

use gpu_kernels::dtype::{DType, Repr};
use gpu_kernels::kernels::elementwise::Binary;
use gpu_kernels::kernels::{Call, matmul as kernel, reduce as reduction};

use crate::error::{ModelError, show};
use crate::ir::ValueId;
use crate::lower::at::At;
use crate::lower::prims::product::{multiply, operand, params};
use crate::lower::prims::reduce::reduce_axes;
use crate::lower::prims::views::{broadcast_to, permute_axes};

pub(crate) fn matmul(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (a, b) = (at.input(0)?, at.input(1)?);
    if at.dtype(a) != at.dtype(b) {
        return Err(at.wrong_type(at.dtype(b)));
    }
    Ok(vec![multiply(at, a, b)?])
}

pub(crate) fn gemm(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (a, b) = (at.input(0)?, at.input(1)?);
    let (alpha, beta) = (at.float("alpha", 1.0), at.float("beta", 1.0));
    let flip = |at: &mut At<'_, '_>, x: ValueId, name: &str| {
        let flipped = at.flag(name);
        if at.shape(x).len() != 2 {
            return Err(at.wrong("Gemm multiplies matrices", show(&at.shape(x))));
        }
        if flipped { permute_axes(at, x, &[1, 0]) } else { Ok(x) }
    };
    let (a, b) = (flip(at, a, "transA")?, flip(at, b, "transB")?);
    let c = at.optional(2)?;
    let dtype = at.dtype(a);
    let [m, k] = at.shape(a)[..] else { return Err(at.wrong("Gemm multiplies matrices", show(&at.shape(a)))) };
    let [inner, n] = at.shape(b)[..] else { return Err(at.wrong("Gemm multiplies matrices", show(&at.shape(b)))) };
    if inner != k {
        return Err(at.wrong("the matrices do not fit", format!("{} times {}", show(&[m, k]), show(&[inner, n]))));
    }
    let fused = match c {
        Some(c) => at.b.broadcast_place(c, &[m, n]).filter(|place| place.1 == 0 && place.2.iter().all(|&s| s >= 0)),
        None => None,
    };
    if c.is_some() && fused.is_none() {
        return Err(at.wrong("C does not broadcast to the product", show(&[m, n])));
    }
    if dtype != DType::F32 || m * n * k == 0 {
        return gemm_apart(at, a, b, c, [alpha, beta]);
    }
    let (left, right) = (operand(at, a, &[])?, operand(at, b, &[])?);
    let out = at.b.computed(dtype, vec![m, n])?;
    let none = [(left.offset, vec![0]), (right.offset, vec![0])];
    let params = params(&[1], &none, &left, &right, [m, n, k]);
    let mut params = params.ok_or_else(|| at.wrong("the matrices are too large", show(&[m, n, k])))?;
    params.alpha = alpha;
    let mut third = left.root;
    if let Some((root, _, walked)) = fused {
        third = root;
        params.has_c = 1;
        params.beta = beta;
        params.c_row = u32::try_from(walked[0]).unwrap_or(0);
        params.c_col = u32::try_from(walked[1]).unwrap_or(0);
    }
    let call = Call::Matmul(kernel::Matmul { repr: Repr::F32, params });
    let step = at.b.step(call, vec![left.root, right.root, third], out);
    at.b.emit(vec![step], out);
    Ok(vec![out])
}

/// The product and what is added to it, one after the other.
fn gemm_apart(
    at: &mut At<'_, '_>,
    a: ValueId,
    b: ValueId,
    c: Option<ValueId>,
    [alpha, beta]: [f32; 2],
) -> Result<Vec<ValueId>, ModelError> {
    let dtype = at.dtype(a);
    if !dtype.is_float() && (alpha, beta) != (1.0, 1.0) {
        return Err(at.unsupported("alpha", "whole numbers are multiplied by 1 only"));
    }
    let mut result = multiply(at, a, b)?;
    if let Some(c) = c {
        result = at.map(&[result, c], dtype, |p, r| {
            let (mut product, mut added) = (r[0], r[1]);
            if dtype.is_float() {
                let (alpha, beta) = (p.f(alpha), p.f(beta));
                product = p.bin(Binary::Mul, product, alpha);
                added = p.bin(Binary::Mul, added, beta);
            }
            p.bin(Binary::Add, product, added)
        })?;
    } else if dtype.is_float() {
        result = at.map(&[result], dtype, |p, r| {
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

/// What stands for the axes of an ellipsis, from the last one: beyond any letter.
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

/// A value whose axes have names.
struct Named {
    id: ValueId,
    labels: Vec<char>,
}

pub(crate) fn einsum(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let text = at.text("equation", "");
    let inputs = at.inputs()?;
    let ranks: Vec<usize> = inputs.iter().map(|&id| at.shape(id).len()).collect();
    let equation = parse(text, &ranks).ok_or_else(|| at.unsupported("equation", "it does not fit the inputs"))?;
    let mut parts = Vec::new();
    for (&id, labels) in inputs.iter().zip(&equation.operands) {
        parts.push(diagonal(at, id, labels)?);
    }
    let mut parts = parts.into_iter();
    let mut total = parts.next().ok_or_else(|| at.unsupported("equation", "it has no operand"))?;
    let mut rest: Vec<Named> = parts.collect();
    while !rest.is_empty() {
        let next = rest.remove(0);
        let needed: Vec<char> =
            equation.result.iter().chain(rest.iter().flat_map(|part| &part.labels)).copied().collect();
        total = contract(at, total, next, &needed)?;
    }
    let total = summed(at, total, &equation.result)?;
    let order: Option<Vec<usize>> =
        equation.result.iter().map(|label| total.labels.iter().position(|other| other == label)).collect();
    let order = order.ok_or_else(|| at.unsupported("equation", "the result names an axis that no operand has"))?;
    Ok(vec![permute_axes(at, total.id, &order)?])
}

/// A label that appears twice walks both axes at once.
fn diagonal(at: &mut At<'_, '_>, id: ValueId, labels: &[char]) -> Result<Named, ModelError> {
    let (of, offset, own) = at.b.place(id);
    let shape = at.shape(id);
    let (mut names, mut sizes, mut walked): (Vec<char>, Vec<usize>, Vec<i64>) = Default::default();
    for ((&label, &size), &stride) in labels.iter().zip(&shape).zip(&own) {
        match names.iter().position(|&name| name == label) {
            Some(place) if sizes[place] == size => walked[place] += stride,
            Some(_) => return Err(at.wrong("an axis that is named twice has two sizes", show(&shape))),
            None => {
                names.push(label);
                sizes.push(size);
                walked.push(stride);
            }
        }
    }
    let id = at.b.view(at.dtype(id), sizes, (of, offset, walked))?;
    Ok(Named { id, labels: names })
}

/// Sums away the axes that nobody needs.
fn summed(at: &mut At<'_, '_>, part: Named, needed: &[char]) -> Result<Named, ModelError> {
    let gone: Vec<usize> = (0..part.labels.len()).filter(|&i| !needed.contains(&part.labels[i])).collect();
    if gone.is_empty() {
        return Ok(part);
    }
    let id = reduce_axes(at, reduction::Op::Sum, part.id, &gone, false)?;
    Ok(Named { id, labels: part.labels.into_iter().filter(|label| needed.contains(label)).collect() })
}

/// Two operands to one, as a stack of matrix products.
fn contract(at: &mut At<'_, '_>, a: Named, b: Named, needed: &[char]) -> Result<Named, ModelError> {
    let (in_a, in_b) = (a.labels.clone(), b.labels.clone());
    let wanted_a: Vec<char> = needed.iter().chain(&in_b).copied().collect();
    let wanted_b: Vec<char> = needed.iter().chain(&in_a).copied().collect();
    let (a, b) = (summed(at, a, &wanted_a)?, summed(at, b, &wanted_b)?);
    let both = |label: &&char| b.labels.contains(label);
    let batch: Vec<char> = a.labels.iter().filter(both).filter(|l| needed.contains(l)).copied().collect();
    let inner: Vec<char> = a.labels.iter().filter(both).filter(|l| !needed.contains(l)).copied().collect();
    let rows: Vec<char> = a.labels.iter().filter(|l| !b.labels.contains(l)).copied().collect();
    let cols: Vec<char> = b.labels.iter().filter(|l| !a.labels.contains(l)).copied().collect();
    let size = |at: &At<'_, '_>, label: char| {
        let of = |part: &Named| part.labels.iter().position(|&l| l == label).map_or(1, |i| at.b.shape(part.id)[i]);
        of(&a).max(of(&b))
    };
    let sizes = |at: &At<'_, '_>, labels: &[char]| labels.iter().map(|&label| size(at, label)).collect::<Vec<_>>();
    let (batch_sizes, inner_sizes) = (sizes(at, &batch), sizes(at, &inner));
    let (row_sizes, col_sizes) = (sizes(at, &rows), sizes(at, &cols));
    let left = stacked(at, &a, [&batch, &rows, &inner], [&batch_sizes, &row_sizes, &inner_sizes])?;
    let right = stacked(at, &b, [&batch, &inner, &cols], [&batch_sizes, &inner_sizes, &col_sizes])?;
    let product = matrices(at, left, right)?;
    let shape = [batch_sizes, row_sizes, col_sizes].concat();
    let id = at.b.reshaped(product, shape)?;
    Ok(Named { id, labels: [batch, rows, cols].concat() })
}

/// An operand as `[batch, rows, cols]`; axes of size 1 are spread to the other operand's size.
fn stacked(
    at: &mut At<'_, '_>,
    part: &Named,
    groups: [&[char]; 3],
    sizes: [&[usize]; 3],
) -> Result<ValueId, ModelError> {
    let order: Vec<usize> =
        groups.concat().iter().filter_map(|label| part.labels.iter().position(|other| other == label)).collect();
    let ordered = permute_axes(at, part.id, &order)?;
    let wide = broadcast_to(at, ordered, sizes.concat())?;
    at.b.reshaped(wide, sizes.iter().map(|group| group.iter().product()).collect())
}
