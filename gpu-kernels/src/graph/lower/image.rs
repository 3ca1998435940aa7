//! Convolution and pooling: what slides a window over an image.

use super::super::error::{ModelError, show};
use super::super::op::Window;
use super::super::plan::{Builder, ValueId};
use super::super::rows::Rows;
use super::super::window;
use super::{At, u};
use crate::kernels::{Call, conv2d, pool, units_for};

pub(super) enum Pooling {
    Max,
    Average { count_include_pad: bool },
}

impl<'a> At<'a> {
    /// The sizes of an image tensor as `[n, channels, height, width]`, with the spatial part as given.
    fn image(&self, shape: &[usize]) -> Result<([usize; 4], Vec<usize>), ModelError> {
        match *shape {
            [n, c, w] => Ok(([n, c, 1, w], vec![w])),
            [n, c, h, w] => Ok(([n, c, h, w], vec![h, w])),
            _ => Err(self.shape("one or two spatial dimensions are supported", show(shape))),
        }
    }

    pub(super) fn conv(&self, b: &mut Builder<'a>, window: &Window, groups: usize) -> Result<ValueId, ModelError> {
        let (x, w) = (self.input(b, 0, "Conv", "2 or 3")?, self.input(b, 1, "Conv", "2 or 3")?);
        let bias = self.optional(b, 2)?;
        let (shape_x, shape_w) = (b.shape(x).to_vec(), b.shape(w).to_vec());
        let found = || format!("{} with weights {}", show(&shape_x), show(&shape_w));
        let ([n, channels_in, height, width], spatial) = self.image(&shape_x)?;
        let ([channels_out, per_group, ..], kernel) = self.image(&shape_w)?;
        if kernel.len() != spatial.len() || per_group * groups != channels_in || channels_out % groups != 0 {
            return Err(self.shape("the channels, groups and weights of a convolution do not fit", found()));
        }
        let given: Option<Vec<usize>> = window.kernel.iter().map(|&size| usize::try_from(size).ok()).collect();
        if !window.kernel.is_empty() && given.as_ref() != Some(&kernel) {
            return Err(self.shape("kernel_shape differs from the weights", found()));
        }
        if let Some(bias) = bias
            && b.shape(bias) != [channels_out]
        {
            return Err(self.shape("the bias needs a value an output channel", show(b.shape(bias))));
        }
        let axes = window::resolve(window, &spatial, &kernel, false).map_err(|reason| self.shape(reason, found()))?;
        let (y, x_axis) = two(&axes);
        let mut shape = vec![n, channels_out];
        shape.extend(axes.iter().map(|axis| axis.out));

        let mixes = b.rows(w) != Rows::Constant || bias.is_some_and(|bias| b.rows(bias) != Rows::Constant);
        let rows = self.mix_if(mixes, Rows::join([b.rows(x), b.rows(w)]));
        let out = self.computed(b, shape.clone(), rows)?;
        let len = u(shape.iter().product());
        let params = conv2d::Params {
            start: 0,
            units: units_for(len),
            len,
            channels_in: u(channels_in),
            height: u(height),
            width: u(width),
            channels_out: u(channels_out),
            out_height: u(y.out),
            out_width: u(x_axis.out),
            kernel_height: u(y.kernel),
            kernel_width: u(x_axis.kernel),
            stride_y: u(y.stride),
            stride_x: u(x_axis.stride),
            pad_top: u(y.pad_before),
            pad_left: u(x_axis.pad_before),
            dilation_y: u(y.dilation),
            dilation_x: u(x_axis.dilation),
            groups: u(groups),
            has_bias: u32::from(bias.is_some()),
        };
        b.step(Call::Conv2d(params), vec![x, w, bias.unwrap_or(w)], out);
        Ok(out)
    }

    pub(super) fn pool(
        &self,
        b: &mut Builder<'a>,
        window: &Window,
        ceil: bool,
        pooling: &Pooling,
    ) -> Result<ValueId, ModelError> {
        let x = self.input(b, 0, "pooling", "1")?;
        let shape_x = b.shape(x).to_vec();
        let (_, spatial) = self.image(&shape_x)?;
        let kernel: Option<Vec<usize>> = window.kernel.iter().map(|&size| usize::try_from(size).ok()).collect();
        let kernel =
            kernel.ok_or_else(|| self.shape("kernel_shape must be positive", format!("{:?}", window.kernel)))?;
        let axes =
            window::resolve(window, &spatial, &kernel, ceil).map_err(|reason| self.shape(reason, show(&shape_x)))?;
        self.pool_axes(b, x, &axes, pooling)
    }

    pub(super) fn global_average_pool(&self, b: &mut Builder<'a>) -> Result<ValueId, ModelError> {
        let x = self.input(b, 0, "GlobalAveragePool", "1")?;
        let (_, spatial) = self.image(b.shape(x))?;
        let window = Window::default();
        let axes =
            window::resolve(&window, &spatial, &spatial, false).map_err(|reason| self.shape(reason, show(&spatial)))?;
        self.pool_axes(b, x, &axes, &Pooling::Average { count_include_pad: false })
    }

    fn pool_axes(
        &self,
        b: &mut Builder<'a>,
        x: ValueId,
        axes: &[window::Axis],
        pooling: &Pooling,
    ) -> Result<ValueId, ModelError> {
        let shape_x = b.shape(x).to_vec();
        let ([_, _, height, width], _) = self.image(&shape_x)?;
        let mut shape = shape_x[..2].to_vec();
        shape.extend(axes.iter().map(|axis| axis.out));
        let (y, x_axis) = two(axes);
        let out = self.computed(b, shape.clone(), b.rows(x))?;
        let len = u(shape.iter().product());
        let (average, count_include_pad) = match pooling {
            Pooling::Max => (0, 0),
            Pooling::Average { count_include_pad } => (1, u32::from(*count_include_pad)),
        };
        let params = pool::Params {
            start: 0,
            units: units_for(len),
            len,
            height: u(height),
            width: u(width),
            out_height: u(y.out),
            out_width: u(x_axis.out),
            kernel_height: u(y.kernel),
            kernel_width: u(x_axis.kernel),
            stride_y: u(y.stride),
            stride_x: u(x_axis.stride),
            pad_top: u(y.pad_before),
            pad_left: u(x_axis.pad_before),
            pad_bottom: u(y.pad_after),
            pad_right: u(x_axis.pad_after),
            dilation_y: u(y.dilation),
            dilation_x: u(x_axis.dilation),
            average,
            count_include_pad,
        };
        b.step(Call::Pool(params), vec![x], out);
        Ok(out)
    }
}

/// Height and width axes; a one-dimensional window has height 1.
fn two(axes: &[window::Axis]) -> (window::Axis, window::Axis) {
    if let [y, x] = *axes {
        (y, x)
    } else {
        let one = window::Axis { kernel: 1, stride: 1, dilation: 1, pad_before: 0, pad_after: 0, out: 1 };
        (one, axes[0])
    }
}
