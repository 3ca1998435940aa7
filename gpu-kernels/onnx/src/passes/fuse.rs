//! Elementwise steps that only one other elementwise step reads become part of it: a value is then
//! read and written once for a whole chain. What only bounds a convolution's results becomes part of
//! that.

use gpu_kernels::dtype::Repr;
use gpu_kernels::kernels::conv::Conv;
use gpu_kernels::kernels::elementwise::{Binary, CONSTS_MAX, Elementwise, INPUTS_MAX, Inst, Program, Reg};
use gpu_kernels::kernels::{Call, View};
use gpu_kernels::number::to;

use crate::ir::{Layout, Plan, Step, ValueId, ValueKind, long, strides};

impl Plan {
    pub(crate) fn fuse(&mut self) {
        let mut uses = vec![0usize; self.values.len()];
        let mut writers: Vec<Vec<usize>> = vec![Vec::new(); self.values.len()];
        for (index, step) in self.steps.iter().enumerate() {
            let mut read = step.inputs.clone();
            read.sort_unstable();
            read.dedup();
            read.into_iter().for_each(|id| uses[id] += 1);
            writers[step.output].push(index);
        }
        for &id in &self.outputs {
            uses[self.root(id)] += 1;
        }
        let mut gone = vec![false; self.steps.len()];
        for index in 0..self.steps.len() {
            // What was taken in may itself read what can be taken in.
            while let Some((from, step)) = self.taken_in(index, &uses, &writers) {
                gone[from] = true;
                self.steps[index] = step;
            }
        }
        let mut gone = gone.into_iter();
        self.steps.retain(|_| !gone.next().unwrap_or(false));
    }

    /// Step `index` with one of its inputs' steps in it, and which step that was.
    fn taken_in(&self, index: usize, uses: &[usize], writers: &[Vec<usize>]) -> Option<(usize, Step)> {
        let step = &self.steps[index];
        let Call::Elementwise(_) = step.call else { return None };
        step.inputs.iter().find_map(|&id| {
            let &[from] = &writers[id][..] else { return None };
            let alone = uses[id] == 1 && matches!(self.values[id].kind, ValueKind::Computed);
            let len = self.values[id].len();
            // A convolution writes its output whole.
            let partial = self.values[step.output].len() != len && matches!(self.steps[from].call, Call::Conv(_));
            let fused = if alone && !partial { together(&self.steps[from], step, id, len) } else { None };
            fused.map(|step| (from, step))
        })
    }
}

fn layout(view: &View, rank: usize) -> Layout {
    (i64::from(view.offset), view.strides[..rank].iter().map(|&stride| i64::from(stride)).collect())
}

fn shape_of(call: &Elementwise) -> Vec<usize> {
    let rank = to(call.params.rank);
    call.params.shape[..rank].iter().map(|&size| to(size)).collect()
}

/// Whether a layout goes over `shape` from 0 to its end in order.
fn in_order(shape: &[usize], (offset, walked): &Layout) -> bool {
    *offset == 0 && shape.iter().zip(walked).zip(strides(shape)).all(|((&size, &a), b)| size == 1 || a == b)
}

/// Both steps as one, where the second reads all that the first writes, in order.
fn together(first: &Step, second: &Step, value: ValueId, len: usize) -> Option<Step> {
    let Call::Elementwise(b) = &second.call else { return None };
    if let Call::Conv(conv) = &first.call {
        return bounded(conv, first, b, second, len);
    }
    let Call::Elementwise(a) = &first.call else { return None };
    let (shape_a, shape_b) = (shape_of(a), shape_of(b));
    if shape_a.iter().product::<usize>() != len || shape_b.iter().product::<usize>() != len {
        return None;
    }
    let rank_b = shape_b.len();
    let reads = second.inputs.iter().zip(&b.params.inputs).filter(|(id, _)| **id == value);
    let whole = in_order(&shape_a, &layout(&a.params.out, shape_a.len()))
        && reads.map(|(_, view)| layout(view, rank_b)).all(|layout| in_order(&shape_b, &layout));
    if !whole {
        return None;
    }
    let shape = refined(&shape_a, &shape_b)?;
    let mut fused = FusedProgram { program: Program::default(), inputs: Vec::new() };
    let result = fused.append(a, &shape_a, &first.inputs, &shape, None)?;
    fused.append(b, &shape_b, &second.inputs, &shape, Some((value, result)))?;
    let FusedProgram { program, inputs } = fused;
    if inputs.len() > INPUTS_MAX || program.consts.len() > CONSTS_MAX {
        return None;
    }
    let (ids, mut views): (Vec<ValueId>, Vec<Layout>) = inputs.into_iter().unzip();
    views.push(split(&layout(&b.params.out, rank_b), &shape_b, &shape)?);
    let call = Elementwise::new(program, &shape, &views)?;
    Some(Step { call: Call::Elementwise(Box::new(call)), inputs: ids, output: second.output, node: second.node })
}

/// A convolution whose results are only brought within bounds, as one step.
fn bounded(conv: &Conv, first: &Step, call: &Elementwise, second: &Step, len: usize) -> Option<Step> {
    let shape = shape_of(call);
    let rank = shape.len();
    let whole = shape.iter().product::<usize>() == len
        && in_order(&shape, &layout(&call.params.inputs[0], rank))
        && in_order(&shape, &layout(&call.params.out, rank));
    let constant = |slot: usize| f32::from_bits(call.program.consts[slot]);
    let (low, high) = match call.program.insts[..] {
        [Inst::Load(0, Repr::F32), Inst::Const(low, _), Inst::Binary(Binary::Max, 0, 1)] => (Some(constant(low)), None),
        [Inst::Load(0, Repr::F32), Inst::Const(high, _), Inst::Binary(Binary::Min, 0, 1)] => {
            (None, Some(constant(high)))
        }
        [
            Inst::Load(0, Repr::F32),
            Inst::Const(low, _),
            Inst::Binary(Binary::Max, 0, 1),
            Inst::Const(high, _),
            Inst::Binary(Binary::Min, 2, 3),
        ] => (Some(constant(low)), Some(constant(high))),
        _ => return None,
    };
    if !whole || conv.repr != Repr::F32 {
        return None;
    }
    let params = conv.params.within(low, high)?;
    let call = Call::Conv(Box::new(Conv { repr: conv.repr, params }));
    Some(Step { call, inputs: first.inputs.clone(), output: second.output, node: second.node })
}

struct FusedProgram {
    program: Program,
    inputs: Vec<(ValueId, Layout)>,
}

impl FusedProgram {
    /// Adds a call's instructions; loads of `known.0` become its register. Returns the result's.
    fn append(
        &mut self,
        call: &Elementwise,
        from: &[usize],
        ids: &[ValueId],
        shape: &[usize],
        known: Option<(ValueId, Reg)>,
    ) -> Option<Reg> {
        let mut registers: Vec<Reg> = Vec::with_capacity(call.program.insts.len());
        for inst in &call.program.insts {
            registers.push(match *inst {
                Inst::Load(input, repr) => {
                    let id = *ids.get(input)?;
                    match known {
                        Some((value, register)) if value == id => register,
                        _ => self.load(id, split(&layout(&call.params.inputs[input], from.len()), from, shape)?, repr),
                    }
                }
                Inst::Const(slot, repr) => match repr {
                    Repr::F32 => self.program.f(f32::from_bits(call.program.consts[slot])),
                    Repr::I32 => self.program.i(call.program.consts[slot].cast_signed()),
                    Repr::U32 => self.program.u(call.program.consts[slot]),
                },
                Inst::Unary(op, a) => self.program.un(op, registers[a]),
                Inst::Binary(op, a, b) => self.program.bin(op, registers[a], registers[b]),
                Inst::Select(a, b, c) => self.program.select(registers[a], registers[b], registers[c]),
            });
        }
        let last = registers.last().copied()?;
        // The last instruction is the result: a mere copy of the first call's needs none.
        (last + 1 == self.program.insts.len()).then_some(last)
    }

    fn load(&mut self, id: ValueId, layout: Layout, repr: Repr) -> Reg {
        let entry = (id, layout);
        let place = self.inputs.iter().position(|kept| *kept == entry);
        if let Some(place) = place
            && let Some(register) = self.program.insts.iter().position(|inst| *inst == Inst::Load(place, repr))
        {
            return register;
        }
        self.inputs.push(entry);
        self.program.load(repr)
    }
}

/// The coarsest shape whose axes both shapes' axes are made of.
fn refined(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let cuts = |shape: &[usize]| {
        shape
            .iter()
            .rev()
            .scan(1usize, |product, &size| {
                *product *= size;
                Some(*product)
            })
            .collect::<Vec<_>>()
    };
    let mut all = [cuts(a), cuts(b)].concat();
    all.sort_unstable();
    all.dedup();
    let mut before = 1;
    let mut shape = Vec::new();
    for cut in all {
        if !cut.is_multiple_of(before) {
            return None;
        }
        if cut != before {
            shape.push(cut / before);
        }
        before = cut;
    }
    shape.reverse();
    if shape.is_empty() {
        shape.push(1);
    }
    Some(shape)
}

/// A layout over `from` as one over `to`, whose axes divide `from`'s.
fn split((offset, walked): &Layout, from: &[usize], to: &[usize]) -> Option<Layout> {
    let mut result = Vec::with_capacity(to.len());
    let mut rest = to.iter().rev();
    for (&size, &stride) in from.iter().zip(walked).rev() {
        let mut covered = 1;
        while covered < size {
            let part = *rest.next()?;
            result.push(stride * long(covered));
            covered *= part;
        }
        if covered != size {
            return None;
        }
    }
    rest.for_each(|_| result.push(0));
    result.reverse();
    Some((*offset, result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_shapes_of_one_length_have_a_common_refinement_or_none() {
        assert_eq!(refined(&[24], &[2, 3, 4]), Some(vec![2, 3, 4]));
        assert_eq!(refined(&[6, 4], &[2, 12]), Some(vec![2, 3, 4]));
        assert_eq!(refined(&[4, 6], &[6, 4]), None);
        assert_eq!(refined(&[1], &[1]), Some(vec![1]));
    }

    #[test]
    fn a_walk_is_split_along_the_finer_axes() {
        assert_eq!(split(&(3, vec![1]), &[24], &[2, 3, 4]), Some((3, vec![12, 4, 1])));
        assert_eq!(split(&(0, vec![0, 5]), &[6, 4], &[2, 3, 4]), Some((0, vec![0, 0, 5])));
        assert_eq!(split(&(0, vec![7]), &[5], &[2, 3]), None);
    }
}
