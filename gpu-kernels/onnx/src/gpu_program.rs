//! A plan written out as a GPU program.

use std::collections::HashMap;
use std::sync::Arc;

use gpu_kernels::gpu_program::{Buffer, GpuProgram, GpuStep, Output, Shader};
use gpu_kernels::kernels::Kernel;
use gpu_kernels::number::to;

use crate::ir::{Plan, ValueId, ValueKind};

impl Plan {
    /// The plan for a device that knows no kernels, with its constants in the order of their numbers.
    pub fn gpu_program(&self) -> (GpuProgram, Vec<Arc<[u32]>>) {
        let slots = self.slots();
        let mut builder = ProgramBuilder {
            plan: self,
            f16_weights: self.f16_weights(),
            program: GpuProgram::default(),
            constants: Vec::new(),
            buffers: HashMap::new(),
        };
        let allocated = |len: usize| Buffer::Allocated(to(len));
        for &size in &slots.sizes {
            builder.program.buffers.push(allocated(size));
        }
        for &id in &self.inputs {
            let number = builder.push(allocated(self.values[id].len()));
            builder.program.inputs.push(number);
        }
        let mut shaders: HashMap<Kernel, u32> = HashMap::new();
        for step in &self.steps {
            let mut kernel = step.call.kernel();
            if step.inputs.get(1).is_some_and(|id| builder.f16_weights.contains_key(id)) {
                kernel = kernel.with_half_weights();
            }
            let shader = *shaders.entry(kernel.clone()).or_insert_with(|| {
                builder.program.shaders.push(Shader { label: kernel.label().to_owned(), wgsl: kernel.shader() });
                to(builder.program.shaders.len() - 1)
            });
            // A copy has no operations to count: its bytes are its work.
            let moved = 4 * to::<u64, _>(self.values[step.output].len().max(1));
            let inputs = step.inputs.iter().map(|&id| builder.buffer(id, &slots.of_value)).collect();
            let output = builder.buffer(step.output, &slots.of_value);
            let (params, work) = (bytemuck::cast_slice(step.call.bytes()).to_vec(), step.call.flops().max(moved));
            builder.program.steps.push(GpuStep { shader, params, work, inputs, output });
        }
        for &id in &self.outputs {
            let words = to(self.values[id].len());
            let buffer = builder.buffer(id, &slots.of_value);
            builder.program.outputs.push(Output { buffer, words });
        }
        (builder.program, builder.constants)
    }
}

struct ProgramBuilder<'a> {
    plan: &'a Plan,
    f16_weights: HashMap<ValueId, Arc<[u32]>>,
    program: GpuProgram,
    constants: Vec<Arc<[u32]>>,
    /// Buffers of the constants written so far.
    buffers: HashMap<ValueId, u32>,
}

impl ProgramBuilder<'_> {
    fn push(&mut self, buffer: Buffer) -> u32 {
        self.program.buffers.push(buffer);
        to(self.program.buffers.len() - 1)
    }

    /// The buffer of a value: its slot, its input, or its constant's own.
    fn buffer(&mut self, id: ValueId, slots: &[Option<usize>]) -> u32 {
        let root = self.plan.root(id);
        match &self.plan.values[root].kind {
            ValueKind::Input(index) => self.program.inputs[*index],
            ValueKind::Constant(words) => {
                if let Some(&known) = self.buffers.get(&root) {
                    return known;
                }
                self.constants.push(Arc::clone(self.f16_weights.get(&root).unwrap_or(words)));
                let buffer = self.push(Buffer::Constant(to(self.constants.len() - 1)));
                self.buffers.insert(root, buffer);
                buffer
            }
            ValueKind::Computed | ValueKind::View { .. } => {
                to(slots[root].expect("a computed value should have a slot"))
            }
        }
    }
}
