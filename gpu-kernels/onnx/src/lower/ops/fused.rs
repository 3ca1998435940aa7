//! Attention as onnxruntime's optimizer and generators write it, in operators of its own domain:
//! <https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md>

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Binary, Program, Reg};

use crate::error::{ModelError, show};
use crate::ir::{ValueId, long};
use crate::lower::at::At;
use crate::lower::prims::attention::{nan_to_zero, repeat_kv_heads, rotate_pairs, softcap};
use crate::lower::prims::copies::concat_along;
use crate::lower::prims::gather::take;
use crate::lower::prims::iota::iota;
use crate::lower::prims::product::multiply;
use crate::lower::prims::reduce::softmax_lines;
use crate::lower::prims::views::{permute_axes, slice_axis, squeeze_axes, unsqueeze_axes};

/// Queries, keys and values, heads apart: `[batch, heads, length, size]`.
struct Heads {
    q: ValueId,
    k: ValueId,
    v: ValueId,
}

fn narrow(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// `[batch, length, heads · size]` with the heads apart.
fn apart(at: &mut At<'_, '_>, x: ValueId, count: usize) -> Result<ValueId, ModelError> {
    let split = beside(at, x, count)?;
    permute_axes(at, split, &[0, 2, 1, 3])
}

/// `[batch, length, heads · size]` as `[batch, length, heads, size]`.
fn beside(at: &mut At<'_, '_>, x: ValueId, count: usize) -> Result<ValueId, ModelError> {
    match at.shape(x)[..] {
        [batch, length, width] if count > 0 && width % count == 0 => {
            at.b.reshaped(x, vec![batch, length, count, width / count])
        }
        _ => Err(at.wrong("the heads must divide the last of three axes", show(&at.shape(x)))),
    }
}

fn count(at: &At<'_, '_>, name: &str) -> Result<usize, ModelError> {
    match at.size(at.int(name, 0))? {
        0 => Err(at.unsupported(name, "it must be positive")),
        count => Ok(count),
    }
}

/// Parts of a tensor's last axis, of these widths.
fn columns(at: &mut At<'_, '_>, x: ValueId, widths: [usize; 3]) -> Result<[ValueId; 3], ModelError> {
    let axis = at.shape(x).len().saturating_sub(1);
    let mut from = 0;
    let mut parts = [x; 3];
    for (slot, width) in parts.iter_mut().zip(widths) {
        *slot = slice_axis(at, x, axis, from, width)?;
        from += width;
    }
    Ok(parts)
}

fn sum(at: &mut At<'_, '_>, a: ValueId, b: ValueId) -> Result<ValueId, ModelError> {
    let dtype = at.dtype(a);
    at.map(&[a, b], dtype, |p, r| p.bin(Binary::Add, r[0], r[1]))
}

/// Scaled products of queries and keys: `[batch, heads, length, total]`.
fn scores(at: &mut At<'_, '_>, heads: &Heads) -> Result<ValueId, ModelError> {
    let size = at.shape(heads.q)[3];
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a head's size is small")]
    let scale = match at.float("scale", 0.0) {
        0.0 => 1.0 / (size as f32).sqrt(),
        scale => scale,
    };
    let count = at.shape(heads.q)[1];
    let keys = repeat_kv_heads(at, heads.k, count)?;
    let keys = permute_axes(at, keys, &[0, 1, 3, 2])?;
    let scores = multiply(at, heads.q, keys)?;
    at.map(&[scores], DType::F32, |p, r| {
        let scale = p.f(scale);
        p.bin(Binary::Mul, r[0], scale)
    })
}

/// What the scores choose of the values, heads together again.
fn chosen(at: &mut At<'_, '_>, heads: &Heads, scores: ValueId) -> Result<ValueId, ModelError> {
    let dtype = at.dtype(heads.v);
    let shape = at.shape(scores);
    let [batch, count, length, total] = shape[..] else {
        return Err(at.wrong("attention needs four axes", show(&shape)));
    };
    let weights = softmax_lines(at, scores, [batch * count * length, total, 1], false)?;
    let weights = nan_to_zero(at, weights)?;
    let values = repeat_kv_heads(at, heads.v, count)?;
    let y = multiply(at, weights, values)?;
    let y = at.cast(y, dtype)?;
    let width = count * at.shape(y)[3];
    let y = permute_axes(at, y, &[0, 2, 1, 3])?;
    at.b.reshaped(y, vec![batch, length, width])
}

/// Adds a bias that may be the same for all entries or heads.
fn biased(at: &mut At<'_, '_>, scores: ValueId, bias: Option<ValueId>) -> Result<ValueId, ModelError> {
    let Some(bias) = bias else { return Ok(scores) };
    let shape = at.shape(scores);
    at.map_to(&[scores, bias], &shape, DType::F32, |p, r| p.bin(Binary::Add, r[0], r[1]))
}

/// Adds `filter` where `hidden` says so, of a score's row and column and what else is given.
fn hidden(
    at: &mut At<'_, '_>,
    scores: ValueId,
    given: &[ValueId],
    filter: f32,
    hidden: impl FnOnce(&mut Program, Reg, Reg, &[Reg]) -> Reg,
) -> Result<ValueId, ModelError> {
    let shape = at.shape(scores);
    let (rows, cols) = (iota(at, shape[2], 2, 4)?, iota(at, shape[3], 3, 4)?);
    let mut ids = vec![scores, rows, cols];
    ids.extend(given);
    at.map_to(&ids, &shape, DType::F32, |p, r| {
        let away = hidden(p, r[1], r[2], &r[3..]);
        let (filter, zero) = (p.f(filter), p.f(0.0));
        let added = p.select(away, filter, zero);
        p.bin(Binary::Add, r[0], added)
    })
}

/// Hides what lies after a query's own place, that of the first being `past`.
fn causal(at: &mut At<'_, '_>, scores: ValueId, past: usize, filter: f32) -> Result<ValueId, ModelError> {
    hidden(at, scores, &[], filter, |p, row, col, _| {
        let past = p.i(narrow(past));
        let own = p.bin(Binary::Add, row, past);
        p.bin(Binary::Lt, own, col)
    })
}

/// Hides keys by a mask: lengths, ends and starts, or a 1 for each key that counts.
fn masked(at: &mut At<'_, '_>, scores: ValueId, mask: Option<ValueId>, filter: f32) -> Result<ValueId, ModelError> {
    let Some(mask) = mask else { return Ok(scores) };
    let (shape, own) = (at.shape(scores), at.shape(mask));
    let (batch, length, total) = (shape[0], shape[2], shape[3]);
    let mask = at.cast(mask, DType::I32)?;
    let none = |p: &mut Program, kept: Reg| p.is_zero(kept);
    match own[..] {
        [entries] if entries == batch => {
            let ends = at.b.reshaped(mask, vec![batch, 1, 1, 1])?;
            hidden(at, scores, &[ends], filter, |p, _, col, r| p.bin(Binary::Le, r[0], col))
        }
        [entries] if entries == 2 * batch => {
            let (ends, starts) = (slice_axis(at, mask, 0, 0, batch)?, slice_axis(at, mask, 0, batch, batch)?);
            let (ends, starts) =
                (at.b.reshaped(ends, vec![batch, 1, 1, 1])?, at.b.reshaped(starts, vec![batch, 1, 1, 1])?);
            hidden(at, scores, &[ends, starts], filter, |p, _, col, r| {
                let (after, before) = (p.bin(Binary::Le, r[0], col), p.bin(Binary::Lt, col, r[1]));
                p.bin(Binary::Or, after, before)
            })
        }
        [entries, keys] if entries == batch && keys == total => {
            let flags = at.b.reshaped(mask, vec![batch, 1, 1, total])?;
            hidden(at, scores, &[flags], filter, |p, _, _, r| none(p, r[0]))
        }
        [entries, rows, keys] if entries == batch && rows == length && keys == total => {
            let flags = at.b.reshaped(mask, vec![batch, 1, length, total])?;
            hidden(at, scores, &[flags], filter, |p, _, _, r| none(p, r[0]))
        }
        _ => Err(at.wrong("the mask is none of lengths, flags a key or flags a pair", show(&own))),
    }
}

/// Keys or values behind those that were there before.
fn grown(at: &mut At<'_, '_>, past: Option<ValueId>, new: ValueId) -> Result<ValueId, ModelError> {
    match past {
        Some(past) => concat_along(at, &[past, new], 2),
        None => Ok(new),
    }
}

pub(crate) fn attention(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, weights, bias) = (at.input(0)?, at.input(1)?, at.optional(2)?);
    let (mask, past, extra) = (at.optional(3)?, at.optional(4)?, at.optional(5)?);
    let (count, filter) = (count(at, "num_heads")?, at.float("mask_filter_value", -10_000.0));
    let one_way = at.flag("unidirectional");
    if at.flag("do_rotary") || at.flag("past_present_share_buffer") {
        return Err(at.unsupported("do_rotary", "positions are turned and caches shared by other operators only"));
    }
    at.ignore(&["rotary_embedding_dim"]);
    let mut all = multiply(at, x, weights)?;
    if let Some(bias) = bias {
        all = sum(at, all, bias)?;
    }
    let width = at.shape(all).last().copied().unwrap_or(0);
    let widths = match at.ints("qkv_hidden_sizes").as_deref() {
        Some(&[q, k, v]) => [at.size(q)?, at.size(k)?, at.size(v)?],
        _ => [width / 3; 3],
    };
    let [q, k, v] = columns(at, all, widths)?;
    let mut heads = Heads { q: apart(at, q, count)?, k: apart(at, k, count)?, v: apart(at, v, count)? };
    let mut before = 0;
    if let Some(past) = past {
        let mut halves = [past; 2];
        for (i, half) in halves.iter_mut().enumerate() {
            let one = slice_axis(at, past, 0, i, 1)?;
            *half = squeeze_axes(at, one, &[0])?;
        }
        before = at.shape(halves[0]).get(2).copied().unwrap_or(0);
        heads.k = grown(at, Some(halves[0]), heads.k)?;
        heads.v = grown(at, Some(halves[1]), heads.v)?;
    }
    let y = attended(at, &heads, one_way.then_some(before), mask, extra, filter)?;
    if !at.wants(1) {
        return Ok(vec![y]);
    }
    let (k, v) = (unsqueeze_axes(at, heads.k, &[0])?, unsqueeze_axes(at, heads.v, &[0])?);
    Ok(vec![y, concat_along(at, &[k, v], 0)?])
}

/// What the heads choose: after so many earlier keys where each sees none that comes later, with what is
/// masked put down to `filter` and something added to the scores.
fn attended(
    at: &mut At<'_, '_>,
    heads: &Heads,
    one_way: Option<usize>,
    mask: Option<ValueId>,
    extra: Option<ValueId>,
    filter: f32,
) -> Result<ValueId, ModelError> {
    let mut scores = scores(at, heads)?;
    if let Some(before) = one_way {
        scores = causal(at, scores, before, filter)?;
    }
    scores = masked(at, scores, mask, filter)?;
    scores = biased(at, scores, extra)?;
    chosen(at, heads, scores)
}

pub(crate) fn multi_head(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let ids = (0..8).map(|i| at.optional(i)).collect::<Result<Vec<_>, _>>()?;
    let (bias, mask, extra) = (ids[3], ids[4], ids[5]);
    let (count, filter) = (count(at, "num_heads")?, at.float("mask_filter_value", -10_000.0));
    let one_way = at.flag("unidirectional");
    let mut q = at.input(0)?;
    let heads = match (ids[1], ids[2]) {
        (Some(mut k), Some(mut v)) => {
            if let Some(bias) = bias {
                let wide = |at: &At<'_, '_>, id: ValueId| at.shape(id).last().copied().unwrap_or(0);
                let own = wide(at, q);
                let rest = wide(at, bias).saturating_sub(2 * own);
                let [a, b, c] = columns(at, bias, [own, own, rest])?;
                q = sum(at, q, a)?;
                // Keys that come from elsewhere, heads apart already, have no bias.
                if at.shape(k).len() == 3 {
                    (k, v) = (sum(at, k, b)?, sum(at, v, c)?);
                }
            }
            let already = at.shape(k).len() == 4;
            Heads {
                q: apart(at, q, count)?,
                k: if already { k } else { apart(at, k, count)? },
                v: if already { v } else { apart(at, v, count)? },
            }
        }
        // All three in one: [batch, length, heads, 3, size].
        (None, None) if bias.is_none() && at.shape(q).len() == 5 => {
            let mut each = [q; 3];
            for (i, one) in each.iter_mut().enumerate() {
                let own = slice_axis(at, q, 3, i, 1)?;
                let own = squeeze_axes(at, own, &[3])?;
                *one = permute_axes(at, own, &[0, 2, 1, 3])?;
            }
            Heads { q: each[0], k: each[1], v: each[2] }
        }
        _ => return Err(at.unsupported("key", "keys and values must be given apart, or all three in one")),
    };
    let before = ids[6].and_then(|past| at.shape(past).get(2).copied()).unwrap_or(0);
    let heads = Heads { k: grown(at, ids[6], heads.k)?, v: grown(at, ids[7], heads.v)?, ..heads };
    let y = attended(at, &heads, one_way.then_some(before), mask, extra, filter)?;
    Ok(vec![y, heads.k, heads.v])
}

/// A table's rows at `positions`.
fn angles(at: &mut At<'_, '_>, tables: [ValueId; 2], positions: ValueId) -> Result<[ValueId; 2], ModelError> {
    Ok([take(at, tables[0], positions, 0)?, take(at, tables[1], positions, 0)?])
}

pub(crate) fn rotary(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, positions, tables) = (at.input(0)?, at.input(1)?, [at.input(2)?, at.input(3)?]);
    at.ignore(&["is_packed_batching"]);
    if !matches!(at.float("scale", 1.0), 1.0) {
        return Err(at.unsupported("scale", "it must be 1"));
    }
    let interleaved = at.flag("interleaved");
    let (given, asked) = (at.size(at.int("num_heads", 0))?, at.size(at.int("rotary_embedding_dim", 0))?);
    let half = at.shape(tables[0]).last().copied().unwrap_or(0);
    let shape = at.shape(x);
    let split = match shape[..] {
        [_, _, _, _] => permute_axes(at, x, &[0, 2, 1, 3])?,
        [_, _, width] => {
            let count = if given == 0 { width.checked_div(2 * half).unwrap_or(0) } else { given };
            beside(at, x, count)?
        }
        _ => return Err(at.wrong("the input needs three or four axes", show(&shape))),
    };
    let (length, size) = (at.shape(split)[1], at.shape(split)[3]);
    let turned_size = if asked == 0 { (2 * half).min(size) } else { asked };
    if turned_size > size || turned_size % 2 != 0 {
        return Err(at.unsupported("rotary_embedding_dim", "it must be even and no more than a head's size"));
    }
    // One position is the first entry's, and the others follow.
    let positions = if at.shape(positions).len() == 1 {
        let places = iota(at, length, 1, 2)?;
        let first = at.b.reshaped(positions, vec![1, 1])?;
        sum(at, places, first)?
    } else {
        positions
    };
    let angles = angles(at, tables, positions)?;
    let result = rotate_pairs(at, split, angles, turned_size, interleaved)?;
    if shape.len() == 4 {
        return Ok(vec![permute_axes(at, result, &[0, 2, 1, 3])?]);
    }
    Ok(vec![at.b.reshaped(result, shape)?])
}

/// Query heads that share key heads, with positions turned on the way. Each entry's past may be shorter
/// than the cache that holds it, which then is padded at its end.
pub(crate) fn grouped(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (mut q, k, v) = (at.input(0)?, at.optional(1)?, at.optional(2)?);
    let (past_k, past_v, last) = (at.optional(3)?, at.optional(4)?, at.input(5)?);
    let (tables, positions) = ([at.optional(7)?, at.optional(8)?], at.optional(9)?);
    let extra = at.optional(10)?;
    let (count, own) = (count(at, "num_heads")?, count(at, "kv_num_heads")?);
    let (rotary, interleaved) = (at.flag("do_rotary"), at.flag("rotary_interleaved"));
    let window = at.int("local_window_size", -1);
    if at.flag("smooth_softmax") || at.optional(11)?.is_some() {
        return Err(at.unsupported("smooth_softmax", "the softmax is the common one"));
    }
    let (k, v) = if let (Some(k), Some(v)) = (k, v) {
        (k, v)
    } else {
        let size = at.shape(q).last().copied().unwrap_or(0) / (count + 2 * own);
        let [a, b, c] = columns(at, q, [count * size, own * size, own * size])?;
        q = a;
        (b, c)
    };
    let (q, k) = (beside(at, q, count)?, beside(at, k, own)?);
    let [batch, length, _, size] = at.shape(q)[..] else { return Err(at.not_constant(0)) };
    let past = past_k.and_then(|past| at.shape(past).get(2).copied()).unwrap_or(0);
    let behind = behind(at, last, [batch, length, past])?;
    let (q, k) = match tables {
        [Some(cos), Some(sin)] if rotary => {
            let positions = if let Some(positions) = positions {
                positions
            } else {
                let places = iota(at, length, 1, 2)?;
                sum(at, places, behind)?
            };
            let angles = angles(at, [cos, sin], positions)?;
            let turned_size = (2 * at.shape(cos).last().copied().unwrap_or(0)).min(size);
            (
                rotate_pairs(at, q, angles, turned_size, interleaved)?,
                rotate_pairs(at, k, angles, turned_size, interleaved)?,
            )
        }
        _ if rotary => return Err(at.unsupported("do_rotary", "it needs tables of cosines and sines")),
        _ => (q, k),
    };
    let (q, k) = (permute_axes(at, q, &[0, 2, 1, 3])?, permute_axes(at, k, &[0, 2, 1, 3])?);
    let v = apart(at, v, own)?;
    let heads = Heads { q, k: grown(at, past_k, k)?, v: grown(at, past_v, v)? };
    let scores = scores(at, &heads)?;
    let scores = softcap(at, scores)?;
    let behind = at.b.reshaped(behind, vec![batch, 1, 1, 1])?;
    let scores = seen(at, scores, behind, past, window)?;
    let scores = biased(at, scores, extra)?;
    let y = chosen(at, &heads, scores)?;
    Ok(vec![y, heads.k, heads.v])
}

/// What each entry has behind it: nothing on the first call, else what the lengths say.
fn behind(at: &mut At<'_, '_>, last: ValueId, [batch, length, past]: [usize; 3]) -> Result<ValueId, ModelError> {
    if past == 0 {
        return at.constant_ints(vec![batch, 1], &vec![0; batch]);
    }
    let last = at.cast(last, DType::I64)?;
    let last = at.b.reshaped(last, vec![batch, 1])?;
    let fresh = 1 - long(length);
    at.map(&[last], DType::I64, |p, r| {
        let fresh = p.i(i32::try_from(fresh).unwrap_or(i32::MIN));
        p.bin(Binary::Add, r[0], fresh)
    })
}

/// Hides what lies after a query's own place, what only pads an entry's past, and what a window leaves out.
fn seen(
    at: &mut At<'_, '_>,
    scores: ValueId,
    behind: ValueId,
    past: usize,
    window: i64,
) -> Result<ValueId, ModelError> {
    hidden(at, scores, &[behind], f32::NEG_INFINITY, |p, row, col, r| {
        let past = p.i(narrow(past));
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
