//! What the kinds of attention have in common.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Binary, Unary};

use crate::error::{ModelError, show};
use crate::ir::ValueId;
use crate::lower::at::At;
use crate::lower::prims::copies::concat_along;
use crate::lower::prims::views::{broadcast_to, slice_axis, squeeze_axes, unsqueeze_axes};

pub(crate) fn softcap(at: &mut At<'_, '_>, x: ValueId) -> Result<ValueId, ModelError> {
    let softcap = at.float("softcap", 0.0);
    if softcap == 0.0 {
        return Ok(x);
    }
    at.map(&[x], DType::F32, |p, r| {
        let cap = p.f(softcap);
        let ratio = p.bin(Binary::Div, r[0], cap);
        let bent = p.un(Unary::Tanh, ratio);
        p.bin(Binary::Mul, bent, cap)
    })
}

/// A row with nothing to look at gives nothing.
pub(crate) fn nan_to_zero(at: &mut At<'_, '_>, x: ValueId) -> Result<ValueId, ModelError> {
    at.map(&[x], DType::F32, |p, r| {
        let (odd, zero) = (p.un(Unary::IsNan, r[0]), p.f(0.0));
        p.select(odd, zero, r[0])
    })
}

/// Key heads that several query heads share, repeated.
pub(crate) fn repeat_kv_heads(at: &mut At<'_, '_>, x: ValueId, count: usize) -> Result<ValueId, ModelError> {
    let [batch, own, length, size] = at.shape(x)[..] else {
        return Err(at.wrong("attention needs four axes", show(&at.shape(x))));
    };
    if own == count {
        return Ok(x);
    }
    if own == 0 || !count.is_multiple_of(own) {
        return Err(at.wrong("the query heads do not divide among the key heads", format!("{count} among {own}")));
    }
    let apart = unsqueeze_axes(at, x, &[2])?;
    let wide = broadcast_to(at, apart, vec![batch, own, count / own, length, size])?;
    at.b.reshaped(wide, vec![batch, count, length, size])
}

/// A table's first `half` columns, beside heads.
fn narrow(at: &mut At<'_, '_>, table: ValueId, half: usize) -> Result<ValueId, ModelError> {
    let rank = at.shape(table).len();
    if rank == 0 {
        return Err(at.wrong("a table of cosines needs an axis", show(&at.shape(table))));
    }
    let table = slice_axis(at, table, rank - 1, 0, half)?;
    unsqueeze_axes(at, table, &[rank - 1])
}

/// The first `turned_size` values of each head turned by the angles of its place:
/// `x` `[batch, length, heads, size]`, the tables `[batch, length, half]` or wider.
pub(crate) fn rotate_pairs(
    at: &mut At<'_, '_>,
    x: ValueId,
    [cos, sin]: [ValueId; 2],
    turned_size: usize,
    interleaved: bool,
) -> Result<ValueId, ModelError> {
    let (dtype, size, half) = (at.dtype(x), at.shape(x)[3], turned_size / 2);
    let (cos, sin) = (narrow(at, cos, half)?, narrow(at, sin, half)?);
    let moving = slice_axis(at, x, 3, 0, turned_size)?;
    let (batch, length, count) = (at.shape(x)[0], at.shape(x)[1], at.shape(x)[2]);
    let (real, imaginary) = if interleaved {
        let pairs = at.b.reshaped(moving, vec![batch, length, count, half, 2])?;
        let (a, b) = (slice_axis(at, pairs, 4, 0, 1)?, slice_axis(at, pairs, 4, 1, 1)?);
        (squeeze_axes(at, a, &[4])?, squeeze_axes(at, b, &[4])?)
    } else {
        (slice_axis(at, moving, 3, 0, half)?, slice_axis(at, moving, 3, half, half)?)
    };
    let new_real = at.map(&[real, imaginary, cos, sin], dtype, |p, r| {
        let (a, b) = (p.bin(Binary::Mul, r[0], r[2]), p.bin(Binary::Mul, r[1], r[3]));
        p.bin(Binary::Sub, a, b)
    })?;
    let new_imaginary = at.map(&[real, imaginary, cos, sin], dtype, |p, r| {
        let (a, b) = (p.bin(Binary::Mul, r[0], r[3]), p.bin(Binary::Mul, r[1], r[2]));
        p.bin(Binary::Add, a, b)
    })?;
    let moved = if interleaved {
        let (a, b) = (unsqueeze_axes(at, new_real, &[4])?, unsqueeze_axes(at, new_imaginary, &[4])?);
        let pairs = concat_along(at, &[a, b], 4)?;
        at.b.reshaped(pairs, vec![batch, length, count, turned_size])?
    } else {
        concat_along(at, &[new_real, new_imaginary], 3)?
    };
    if turned_size == size {
        return Ok(moved);
    }
    let rest = slice_axis(at, x, 3, turned_size, size - turned_size)?;
    concat_along(at, &[moved, rest], 3)
}
