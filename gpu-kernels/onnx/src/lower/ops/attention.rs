//! Scaled dot-product attention and rotary positions, as single operators.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::Binary;

use crate::error::{ModelError, show};
use crate::ir::{ValueId, long};
use crate::lower::context::NodeContext;
use crate::lower::prims::attention::{append_kv_cache, nan_to_zero, repeat_kv_heads, rotate_pairs, softcap};
use crate::lower::prims::copies::padded;
use crate::lower::prims::gather::take;
use crate::lower::prims::iota::iota;
use crate::lower::prims::product::multiply;
use crate::lower::prims::reduce::softmax_lines;
use crate::lower::prims::views::permute_axes;
use crate::tensor::Tensor;

/// `[batch, heads, length, size]`, from that or from `[batch, length, heads · size]`.
fn split_heads(cx: &mut NodeContext<'_, '_>, x: ValueId, name: &str) -> Result<ValueId, ModelError> {
    let shape = cx.shape(x);
    match shape[..] {
        [_, _, _, _] => Ok(x),
        [batch, length, width] => {
            let count = cx.size(cx.int(name, 0))?;
            if count == 0 || width % count != 0 {
                return Err(cx.unsupported_attribute(name, "it must divide the last axis"));
            }
            let split = cx.builder.reshaped(x, vec![batch, length, count, width / count])?;
            permute_axes(cx, split, &[0, 2, 1, 3])
        }
        _ => Err(cx.shape_error("attention needs three or four axes", show(&shape))),
    }
}

/// What an attention node was given: queries, keys and values `[batch, heads, length, size]`.
struct Attention {
    q: ValueId,
    k: ValueId,
    v: ValueId,
    mask: Option<ValueId>,
    /// Lengths of a cache that the caller keeps, one a batch entry.
    cached: Option<ValueId>,
    /// Keys from earlier calls.
    past: usize,
    batch: usize,
    heads: usize,
    length: usize,
    total: usize,
}

impl Attention {
    fn read(cx: &mut NodeContext<'_, '_>) -> Result<Self, ModelError> {
        cx.ignore(&["softmax_precision", "q_num_heads", "kv_num_heads"]);
        let (q, k, v) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
        let (q, k, v) = (
            split_heads(cx, q, "q_num_heads")?,
            split_heads(cx, k, "kv_num_heads")?,
            split_heads(cx, v, "kv_num_heads")?,
        );
        let (mask, past_k, past_v, cached) =
            (cx.optional_input(3)?, cx.optional_input(4)?, cx.optional_input(5)?, cx.optional_input(6)?);
        let past = past_k.and_then(|past| cx.builder.shape(past).get(2).copied()).unwrap_or(0);
        let (k, v) = (append_kv_cache(cx, past_k, k)?, append_kv_cache(cx, past_v, v)?);
        let [batch, heads, length, _] = cx.shape(q)[..] else {
            return Err(cx.shape_error("attention needs four axes", show(&cx.shape(q))));
        };
        let total = cx.shape(k)[2];
        Ok(Self { q, k, v, mask, cached, past, batch, heads, length, total })
    }

    /// Products of queries and keys, scaled.
    fn scores(&self, cx: &mut NodeContext<'_, '_>) -> Result<ValueId, ModelError> {
        let size = cx.shape(self.q)[3];
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a head's size is small")]
        let scale = match cx.float("scale", 0.0) {
            0.0 => 1.0 / (size as f32).sqrt(),
            scale => scale,
        };
        let keys = repeat_kv_heads(cx, self.k, self.heads)?;
        let turned = permute_axes(cx, keys, &[0, 1, 3, 2])?;
        let scores = multiply(cx, self.q, turned)?;
        cx.elementwise(&[scores], DType::F32, |p, r| {
            let scale = p.f(scale);
            p.bin(Binary::Mul, r[0], scale)
        })
    }

    fn masked(&self, cx: &mut NodeContext<'_, '_>, scores: ValueId) -> Result<ValueId, ModelError> {
        let mut scores = add_mask(cx, scores, self.mask, self.total)?;
        let causal = if cx.flag("is_causal") { 0 } else { -1 };
        let right = match cx.int("right_window_size", -1) {
            -1 => causal,
            right if causal == 0 => right.min(0),
            right => right,
        };
        let left = cx.int("left_window_size", -1);
        if left >= 0 || right >= 0 {
            scores = mask_window(cx, scores, self, [left, right])?;
        }
        match self.cached {
            Some(cached) => mask_padding(cx, scores, cached, [self.batch, self.total]),
            None => Ok(scores),
        }
    }
}

pub(crate) fn attention(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let q = cx.input(0)?;
    let flat = cx.shape(q).len() == 3;
    let dtype = cx.float_type(q)?;
    let node = Attention::read(cx)?;
    let scores = node.scores(cx)?;
    let after_cap = softcap(cx, scores)?;
    let after_mask = node.masked(cx, after_cap)?;
    let lines = node.batch * node.heads * node.length;
    let weights = softmax_lines(cx, after_mask, [lines, node.total, 1], false)?;
    let weights = nan_to_zero(cx, weights)?;
    let values = repeat_kv_heads(cx, node.v, node.heads)?;
    let mut y = multiply(cx, weights, values)?;
    y = cx.cast(y, dtype)?;
    if flat {
        let width = node.heads * cx.shape(y)[3];
        let turned = permute_axes(cx, y, &[0, 2, 1, 3])?;
        y = cx.builder.reshaped(turned, vec![node.batch, node.length, width])?;
    }
    let shown = match cx.int("qk_matmul_output_mode", 0) {
        0 => scores,
        1 => after_cap,
        2 => after_mask,
        _ => weights,
    };
    let shown = cx.cast(shown, dtype)?;
    Ok(vec![y, node.k, node.v, shown])
}

fn add_mask(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    mask: Option<ValueId>,
    total: usize,
) -> Result<ValueId, ModelError> {
    let Some(mut mask) = mask else { return Ok(x) };
    let shape = cx.shape(x);
    let is_flag = cx.dtype(mask) == DType::Bool;
    let last = cx.shape(mask).last().copied().unwrap_or(1);
    let mut missing = None;
    if last != 1 && last < total {
        // A mask that ends early hides the rest.
        let rank = cx.shape(mask).len();
        let mut after = vec![0; rank];
        after[rank - 1] = long(total - last);
        let dtype = cx.dtype(mask);
        let fill = if is_flag { 0 } else { f32::NEG_INFINITY.to_bits() };
        let fill = Tensor { dtype, shape: vec![], words: [fill].into() };
        let fill = cx.constant(&fill)?;
        missing = Some(padded(cx, mask, &vec![0; rank], &after, fill)?);
    }
    mask = missing.unwrap_or(mask);
    cx.elementwise_to(&[x, mask], &shape, DType::F32, |p, r| {
        if is_flag {
            let hidden = p.f(f32::NEG_INFINITY);
            p.select(r[1], r[0], hidden)
        } else {
            p.bin(Binary::Add, r[0], r[1])
        }
    })
}

/// Masks keys further left or right of a query's own position than a bound; -1 is none. Positions
/// are counted from the end of what came before: the past, or the length of an outside cache.
fn mask_window(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    node: &Attention,
    [left, right]: [i64; 2],
) -> Result<ValueId, ModelError> {
    let shape = cx.shape(x);
    let rows = iota(cx, node.length, 2, 4)?;
    let cols = iota(cx, node.total, 3, 4)?;
    let mut ids = vec![x, rows, cols];
    let offset = match node.cached {
        Some(cached) => {
            ids.push(cx.builder.reshaped(cached, vec![shape[0], 1, 1, 1])?);
            -long(node.length)
        }
        None => long(node.past),
    };
    let narrow = |value: i64| i32::try_from(value).unwrap_or(i32::MAX);
    cx.elementwise_to(&ids, &shape, DType::F32, |p, r| {
        let (offset, hidden) = (p.i(narrow(offset)), p.f(f32::NEG_INFINITY));
        let mut now = p.bin(Binary::Add, r[1], offset);
        if let Some(&cached) = r.get(3) {
            now = p.bin(Binary::Add, now, cached);
        }
        let mut seen = p.u(1);
        if right >= 0 {
            let bound = p.i(narrow(right));
            let last = p.bin(Binary::Add, now, bound);
            let before = p.bin(Binary::Le, r[2], last);
            seen = p.bin(Binary::And, seen, before);
        }
        if left >= 0 {
            let bound = p.i(narrow(left));
            let first = p.bin(Binary::Sub, now, bound);
            let after = p.bin(Binary::Le, first, r[2]);
            seen = p.bin(Binary::And, seen, after);
        }
        p.select(seen, r[0], hidden)
    })
}

/// Masks keys beyond each batch entry's length.
fn mask_padding(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    lengths: ValueId,
    [batch, total]: [usize; 2],
) -> Result<ValueId, ModelError> {
    let shape = cx.shape(x);
    let cols = iota(cx, total, 3, 4)?;
    let lengths = cx.builder.reshaped(lengths, vec![batch, 1, 1, 1])?;
    cx.elementwise_to(&[x, cols, lengths], &shape, DType::F32, |p, r| {
        let hidden = p.f(f32::NEG_INFINITY);
        let seen = p.bin(Binary::Lt, r[1], r[2]);
        p.select(seen, r[0], hidden)
    })
}

pub(crate) fn rotary(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let (mut cos, mut sin) = (cx.input(1)?, cx.input(2)?);
    let positions = cx.optional_input(3)?;
    let interleaved = cx.flag("interleaved");
    cx.float_type(x)?;
    let shape = cx.shape(x);
    // `[batch, length, heads, size]`, as a flat input is split.
    let split = match shape[..] {
        [_, _, _, _] => permute_axes(cx, x, &[0, 2, 1, 3])?,
        [batch, length, width] => {
            let count = cx.size(cx.int("num_heads", 0))?;
            if count == 0 || width % count != 0 {
                return Err(cx.unsupported_attribute("num_heads", "it must divide the last axis"));
            }
            cx.builder.reshaped(x, vec![batch, length, count, width / count])?
        }
        _ => return Err(cx.shape_error("the input needs three or four axes", show(&shape))),
    };
    cx.ignore(&["num_heads"]);
    let size = cx.shape(split)[3];
    let turned_size = match cx.size(cx.int("rotary_embedding_dim", 0))? {
        0 => size,
        some => some,
    };
    if turned_size > size || turned_size % 2 != 0 {
        return Err(cx.unsupported_attribute("rotary_embedding_dim", "it must be even and no more than a head's size"));
    }
    if let Some(positions) = positions {
        (cos, sin) = (take(cx, cos, positions, 0)?, take(cx, sin, positions, 0)?);
    }
    let result = rotate_pairs(cx, split, [cos, sin], turned_size, interleaved)?;
    if shape.len() == 4 {
        return Ok(vec![permute_axes(cx, result, &[0, 2, 1, 3])?]);
    }
    Ok(vec![cx.builder.reshaped(result, shape)?])
}
