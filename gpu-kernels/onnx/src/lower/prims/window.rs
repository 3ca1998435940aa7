//! Sizes and padding of convolution and pooling windows, after the ONNX operator definitions.

/// A sliding window as a node gives it; an empty list means the operator's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Window {
    pub(crate) kernel: Vec<i64>,
    pub(crate) strides: Vec<i64>,
    pub(crate) pads: Vec<i64>,
    pub(crate) dilations: Vec<i64>,
    pub(crate) auto_pad: AutoPad,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AutoPad {
    /// `pads` say it.
    #[default]
    Explicit,
    Valid,
    SameUpper,
    SameLower,
}

/// One spatial axis of a window, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowAxis {
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) pad_before: usize,
    pub(crate) pad_after: usize,
    pub(crate) out: usize,
}

/// Most that a stride, dilation or padding may be: sums of a few stay inside a shader's u32.
const ATTRIBUTE_MAX: usize = 1 << 24;

/// Resolves every spatial axis. `Err` says what is wrong with the attributes.
pub(crate) fn resolve(
    window: &Window,
    input: &[usize],
    kernel: &[usize],
    ceil: bool,
) -> Result<Vec<WindowAxis>, &'static str> {
    let rank = input.len();
    let list = |values: &[i64], default: usize, len: usize| -> Result<Vec<usize>, &'static str> {
        if values.is_empty() {
            return Ok(vec![default; len]);
        }
        if values.len() != len {
            return Err("strides, pads, dilations and kernel_shape must have an entry a spatial axis");
        }
        let size = |&value: &i64| usize::try_from(value).ok().filter(|&value| value <= ATTRIBUTE_MAX);
        values
            .iter()
            .map(|value| size(value).ok_or("pads, strides and dilations must lie between 0 and 2^24"))
            .collect()
    };
    let strides = list(&window.strides, 1, rank)?;
    let dilations = list(&window.dilations, 1, rank)?;
    let pads = list(&window.pads, 0, 2 * rank)?;
    if kernel.len() != rank {
        return Err("kernel_shape must have an entry a spatial axis");
    }
    (0..rank)
        .map(|i| {
            if kernel[i] > ATTRIBUTE_MAX {
                return Err("a window's size overflows");
            }
            if strides[i] == 0 || dilations[i] == 0 || kernel[i] == 0 {
                return Err("strides, dilations and kernel_shape must be at least 1");
            }
            let axis = WindowAxis {
                kernel: kernel[i],
                stride: strides[i],
                dilation: dilations[i],
                pad_before: pads[i],
                pad_after: pads[rank + i],
                out: 0,
            };
            size(axis, input[i], window.auto_pad, ceil)
        })
        .collect()
}

fn size(mut axis: WindowAxis, input: usize, auto_pad: AutoPad, ceil: bool) -> Result<WindowAxis, &'static str> {
    const TOO_BIG: &str = "a window's size overflows";
    let span = axis.dilation.checked_mul(axis.kernel - 1).and_then(|span| span.checked_add(1)).ok_or(TOO_BIG)?;
    match auto_pad {
        AutoPad::Explicit => {}
        AutoPad::Valid => (axis.pad_before, axis.pad_after) = (0, 0),
        AutoPad::SameUpper | AutoPad::SameLower => {
            axis.out = input.div_ceil(axis.stride);
            let reach =
                axis.out.saturating_sub(1).checked_mul(axis.stride).and_then(|r| r.checked_add(span)).ok_or(TOO_BIG)?;
            let total = reach.saturating_sub(input);
            let (small, large) = (total / 2, total - total / 2);
            (axis.pad_before, axis.pad_after) =
                if auto_pad == AutoPad::SameUpper { (small, large) } else { (large, small) };
            return if large <= ATTRIBUTE_MAX { Ok(axis) } else { Err(TOO_BIG) };
        }
    }
    let padded = input.checked_add(axis.pad_before).and_then(|p| p.checked_add(axis.pad_after)).ok_or(TOO_BIG)?;
    let room = padded.checked_sub(span).ok_or("the window is larger than the padded input")?;
    axis.out = 1 + if ceil { room.div_ceil(axis.stride) } else { room / axis.stride };
    // A window that begins in the padding after the input is dropped.
    if ceil && (axis.out - 1) * axis.stride >= input + axis.pad_before {
        axis.out -= 1;
    }
    Ok(axis)
}
