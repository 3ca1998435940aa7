//! Attention as onnxruntime's optimizer and generators write it, in operators of its own domain:
//! <https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md>

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Binary, Program, Reg};
use gpu_kernels::number::to;

use crate::error::{ModelError, show};
use crate::ir::{ValueId, long};
use crate::lower::context::NodeContext;
use crate::lower::prims::attention::{append_kv_cache, nan_to_zero, repeat_kv_heads, rotate_pairs, softcap};
use crate::lower::prims::copies::concat_along;
use crate::lower::prims::gather::take;
use crate::lower::prims::iota::iota;
use crate::lower::prims::product::multiply;
use crate::lower::prims::reduce::softmax_lines;
use crate::lower::prims::views::{permute_axes, slice_axis, squeeze_axes, unsqueeze_axes};

/// Queries, keys and values, each `[batch, heads, length, size]`.
struct Heads {
    q: ValueId,
    k: ValueId,
    v: ValueId,
}

/// `[batch, length, heads · size]` as `[batch, heads, length, size]`.
fn split_heads(cx: &mut NodeContext<'_, '_>, x: ValueId, count: usize) -> Result<ValueId, ModelError> {
    let split = view_heads(cx, x, count)?;
    permute_axes(cx, split, &[0, 2, 1, 3])
}

/// `[batch, length, heads · size]` as `[batch, length, heads, size]`.
fn view_heads(cx: &mut NodeContext<'_, '_>, x: ValueId, count: usize) -> Result<ValueId, ModelError> {
    match cx.shape(x)[..] {
        [batch, length, width] if count > 0 && width % count == 0 => {
            cx.builder.reshaped(x, vec![batch, length, count, width / count])
        }
        _ => Err(cx.shape_error("the heads must divide the last of three axes", show(&cx.shape(x)))),
    }
}

fn head_count(cx: &NodeContext<'_, '_>, name: &str) -> Result<usize, ModelError> {
    match cx.size(cx.int(name, 0))? {
        0 => Err(cx.unsupported_attribute(name, "it must be positive")),
        count => Ok(count),
    }
}

/// Parts of a tensor's last axis, of these widths.
fn split_columns(cx: &mut NodeContext<'_, '_>, x: ValueId, widths: [usize; 3]) -> Result<[ValueId; 3], ModelError> {
    let axis = cx.shape(x).len().saturating_sub(1);
    let mut from = 0;
    let mut parts = [x; 3];
    for (slot, width) in parts.iter_mut().zip(widths) {
        *slot = slice_axis(cx, x, axis, from, width)?;
        from += width;
    }
    Ok(parts)
}

fn add(cx: &mut NodeContext<'_, '_>, a: ValueId, b: ValueId) -> Result<ValueId, ModelError> {
    let dtype = cx.dtype(a);
    cx.elementwise(&[a, b], dtype, |p, r| p.bin(Binary::Add, r[0], r[1]))
}

/// Scaled products of queries and keys: `[batch, heads, length, total]`.
fn scores(cx: &mut NodeContext<'_, '_>, heads: &Heads) -> Result<ValueId, ModelError> {
    let size = cx.shape(heads.q)[3];
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a head's size is small")]
    let scale = match cx.float("scale", 0.0) {
        0.0 => 1.0 / (size as f32).sqrt(),
        scale => scale,
    };
    let count = cx.shape(heads.q)[1];
    let keys = repeat_kv_heads(cx, heads.k, count)?;
    let keys = permute_axes(cx, keys, &[0, 1, 3, 2])?;
    let scores = multiply(cx, heads.q, keys)?;
    cx.elementwise(&[scores], DType::F32, |p, r| {
        let scale = p.f(scale);
        p.bin(Binary::Mul, r[0], scale)
    })
}

/// The values weighed by the scores' softmax, heads side by side again: `[batch, length, heads · size]`.
fn weigh_values(cx: &mut NodeContext<'_, '_>, heads: &Heads, scores: ValueId) -> Result<ValueId, ModelError> {
    let dtype = cx.dtype(heads.v);
    let shape = cx.shape(scores);
    let [batch, count, length, total] = shape[..] else {
        return Err(cx.shape_error("attention needs four axes", show(&shape)));
    };
    let weights = softmax_lines(cx, scores, [batch * count * length, total, 1], false)?;
    let weights = nan_to_zero(cx, weights)?;
    let values = repeat_kv_heads(cx, heads.v, count)?;
    let y = multiply(cx, weights, values)?;
    let y = cx.cast(y, dtype)?;
    let width = count * cx.shape(y)[3];
    let y = permute_axes(cx, y, &[0, 2, 1, 3])?;
    cx.builder.reshaped(y, vec![batch, length, width])
}

/// Adds a bias that may be the same for all entries or heads.
fn add_bias(cx: &mut NodeContext<'_, '_>, scores: ValueId, bias: Option<ValueId>) -> Result<ValueId, ModelError> {
    let Some(bias) = bias else { return Ok(scores) };
    let shape = cx.shape(scores);
    cx.elementwise_to(&[scores, bias], &shape, DType::F32, |p, r| p.bin(Binary::Add, r[0], r[1]))
}

/// Adds `filter` where `is_hidden` says so, of a score's row and column and what else is given.
fn apply_mask(
    cx: &mut NodeContext<'_, '_>,
    scores: ValueId,
    given: &[ValueId],
    filter: f32,
    is_hidden: impl FnOnce(&mut Program, Reg, Reg, &[Reg]) -> Reg,
) -> Result<ValueId, ModelError> {
    let shape = cx.shape(scores);
    let (rows, cols) = (iota(cx, shape[2], 2, 4)?, iota(cx, shape[3], 3, 4)?);
    let mut ids = vec![scores, rows, cols];
    ids.extend(given);
    cx.elementwise_to(&ids, &shape, DType::F32, |p, r| {
        let away = is_hidden(p, r[1], r[2], &r[3..]);
        let (filter, zero) = (p.f(filter), p.f(0.0));
        let added = p.select(away, filter, zero);
        p.bin(Binary::Add, r[0], added)
    })
}

/// Masks keys after a query's own position; the first query's is `past`.
fn mask_future(cx: &mut NodeContext<'_, '_>, scores: ValueId, past: usize, filter: f32) -> Result<ValueId, ModelError> {
    apply_mask(cx, scores, &[], filter, |p, row, col, _| {
        let past = p.i(to(past));
        let own = p.bin(Binary::Add, row, past);
        p.bin(Binary::Lt, own, col)
    })
}

/// Masks keys by a tensor: lengths, ends and starts, or a 1 for each key that counts.
fn mask_keys(
    cx: &mut NodeContext<'_, '_>,
    scores: ValueId,
    mask: Option<ValueId>,
    filter: f32,
) -> Result<ValueId, ModelError> {
    let Some(mask) = mask else { return Ok(scores) };
    let (shape, own) = (cx.shape(scores), cx.shape(mask));
    let (batch, length, total) = (shape[0], shape[2], shape[3]);
    let mask = cx.cast(mask, DType::I32)?;
    let none = |p: &mut Program, kept: Reg| p.is_zero(kept);
    match own[..] {
        [entries] if entries == batch => {
            let ends = cx.builder.reshaped(mask, vec![batch, 1, 1, 1])?;
            apply_mask(cx, scores, &[ends], filter, |p, _, col, r| p.bin(Binary::Le, r[0], col))
        }
        [entries] if entries == 2 * batch => {
            let (ends, starts) = (slice_axis(cx, mask, 0, 0, batch)?, slice_axis(cx, mask, 0, batch, batch)?);
            let (ends, starts) =
                (cx.builder.reshaped(ends, vec![batch, 1, 1, 1])?, cx.builder.reshaped(starts, vec![batch, 1, 1, 1])?);
            apply_mask(cx, scores, &[ends, starts], filter, |p, _, col, r| {
                let (after, before) = (p.bin(Binary::Le, r[0], col), p.bin(Binary::Lt, col, r[1]));
                p.bin(Binary::Or, after, before)
            })
        }
        [entries, keys] if entries == batch && keys == total => {
            let flags = cx.builder.reshaped(mask, vec![batch, 1, 1, total])?;
            apply_mask(cx, scores, &[flags], filter, |p, _, _, r| none(p, r[0]))
        }
        [entries, rows, keys] if entries == batch && rows == length && keys == total => {
            let flags = cx.builder.reshaped(mask, vec![batch, 1, length, total])?;
            apply_mask(cx, scores, &[flags], filter, |p, _, _, r| none(p, r[0]))
        }
        _ => Err(cx.shape_error("the mask is none of lengths, flags a key or flags a pair", show(&own))),
    }
}

pub(crate) fn attention(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, weights, bias) = (cx.input(0)?, cx.input(1)?, cx.optional_input(2)?);
    let (mask, past, extra) = (cx.optional_input(3)?, cx.optional_input(4)?, cx.optional_input(5)?);
    let (count, filter) = (head_count(cx, "num_heads")?, cx.float("mask_filter_value", -10_000.0));
    let causal = cx.flag("unidirectional");
    if cx.flag("do_rotary") || cx.flag("past_present_share_buffer") {
        return Err(
            cx.unsupported_attribute("do_rotary", "positions are turned and caches shared by other operators only")
        );
    }
    cx.ignore(&["rotary_embedding_dim"]);
    let mut all = multiply(cx, x, weights)?;
    if let Some(bias) = bias {
        all = add(cx, all, bias)?;
    }
    let width = cx.shape(all).last().copied().unwrap_or(0);
    let widths = match cx.ints("qkv_hidden_sizes").as_deref() {
        Some(&[q, k, v]) => [cx.size(q)?, cx.size(k)?, cx.size(v)?],
        _ => [width / 3; 3],
    };
    let [q, k, v] = split_columns(cx, all, widths)?;
    let mut heads =
        Heads { q: split_heads(cx, q, count)?, k: split_heads(cx, k, count)?, v: split_heads(cx, v, count)? };
    let mut before = 0;
    if let Some(past) = past {
        let mut keys_and_values = [past; 2];
        for (i, half) in keys_and_values.iter_mut().enumerate() {
            let one = slice_axis(cx, past, 0, i, 1)?;
            *half = squeeze_axes(cx, one, &[0])?;
        }
        before = cx.shape(keys_and_values[0]).get(2).copied().unwrap_or(0);
        heads.k = append_kv_cache(cx, Some(keys_and_values[0]), heads.k)?;
        heads.v = append_kv_cache(cx, Some(keys_and_values[1]), heads.v)?;
    }
    let y = attend(cx, &heads, causal.then_some(before), mask, extra, filter)?;
    if !cx.is_output_used(1) {
        return Ok(vec![y]);
    }
    let (k, v) = (unsqueeze_axes(cx, heads.k, &[0])?, unsqueeze_axes(cx, heads.v, &[0])?);
    Ok(vec![y, concat_along(cx, &[k, v], 0)?])
}

/// Attention over the heads. `causal_past`: no query sees a later key, and so many keys came before the
/// first. Masked scores have `filter` added, and every score its `bias`.
fn attend(
    cx: &mut NodeContext<'_, '_>,
    heads: &Heads,
    causal_past: Option<usize>,
    mask: Option<ValueId>,
    bias: Option<ValueId>,
    filter: f32,
) -> Result<ValueId, ModelError> {
    let mut scores = scores(cx, heads)?;
    if let Some(before) = causal_past {
        scores = mask_future(cx, scores, before, filter)?;
    }
    scores = mask_keys(cx, scores, mask, filter)?;
    scores = add_bias(cx, scores, bias)?;
    weigh_values(cx, heads, scores)
}

pub(crate) fn multi_head(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let ids = (0..8).map(|i| cx.optional_input(i)).collect::<Result<Vec<_>, _>>()?;
    let (bias, mask, extra) = (ids[3], ids[4], ids[5]);
    let (count, filter) = (head_count(cx, "num_heads")?, cx.float("mask_filter_value", -10_000.0));
    let causal = cx.flag("unidirectional");
    let mut q = cx.input(0)?;
    let heads = match (ids[1], ids[2]) {
        (Some(mut k), Some(mut v)) => {
            if let Some(bias) = bias {
                let wide = |cx: &NodeContext<'_, '_>, id: ValueId| cx.shape(id).last().copied().unwrap_or(0);
                let own = wide(cx, q);
                let rest = wide(cx, bias).saturating_sub(2 * own);
                let [a, b, c] = split_columns(cx, bias, [own, own, rest])?;
                q = add(cx, q, a)?;
                // Keys that come from elsewhere, heads apart already, have no bias.
                if cx.shape(k).len() == 3 {
                    (k, v) = (add(cx, k, b)?, add(cx, v, c)?);
                }
            }
            let already = cx.shape(k).len() == 4;
            Heads {
                q: split_heads(cx, q, count)?,
                k: if already { k } else { split_heads(cx, k, count)? },
                v: if already { v } else { split_heads(cx, v, count)? },
            }
        }
        // All three in one: [batch, length, heads, 3, size].
        (None, None) if bias.is_none() && cx.shape(q).len() == 5 => {
            let mut each = [q; 3];
            for (i, one) in each.iter_mut().enumerate() {
                let own = slice_axis(cx, q, 3, i, 1)?;
                let own = squeeze_axes(cx, own, &[3])?;
                *one = permute_axes(cx, own, &[0, 2, 1, 3])?;
            }
            Heads { q: each[0], k: each[1], v: each[2] }
        }
        _ => return Err(cx.unsupported_attribute("key", "keys and values must be given apart, or all three in one")),
    };
    let before = ids[6].and_then(|past| cx.shape(past).get(2).copied()).unwrap_or(0);
    let heads = Heads { k: append_kv_cache(cx, ids[6], heads.k)?, v: append_kv_cache(cx, ids[7], heads.v)?, ..heads };
    let y = attend(cx, &heads, causal.then_some(before), mask, extra, filter)?;
    Ok(vec![y, heads.k, heads.v])
}

/// A table's rows at `positions`.
fn take_angles(
    cx: &mut NodeContext<'_, '_>,
    tables: [ValueId; 2],
    positions: ValueId,
) -> Result<[ValueId; 2], ModelError> {
    Ok([take(cx, tables[0], positions, 0)?, take(cx, tables[1], positions, 0)?])
}

pub(crate) fn rotary(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, positions, tables) = (cx.input(0)?, cx.input(1)?, [cx.input(2)?, cx.input(3)?]);
    cx.ignore(&["is_packed_batching"]);
    if !matches!(cx.float("scale", 1.0), 1.0) {
        return Err(cx.unsupported_attribute("scale", "it must be 1"));
    }
    let interleaved = cx.flag("interleaved");
    let (given, asked) = (cx.size(cx.int("num_heads", 0))?, cx.size(cx.int("rotary_embedding_dim", 0))?);
    let half = cx.shape(tables[0]).last().copied().unwrap_or(0);
    let shape = cx.shape(x);
    let split = match shape[..] {
        [_, _, _, _] => permute_axes(cx, x, &[0, 2, 1, 3])?,
        [_, _, width] => {
            let count = if given == 0 { width.checked_div(2 * half).unwrap_or(0) } else { given };
            view_heads(cx, x, count)?
        }
        _ => return Err(cx.shape_error("the input needs three or four axes", show(&shape))),
    };
    let (length, size) = (cx.shape(split)[1], cx.shape(split)[3]);
    let turned_size = if asked == 0 { (2 * half).min(size) } else { asked };
    if turned_size > size || turned_size % 2 != 0 {
        return Err(cx.unsupported_attribute("rotary_embedding_dim", "it must be even and no more than a head's size"));
    }
    // One position is the first entry's, and the others follow.
    let positions = if cx.shape(positions).len() == 1 {
        let places = iota(cx, length, 1, 2)?;
        let first = cx.builder.reshaped(positions, vec![1, 1])?;
        add(cx, places, first)?
    } else {
        positions
    };
    let angles = take_angles(cx, tables, positions)?;
    let result = rotate_pairs(cx, split, angles, turned_size, interleaved)?;
    if shape.len() == 4 {
        return Ok(vec![permute_axes(cx, result, &[0, 2, 1, 3])?]);
    }
    Ok(vec![cx.builder.reshaped(result, shape)?])
}

/// Query heads that share key heads, with positions turned on the way. Each entry's past may be shorter
/// than the cache that holds it, which then is padded at its end.
pub(crate) fn grouped_query(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (mut q, k, v) = (cx.input(0)?, cx.optional_input(1)?, cx.optional_input(2)?);
    let (past_k, past_v, last) = (cx.optional_input(3)?, cx.optional_input(4)?, cx.input(5)?);
    let (tables, positions) = ([cx.optional_input(7)?, cx.optional_input(8)?], cx.optional_input(9)?);
    let extra = cx.optional_input(10)?;
    let (count, own) = (head_count(cx, "num_heads")?, head_count(cx, "kv_num_heads")?);
    let (rotary, interleaved) = (cx.flag("do_rotary"), cx.flag("rotary_interleaved"));
    let window = cx.int("local_window_size", -1);
    if cx.flag("smooth_softmax") || cx.optional_input(11)?.is_some() {
        return Err(cx.unsupported_attribute("smooth_softmax", "the softmax is the common one"));
    }
    let (k, v) = if let (Some(k), Some(v)) = (k, v) {
        (k, v)
    } else {
        let size = cx.shape(q).last().copied().unwrap_or(0) / (count + 2 * own);
        let [a, b, c] = split_columns(cx, q, [count * size, own * size, own * size])?;
        q = a;
        (b, c)
    };
    let (q, k) = (view_heads(cx, q, count)?, view_heads(cx, k, own)?);
    let [batch, length, _, size] = cx.shape(q)[..] else { return Err(cx.not_constant(0)) };
    let past = past_k.and_then(|past| cx.shape(past).get(2).copied()).unwrap_or(0);
    let behind = past_lengths(cx, last, [batch, length, past])?;
    let (q, k) = match tables {
        [Some(cos), Some(sin)] if rotary => {
            let positions = if let Some(positions) = positions {
                positions
            } else {
                let places = iota(cx, length, 1, 2)?;
                add(cx, places, behind)?
            };
            let angles = take_angles(cx, [cos, sin], positions)?;
            let turned_size = (2 * cx.shape(cos).last().copied().unwrap_or(0)).min(size);
            (
                rotate_pairs(cx, q, angles, turned_size, interleaved)?,
                rotate_pairs(cx, k, angles, turned_size, interleaved)?,
            )
        }
        _ if rotary => return Err(cx.unsupported_attribute("do_rotary", "it needs tables of cosines and sines")),
        _ => (q, k),
    };
    let (q, k) = (permute_axes(cx, q, &[0, 2, 1, 3])?, permute_axes(cx, k, &[0, 2, 1, 3])?);
    let v = split_heads(cx, v, own)?;
    let heads = Heads { q, k: append_kv_cache(cx, past_k, k)?, v: append_kv_cache(cx, past_v, v)? };
    let scores = scores(cx, &heads)?;
    let scores = softcap(cx, scores)?;
    let behind = cx.builder.reshaped(behind, vec![batch, 1, 1, 1])?;
    let scores = mask_window(cx, scores, behind, past, window)?;
    let scores = add_bias(cx, scores, extra)?;
    let y = weigh_values(cx, &heads, scores)?;
    Ok(vec![y, heads.k, heads.v])
}

/// Keys that each batch entry has seen before: none on the first call, else what the lengths say.
fn past_lengths(
    cx: &mut NodeContext<'_, '_>,
    last: ValueId,
    [batch, length, past]: [usize; 3],
) -> Result<ValueId, ModelError> {
    if past == 0 {
        return cx.constant_ints(vec![batch, 1], &vec![0; batch]);
    }
    let last = cx.cast(last, DType::I64)?;
    let last = cx.builder.reshaped(last, vec![batch, 1])?;
    let fresh = 1 - long(length);
    cx.elementwise(&[last], DType::I64, |p, r| {
        let fresh = p.i(to(fresh));
        p.bin(Binary::Add, r[0], fresh)
    })
}

/// Masks what lies after a query's own position, what only pads an entry's past, and what a window leaves out.
fn mask_window(
    cx: &mut NodeContext<'_, '_>,
    scores: ValueId,
    behind: ValueId,
    past: usize,
    window: i64,
) -> Result<ValueId, ModelError> {
    apply_mask(cx, scores, &[behind], f32::NEG_INFINITY, |p, row, col, r| {
        let past = p.i(to(past));
        let old = p.bin(Binary::Lt, col, past);
        // Places as each entry counts them.
        let fresh = p.bin(Binary::Sub, col, past);
        let fresh = p.bin(Binary::Add, fresh, r[0]);
        let place = p.select(old, col, fresh);
        let own = p.bin(Binary::Add, row, r[0]);
        let after = p.bin(Binary::Lt, own, place);
        let padding = p.bin(Binary::Le, r[0], col);
        let padding = p.bin(Binary::And, old, padding);
        let away = p.bin(Binary::Or, after, padding);
        if window < 0 {
            return away;
        }
        let window = p.i(i32::try_from(window).unwrap_or(i32::MAX));
        let edge = p.bin(Binary::Sub, own, window);
        let far = p.bin(Binary::Le, place, edge);
        p.bin(Binary::Or, away, far)
    })
}
