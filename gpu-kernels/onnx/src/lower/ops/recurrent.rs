//! Recurrent networks, unrolled: the inputs of all steps are multiplied at once, and each step multiplies the
//! state and applies its gates.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Binary, Program, Reg, Unary};
use gpu_kernels::number::to;

use crate::error::{ModelError, show};
use crate::ir::ValueId;
use crate::lower::context::NodeContext;
use crate::lower::prims::copies::{concat_along, zero_scalar};
use crate::lower::prims::gather::reverse_sequences;
use crate::lower::prims::product::multiply;
use crate::lower::prims::views::{broadcast_to, permute_axes, slice_axis, squeeze_axes, unsqueeze_axes};

/// Most time steps that are unrolled.
const STEPS_MAX: usize = 2048;

/// What RNN, GRU and LSTM have in common.
struct Network {
    directions: Vec<Direction>,
    hidden: usize,
    steps: usize,
    batch: usize,
    /// The batch is the first axis, not time.
    batch_first: bool,
    /// Bound of an activation's input.
    clip: Option<f32>,
    /// `[steps, batch, features]`.
    x: ValueId,
    w: ValueId,
    r: ValueId,
    bias: Option<ValueId>,
    /// Steps of each batch entry, where some are shorter.
    lengths: Option<ValueId>,
    state: Option<ValueId>,
}

#[derive(Clone)]
struct Direction {
    backward: bool,
    activations: Vec<Activation>,
}

#[derive(Clone, Copy)]
enum Activation {
    Sigmoid,
    Tanh,
    Relu,
    Softsign,
    Softplus,
    HardSigmoid,
}

impl Activation {
    fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "sigmoid" => Self::Sigmoid,
            "tanh" => Self::Tanh,
            "relu" => Self::Relu,
            "softsign" => Self::Softsign,
            "softplus" => Self::Softplus,
            "hardsigmoid" => Self::HardSigmoid,
            _ => return None,
        })
    }

    fn write(self, p: &mut Program, x: Reg, clip: Option<f32>) -> Reg {
        let x = match clip {
            None => x,
            Some(clip) => {
                let (low, high) = (p.f(-clip), p.f(clip));
                let x = p.bin(Binary::Max, x, low);
                p.bin(Binary::Min, x, high)
            }
        };
        match self {
            Self::Sigmoid => p.un(Unary::Sigmoid, x),
            Self::Tanh => p.un(Unary::Tanh, x),
            Self::Softplus => p.un(Unary::Softplus, x),
            Self::Relu => {
                let zero = p.f(0.0);
                p.bin(Binary::Max, x, zero)
            }
            Self::Softsign => {
                let (size, one) = (p.un(Unary::Abs, x), p.f(1.0));
                let below = p.bin(Binary::Add, size, one);
                p.bin(Binary::Div, x, below)
            }
            Self::HardSigmoid => {
                let (slope, shift, zero, one) = (p.f(0.2), p.f(0.5), p.f(0.0), p.f(1.0));
                let line = p.bin(Binary::Mul, x, slope);
                let line = p.bin(Binary::Add, line, shift);
                let line = p.bin(Binary::Max, line, zero);
                p.bin(Binary::Min, line, one)
            }
        }
    }
}

fn network(cx: &mut NodeContext<'_, '_>, gates: usize, defaults: &[&str]) -> Result<Network, ModelError> {
    cx.ignore(&["activation_alpha", "activation_beta", "output_sequence"]);
    let (x, w, r) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let bias = cx.optional_input(3)?;
    let lengths = cx.optional_input(4)?;
    let mut state = cx.optional_input(5)?;
    let batch_first = cx.flag("layout");
    let x = if batch_first { permute_axes(cx, x, &[1, 0, 2])? } else { x };
    if batch_first && let Some(first) = state {
        state = Some(permute_axes(cx, first, &[1, 0, 2])?);
    }
    let [steps, batch, _] = cx.shape(x)[..] else {
        return Err(cx.shape_error("the input needs three axes", show(&cx.shape(x))));
    };
    if steps > STEPS_MAX {
        return Err(ModelError::TooLong { node: cx.node.name.clone(), steps });
    }
    let hidden = cx.shape(r).last().copied().unwrap_or(0);
    let count = match cx.text("direction", "forward") {
        "forward" | "reverse" => 1,
        "bidirectional" => 2,
        _ => return Err(cx.unsupported_attribute("direction", "it must be forward, reverse or bidirectional")),
    };
    let (shape_w, shape_r) = (cx.shape(w), cx.shape(r));
    let rows = gates * hidden;
    if shape_w.len() != 3 || shape_w[..2] != [count, rows] || shape_r != [count, rows, hidden] {
        return Err(cx.shape_error(
            "the weights do not fit the directions and gates",
            format!("{} and {}", show(&shape_w), show(&shape_r)),
        ));
    }
    if let Some(bias) = bias
        && cx.shape(bias) != [count, 2 * rows]
    {
        return Err(cx.shape_error("the biases do not fit the directions and gates", show(&cx.shape(bias))));
    }
    let names: Vec<String> = match cx.attribute("activations") {
        Some(names) => names.strings.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        None => defaults.iter().cycle().take(defaults.len() * count).map(|name| (*name).to_owned()).collect(),
    };
    let activations: Option<Vec<Activation>> = names.iter().map(|name| Activation::parse(name)).collect();
    let activations = activations.filter(|found| found.len() == defaults.len() * count).ok_or_else(|| {
        cx.unsupported_attribute(
            "activations",
            "they must be Sigmoid, Tanh, Relu, Softsign, Softplus or HardSigmoid, as many as there are gates",
        )
    })?;
    let backward = |d: usize| d == 1 || cx.text("direction", "forward") == "reverse";
    let directions = (0..count)
        .map(|d| Direction {
            backward: backward(d),
            activations: activations[d * defaults.len()..][..defaults.len()].to_vec(),
        })
        .collect();
    // Lengths that are known to be the whole sequence can be left out.
    let whole = lengths
        .and_then(|lengths| cx.builder.known_ints(lengths))
        .is_some_and(|lengths| lengths.iter().all(|&length| usize::try_from(length) == Ok(steps)));
    let lengths = lengths.filter(|_| !whole);
    let clip = cx.attribute("clip").map(|clip| clip.f);
    Ok(Network { directions, hidden, steps, batch, batch_first, clip, x, w, r, bias, lengths, state })
}

/// Keeps the old state of batch entries that have ended.
fn kept(
    cx: &mut NodeContext<'_, '_>,
    running: Option<ValueId>,
    new: ValueId,
    old: ValueId,
) -> Result<ValueId, ModelError> {
    match running {
        None => Ok(new),
        Some(running) => cx.elementwise(&[running, new, old], DType::F32, |p, r| p.select(r[0], r[1], r[2])),
    }
}

/// One direction's weights, and the product of its inputs for every step.
struct DirectionRun {
    /// `[steps, batch, gates · hidden]`, with the biases where `fused`.
    inputs: ValueId,
    /// `[hidden, gates · hidden]`
    recurrent: ValueId,
    /// The recurrent biases, where they are not in `inputs`.
    recurrent_bias: Option<ValueId>,
}

impl Network {
    fn run(&self, cx: &mut NodeContext<'_, '_>, d: usize, fused: bool) -> Result<DirectionRun, ModelError> {
        let one = |cx: &mut NodeContext<'_, '_>, x: ValueId| {
            let own = slice_axis(cx, x, 0, d, 1)?;
            squeeze_axes(cx, own, &[0])
        };
        let mut x = self.x;
        if self.directions[d].backward
            && let Some(lengths) = self.lengths
        {
            x = reverse_sequences(cx, x, lengths, 1, 0)?;
        }
        let w = one(cx, self.w)?;
        let w = permute_axes(cx, w, &[1, 0])?;
        let mut inputs = multiply(cx, x, w)?;
        let mut recurrent_bias = None;
        if let Some(bias) = self.bias {
            let bias = one(cx, bias)?;
            let half = cx.shape(bias)[0] / 2;
            let (own, other) = (slice_axis(cx, bias, 0, 0, half)?, slice_axis(cx, bias, 0, half, half)?);
            let ids = if fused { vec![inputs, own, other] } else { vec![inputs, own] };
            recurrent_bias = (!fused).then_some(other);
            inputs = cx
                .elementwise(&ids, DType::F32, |p, r| r[1..].iter().fold(r[0], |sum, &b| p.bin(Binary::Add, sum, b)))?;
        }
        let r = one(cx, self.r)?;
        Ok(DirectionRun { inputs, recurrent: permute_axes(cx, r, &[1, 0])?, recurrent_bias })
    }

    fn first(&self, cx: &mut NodeContext<'_, '_>, state: Option<ValueId>, d: usize) -> Result<ValueId, ModelError> {
        if let Some(state) = state {
            let own = slice_axis(cx, state, 0, d, 1)?;
            return squeeze_axes(cx, own, &[0]);
        }
        let zero = zero_scalar(cx, DType::F32)?;
        broadcast_to(cx, zero, vec![self.batch, self.hidden])
    }

    /// The time index that step `i` of a direction reads.
    fn time(&self, d: usize, i: usize) -> usize {
        if self.directions[d].backward && self.lengths.is_none() { self.steps - 1 - i } else { i }
    }

    /// Whether each batch entry is still running at a step, shaped to broadcast against its states.
    fn running(&self, cx: &mut NodeContext<'_, '_>, i: usize) -> Result<Option<ValueId>, ModelError> {
        let Some(lengths) = self.lengths else { return Ok(None) };
        let lengths = cx.cast(lengths, DType::I64)?;
        let lengths = cx.builder.reshaped(lengths, vec![self.batch, 1])?;
        let step = to(i);
        cx.elementwise(&[lengths], DType::Bool, |p, r| {
            let step = p.i(step);
            p.bin(Binary::Lt, step, r[0])
        })
        .map(Some)
    }

    /// All steps' states, in the order of time, of one direction: `[steps, 1, batch, hidden]`.
    fn stacked(&self, cx: &mut NodeContext<'_, '_>, d: usize, mut states: Vec<ValueId>) -> Result<ValueId, ModelError> {
        if self.directions[d].backward && self.lengths.is_none() {
            states.reverse();
        }
        let mut lines = Vec::with_capacity(states.len());
        for (i, state) in states.into_iter().enumerate() {
            let state = match self.running(cx, i)? {
                None => state,
                Some(running) => cx.elementwise(&[running, state], DType::F32, |p, r| {
                    let zero = p.f(0.0);
                    p.select(r[0], r[1], zero)
                })?,
            };
            lines.push(unsqueeze_axes(cx, state, &[0])?);
        }
        let mut all = concat_along(cx, &lines, 0)?;
        if self.directions[d].backward
            && let Some(lengths) = self.lengths
        {
            all = reverse_sequences(cx, all, lengths, 1, 0)?;
        }
        unsqueeze_axes(cx, all, &[1])
    }

    /// The node's outputs: all states, and the last ones.
    fn outputs(
        &self,
        cx: &mut NodeContext<'_, '_>,
        all: &[ValueId],
        last: &[Vec<ValueId>],
    ) -> Result<Vec<ValueId>, ModelError> {
        let mut y = concat_along(cx, all, 1)?;
        if self.batch_first {
            y = permute_axes(cx, y, &[2, 0, 1, 3])?;
        }
        let mut outputs = vec![y];
        for states in last {
            let states: Vec<ValueId> =
                states.iter().map(|&state| unsqueeze_axes(cx, state, &[0])).collect::<Result<_, _>>()?;
            let state = concat_along(cx, &states, 0)?;
            outputs.push(if self.batch_first { permute_axes(cx, state, &[1, 0, 2])? } else { state });
        }
        let dtype = cx.dtype(self.x);
        outputs.into_iter().map(|output| cx.cast(output, dtype)).collect()
    }

    /// The gates' inputs at a step: what the inputs and the state contribute.
    fn gates(
        &self,
        cx: &mut NodeContext<'_, '_>,
        run: &DirectionRun,
        d: usize,
        i: usize,
        state: ValueId,
    ) -> Result<ValueId, ModelError> {
        let inputs = self.inputs_at(cx, run, d, i)?;
        let own = multiply(cx, state, run.recurrent)?;
        cx.elementwise(&[inputs, own], DType::F32, |p, r| p.bin(Binary::Add, r[0], r[1]))
    }

    fn inputs_at(
        &self,
        cx: &mut NodeContext<'_, '_>,
        run: &DirectionRun,
        d: usize,
        i: usize,
    ) -> Result<ValueId, ModelError> {
        let inputs = slice_axis(cx, run.inputs, 0, self.time(d, i), 1)?;
        squeeze_axes(cx, inputs, &[0])
    }

    fn gate(&self, cx: &mut NodeContext<'_, '_>, gates: ValueId, i: usize) -> Result<ValueId, ModelError> {
        slice_axis(cx, gates, 1, i * self.hidden, self.hidden)
    }
}

pub(crate) fn rnn(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    cx.ignore(&["hidden_size"]);
    let net = network(cx, 1, &["Tanh"])?;
    let (mut all, mut last) = (Vec::new(), Vec::new());
    for d in 0..net.directions.len() {
        let run = net.run(cx, d, true)?;
        let f = net.directions[d].activations[0];
        let mut state = net.first(cx, net.state, d)?;
        let mut states = Vec::with_capacity(net.steps);
        for i in 0..net.steps {
            let gates = net.gates(cx, &run, d, i, state)?;
            let new = cx.elementwise(&[gates], DType::F32, |p, r| f.write(p, r[0], net.clip))?;
            let running = net.running(cx, i)?;
            state = kept(cx, running, new, state)?;
            states.push(state);
        }
        all.push(net.stacked(cx, d, states)?);
        last.push(state);
    }
    net.outputs(cx, &all, &[last])
}

pub(crate) fn gru(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    cx.ignore(&["hidden_size"]);
    let linear = cx.flag("linear_before_reset");
    let net = network(cx, 3, &["Sigmoid", "Tanh"])?;
    let (mut all, mut last) = (Vec::new(), Vec::new());
    for d in 0..net.directions.len() {
        let run = net.run(cx, d, false)?;
        let mut state = net.first(cx, net.state, d)?;
        let mut states = Vec::with_capacity(net.steps);
        for i in 0..net.steps {
            let new = gru_step(cx, &net, &run, d, i, state, linear)?;
            let running = net.running(cx, i)?;
            state = kept(cx, running, new, state)?;
            states.push(state);
        }
        all.push(net.stacked(cx, d, states)?);
        last.push(state);
    }
    net.outputs(cx, &all, &[last])
}

fn gru_step(
    cx: &mut NodeContext<'_, '_>,
    net: &Network,
    run: &DirectionRun,
    d: usize,
    i: usize,
    state: ValueId,
    linear: bool,
) -> Result<ValueId, ModelError> {
    let (f, g) = (net.directions[d].activations[0], net.directions[d].activations[1]);
    let inputs = net.inputs_at(cx, run, d, i)?;
    let mut own = multiply(cx, state, run.recurrent)?;
    if let Some(bias) = run.recurrent_bias {
        own = cx.elementwise(&[own, bias], DType::F32, |p, r| p.bin(Binary::Add, r[0], r[1]))?;
    }
    let gate = |cx: &mut NodeContext<'_, '_>, i: usize| {
        let pair = [net.gate(cx, inputs, i)?, net.gate(cx, own, i)?];
        cx.elementwise(&pair, DType::F32, |p, r| {
            let sum = p.bin(Binary::Add, r[0], r[1]);
            f.write(p, sum, net.clip)
        })
    };
    let (update, reset) = (gate(cx, 0)?, gate(cx, 1)?);
    let from_inputs = net.gate(cx, inputs, 2)?;
    let from_state = if linear {
        let own = net.gate(cx, own, 2)?;
        cx.elementwise(&[reset, own], DType::F32, |p, r| p.bin(Binary::Mul, r[0], r[1]))?
    } else {
        let kept = cx.elementwise(&[reset, state], DType::F32, |p, r| p.bin(Binary::Mul, r[0], r[1]))?;
        let weights = slice_axis(cx, run.recurrent, 1, 2 * net.hidden, net.hidden)?;
        let product = multiply(cx, kept, weights)?;
        match run.recurrent_bias {
            None => product,
            Some(bias) => {
                let bias = slice_axis(cx, bias, 0, 2 * net.hidden, net.hidden)?;
                cx.elementwise(&[product, bias], DType::F32, |p, r| p.bin(Binary::Add, r[0], r[1]))?
            }
        }
    };
    cx.elementwise(&[from_inputs, from_state, update, state], DType::F32, |p, r| {
        let sum = p.bin(Binary::Add, r[0], r[1]);
        let new = g.write(p, sum, net.clip);
        let one = p.f(1.0);
        let share = p.bin(Binary::Sub, one, r[2]);
        let new = p.bin(Binary::Mul, share, new);
        let old = p.bin(Binary::Mul, r[2], r[3]);
        p.bin(Binary::Add, new, old)
    })
}

/// Peepholes of one direction: for the input, output and forget gates.
type Peepholes = Option<[ValueId; 3]>;

pub(crate) fn lstm(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    cx.ignore(&["hidden_size"]);
    let coupled = cx.flag("input_forget");
    let net = network(cx, 4, &["Sigmoid", "Tanh", "Tanh"])?;
    let mut cells = cx.optional_input(6)?;
    if net.batch_first
        && let Some(first) = cells
    {
        cells = Some(permute_axes(cx, first, &[1, 0, 2])?);
    }
    let peepholes = cx.optional_input(7)?;
    let (mut all, mut last_h, mut last_c) = (Vec::new(), Vec::new(), Vec::new());
    for d in 0..net.directions.len() {
        let run = net.run(cx, d, true)?;
        let peepholes = peepholes_of(cx, &net, peepholes, d)?;
        let mut state = net.first(cx, net.state, d)?;
        let mut cell = net.first(cx, cells, d)?;
        let mut states = Vec::with_capacity(net.steps);
        for i in 0..net.steps {
            let gates = net.gates(cx, &run, d, i, state)?;
            let (new_state, new_cell) = lstm_step(cx, &net, d, gates, cell, peepholes, coupled)?;
            let running = net.running(cx, i)?;
            state = kept(cx, running, new_state, state)?;
            cell = kept(cx, running, new_cell, cell)?;
            states.push(state);
        }
        all.push(net.stacked(cx, d, states)?);
        last_h.push(state);
        last_c.push(cell);
    }
    net.outputs(cx, &all, &[last_h, last_c])
}

fn peepholes_of(
    cx: &mut NodeContext<'_, '_>,
    net: &Network,
    all: Option<ValueId>,
    d: usize,
) -> Result<Peepholes, ModelError> {
    let Some(all) = all else { return Ok(None) };
    let own = slice_axis(cx, all, 0, d, 1)?;
    let own = squeeze_axes(cx, own, &[0])?;
    let mut each = |i: usize| slice_axis(cx, own, 0, i * net.hidden, net.hidden);
    Ok(Some([each(0)?, each(1)?, each(2)?]))
}

fn lstm_step(
    cx: &mut NodeContext<'_, '_>,
    net: &Network,
    d: usize,
    gates: ValueId,
    cell: ValueId,
    peepholes: Peepholes,
    coupled: bool,
) -> Result<(ValueId, ValueId), ModelError> {
    let &[f, g, h] = &net.directions[d].activations[..] else {
        return Err(cx.unsupported_attribute("activations", "a direction needs three"));
    };
    let clip = net.clip;
    let [i, o, forget, c] = [0, 1, 2, 3];
    let mut ids = vec![net.gate(cx, gates, i)?, net.gate(cx, gates, forget)?, net.gate(cx, gates, c)?, cell];
    if let Some([to_input, _, to_forget]) = peepholes {
        ids.extend([to_input, to_forget]);
    }
    let new_cell = cx.elementwise(&ids, DType::F32, |p, r| {
        let peeped = |p: &mut Program, value: Reg, hole: usize| match r.get(hole) {
            None => value,
            Some(&hole) => {
                let seen = p.bin(Binary::Mul, hole, r[3]);
                p.bin(Binary::Add, value, seen)
            }
        };
        let input = peeped(p, r[0], 4);
        let input = f.write(p, input, clip);
        let forget = if coupled {
            let one = p.f(1.0);
            p.bin(Binary::Sub, one, input)
        } else {
            let forget = peeped(p, r[1], 5);
            f.write(p, forget, clip)
        };
        let new = g.write(p, r[2], clip);
        let old = p.bin(Binary::Mul, forget, r[3]);
        let new = p.bin(Binary::Mul, input, new);
        p.bin(Binary::Add, old, new)
    })?;
    let mut ids = vec![net.gate(cx, gates, o)?, new_cell];
    ids.extend(peepholes.map(|[_, to_output, _]| to_output));
    let new_state = cx.elementwise(&ids, DType::F32, |p, r| {
        let mut output = r[0];
        if let Some(&hole) = r.get(2) {
            let seen = p.bin(Binary::Mul, hole, r[1]);
            output = p.bin(Binary::Add, output, seen);
        }
        let output = f.write(p, output, clip);
        let shown = h.write(p, r[1], None);
        p.bin(Binary::Mul, output, shown)
    })?;
    Ok((new_state, new_cell))
}
