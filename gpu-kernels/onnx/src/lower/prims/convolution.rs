//! Windows that slide over an image, and convolution by them.

use gpu_kernels::kernels::{Call, conv as kernel};
use gpu_kernels::number::to;

use crate::error::{ModelError, show};
use crate::ir::ValueId;
use crate::lower::context::NodeContext;
use crate::lower::prims::cast::{wrapped, wraps};
use crate::lower::prims::window::{self, AutoPad, Window, WindowAxis};

impl NodeContext<'_, '_> {
    pub(crate) fn window(&self) -> Result<Window, ModelError> {
        let auto_pad = match self.text("auto_pad", "NOTSET") {
            "NOTSET" | "" => AutoPad::Explicit,
            "VALID" => AutoPad::Valid,
            "SAME_UPPER" => AutoPad::SameUpper,
            "SAME_LOWER" => AutoPad::SameLower,
            _ => {
                return Err(
                    self.unsupported_attribute("auto_pad", "it must be NOTSET, VALID, SAME_UPPER or SAME_LOWER")
                );
            }
        };
        Ok(Window {
            kernel: self.ints("kernel_shape").unwrap_or_default(),
            strides: self.ints("strides").unwrap_or_default(),
            pads: self.ints("pads").unwrap_or_default(),
            dilations: self.ints("dilations").unwrap_or_default(),
            auto_pad,
        })
    }

    /// Batch, channels and up to three spatial sizes.
    pub(crate) fn spatial(&self, shape: &[usize]) -> Result<(usize, usize, Vec<usize>), ModelError> {
        match shape {
            [n, c, spatial @ ..] if (1..=3).contains(&spatial.len()) => Ok((*n, *c, spatial.to_vec())),
            _ => Err(self.shape_error("one to three spatial dimensions are supported", show(shape))),
        }
    }

    pub(crate) fn groups(&self) -> Result<usize, ModelError> {
        let groups = usize::try_from(self.int("group", 1)).ok().filter(|&groups| groups > 0);
        groups.ok_or_else(|| self.unsupported_attribute("group", "it must be at least 1"))
    }
}

/// One value of each axis, the missing ones in front as `default`.
pub(crate) fn three(axes: &[WindowAxis], default: u32, of: impl Fn(&WindowAxis) -> usize) -> [u32; 3] {
    let mut result = [default; 3];
    for (slot, axis) in result[3 - axes.len()..].iter_mut().zip(axes) {
        *slot = to(of(axis));
    }
    result
}

pub(crate) fn three_sizes(spatial: &[usize]) -> [u32; 3] {
    let mut result = [1; 3];
    for (slot, &size) in result[3 - spatial.len()..].iter_mut().zip(spatial) {
        *slot = to(size);
    }
    result
}

pub(crate) fn convolve(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    w: ValueId,
    bias: Option<ValueId>,
    window: &Window,
    groups: usize,
) -> Result<ValueId, ModelError> {
    let (shape_x, shape_w) = (cx.shape(x), cx.shape(w));
    let found = || format!("{} with weights {}", show(&shape_x), show(&shape_w));
    let (n, channels_in, spatial) = cx.spatial(&shape_x)?;
    let (channels_out, per_group, kernel) = cx.spatial(&shape_w)?;
    if kernel.len() != spatial.len() || per_group * groups != channels_in || channels_out % groups != 0 {
        return Err(cx.shape_error("the channels, groups and weights of a convolution do not fit", found()));
    }
    let given: Option<Vec<usize>> = window.kernel.iter().map(|&size| usize::try_from(size).ok()).collect();
    if !window.kernel.is_empty() && given.as_ref() != Some(&kernel) {
        return Err(cx.shape_error("kernel_shape differs from the weights", found()));
    }
    if let Some(bias) = bias
        && cx.shape(bias) != [channels_out]
    {
        return Err(cx.shape_error("the bias needs a value an output channel", show(&cx.shape(bias))));
    }
    let axes = window::resolve(window, &spatial, &kernel, false).map_err(|reason| cx.shape_error(reason, found()))?;
    let mut shape = vec![n, channels_out];
    shape.extend(axes.iter().map(|axis| axis.out));
    let dtype = cx.dtype(x);
    let (x, w) = (cx.builder.dense(x)?, cx.builder.dense(w)?);
    let bias = bias.map(|bias| cx.builder.dense(bias)).transpose()?;
    let out = cx.builder.computed(dtype, shape.clone())?;
    let mut steps = Vec::new();
    if !shape.contains(&0) {
        let params = kernel::Params {
            start: 0,
            units: 0,
            n: to(n),
            groups: to(groups),
            channels: to(per_group),
            filters: to(channels_out / groups),
            has_bias: u32::from(bias.is_some()),
            size: three_sizes(&spatial),
            out: three(&axes, 1, |axis| axis.out),
            kernel: three(&axes, 1, |axis| axis.kernel),
            stride: three(&axes, 1, |axis| axis.stride),
            dilation: three(&axes, 1, |axis| axis.dilation),
            pad: three(&axes, 0, |axis| axis.pad_before),
            low: 0.0,
            high: 0.0,
            bounded: 0,
        };
        let call = kernel::Conv { repr: dtype.repr(), params: params.whole() };
        let (x, w) = (cx.builder.root(x), cx.builder.root(w));
        let third = bias.map_or(w, |bias| cx.builder.root(bias));
        steps.push(cx.builder.step(Call::Conv(Box::new(call)), vec![x, w, third], out));
    }
    cx.builder.emit(steps, out);
    if wraps(dtype) { cx.elementwise(&[out], dtype, |p, r| wrapped(p, r[0], dtype)) } else { Ok(out) }
}
