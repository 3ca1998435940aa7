//! Convolution and pooling: what slides a window over an image.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Binary, Unary};
use gpu_kernels::kernels::{Call, pool as pooling, units_for};
use gpu_kernels::number::to;

use crate::error::{ModelError, show};
use crate::ir::ValueId;
use crate::lower::context::NodeContext;
use crate::lower::prims::convolution::{convolve, three, three_sizes};
use crate::lower::prims::window::{self, Window, WindowAxis};

pub(crate) fn conv(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, w) = (cx.input(0)?, cx.input(1)?);
    let bias = cx.optional_input(2)?;
    let window = cx.window()?;
    let groups = cx.groups()?;
    Ok(vec![convolve(cx, x, w, bias, &window, groups)?])
}

pub(crate) fn pool(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let window = cx.window()?;
    let ceil = cx.flag("ceil_mode");
    let (_, _, spatial) = cx.spatial(&cx.shape(x))?;
    let kernel: Option<Vec<usize>> = window.kernel.iter().map(|&size| usize::try_from(size).ok()).collect();
    let kernel =
        kernel.ok_or_else(|| cx.shape_error("kernel_shape must be positive", format!("{:?}", window.kernel)))?;
    let found = show(&cx.shape(x));
    let axes = window::resolve(&window, &spatial, &kernel, ceil).map_err(|reason| cx.shape_error(reason, found))?;
    pool_by(cx, x, &axes)
}

pub(crate) fn global_pool(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let (_, _, spatial) = cx.spatial(&cx.shape(x))?;
    let found = show(&spatial);
    let axes = window::resolve(&Window::default(), &spatial, &spatial, false)
        .map_err(|reason| cx.shape_error(reason, found))?;
    pool_by(cx, x, &axes)
}

fn pool_by(cx: &mut NodeContext<'_, '_>, x: ValueId, axes: &[WindowAxis]) -> Result<Vec<ValueId>, ModelError> {
    let padded = cx.flag("count_include_pad");
    let column_major = cx.flag("storage_order");
    let dtype = cx.dtype(x);
    match cx.node.op.as_str() {
        "MaxPool" | "GlobalMaxPool" => {
            let mut outputs = vec![slide(cx, x, axes, pooling::Mode::Max, column_major)?];
            if cx.is_output_used(1) {
                outputs.push(slide(cx, x, axes, pooling::Mode::ArgMax, column_major)?);
            }
            Ok(outputs)
        }
        "AveragePool" | "GlobalAveragePool" => {
            cx.float_type(x)?;
            let mode = if padded { pooling::Mode::AveragePadded } else { pooling::Mode::Average };
            Ok(vec![slide(cx, x, axes, mode, false)?])
        }
        // The p-th root of the sum of p-th powers.
        _ => {
            cx.float_type(x)?;
            #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a small power")]
            let p_value = cx.int("p", 2) as f32;
            let powers = cx.elementwise(&[x], dtype, |p, r| {
                let size = p.un(Unary::Abs, r[0]);
                let power = p.f(p_value);
                p.bin(Binary::Pow, size, power)
            })?;
            let sums = slide(cx, powers, axes, pooling::Mode::Sum, false)?;
            Ok(vec![cx.elementwise(&[sums], dtype, |p, r| {
                let root = p.f(1.0 / p_value);
                p.bin(Binary::Pow, r[0], root)
            })?])
        }
    }
}

fn slide(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    axes: &[WindowAxis],
    mode: pooling::Mode,
    column_major: bool,
) -> Result<ValueId, ModelError> {
    let shape_x = cx.shape(x);
    let dtype = cx.dtype(x);
    let mut shape = shape_x[..2].to_vec();
    shape.extend(axes.iter().map(|axis| axis.out));
    let dense = cx.builder.dense(x)?;
    let out = cx.builder.computed(if mode == pooling::Mode::ArgMax { DType::I64 } else { dtype }, shape.clone())?;
    let mut steps = Vec::new();
    if !shape.contains(&0) {
        let len = to(shape.iter().product::<usize>());
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
        steps.push(cx.builder.step(Call::Pool(Box::new(call)), vec![cx.builder.root(dense)], out));
    }
    cx.builder.emit(steps, out);
    Ok(out)
}
