//! A plan on the CPU: step by step in the order it was made, in memory that is kept from run to run.

use gpu_kernels::dtype::Repr;

use crate::ir::{Plan, ValueId, ValueKind};

/// How far a nudged run moves each computed float at most, as a share of it: a little more than what devices' order of
/// summing and their functions come to.
const NUDGE: f32 = 3e-5;

/// Memory for computed values, kept from run to run.
#[derive(Debug, Default)]
pub struct Arena(Vec<Vec<u32>>);

/// Values that are kept; what a larger run took goes back to the system.
const KEPT_MAX: usize = 64 << 20;

impl Arena {
    pub(crate) fn with_room(&mut self, sizes: &[usize]) -> &mut [Vec<u32>] {
        if self.0.len() < sizes.len() {
            self.0.resize_with(sizes.len(), Vec::new);
        }
        for (slot, &size) in self.0.iter_mut().zip(sizes) {
            if slot.len() < size {
                // Its old values are not read again, so it is not grown in place.
                *slot = vec![0; size];
            }
        }
        &mut self.0
    }

    /// Lets go of memory beyond what is worth keeping.
    pub fn trim(&mut self) {
        if self.0.iter().map(Vec::len).sum::<usize>() > KEPT_MAX {
            self.0.clear();
        }
    }
}

/// Above this every float is a whole number.
const WHOLE_FROM: f32 = 8_388_608.0;

/// Whole numbers stay: what counts something is no sum that was rounded, and would be another number a little below.
fn move_floats(words: &mut [u32], seed: u64) {
    let first = mix(seed);
    for (word, place) in words.iter_mut().zip(0u64..) {
        let float = f32::from_bits(*word);
        let moved = float + float * NUDGE * unit(first.wrapping_add(place));
        // A mask of the largest float stays one, and no infinity becomes what is no number.
        if moved.is_finite() && (float.fract() != 0.0 || float.abs() >= WHOLE_FROM) {
            *word = moved.to_bits();
        }
    }
}

/// Between -1 and 1, another one for each number.
fn unit(number: u64) -> f32 {
    let [.., low, high] = mix(number).to_le_bytes();
    f32::from(i16::from_le_bytes([low, high])) / f32::from(i16::MAX)
}

/// Steele, Lea, Flood 2014, `SplitMix64`.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

impl Plan {
    /// Runs the plan on the CPU: the outputs' words in order.
    ///
    /// # Panics
    /// When `inputs` do not hold exactly the plan's inputs.
    pub fn run(&self, inputs: &[&[u32]]) -> Vec<Vec<u32>> {
        self.run_in(&mut Arena::default(), inputs)
    }

    /// The same in an earlier run's memory: allocating afresh costs as much as many a step.
    ///
    /// # Panics
    /// When `inputs` do not hold exactly the plan's inputs.
    pub fn run_in(&self, arena: &mut Arena, inputs: &[&[u32]]) -> Vec<Vec<u32>> {
        self.run_with(arena, inputs, None)
    }

    /// The same with each float, of the inputs and computed, moved by as much as devices may be apart, at random: what comes
    /// out otherwise in such runs is as uncertain as that (Parker 1997, *Monte Carlo Arithmetic*). The inputs are moved since
    /// what a sum of products is off by goes by its terms, of which little may be left in the sum.
    ///
    /// # Panics
    /// When `inputs` do not hold exactly the plan's inputs.
    pub fn run_nudged(&self, inputs: &[&[u32]], seed: u64) -> Vec<Vec<u32>> {
        let moved: Vec<Vec<u32>> = self
            .inputs
            .iter()
            .zip(inputs)
            .enumerate()
            .map(|(index, (&id, input))| {
                let mut input = input.to_vec();
                if self.values[id].dtype.repr() == Repr::F32 {
                    // Steps count from zero.
                    move_floats(&mut input, seed ^ (u64::MAX - (index as u64)));
                }
                input
            })
            .collect();
        let inputs: Vec<&[u32]> = moved.iter().map(Vec::as_slice).collect();
        self.run_with(&mut Arena::default(), &inputs, Some(seed))
    }

    fn run_with(&self, arena: &mut Arena, inputs: &[&[u32]], nudge: Option<u64>) -> Vec<Vec<u32>> {
        for (&id, input) in self.inputs.iter().zip(inputs) {
            assert_eq!(input.len(), self.values[id].len(), "an input should fill the plan's input");
        }
        let joined = self.joined();
        let slots = self.slots_by(&joined);
        let arena = arena.with_room(&slots.sizes);
        for (index, step) in self.steps.iter().enumerate().filter(|(index, _)| joined[*index].is_none()) {
            let slot = slots.of_value[step.output].expect("a computed value should have a slot");
            let mut out = std::mem::take(&mut arena[slot]);
            {
                let read = |ids: &[ValueId]| -> Vec<&[u32]> {
                    ids.iter().map(|&id| self.read(&slots.of_value, arena, inputs, id)).collect()
                };
                let whole = &mut out[..self.values[step.output].len()];
                let before = index.checked_sub(1).map(|before| (&self.steps[before], joined[before]));
                match before {
                    Some((before, Some(taken))) => {
                        let (read, own) = (read(&before.inputs), read(&step.inputs[1..]));
                        before.call.run_fused(&step.call, taken, &read, &own, whole);
                    }
                    _ => step.call.run(&read(&step.inputs), whole),
                }
                if let (Some(seed), Repr::F32) = (nudge, self.values[step.output].dtype.repr()) {
                    move_floats(whole, seed ^ (index as u64) << 40);
                }
            }
            arena[slot] = out;
        }
        self.outputs.iter().map(|&id| self.read(&slots.of_value, arena, inputs, id).to_vec()).collect()
    }

    /// For each step, how many channels at a time the CPU computes it together with the next one; its
    /// output is then never stored whole.
    fn joined(&self) -> Vec<Option<usize>> {
        let mut uses = vec![0usize; self.values.len()];
        for &id in self.steps.iter().flat_map(|step| &step.inputs) {
            uses[id] += 1;
        }
        for &id in &self.outputs {
            uses[self.root(id)] += 1;
        }
        let mut joined = vec![None; self.steps.len()];
        for (index, pair) in self.steps.windows(2).enumerate() {
            let [first, next] = pair else { continue };
            let alone = next.inputs.first() == Some(&first.output) && uses[first.output] == 1;
            let free = index == 0 || joined[index - 1].is_none();
            if alone && free {
                joined[index] = first.call.fused_channels(&next.call);
            }
        }
        joined
    }

    fn read<'a>(
        &'a self,
        slots: &[Option<usize>],
        arena: &'a [Vec<u32>],
        inputs: &[&'a [u32]],
        id: ValueId,
    ) -> &'a [u32] {
        let root = self.root(id);
        match &self.values[root].kind {
            ValueKind::Input(index) => inputs[*index],
            ValueKind::Constant(words) => words,
            ValueKind::Computed | ValueKind::View { .. } => {
                let slot = slots[root].expect("a computed value should have a slot");
                &arena[slot][..self.values[root].len()]
            }
        }
    }
}
