//! Weights that half floats hold exactly: a GPU keeps them as such, which halves its memory and a tab's
//! download. Products unpack them as they read, which needs no extension of the device.

use std::collections::HashMap;
use std::sync::Arc;

use gpu_kernels::dtype::Repr;
use gpu_kernels::kernels::Call;

use crate::ir::{Plan, Step, ValueId, ValueKind};

/// Whether a step reads its input number `place` at all, and as weights that it can unpack.
fn reads(step: &Step, place: usize) -> Option<bool> {
    match &step.call {
        // Without a C or a bias some other buffer is bound in its place.
        Call::Matmul(call) if place == 2 && call.params.has_c == 0 => None,
        Call::Conv(call) if place == 2 && call.params.has_bias == 0 => None,
        Call::Matmul(call) => Some(place == 1 && call.repr == Repr::F32),
        Call::Conv(call) => Some(place == 1 && call.repr == Repr::F32),
        _ => Some(false),
    }
}

impl Plan {
    /// The constants that a GPU keeps as half floats: those that are read as weights and as nothing else.
    pub(crate) fn f16_weights(&self) -> HashMap<ValueId, Arc<[u32]>> {
        let mut found = HashMap::new();
        for step in &self.steps {
            for &id in &step.inputs {
                if let ValueKind::Constant(words) = &self.values[id].kind
                    && let Some(packed) = self.f16_constants.get(words)
                {
                    found.insert(id, Arc::clone(packed));
                }
            }
        }
        for step in &self.steps {
            for (place, id) in step.inputs.iter().enumerate() {
                if reads(step, place) == Some(false) {
                    found.remove(id);
                }
            }
        }
        for &id in &self.outputs {
            found.remove(&self.root(id));
        }
        found
    }
}
