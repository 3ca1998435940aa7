//! A plan turned into a script.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Plan, Source, ValueId};
use crate::kernels::Kernel;
use crate::script::{Buffer, Output, Script, ScriptStep, Shader};

impl Plan {
    /// The plan for a device that knows no kernels, with its constants in the order of their numbers.
    pub fn script(&self) -> (Script, Vec<Arc<[u32]>>) {
        let slots = self.slots();
        let mut maker = Maker {
            plan: self,
            halved: self.halved(),
            script: Script::default(),
            constants: Vec::new(),
            buffers: HashMap::new(),
        };
        let room = |len: usize| Buffer::Room(u64::try_from(len).unwrap_or(u64::MAX));
        for &size in &slots.sizes {
            maker.script.buffers.push(room(size));
        }
        for &id in &self.inputs {
            let number = maker.push(room(self.values[id].len()));
            maker.script.inputs.push(number);
        }
        let mut shaders: HashMap<Kernel, u32> = HashMap::new();
        for step in &self.steps {
            let mut kernel = step.call.kernel();
            if step.inputs.get(1).is_some_and(|id| maker.halved.contains_key(id)) {
                kernel = kernel.with_half_weights();
            }
            let shader = *shaders.entry(kernel.clone()).or_insert_with(|| {
                maker.script.shaders.push(Shader { label: kernel.label().to_owned(), wgsl: kernel.shader() });
                number(maker.script.shaders.len() - 1)
            });
            // Copies count no operations, so their bytes stand in.
            let moved = 4 * u64::try_from(self.values[step.output].len().max(1)).unwrap_or(u64::MAX / 4);
            let inputs = step.inputs.iter().map(|&id| maker.buffer(id, &slots.of_value)).collect();
            let output = maker.buffer(step.output, &slots.of_value);
            let (params, work) = (bytemuck::cast_slice(step.call.bytes()).to_vec(), step.call.flops().max(moved));
            maker.script.steps.push(ScriptStep { shader, params, work, inputs, output });
        }
        for &id in &self.outputs {
            let words = u64::try_from(self.values[id].len()).unwrap_or(u64::MAX);
            let buffer = maker.buffer(id, &slots.of_value);
            maker.script.outputs.push(Output { buffer, words });
        }
        (maker.script, maker.constants)
    }
}

struct Maker<'a> {
    plan: &'a Plan,
    halved: HashMap<ValueId, Arc<[u32]>>,
    script: Script,
    constants: Vec<Arc<[u32]>>,
    /// Constants that have a buffer by now.
    buffers: HashMap<ValueId, u32>,
}

impl Maker<'_> {
    fn push(&mut self, buffer: Buffer) -> u32 {
        self.script.buffers.push(buffer);
        number(self.script.buffers.len() - 1)
    }

    /// The buffer of a value: its slot, its input, or its constant's own.
    fn buffer(&mut self, id: ValueId, slots: &[Option<usize>]) -> u32 {
        let root = self.plan.root(id);
        match &self.plan.values[root].source {
            Source::Input(index) => self.script.inputs[*index],
            Source::Constant(words) => {
                if let Some(&known) = self.buffers.get(&root) {
                    return known;
                }
                self.constants.push(Arc::clone(self.halved.get(&root).unwrap_or(words)));
                let buffer = self.push(Buffer::Constant(number(self.constants.len() - 1)));
                self.buffers.insert(root, buffer);
                buffer
            }
            Source::Computed | Source::View { .. } => number(slots[root].expect("a computed value should have a slot")),
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("a plan should have fewer than 2^32 parts")
}
