//! Models made up at random: graphs of any operators over each other's outputs, of which many can be planned.

use onnx::Feed;
use onnx::proto::{
    Attribute, BOOL, DOUBLE, Dimension, Entry, FLOAT, Function, Graph, INT32, INT64, Model, Node, OperatorSet, Shape,
    Tensor, TensorType, Type, UINT8, ValueInfo,
};
use prost::Message;

use crate::draw::Draw;

/// Half floats, which the format has no name for here.
const HALF: i32 = 10;
const MICROSOFT: &str = "com.microsoft";

/// What an attribute holds, where it holds what it should.
#[derive(Clone, Copy, Debug)]
enum Holds {
    Axis,
    Axes,
    Perm,
    Flag,
    Small,
    /// A size an axis, from one on.
    Sizes,
    /// Both ends of each axis.
    Pads,
    Float,
    Floats,
    Ints,
    Dtype,
    Value,
    Text(&'static [&'static str]),
}

/// Operators that need to be told something, or may be.
const ATTRIBUTES: &[(&str, &[(&str, Holds)])] = &[
    ("ArgMax", &[("axis", Holds::Axis), ("keepdims", Holds::Flag), ("select_last_index", Holds::Flag)]),
    ("AveragePool", &POOL),
    ("Cast", &[("to", Holds::Dtype)]),
    ("Concat", &[("axis", Holds::Axis)]),
    ("Constant", &[("value", Holds::Value)]),
    ("ConstantOfShape", &[("value", Holds::Value)]),
    ("Conv", &CONVOLUTION),
    ("ConvTranspose", &CONVOLUTION),
    ("CumSum", &[("exclusive", Holds::Flag), ("reverse", Holds::Flag)]),
    ("DFT", &[("axis", Holds::Axis), ("inverse", Holds::Flag), ("onesided", Holds::Flag)]),
    ("DepthToSpace", &[("blocksize", Holds::Small), ("mode", Holds::Text(&["DCR", "CRD"]))]),
    (
        "Einsum",
        &[("equation", Holds::Text(&["ij,jk->ik", "bij,bjk->bik", "...i->...", "ii->i", "ij->ji", "i,i->", "->"]))],
    ),
    ("EyeLike", &[("k", Holds::Small), ("dtype", Holds::Dtype)]),
    ("Flatten", &[("axis", Holds::Axis)]),
    ("GRU", &[("hidden_size", Holds::Small), ("direction", Holds::Text(&["forward", "reverse", "bidirectional"]))]),
    ("Gather", &[("axis", Holds::Axis)]),
    ("GatherElements", &[("axis", Holds::Axis)]),
    ("GatherND", &[("batch_dims", Holds::Small)]),
    ("Gemm", &[("alpha", Holds::Float), ("beta", Holds::Float), ("transA", Holds::Flag), ("transB", Holds::Flag)]),
    ("GridSample", &[("mode", Holds::Text(&["linear", "nearest", "cubic"])), ("align_corners", Holds::Flag)]),
    ("LSTM", &[("hidden_size", Holds::Small), ("direction", Holds::Text(&["forward", "reverse", "bidirectional"]))]),
    ("LayerNormalization", &[("axis", Holds::Axis), ("epsilon", Holds::Float)]),
    ("MaxPool", &POOL),
    ("OneHot", &[("axis", Holds::Axis)]),
    ("Pad", &[("mode", Holds::Text(&["constant", "reflect", "edge", "wrap"])), ("pads", Holds::Pads)]),
    (
        "Resize",
        &[("mode", Holds::Text(&["nearest", "linear", "cubic"])), ("antialias", Holds::Flag), ("axes", Holds::Axes)],
    ),
    ("Reshape", &[("allowzero", Holds::Flag)]),
    ("Slice", &[("starts", Holds::Ints), ("ends", Holds::Ints), ("axes", Holds::Axes)]),
    ("Softmax", &[("axis", Holds::Axis)]),
    ("SpaceToDepth", &[("blocksize", Holds::Small)]),
    ("Split", &[("axis", Holds::Axis), ("num_outputs", Holds::Small), ("split", Holds::Sizes)]),
    ("Squeeze", &[("axes", Holds::Axes)]),
    ("TopK", &[("axis", Holds::Axis), ("largest", Holds::Flag), ("sorted", Holds::Flag)]),
    ("Transpose", &[("perm", Holds::Perm)]),
    ("Trilu", &[("upper", Holds::Flag)]),
    ("Unsqueeze", &[("axes", Holds::Axes)]),
    ("Upsample", &[("mode", Holds::Text(&["nearest", "linear"])), ("scales", Holds::Floats)]),
];

/// Where operators want whole numbers that are known before the run.
const KNOWN: &[(&str, &[usize])] = &[
    ("CenterCropPad", &[1]),
    ("ConstantOfShape", &[0]),
    ("CumSum", &[1]),
    ("Expand", &[1]),
    ("Gather", &[1]),
    ("GatherElements", &[1]),
    ("GatherND", &[1]),
    ("OneHot", &[0, 1]),
    ("Pad", &[1, 3]),
    ("Range", &[0, 1, 2]),
    ("ReduceMax", &[1]),
    ("ReduceMean", &[1]),
    ("ReduceProd", &[1]),
    ("ReduceSum", &[1]),
    ("Reshape", &[1]),
    ("Resize", &[3]),
    ("ScatterElements", &[1]),
    ("ScatterND", &[1]),
    ("Slice", &[1, 2, 3, 4]),
    ("Split", &[1]),
    ("SplitToSequence", &[1]),
    ("Squeeze", &[1]),
    ("Tile", &[1]),
    ("TopK", &[1]),
    ("Trilu", &[1]),
    ("Unsqueeze", &[1]),
];

const CONVOLUTION: [(&str, Holds); 5] = [
    ("kernel_shape", Holds::Sizes),
    ("strides", Holds::Sizes),
    ("dilations", Holds::Sizes),
    ("pads", Holds::Pads),
    ("group", Holds::Small),
];

const POOL: [(&str, Holds); 5] = [
    ("kernel_shape", Holds::Sizes),
    ("strides", Holds::Sizes),
    ("pads", Holds::Pads),
    ("ceil_mode", Holds::Flag),
    ("auto_pad", Holds::Text(&["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])),
];

/// What an operator may be told although another one is.
const OTHERS: [(&str, Holds); 24] = [
    ("axis", Holds::Axis),
    ("axes", Holds::Axes),
    ("keepdims", Holds::Flag),
    ("noop_with_empty_axes", Holds::Flag),
    ("alpha", Holds::Float),
    ("epsilon", Holds::Float),
    ("approximate", Holds::Text(&["none", "tanh"])),
    ("num_groups", Holds::Small),
    ("num_heads", Holds::Small),
    ("kv_num_heads", Holds::Small),
    ("size", Holds::Small),
    ("p", Holds::Small),
    ("fmod", Holds::Flag),
    ("direction", Holds::Text(&["LEFT", "RIGHT"])),
    ("reduction", Holds::Text(&["none", "add", "mul", "max"])),
    ("batch_axis", Holds::Axis),
    ("time_axis", Holds::Axis),
    ("block_size", Holds::Small),
    ("scale", Holds::Float),
    ("is_causal", Holds::Flag),
    ("to", Holds::Dtype),
    ("dtype", Holds::Dtype),
    ("kernel_shape", Holds::Sizes),
    ("num_scan_inputs", Holds::Small),
];

/// A model in the making: the names that its next node may read.
struct Maker<'a> {
    draw: &'a mut Draw,
    names: Vec<String>,
    /// Of those, constants that hold whole numbers.
    wholes: Vec<String>,
    made: usize,
}

/// A model, and the row that its input may be fed with.
pub(crate) fn model(draw: &mut Draw) -> (Model, Vec<Vec<usize>>) {
    let mut maker = Maker { draw, names: Vec::new(), wholes: Vec::new(), made: 0 };
    let (mut input, mut rows) = (Vec::new(), Vec::new());
    for name in ["x", "z"].into_iter().take(if maker.draw.one_in(4) { 2 } else { 1 }) {
        let row = maker.row();
        input.push(maker.port(name, &row));
        rows.push(row);
        maker.names.push(name.to_owned());
    }
    let mut initializer = maker.constants();
    for tensor in &initializer {
        maker.names.push(tensor.name.clone());
        if tensor.data_type == INT64 {
            maker.wholes.push(tensor.name.clone());
        }
    }
    if maker.draw.one_in(40)
        && let Some(tensor) = initializer.first().cloned()
    {
        initializer.push(tensor);
    }
    let functions = maker.functions();
    let mut model = Model {
        graph: Some(Graph { node: vec![], initializer, input, output: vec![] }),
        opset_import: maker.operator_sets(),
        functions,
    };
    let wanted = 1 + maker.draw.size(8);
    for _ in 0..TRIES_MAX {
        let next = maker.node(2);
        let before = model.clone();
        let Some(graph) = &mut model.graph else { break };
        graph.output = next.output.iter().map(|name| ValueInfo { name: name.clone(), r#type: None }).collect();
        graph.node.push(next.clone());
        let is_last = graph.node.len() >= wanted;
        let is_wild = maker.draw.one_in(15);
        if !is_wild && !can_be_planned(maker.draw, &model, &rows) {
            model = before;
            continue;
        }
        maker.names.extend(next.output);
        if is_last || is_wild {
            break;
        }
    }
    if let Some(graph) = &mut model.graph
        && maker.draw.one_in(5)
    {
        graph.output.push(ValueInfo { name: maker.name(), r#type: None });
    }
    (model, rows)
}

/// Nodes that are tried for a model.
const TRIES_MAX: usize = 40;

/// Most nodes over random inputs are refused, and what follows them is never looked at.
fn can_be_planned(draw: &Draw, model: &Model, rows: &[Vec<usize>]) -> bool {
    let feeds: Vec<Feed> = rows.iter().cloned().map(Feed::Rows).collect();
    let bytes = model.encode_to_vec();
    draw.show("a model in the making", &bytes);
    onnx::Graph::parse(&bytes).is_ok_and(|graph| graph.signature(&feeds).is_ok())
}

impl Maker<'_> {
    fn operator_sets(&mut self) -> Vec<OperatorSet> {
        let known = 7 + i64::try_from(self.draw.below(20)).unwrap_or(0);
        let version = if self.draw.one_in(60) { self.draw.signed() } else { known };
        let mut sets = vec![OperatorSet { domain: String::new(), version }];
        if self.draw.one_in(2) {
            sets.push(OperatorSet { domain: MICROSOFT.to_owned(), version: 1 });
        }
        sets
    }

    fn size(&mut self) -> usize {
        if self.draw.one_in(25) { self.draw.size(1 << 31) } else { 1 + self.draw.size(6) }
    }

    fn row(&mut self) -> Vec<usize> {
        let rank = self.draw.below(5);
        (0..rank).map(|_| self.size()).collect()
    }

    fn port(&mut self, name: &str, row: &[usize]) -> ValueInfo {
        if self.draw.one_in(3) {
            return ValueInfo { name: name.to_owned(), r#type: None };
        }
        let batch = match self.draw.below(6) {
            0 => Some(1),
            1 => Some(i64::try_from(self.draw.size(5)).unwrap_or(1)),
            2 if self.draw.one_in(8) => Some(self.draw.signed()),
            _ => None,
        };
        let dim = |value| Dimension { value };
        let sizes = row.iter().map(|&size| dim(i64::try_from(size).ok()));
        let dim = std::iter::once(dim(batch)).chain(sizes).collect();
        let elem_type = match self.draw.below(12) {
            0 => self.draw.pick(&[INT64, INT32, BOOL, UINT8, HALF]),
            1 if self.draw.one_in(4) => self.draw.pick(&[DOUBLE, 8, -1]),
            _ => FLOAT,
        };
        let tensor_type = TensorType { elem_type, shape: (!self.draw.one_in(8)).then_some(Shape { dim }) };
        ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(tensor_type) }) }
    }

    fn constants(&mut self) -> Vec<Tensor> {
        let tensors = (0..self.draw.size(10)).map(|number| self.tensor(format!("c{number}"))).collect::<Vec<_>>();
        // One that cannot be read is the end of the whole model.
        let is_read = |tensor: &Tensor| onnx::Tensor::parse(&tensor.name, tensor).is_ok();
        let keeps_all = self.draw.one_in(20);
        tensors.into_iter().filter(|tensor| keeps_all || is_read(tensor)).collect()
    }

    fn tensor(&mut self, name: String) -> Tensor {
        let rank = self.draw.below(5);
        let nothing = self.draw.one_in(20);
        let mut size = || i64::try_from(self.draw.size(6)).unwrap_or(0) + i64::from(!nothing);
        let dims: Vec<i64> = (0..rank).map(|_| size()).collect();
        let len = usize::try_from(dims.iter().product::<i64>()).unwrap_or(0);
        let mut tensor = Tensor { dims, name, ..Tensor::default() };
        match self.draw.below(12) {
            0..=4 => {
                tensor.data_type = FLOAT;
                tensor.float_data = (0..len).map(|_| self.draw.float()).collect();
            }
            // Shapes, axes, indices.
            5..=8 => {
                if self.draw.one_in(2) {
                    tensor.dims = vec![1 + i64::try_from(self.draw.below(4)).unwrap_or(0)];
                }
                let len = usize::try_from(tensor.dims.iter().product::<i64>()).unwrap_or(0);
                tensor.data_type = INT64;
                tensor.int64_data = (0..len).map(|_| self.whole()).collect();
            }
            9 => {
                tensor.data_type = self.draw.pick(&[BOOL, UINT8, INT32, 3, 5]);
                tensor.int32_data = (0..len).map(|_| i32::try_from(self.draw.below(3)).unwrap_or(0)).collect();
            }
            10 if self.draw.one_in(3) => {
                tensor.data_type = FLOAT;
                tensor.data_location = 1;
                let value = |draw: &mut Draw| {
                    (draw.pick(&["weights.bin", "../x", "", "0", "8", "-1", "99999999999"])).to_owned()
                };
                let keys = ["location", "offset", "length"];
                tensor.external_data = keys.map(|key| Entry { key: key.to_owned(), value: value(self.draw) }).to_vec();
            }
            _ => {
                let (data_type, width) =
                    self.draw.pick(&[(FLOAT, 4), (HALF, 2), (INT64, 8), (BOOL, 1), (UINT8, 1), (DOUBLE, 8), (16, 2)]);
                tensor.data_type = data_type;
                let width = if self.draw.one_in(20) { self.draw.below(9) } else { width };
                tensor.raw_data = self.draw.bytes(len * width);
                if data_type == INT64 && width == 8 {
                    tensor.raw_data = (0..len).flat_map(|_| self.whole().to_le_bytes()).collect();
                }
            }
        }
        // Of nothing there may be very much.
        if self.draw.one_in(if len == 0 { 3 } else { 80 }) {
            tensor.dims.push(self.draw.signed());
        }
        tensor
    }

    /// Near zero mostly, since most whole numbers are sizes and places.
    fn whole(&mut self) -> i64 {
        match self.draw.below(12) {
            0 => self.draw.signed(),
            1..=4 => -i64::try_from(self.draw.below(4)).unwrap_or(0),
            _ => i64::try_from(self.draw.size(8)).unwrap_or(0),
        }
    }

    fn wholes(&mut self, longest: usize) -> Vec<i64> {
        (0..self.draw.below(longest + 1)).map(|_| self.whole()).collect()
    }

    /// The name of something there is: what was made last, more often than the rest.
    fn name(&mut self) -> String {
        match self.draw.below(10) {
            0..=4 => self.names.last().cloned().unwrap_or_default(),
            5 if self.draw.one_in(12) => self.draw.text(6),
            _ => self.draw.pick(&self.names),
        }
    }

    fn node(&mut self, depth: usize) -> Node {
        let own = onnx::operators().map(|op| ("", op));
        let operators: Vec<(&str, &str)> = own.chain(onnx::rewritten()).collect();
        let (domain, op_type) = match self.draw.below(40) {
            0 => ("own", "Double"),
            1 => ("", self.draw.pick(&["If", "Loop", "Scan"])),
            2..=12 => ("", self.draw.pick(ATTRIBUTES).0),
            13..=20 => ("", self.draw.pick(KNOWN).0),
            _ => self.draw.pick(&operators),
        };
        // Those that name their domain themselves.
        let (domain, op_type) = op_type.rsplit_once('.').unwrap_or((domain, op_type));
        let inputs = 1 + self.draw.size(if domain.is_empty() { 4 } else { 9 });
        let input = (0..inputs).map(|place| self.input(op_type, place)).collect();
        let outputs = 1 + if self.draw.one_in(6) { self.draw.below(3) } else { 0 };
        let output = (0..outputs).map(|_| self.fresh()).collect();
        let mut attribute = self.attributes(op_type);
        for name in ["body", "then_branch", "else_branch"] {
            if depth > 0 && matches!(op_type, "If" | "Loop" | "Scan") {
                attribute.push(Attribute {
                    name: name.to_owned(),
                    g: Some(self.body(op_type, depth)),
                    ..Attribute::default()
                });
            }
        }
        Node { input, output, op_type: op_type.to_owned(), domain: domain.to_owned(), attribute, ..Node::default() }
    }

    /// What a node reads at a place: where it wants sizes or places, whole numbers that are known.
    fn input(&mut self, op_type: &str, place: usize) -> String {
        let wants_wholes = KNOWN.iter().any(|(op, places)| *op == op_type && places.contains(&place));
        if wants_wholes && !self.wholes.is_empty() && !self.draw.one_in(12) {
            return self.draw.pick(&self.wholes);
        }
        if place > 0 && self.draw.one_in(12) { String::new() } else { self.name() }
    }

    fn fresh(&mut self) -> String {
        self.made += 1;
        format!("n{}", self.made)
    }

    /// A graph inside a node: with the ports that its node needs, or others.
    fn body(&mut self, op_type: &str, depth: usize) -> Graph {
        let outside = self.names.clone();
        let ports = match op_type {
            "If" => 0,
            "Loop" => 2 + self.draw.below(3),
            _ => self.draw.below(4),
        };
        let named = |name: &String| ValueInfo { name: name.clone(), r#type: None };
        let inputs: Vec<String> = (0..ports).map(|_| self.fresh()).collect();
        self.names.extend(inputs.iter().cloned());
        let mut node = Vec::new();
        for _ in 0..self.draw.below(4) {
            let next = self.node(depth - 1);
            self.names.extend(next.output.iter().cloned());
            node.push(next);
        }
        let gives = if op_type == "If" { 1 } else { self.draw.below(4) };
        let mut output: Vec<String> = (0..gives).map(|_| self.name()).collect();
        // A loop goes on while its first output says so, which its second input does.
        if op_type == "Loop" && !self.draw.one_in(4) {
            output.insert(0, inputs[1].clone());
        }
        let graph = Graph {
            node,
            initializer: vec![],
            input: inputs.iter().map(named).collect(),
            output: output.iter().map(named).collect(),
        };
        self.names = outside;
        graph
    }

    fn attributes(&mut self, op_type: &str) -> Vec<Attribute> {
        let own = ATTRIBUTES.iter().find(|(op, _)| *op == op_type).map_or(&[][..], |(_, attributes)| attributes);
        let mut attributes = Vec::new();
        for (name, holds) in own {
            if !self.draw.one_in(3) {
                attributes.push(self.attribute(name, *holds));
            }
        }
        if self.draw.one_in(if own.is_empty() { 4 } else { 20 }) {
            let (name, holds) = self.draw.pick(&OTHERS);
            attributes.push(self.attribute(name, holds));
        }
        attributes
    }

    fn attribute(&mut self, name: &str, holds: Holds) -> Attribute {
        let mut attribute = Attribute { name: name.to_owned(), ..Attribute::default() };
        let small = |draw: &mut Draw| i64::try_from(1 + draw.size(4)).unwrap_or(1);
        match holds {
            Holds::Axis => attribute.i = i64::try_from(self.draw.below(6)).unwrap_or(0) - 2,
            Holds::Axes => attribute.ints = self.wholes(3),
            Holds::Perm => {
                let mut perm: Vec<i64> = (0..i64::try_from(self.draw.below(6)).unwrap_or(0)).collect();
                for place in (2..perm.len()).rev() {
                    perm.swap(place, 1 + self.draw.below(place));
                }
                attribute.ints = perm;
            }
            Holds::Flag => attribute.i = i64::from(self.draw.one_in(2)),
            Holds::Small => attribute.i = small(self.draw),
            Holds::Sizes => attribute.ints = (0..=self.draw.below(3)).map(|_| small(self.draw)).collect(),
            Holds::Pads => {
                let axes = 1 + self.draw.below(3);
                attribute.ints = (0..2 * axes).map(|_| i64::try_from(self.draw.size(4)).unwrap_or(0)).collect();
            }
            Holds::Float => attribute.f = self.draw.float(),
            Holds::Floats => attribute.floats = (0..self.draw.below(5)).map(|_| self.draw.float()).collect(),
            Holds::Ints => attribute.ints = self.wholes(4),
            Holds::Dtype => attribute.i = self.draw.pick(&[1, 2, 3, 6, 7, 9, 10, 11, 12, 16, 0, 99]),
            Holds::Value => attribute.t = Some(self.tensor(String::new())),
            Holds::Text(texts) => attribute.s = self.draw.pick(texts).as_bytes().to_vec(),
        }
        if self.draw.one_in(25) {
            attribute.i = self.draw.signed();
            attribute.f = self.draw.float();
            attribute.ints = (0..self.draw.size(6)).map(|_| self.draw.signed()).collect();
        }
        attribute
    }

    /// An operator that the model defines itself, now and then by itself.
    fn functions(&mut self) -> Vec<Function> {
        let (name, domain) = ("Double".to_owned(), "own".to_owned());
        let node = |op_type: &str, domain: &str, input: &[&str], output: &str| Node {
            input: input.iter().map(ToString::to_string).collect(),
            output: vec![output.to_owned()],
            op_type: op_type.to_owned(),
            domain: domain.to_owned(),
            ..Node::default()
        };
        let mut nodes = vec![node("Add", "", &["a", "a"], "b")];
        if self.draw.one_in(25) {
            nodes = vec![node("Double", "own", &["a"], "m"), node("Double", "own", &["m"], "b")];
        }
        let (input, output) = (vec!["a".to_owned()], vec!["b".to_owned()]);
        vec![Function { name, domain, input, output, node: nodes, ..Function::default() }]
    }
}

/// Whatever numbers a model says, some of them others.
pub(crate) fn change_numbers(draw: &mut Draw, model: &mut Model) {
    let Some(graph) = &mut model.graph else { return };
    for _ in 0..=draw.below(4) {
        let count = graph.node.len();
        let node = if count > 0 { graph.node.get_mut(draw.below(count)) } else { None };
        match (draw.below(5), node) {
            (0, Some(node)) if !node.attribute.is_empty() => {
                let attribute = draw.below(node.attribute.len());
                let attribute = &mut node.attribute[attribute];
                attribute.i = draw.signed();
                attribute.ints.iter_mut().for_each(|value| *value = draw.signed());
            }
            (1, Some(node)) if node.input.len() > 1 => {
                let (from, to) = (draw.below(node.input.len()), draw.below(node.input.len()));
                node.input.swap(from, to);
            }
            (2, Some(node)) => {
                let operators: Vec<&str> = onnx::operators().collect();
                draw.pick(&operators).clone_into(&mut node.op_type);
            }
            _ if !graph.initializer.is_empty() => {
                let tensor = draw.below(graph.initializer.len());
                let tensor = &mut graph.initializer[tensor];
                match draw.below(3) {
                    0 if !tensor.dims.is_empty() => {
                        let place = draw.below(tensor.dims.len());
                        tensor.dims[place] = draw.signed();
                    }
                    1 => tensor.int64_data.iter_mut().for_each(|value| *value = draw.signed()),
                    _ => tensor.data_type = i32::try_from(draw.below(24)).unwrap_or(0),
                }
            }
            _ => {}
        }
    }
}
