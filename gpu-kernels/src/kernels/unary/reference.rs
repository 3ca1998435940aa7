use super::{Op, Params};

/// The whole operation; `start` and `units` are ignored.
pub fn run(p: &Params, x: &[f32], out: &mut [f32]) {
    for (out, &v) in out.iter_mut().zip(x) {
        *out = if v.is_nan() { v } else { value(p, v) };
    }
}

fn value(p: &Params, v: f32) -> f32 {
    match p.op {
        op if op == Op::Relu as u32 => v.max(0.0),
        op if op == Op::LeakyRelu as u32 => {
            if v >= 0.0 {
                v
            } else {
                v * p.a
            }
        }
        op if op == Op::Sigmoid as u32 => 1.0 / (1.0 + (-v).exp()),
        op if op == Op::Tanh as u32 => v.tanh(),
        // `f32::clamp` panics where the bounds cross, which ONNX allows.
        _ => v.max(p.a).min(p.b),
    }
}
