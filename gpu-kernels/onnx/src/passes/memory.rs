//! Which computed tensors may share a buffer.

use gpu_kernels::number::to;

use crate::ir::{Plan, ValueKind};

/// A buffer for every computed value: two values share one when their lives do not overlap.
#[derive(Debug)]
pub struct Slots {
    /// Slot of each value of the plan; `None` for inputs, constants and views.
    pub of_value: Vec<Option<usize>>,
    /// Size of each slot, in values.
    pub sizes: Vec<usize>,
}

impl Plan {
    /// Assigns buffers in order of first use, each time the smallest free one that fits, else the
    /// largest free one, grown.
    pub fn slots(&self) -> Slots {
        self.slots_by(&[])
    }

    /// The same where some steps run together with the next one: what they write needs no buffer, and what
    /// they read is needed until then.
    pub(crate) fn slots_by(&self, joined: &[Option<usize>]) -> Slots {
        let is_joined = |index: usize| joined.get(index).is_some_and(Option::is_some);
        let mut last_use = vec![0; self.values.len()];
        for (index, step) in self.steps.iter().enumerate() {
            let index = index + usize::from(is_joined(index));
            last_use[step.output] = last_use[step.output].max(index);
            for &id in &step.inputs {
                last_use[id] = index;
            }
        }
        for &id in &self.outputs {
            last_use[self.root(id)] = usize::MAX;
        }

        let mut slots = Slots { of_value: vec![None; self.values.len()], sizes: Vec::new() };
        let mut free: Vec<usize> = Vec::new();
        for (index, step) in self.steps.iter().enumerate().filter(|(index, _)| !is_joined(*index)) {
            if slots.of_value[step.output].is_none() {
                let slot = slots.take(&mut free, self.values[step.output].len());
                slots.of_value[step.output] = Some(slot);
            }
            let before = index.checked_sub(1).filter(|&before| is_joined(before));
            let joined = before.into_iter().flat_map(|before| self.steps[before].inputs.iter().copied());
            let touched = step.inputs.iter().copied().chain([step.output]).chain(joined);
            let mut done: Vec<usize> = touched.filter(|&id| last_use[id] == index).collect();
            done.sort_unstable();
            done.dedup();
            free.extend(done.into_iter().filter_map(|id| slots.of_value[id]));
        }
        // An empty output is made by no step, and still needs a place.
        for &id in &self.outputs {
            let root = self.root(id);
            if matches!(self.values[root].kind, ValueKind::Computed) && slots.of_value[root].is_none() {
                slots.sizes.push(self.values[root].len());
                slots.of_value[root] = Some(slots.sizes.len() - 1);
            }
        }
        slots
    }

    /// Bytes that a device needs at once for this plan: constants, inputs, computed values and the
    /// copies that are read back.
    pub fn device_bytes(&self) -> u64 {
        let constants: usize = self.constant_words().sum();
        let computed: usize = self.slots().sizes.iter().sum();
        let ends: usize = self.inputs.iter().chain(&self.outputs).map(|&id| self.values[id].len()).sum();
        4 * to::<u64, _>(constants + computed + ends)
    }

    /// The largest single buffer, in bytes.
    pub fn buffer_bytes_max(&self) -> u64 {
        let computed = self.slots().sizes.into_iter();
        let constants = self.constant_words();
        let ends = self.inputs.iter().chain(&self.outputs).map(|&id| self.values[id].len());
        4 * to::<u64, _>(computed.chain(constants).chain(ends).max().unwrap_or(0))
    }

    /// Words of each constant that some step reads, as a GPU keeps it.
    fn constant_words(&self) -> impl Iterator<Item = usize> {
        let f16_weights = self.f16_weights();
        let mut used: Vec<usize> = self.steps.iter().flat_map(|step| step.inputs.iter().copied()).collect();
        used.sort_unstable();
        used.dedup();
        used.into_iter().filter_map(move |id| match &self.values[id].kind {
            ValueKind::Constant(words) => Some(f16_weights.get(&id).unwrap_or(words).len()),
            ValueKind::Input(_) | ValueKind::Computed | ValueKind::View { .. } => None,
        })
    }
}

impl Slots {
    fn take(&mut self, free: &mut Vec<usize>, len: usize) -> usize {
        let fitting = (0..free.len()).filter(|&i| self.sizes[free[i]] >= len).min_by_key(|&i| self.sizes[free[i]]);
        let largest = || (0..free.len()).max_by_key(|&i| self.sizes[free[i]]);
        if let Some(i) = fitting.or_else(largest) {
            let slot = free.swap_remove(i);
            self.sizes[slot] = self.sizes[slot].max(len);
            slot
        } else {
            self.sizes.push(len);
            self.sizes.len() - 1
        }
    }
}
