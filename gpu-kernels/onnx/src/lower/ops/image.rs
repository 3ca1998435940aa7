//! Convolution and pooling: what slides a window over an image.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Binary, Unary};
use gpu_kernels::kernels::{Call, conv as kernel, pool as pooling, units_for};

use crate::error::{ModelError, show};
use crate::ir::ValueId;
use crate::lower::at::At;
use crate::lower::prims::convolution::{convolve, three, three_sizes};
use crate::lower::prims::window;
use crate::lower::prims::window::{Axis, Window};

pub(crate) fn conv(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, w) = (at.input(0)?, at.input(1)?);
    let bias = at.optional(2)?;
    let window = at.window()?;
    let groups = at.groups()?;
    Ok(vec![convolve(at, x, w, bias, &window, groups)?])
}

pub(crate) fn pool(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let window = at.window()?;
    let ceil = at.flag("ceil_mode");
    let (_, _, spatial) = at.spatial(&at.shape(x))?;
    let kernel: Option<Vec<usize>> = window.kernel.iter().map(|&size| usize::try_from(size).ok()).collect();
    let kernel = kernel.ok_or_else(|| at.wrong("kernel_shape must be positive", format!("{:?}", window.kernel)))?;
    let found = show(&at.shape(x));
    let axes = window::resolve(&window, &spatial, &kernel, ceil).map_err(|reason| at.wrong(reason, found))?;
    pool_by(at, x, &axes)
}

pub(crate) fn global_pool(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let (_, _, spatial) = at.spatial(&at.shape(x))?;
    let found = show(&spatial);
    let axes =
        window::resolve(&Window::default(), &spatial, &spatial, false).map_err(|reason| at.wrong(reason, found))?;
    pool_by(at, x, &axes)
}

fn pool_by(at: &mut At<'_, '_>, x: ValueId, axes: &[Axis]) -> Result<Vec<ValueId>, ModelError> {
    let padded = at.flag("count_include_pad");
    let column_major = at.flag("storage_order");
    let dtype = at.dtype(x);
    match at.node.op.as_str() {
        "MaxPool" | "GlobalMaxPool" => {
            let mut outputs = vec![slide(at, x, axes, pooling::Mode::Max, column_major)?];
            if at.wants(1) {
                outputs.push(slide(at, x, axes, pooling::Mode::ArgMax, column_major)?);
            }
            Ok(outputs)
        }
        "AveragePool" | "GlobalAveragePool" => {
            at.float_type(x)?;
            let mode = if padded { pooling::Mode::AveragePadded } else { pooling::Mode::Average };
            Ok(vec![slide(at, x, axes, mode, false)?])
        }
        // The p-th root of the sum of p-th powers.
        _ => {
            at.float_type(x)?;
            #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a small power")]
            let p_value = at.int("p", 2) as f32;
            let powers = at.map(&[x], dtype, |p, r| {
                let size = p.un(Unary::Abs, r[0]);
                let power = p.f(p_value);
                p.bin(Binary::Pow, size, power)
            })?;
            let sums = slide(at, powers, axes, pooling::Mode::Sum, false)?;
            Ok(vec![at.map(&[sums], dtype, |p, r| {
                let root = p.f(1.0 / p_value);
                p.bin(Binary::Pow, r[0], root)
            })?])
        }
    }
}

fn slide(
    at: &mut At<'_, '_>,
    x: ValueId,
    axes: &[Axis],
    mode: pooling::Mode,
    column_major: bool,
) -> Result<ValueId, ModelError> {
    let shape_x = at.shape(x);
    let dtype = at.dtype(x);
    let mut shape = shape_x[..2].to_vec();
    shape.extend(axes.iter().map(|axis| axis.out));
    let dense = at.b.dense(x)?;
    let out = at.b.computed(if mode == pooling::Mode::ArgMax { DType::I64 } else { dtype }, shape.clone())?;
    let mut steps = Vec::new();
    if !shape.contains(&0) {
        let len = u(shape.iter().product());
        let params = pooling::Params {
            start: 0,
            units: units_for(len),
            len,
            by_columns: u32::from(column_major),
            size: three_sizes(&shape_x[2..]),
            out: three(axes, 1, |axis| axis.out),
            kernel: three(axes, 1, |axis| axis.kernel),
            stride: three(axes, 1, |axis| axis.stride),
            dilation: three(axes, 1, |axis| axis.dilation),
            pad: three(axes, 0, |axis| axis.pad_before),
            pad_after: three(axes, 0, |axis| axis.pad_after),
        };
        let call = pooling::Pool { mode, repr: dtype.repr(), params };
        steps.push(at.b.step(Call::Pool(Box::new(call)), vec![at.b.root(dense)], out));
    }
    at.b.emit(steps, out);
    Ok(out)
}
