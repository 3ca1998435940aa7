//! What the kinds of attention have in common.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Binary, Unary};

use crate::error::{ModelError, show};
use crate::ir::ValueId;
use crate::lower::context::NodeContext;
use crate::lower::prims::copies::concat_along;
use crate::lower::prims::views::{broadcast_to, slice_axis, squeeze_axes, unsqueeze_axes};

pub(crate) fn softcap(cx: &mut NodeContext<'_, '_>, x: ValueId) -> Result<ValueId, ModelError> {
    let softcap = cx.float("softcap", 0.0);
    if softcap == 0.0 {
        return Ok(x);
    }
    cx.elementwise(&[x], DType::F32, |p, r| {
        let cap = p.f(softcap);
        let ratio = p.bin(Binary::Div, r[0], cap);
        let bent = p.un(Unary::Tanh, ratio);
        p.bin(Binary::Mul, bent, cap)
    })
}

/// A row with nothing to look at gives nothing.
pub(crate) fn nan_to_zero(cx: &mut NodeContext<'_, '_>, x: ValueId) -> Result<ValueId, ModelError> {
    cx.elementwise(&[x], DType::F32, |p, r| {
        let (odd, zero) = (p.un(Unary::IsNan, r[0]), p.f(0.0));
        p.select(odd, zero, r[0])
    })
}

/// Keys or values behind those that were there before.
pub(crate) fn append_kv_cache(
    cx: &mut NodeContext<'_, '_>,
    past: Option<ValueId>,
    new: ValueId,
) -> Result<ValueId, ModelError> {
    match past {
        Some(past) => concat_along(cx, &[past, new], 2),
        None => Ok(new),
    }
}

/// Key heads that several query heads share, repeated.
pub(crate) fn repeat_kv_heads(cx: &mut NodeContext<'_, '_>, x: ValueId, count: usize) -> Result<ValueId, ModelError> {
    let [batch, own, length, size] = cx.shape(x)[..] else {
        return Err(cx.shape_error("attention needs four axes", show(&cx.shape(x))));
    };
    if own == count {
        return Ok(x);
    }
    if own == 0 || !count.is_multiple_of(own) {
        return Err(cx.shape_error("the query heads do not divide among the key heads", format!("{count} among {own}")));
    }
    let apart = unsqueeze_axes(cx, x, &[2])?;
    let wide = broadcast_to(cx, apart, vec![batch, own, count / own, length, size])?;
    cx.builder.reshaped(wide, vec![batch, count, length, size])
}

/// A table's first `half` columns, beside heads.
fn narrow(cx: &mut NodeContext<'_, '_>, table: ValueId, half: usize) -> Result<ValueId, ModelError> {
    let rank = cx.shape(table).len();
    if rank == 0 {
        return Err(cx.shape_error("a table of cosines needs an axis", show(&cx.shape(table))));
    }
    let table = slice_axis(cx, table, rank - 1, 0, half)?;
    unsqueeze_axes(cx, table, &[rank - 1])
}

/// The first `turned_size` values of each head turned by the angles of its place:
/// `x` `[batch, length, heads, size]`, the tables `[batch, length, half]` or wider.
pub(crate) fn rotate_pairs(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    [cos, sin]: [ValueId; 2],
    turned_size: usize,
    interleaved: bool,
) -> Result<ValueId, ModelError> {
    let (dtype, size, half) = (cx.dtype(x), cx.shape(x)[3], turned_size / 2);
    let (cos, sin) = (narrow(cx, cos, half)?, narrow(cx, sin, half)?);
    let moving = slice_axis(cx, x, 3, 0, turned_size)?;
    let (batch, length, count) = (cx.shape(x)[0], cx.shape(x)[1], cx.shape(x)[2]);
    let (real, imaginary) = if interleaved {
        let pairs = cx.builder.reshaped(moving, vec![batch, length, count, half, 2])?;
        let (a, b) = (slice_axis(cx, pairs, 4, 0, 1)?, slice_axis(cx, pairs, 4, 1, 1)?);
        (squeeze_axes(cx, a, &[4])?, squeeze_axes(cx, b, &[4])?)
    } else {
        (slice_axis(cx, moving, 3, 0, half)?, slice_axis(cx, moving, 3, half, half)?)
    };
    let new_real = cx.elementwise(&[real, imaginary, cos, sin], dtype, |p, r| {
        let (a, b) = (p.bin(Binary::Mul, r[0], r[2]), p.bin(Binary::Mul, r[1], r[3]));
        p.bin(Binary::Sub, a, b)
    })?;
    let new_imaginary = cx.elementwise(&[real, imaginary, cos, sin], dtype, |p, r| {
        let (a, b) = (p.bin(Binary::Mul, r[0], r[3]), p.bin(Binary::Mul, r[1], r[2]));
        p.bin(Binary::Add, a, b)
    })?;
    let moved = if interleaved {
        let (a, b) = (unsqueeze_axes(cx, new_real, &[4])?, unsqueeze_axes(cx, new_imaginary, &[4])?);
        let pairs = concat_along(cx, &[a, b], 4)?;
        cx.builder.reshaped(pairs, vec![batch, length, count, turned_size])?
    } else {
        concat_along(cx, &[new_real, new_imaginary], 3)?
    };
    if turned_size == size {
        return Ok(moved);
    }
    let rest = slice_axis(cx, x, 3, turned_size, size - turned_size)?;
    concat_along(cx, &[moved, rest], 3)
}
